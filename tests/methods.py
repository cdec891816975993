"""Signature methods that misbehave, or that count."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from similar_images.imaging.decoder.protocol import DECODER_GENERATION
from similar_images.plugins import load_method
from similar_images.signatures.base import Method

PX = f"-px{DECODER_GENERATION}"
"""End of the versions of methods that the setting names."""


def loaded(method_class: type[Method]) -> Method:
    """Make a method as the setting does, so that its version is that of stored signatures."""
    return load_method(f"{method_class.__module__}.{method_class.__name__}", {})


class Mean(Method):
    """The mean color: quick, and counts its pictures."""

    name = "mean"
    metric = "l1"
    version = "1"
    dimensions = 3
    curve = ((0.0, 100.0), (1.0, 50.0), (3.0, 0.0))
    computed = 0

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        Mean.computed += 1
        return pixels.mean((0, 1), dtype=np.float32) / 255


class Failing(Mean):
    """Can't describe a picture whose first pixel is pure red."""

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if tuple(pixels[0, 0]) == (255, 0, 0):
            raise RuntimeError("this method dislikes red")
        return super().compute(pixels)


class Deadly(Mean):
    """Brings the process down at a picture whose first pixel is pure red."""

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if tuple(pixels[0, 0]) == (255, 0, 0):
            os._exit(1)
        return super().compute(pixels)


class Slow(Mean):
    """Leaves a mark and takes its time, as long as the file `hold` is there."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        (self.folder / "started").touch()
        while (self.folder / "hold").exists():
            time.sleep(0.02)
        return super().compute(pixels)


class Reader(Mean):
    """Understands a text."""

    takes_text = True

    def compute_text(self, text: str) -> NDArray[np.float32]:
        return np.ones(3, np.float32)


class SlowReader(Reader):
    """Understands a text, but takes its time."""

    def compute_text(self, text: str) -> NDArray[np.float32]:
        time.sleep(0.3)
        return super().compute_text(text)


class Bits(Method):
    """Which of 8 × 8 cells are bright: a string of bits."""

    name = "bits"
    storage = "bit"
    metric = "hamming"
    version = "1"
    dimensions = 64
    curve = ((0.0, 100.0), (64.0, 0.0))

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        rows, columns = (np.linspace(0, side - 1, 8).astype(int) for side in pixels.shape[:2])
        return pixels[np.ix_(rows, columns)].mean(2).ravel() > 127


class Sparse(Method):
    """How often each level of red occurs: a long vector that is mostly 0."""

    name = "sparse"
    storage = "sparsevec"
    metric = "cosine"
    version = "1"
    dimensions = 50_000
    curve = ((0.0, 100.0), (1.0, 0.0))

    def compute(self, pixels: NDArray[np.uint8]) -> dict[int, float]:
        levels, counts = np.unique(pixels[..., 0], return_counts=True)
        return {int(level) * 100: float(count) for level, count in zip(levels, counts, strict=True)}


class Grid(Method):
    """The brightness of side × side points: its version and its length go by an option."""

    name = "grid"
    metric = "l1"
    curve = ((0.0, 100.0), (100.0, 0.0))

    def __init__(self, side: int = 2) -> None:
        self.side = side

    @property
    def version(self) -> str:
        return f"side{self.side}"

    @property
    def dimensions(self) -> int:
        return self.side**2

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows, columns = (np.linspace(0, length - 1, self.side).astype(int) for length in pixels.shape[:2])
        return pixels[np.ix_(rows, columns)].mean(2).ravel().astype(np.float32) / 255


class Broken(Grid):
    """As Grid, but a side of 3 does not work on this machine."""

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.side == 3:
            raise FileNotFoundError("model.onnx")
        return super().compute(pixels)


class Huge(Method):
    """More numbers than an index holds."""

    name = "huge"
    metric = "l1"
    version = "1"
    dimensions = 5_000
    curve = ((0.0, 100.0), (5000.0, 0.0))

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.resize(pixels.mean((0, 1)), 5_000).astype(np.float32) / 255


class Wide(Mean):
    """256 numbers, compared by their direction."""

    name = "wide"
    metric = "cosine"
    dimensions = 256

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows, columns = (np.linspace(0, side - 1, 16).astype(int) for side in pixels.shape[:2])
        return pixels[np.ix_(rows, columns)].mean(2).ravel().astype(np.float32) + 1


class Centered(Wide):
    """As Wide, but searched by without the mean of a source."""

    gains_by_centering = True


class Angle(Mean):
    """The gray level as an angle, which is compared by cosine: what search backends can find."""

    name = "angle"
    metric = "cosine"
    dimensions = 2
    curve = ((0.0, 100.0), (0.5, 50.0), (1.0, 0.0))

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        angle = super().compute(pixels)[0] * np.pi / 2
        return np.array([np.cos(angle), np.sin(angle)], np.float32)

"""Sample measures for the tests of pages and the API: one that draws, and some that fail or are slow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from similar_images.measures.base import ComparisonImage, Measure, MeasureResult
from similar_images.measures.drawing import canvas


class Brightness(Measure):
    """Difference of the mean levels, with two drawings."""

    name = "brightness"
    title = "Brightness"
    meaning = "How much brighter one of the two is."
    best = 0.0
    worst = float("inf")
    curve = ((0, 100), (255, 0))
    drawings = {"pair": "Both pictures", "light": "Their light"}

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        means = [float(image.pixels.mean()) for image in (a, b)]
        return MeasureResult(abs(means[0] - means[1]), {"means": means})

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> NDArray[np.uint8]:
        if name == "pair":
            return canvas.place_side_by_side(a.pixels, b.pixels)[0]
        return canvas.heat_map(np.tile(np.linspace(0, 1, 400, dtype=np.float32), (200, 1)))


class Darkness(Brightness):
    name = "darkness"
    title = "Darkness"
    drawings = {"pair": "The same <pair>"}


class Clumsy(Brightness):
    """Fails to draw one of its drawings."""

    name = "clumsy"
    drawings = {"torn": "What fails", "whole": "What does not"}

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> NDArray[np.uint8]:
        if name == "torn":
            raise RuntimeError("the pen broke")
        return a.pixels


class Failing(Brightness):
    name = "failing"

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        raise RuntimeError("this measure dislikes pictures")


class NotInstalled(Brightness):
    name = "not-installed"

    def check(self) -> list[str]:
        return ["It needs a package: pip install similar_images[compare]"]


class Slow(Brightness):
    """Waits as long as the file `hold` exists."""

    name = "slow"

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def compare(self, *images: Any) -> MeasureResult:
        while (self.folder / "hold").exists():
            time.sleep(0.02)
        return super().compare(*images)

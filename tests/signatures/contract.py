"""Tests of every signature method; the test class of a method inherits them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from similar_images.signatures.base import Method

if TYPE_CHECKING:
    from similar_images.signatures.base import Value

MAX_DIMENSIONS_BY_STORAGE = {"halfvec": 4000, "bit": 64_000, "sparsevec": 1_000_000}
HEAVY = ("numpy", "cv2", "onnx", "onnxruntime", "torch")


def draw(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Blurred noise in all colors."""
    cells = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return np.ascontiguousarray(cells.repeat(8, axis=0).repeat(8, axis=1)[:height, :width])


def read_only(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels.setflags(write=False)
    return pixels


PICTURES = {
    "photo-sized": draw(300, 400),
    "mirrored view": draw(300, 400)[:, ::-1],
    "read-only": read_only(draw(30, 40)),
    "gray": np.repeat(draw(50, 40)[..., :1], 3, axis=2),
    "black": np.zeros((60, 80, 3), np.uint8),
    "white": np.full((60, 80, 3), 255, np.uint8),
    "one pixel": np.full((1, 1, 3), (200, 30, 90), np.uint8),
    "a line": draw(1, 5000),
    "a column": draw(20000, 2),
}


def stored(signature: Value) -> Value:
    """Round a signature as its column does: bits as they are, sparse numbers to float32, dense ones to float16."""
    if isinstance(signature, dict):
        return {index: float(np.float32(number)) for index, number in signature.items()}
    return signature if signature.dtype == bool else signature.astype(np.float16).astype(np.float32)


def distance(method: Method, a: Value, b: Value) -> float:
    """Return the distance of pgvector between two stored signatures."""
    if isinstance(a, dict) and isinstance(b, dict):
        indices = sorted(a.keys() | b.keys())
        a, b = (np.array([signature.get(index, 0) for index in indices]) for signature in (a, b))
    if method.metric == "l1":
        return float(np.abs(a - b).sum())
    if method.metric == "hamming":
        return float((a != b).sum())
    if method.metric == "jaccard":
        return float(1 - (a & b).sum() / (a | b).sum()) if (a & b).any() else 1.0
    return float(1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def assert_valid(method: Method, signature: Value) -> None:
    """Check that the signature is of the `storage`, and that `metric` is defined for it."""
    if method.storage == "sparsevec":
        assert isinstance(signature, dict)
        assert len(signature) <= 1000
        assert all(type(index) is int and 0 <= index < method.dimensions for index in signature)
        numbers = np.array(list(stored(signature).values()))
        assert numbers.all()
    else:
        assert signature.shape == (method.dimensions,)
        assert signature.dtype == (np.bool_ if method.storage == "bit" else np.float32)
        numbers = stored(signature)
    assert np.isfinite(numbers).all()
    assert method.metric in ("l1", "hamming") or numbers.any()  # the other metrics are undefined for zeros


def are_equal(a: Value, b: Value) -> bool:
    return a == b if isinstance(a, dict) else np.array_equal(a, b)


class MethodContract:
    """Requires a fixture `method`, and a fixture `options` if it has some."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {}

    @pytest.mark.parametrize("pixels", PICTURES.values(), ids=PICTURES)
    def test_compute__any_image(self, method: Method, pixels: NDArray[np.uint8]) -> None:
        before = pixels.copy()
        signature = method.compute(pixels)
        assert_valid(method, signature)
        assert method.similarity(distance(method, stored(signature), stored(signature))) > 99.9
        assert (pixels == before).all()

    def test_compute__is_deterministic(self, method: Method, options: dict[str, Any]) -> None:
        pixels = draw(200, 300)
        repeated = type(method)(**options).compute(pixels.copy())
        assert are_equal(method.compute(pixels), repeated)

    def test_compute__different_images_differ(self, method: Method) -> None:
        red, blue = np.zeros((2, 50, 50, 3), np.uint8)
        red[10:40, 10:40, 0] = blue[20:30, :, 2] = 200
        assert method.similarity(distance(method, method.compute(red), method.compute(blue))) < 90

    def test_curve__falls_from_100_to_0(self, method: Method) -> None:
        distances, similarities = zip(*method.curve, strict=True)
        assert method.curve[0] == (0, 100)
        assert similarities[-1] == 0
        assert all(np.diff(distances) > 0)
        assert all(np.diff(similarities) <= 0)
        assert method.similarity(0) == 100
        assert method.similarity(distances[-1] + 1) == 0

    def test_name_and_version__fit_their_columns(self, method: Method) -> None:
        assert 0 < len(method.name) <= 64
        assert 0 < len(method.version) <= 64
        assert 0 < method.dimensions <= MAX_DIMENSIONS_BY_STORAGE[method.storage]

    def test_init__imports_nothing_heavy(self, method: Method, options: dict[str, Any]) -> None:
        module, name = type(method).__module__, type(method).__name__
        code = (
            f"import sys; from {module} import {name}; method = {name}(**{options!r})\n"
            "method.version, method.dimensions, method.similarity(0.5)\n"
            f"print(*sys.modules.keys() & {set(HEAVY)})"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stdout.split() == []

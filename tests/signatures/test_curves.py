"""Percent means the same for every method: measured on photos that are no part of the project."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from similar_images.signatures.base import Method
from similar_images.signatures.color import Color, ColorEmd, Palette
from similar_images.signatures.embedding import Embedding
from similar_images.signatures.layout import Blocks, Tiny, Wavelet

from .contract import distance, stored

PHOTOS = Path(__file__).resolve().parents[2].parent / "shared" / "datasets" / "copydetect" / "base"
COUNT = 120

pytestmark = pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"NOT MEASURED: no photos in {PHOTOS}")


def recompressed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    return cv2.imdecode(file, cv2.IMREAD_COLOR_RGB)


@pytest.fixture(scope="module")
def similarities() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """By method, in percent: of every photo and its recompressed copy, and of every two photos."""
    photos = [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in sorted(PHOTOS.glob("*.jpg"))[:COUNT]]
    assert len(photos) == COUNT
    result = {}
    methods: list[Method] = [Embedding(), Color(), ColorEmd(), Palette(), Tiny(), Blocks(), Wavelet()]
    for method in methods:
        originals = [stored(method.compute(photo)) for photo in photos]
        copies = [stored(method.compute(recompressed(photo))) for photo in photos]
        alike = [distance(method, a, b) for a, b in zip(originals, copies, strict=True)]
        random = [distance(method, a, b) for i, a in enumerate(originals) for b in originals[:i]]
        result[method.name] = (
            np.array([method.similarity(d) for d in alike]),
            np.array([method.similarity(d) for d in random]),
        )
    (e, e_random), (c, c_random) = result["embedding"], result["color"]
    return {**result, "blend": (0.9 * e + 0.1 * c, 0.9 * e_random + 0.1 * c_random)}


@pytest.mark.parametrize("name", ["embedding", "color", "color-emd", "palette", "tiny", "blocks", "wavelet", "blend"])
def test_copies_are_near_100_and_strangers_near_0(
    similarities: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]], name: str
) -> None:
    copies, random = similarities[name]
    assert np.median(copies) >= 90
    assert np.median(random) < 10
    assert np.quantile(random, 0.99) < 40
    assert (random >= 70).mean() < 0.001

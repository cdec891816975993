"""A percentage means the same for every measure, on images that are not part of the project."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from similar_images import plugins
from similar_images.measures.base import ComparisonImage
from tests.datasets import DATASETS, PHOTOS, needs
from tests.signatures.test_curves import recompressed

ON_PHOTOS = ["bhattacharyya", "chi-square", "correlation", "emd-color", "emd-gray", "intersection"]
COUNT = 60
PAIRS = 200
"""Number of random pairs: 1 in 10,000 reaches 70 percent, so at most one of these may by bad luck."""

pytestmark = needs(DATASETS)


def images(paths: list[Path]) -> list[ComparisonImage]:
    assert len(paths) >= COUNT
    return [
        ComparisonImage(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)) for path in paths[:: len(paths) // COUNT][:COUNT]
    ]


@pytest.fixture(scope="module")
def photos() -> list[ComparisonImage]:
    return images(sorted(PHOTOS.glob("*.jpg")))


def similarities(name: str, pictures: list[ComparisonImage]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The similarities of re-encoded copies, and of random pairs."""
    measure = plugins.load_measure(name, {})
    pairs = np.transpose(np.triu_indices(len(pictures), 1))
    chosen = np.random.default_rng(0).choice(pairs, PAIRS, replace=False)
    copies = [
        measure.similarity(measure.compare(image, ComparisonImage(recompressed(image.original_pixels))))
        for image in pictures[:20]
    ]
    strangers = [measure.similarity(measure.compare(pictures[i], pictures[j])) for i, j in chosen]
    return np.array(copies), np.array(strangers)


@pytest.mark.parametrize("name", ON_PHOTOS)
def test_similarity__of_photos(name: str, photos: list[ComparisonImage]) -> None:
    copies, strangers = similarities(name, photos)
    assert np.median(copies) >= 90
    assert (strangers >= 70).sum() <= 1
    assert np.median(strangers) < 5
    assert strangers.max() >= 8


def test_similarity__of_exact_colors(photos: list[ComparisonImage]) -> None:
    """Compression scatters them, so that a copy has half of what it has by shared bins; strangers have nothing."""
    copies, strangers = similarities("correlation-rgb", photos)
    assert 30 <= np.median(copies) <= 65
    assert (strangers >= 70).sum() <= 1
    assert np.median(strangers) < 5
    assert copies.min() > np.median(strangers)


def test_similarity__of_silhouettes() -> None:
    """Objects on white: many are rectangles, so 1 in 100 random pairs reaches 70 percent."""
    copies, strangers = similarities("silhouette", images(sorted((DATASETS / "furniture").rglob("*.jpg"))))
    assert np.median(copies) >= 90
    assert (strangers >= 70).mean() <= 0.05
    assert np.median(strangers) < 5

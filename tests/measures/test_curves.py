"""Percent means the same for every measure: on pictures that are no part of the project."""

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
"""Of random pairs: 70 percent is for 1 in 10,000, so that no more than one of these may get it by bad luck."""

pytestmark = needs(DATASETS)


def views(paths: list[Path]) -> list[ComparisonImage]:
    assert len(paths) >= COUNT
    return [
        ComparisonImage(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)) for path in paths[:: len(paths) // COUNT][:COUNT]
    ]


@pytest.fixture(scope="module")
def photos() -> list[ComparisonImage]:
    return views(sorted(PHOTOS.glob("*.jpg")))


def percents(name: str, pictures: list[ComparisonImage]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The similarities of re-encoded copies, and of random pairs."""
    measure = plugins.load_measure(name, {})
    pairs = np.transpose(np.triu_indices(len(pictures), 1))
    chosen = np.random.default_rng(0).choice(pairs, PAIRS, replace=False)
    copies = [
        measure.similarity(measure.compare(view, ComparisonImage(recompressed(view.original_pixels))))
        for view in pictures[:20]
    ]
    strangers = [measure.similarity(measure.compare(pictures[i], pictures[j])) for i, j in chosen]
    return np.array(copies), np.array(strangers)


@pytest.mark.parametrize("name", ON_PHOTOS)
def test_percents__of_photos(name: str, photos: list[ComparisonImage]) -> None:
    copies, strangers = percents(name, photos)
    assert np.median(copies) >= 90
    assert (strangers >= 70).sum() <= 1
    assert np.median(strangers) < 5
    assert strangers.max() >= 8


def test_percents__of_silhouettes() -> None:
    """Things on white: many are rectangles, so that of random pairs 1 in 100 gets 70."""
    copies, strangers = percents("silhouette", views(sorted((DATASETS / "furniture").rglob("*.jpg"))))
    assert np.median(copies) >= 90
    assert (strangers >= 70).mean() <= 0.05
    assert np.median(strangers) < 5

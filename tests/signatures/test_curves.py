"""Similarities mean the same for every method: measured on photos that are not part of the project."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from similar_images import plugins, signatures
from similar_images.conf import Conf
from similar_images.signatures.distances import SignatureArray, similarities_from_distances
from tests.datasets import PHOTOS, needs

COUNT = 300

pytestmark = needs(PHOTOS)


def recompressed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    return cv2.imdecode(file, cv2.IMREAD_COLOR_RGB)


@pytest.fixture(scope="module")
def photos() -> list[NDArray[np.uint8]]:
    photos = [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in sorted(PHOTOS.glob("*.jpg"))[:COUNT]]
    assert len(photos) == COUNT
    return photos


@pytest.mark.parametrize("name", signatures.BUILT_IN_METHODS)
def test_curve__is_as_strict_as_others(photos: list[NDArray[np.uint8]], name: str) -> None:
    """Of 44,850 pairs of photos of different things, each method rates as many at 70, and at 30, as the others."""
    method = plugins.load_method(name, {})
    originals = SignatureArray(method, [method.compute(photo) for photo in photos])
    copies = SignatureArray(method, [method.compute(recompressed(photo)) for photo in photos[:100]])
    pairs = np.concatenate(list(originals.distances(originals)))[np.triu_indices(COUNT, 1)]
    random_pairs = similarities_from_distances(method, pairs)
    copy_similarities = similarities_from_distances(
        method, np.concatenate(list(originals.distances(copies))).diagonal()
    )
    assert np.median(copy_similarities) >= 90
    assert 1 <= (random_pairs >= 70).sum() <= 15
    assert 45 <= np.quantile(random_pairs, 0.999) <= 60
    assert 25 <= np.quantile(random_pairs, 0.99) <= 35
    assert np.median(random_pairs) < 4


def test_default_ranking__separates_copies_from_random_pairs(photos: list[NDArray[np.uint8]]) -> None:
    photos = photos[:120]
    ranking = Conf().ranking
    copies, random_pairs = np.zeros(len(photos)), np.zeros(len(photos) * (len(photos) - 1) // 2)
    for name, weight in ranking.items():
        method = plugins.load_method(name, {})
        originals = SignatureArray(method, [method.compute(photo) for photo in photos])
        changed = SignatureArray(method, [method.compute(recompressed(photo)) for photo in photos])
        share = weight / sum(ranking.values())
        pairs = np.concatenate(list(originals.distances(originals)))[np.triu_indices(len(photos), 1)]
        random_pairs += share * similarities_from_distances(method, pairs)
        copies += share * similarities_from_distances(
            method, np.concatenate(list(originals.distances(changed))).diagonal()
        )
    assert np.median(copies) >= 90
    assert np.median(random_pairs) < 10

"""Candidate pairs by signatures in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pytest

from similar_images.duplicates.candidates import MethodSignatures, find_neighbors, propose_pairs, select_neighbors
from similar_images.duplicates.images import ExactDuplicate, ImageCollection, ScannedImage
from tests import drawing
from tests.methods import Bits, Mean, Sparse


class SignatureCollection(ImageCollection):
    """Images that are nothing but signatures, named by their indexes."""

    def __init__(self, signatures: MethodSignatures) -> None:
        self.signatures = signatures
        self.distinct_count = signatures.orientations[0].count

    def exact_duplicates(self) -> Iterable[ExactDuplicate]:
        return []

    def neighbors(self, nearest: int) -> Iterable[tuple[int, Mapping[int, Mapping[str, float]]]]:
        return find_neighbors([self.signatures], nearest)

    def load(self, keys: Iterable[int]) -> dict[int, ScannedImage]:
        return {key: ScannedImage(str(key), str(key), 1, 1, bytes) for key in keys}


def collection(*levels: float) -> SignatureCollection:
    """Return images of these mean levels, 0 to 1."""
    values = [[np.full(3, level, np.float32)] for level in levels]
    return SignatureCollection(MethodSignatures.from_values(Mean(), values))


def candidates(images: ImageCollection, threshold: float, nearest: int) -> dict[tuple[int, int], Mapping[str, float]]:
    proposals = propose_pairs(images, threshold=threshold, nearest=nearest, is_exhaustive=True)
    return {(a, b): similarities for a, b, similarities in proposals.pairs}


def test_candidates__are_the_nearest_above_the_threshold() -> None:
    images = collection(0, 0.01, 0.02, 0.9)
    pairs = candidates(images, threshold=90, nearest=1)
    assert pairs.keys() == {(0, 1), (1, 2)}
    assert all(similarities["mean"] >= 90 for similarities in pairs.values())
    assert list(candidates(images, threshold=90, nearest=3)) == [(0, 1), (0, 2), (1, 2)]
    assert len(candidates(images, threshold=0, nearest=3)) == 6


def test_other_orientations__count_from_a_higher_similarity() -> None:
    upright, turned = np.zeros(3, np.float32), np.full(3, 0.8, np.float32)
    values = [[upright, turned], [turned - 0.2, turned], [turned + 0.01, turned]]
    images = SignatureCollection(MethodSignatures.from_values(Mean(), values))
    pairs = candidates(images, threshold=85, nearest=2)
    assert sorted(pairs) == [(0, 2), (1, 2)]
    assert pairs[0, 2]["mean"] == pytest.approx(98.5, abs=0.1)
    values = [[upright, turned], [np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32)]]
    images = SignatureCollection(MethodSignatures.from_values(Mean(), values))
    assert candidates(images, threshold=40, nearest=1) == {}  # upright 37.5%, turned 62.5% and 55%
    pairs = candidates(images, threshold=30, nearest=1)
    assert pairs == {(0, 1): {"mean": pytest.approx(37.5, abs=0.1)}}


def test_candidates__grow_with_the_number_of_images_however_similar_they_are() -> None:
    pairs = candidates(collection(*[0.5] * 700), threshold=50, nearest=4)
    assert 700 * 4 / 2 <= len(pairs) <= 700 * 4
    assert all(a < b for a, b in pairs)


def test_progress__counts_the_images_that_were_looked_at() -> None:
    done: list[int] = []
    propose_pairs(collection(0, 0.01, 0.02), threshold=50, nearest=2, advance=done.append)
    assert done == [1, 2, 3]


def test_bound__keeps_the_most_promising_pairs_and_counts_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("similar_images.duplicates.candidates.MIN_PAIRS", 2)
    monkeypatch.setattr("similar_images.duplicates.candidates.MAX_PAIRS_PER_IMAGE", 0.1)
    images = collection(0, 0.001, 0.5, 0.502, 0.9, 0.91)
    proposals = propose_pairs(images, threshold=90, nearest=1)
    assert [pair[:2] for pair in proposals.pairs] == [(0, 1), (2, 3)]
    assert proposals.left_out == 1
    assert len(candidates(images, threshold=90, nearest=1)) == 3


def test_pairs_of_one_picture__come_one_after_the_other() -> None:
    images = collection(0, 0.5, 0.001, 0.501, 0.002, 0.502)
    pairs = list(candidates(images, threshold=90, nearest=2))
    assert pairs == [(0, 2), (0, 4), (2, 4), (1, 3), (1, 5), (3, 5)]


def test_selection__takes_the_nearest_by_each_method() -> None:
    neighbors = {1: {"mean": 90.0, "bits": 10.0}, 2: {"mean": 80.0}, 3: {"bits": 60.0}, 4: {"mean": 40.0, "bits": 70.0}}
    assert select_neighbors(neighbors, 50, 1) == {1, 4}
    assert select_neighbors(neighbors, 50, 2) == {1, 2, 3, 4}
    assert select_neighbors(neighbors, 75, 2) == {1, 2}
    assert select_neighbors({}, 50, 2) == set()


def test_neighbors__take_every_storage_and_leave_out_images_without_detail() -> None:
    pixels = [np.asarray(drawing.scene(seed)) for seed in (0, 0, 1)]
    for method in (Mean(), Bits(), Sparse()):
        signatures = MethodSignatures.from_values(method, [*([method.compute(image)] for image in pixels), None])
        neighbors = dict(find_neighbors([signatures], 4))
        assert {index: set(others) for index, others in neighbors.items()} == {
            0: {1, 2},
            1: {0, 2},
            2: {0, 1},
            3: set(),
        }
        assert neighbors[0][1][method.name] == pytest.approx(100, abs=0.1)

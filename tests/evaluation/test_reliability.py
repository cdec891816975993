"""The isotonic map from percentages to the share of similar pairs: by hand, by scikit-learn, and on other pairs."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from similar_images.evaluation.description import DescribedSet
from similar_images.evaluation.judged_pairs import pairs_by_label, pairs_by_marks
from similar_images.evaluation.labeled_images import LabeledImage
from similar_images.evaluation.reliability import (
    MIN_VERDICTS,
    calibration_error,
    fit_isotonic,
    measure_reliability,
)
from similar_images.evaluation.reliability_text import ReliabilityAnswer
from similar_images.signatures.base import similarity_from_distance
from similar_images.signatures.distances import SignatureArray
from tests.methods import Mean


def test_isotonic__by_hand() -> None:
    fitted = fit_isotonic(np.array([10.0, 20, 30, 40, 50]), np.array([0, 1, 0, 1, 1], bool))
    assert fitted(np.array([10.0, 20, 30, 40, 50])).tolist() == [0, 0.5, 0.5, 1, 1]
    assert fitted(np.array([0.0, 15, 25, 35, 100])).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert len(fitted.percents) == 5


def test_isotonic__equals_that_of_scikit_learn() -> None:
    random = np.random.default_rng(4)
    for _round in range(20):
        percents = random.integers(0, 101, 200).astype(float)
        is_similar = random.random(200) < percents / 120
        expected = IsotonicRegression(out_of_bounds="clip").fit(percents, is_similar.astype(float))
        grid = np.linspace(0, 100, 301)
        np.testing.assert_allclose(fit_isotonic(percents, is_similar)(grid), expected.predict(grid), atol=1e-6)


def draw(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pairs of which nine in ten are similar from 60% on, and one in ten below."""
    random = np.random.default_rng(seed)
    percents = random.random(count) * 100
    return percents, random.random(count) < np.where(percents >= 60, 0.9, 0.1)


def test_reliability__of_pairs_that_it_was_not_fitted_on() -> None:
    percents, is_similar = draw(3_000, 1)
    reliability = measure_reliability(percents, is_similar, np.arange(3_000))
    assert reliability.fitted is not None
    others, are_similar = draw(3_000, 2)
    honest = calibration_error(others, reliability.fitted(others), are_similar)
    assert honest is not None
    assert reliability.error == pytest.approx(honest, abs=0.02)
    assert reliability.error is not None
    assert reliability.error_of_percentages is not None
    assert reliability.error < 0.05 < 0.15 < reliability.error_of_percentages
    shares = {band.low: band.share for band in reliability.bands}
    assert shares[80] == pytest.approx(0.9, abs=0.05)
    assert shares[30] == pytest.approx(0.1, abs=0.05)
    assert sum(band.count for band in reliability.bands) == 3_000


def test_reliability__is_not_fooled_by_its_own_marks() -> None:
    """Few pairs, each marked five times: by pairs of their own, the map would seem to be better than it is."""
    told: dict[str, list[float]] = {"own": [], "apart": [], "together": []}
    for seed in range(10):
        percents, is_similar = (np.repeat(part, 5) for part in draw(40, seed))
        together, apart = (
            measure_reliability(percents, is_similar, units) for units in (np.arange(200) // 5, np.arange(200))
        )
        assert together.fitted is not None
        assert together.error is not None
        assert apart.error is not None
        told["own"].append(calibration_error(percents, together.fitted(percents), is_similar) or 0)
        told["apart"].append(apart.error)
        told["together"].append(together.error)
    own, apart_mean, together_mean = (fmean(errors) for errors in told.values())
    assert own < apart_mean < together_mean


def test_reliability__of_pairs_that_are_all_connected_has_no_error() -> None:
    reliability = measure_reliability(*draw(300, 1), np.zeros(300, np.intp))
    assert (reliability.error, reliability.error_of_percentages) == (None, None)
    answer = ReliabilityAnswer(reliability, by_marks=True)
    assert "can’t be told, as all of them are connected. Percentages stay as they are" in answer.caution()


def test_reliability__says_nothing_of_few_pairs() -> None:
    is_similar = np.arange(200) < MIN_VERDICTS - 1
    reliability = measure_reliability(np.linspace(100, 0, 200), is_similar, np.arange(200))
    assert (reliability.similar, reliability.different) == (MIN_VERDICTS - 1, 201 - MIN_VERDICTS)
    assert (reliability.fitted, reliability.bands, reliability.error) == (None, [], None)
    nothing = measure_reliability(np.zeros(0), np.zeros(0, bool), np.zeros(0, np.intp))
    assert (nothing.similar, nothing.different) == (0, 0)


def described_set(levels: list[float], labels: list[str]) -> DescribedSet:
    images = [LabeledImage(f"{i}.png", bytes, {"class": label}, str(i)) for i, label in enumerate(labels)]
    return DescribedSet(images, {"mean": SignatureArray(Mean(), [np.full(3, level) for level in levels])}, {}, {})


def test_pairs__by_label_leave_out_images_without_one() -> None:
    pairs = pairs_by_label(described_set([0, 0.25, 0.5, 0.75], ["a", "b", "", "a"]), {"mean": 1}, "class")
    assert pairs.is_similar.tolist() == [False, True, False]
    assert pairs.percents.tolist() == [similarity_from_distance(Mean.curve, d) for d in (0.75, 2.25, 1.5)]
    assert all(unit >= -1 for unit in pairs.units)


def test_pairs__by_marks_are_of_one_part_where_marks_connect_them() -> None:
    marks = [("0", "3", True), ("1", "2", False), ("3", "2", False), ("4", "5", True), ("4", "gone", True)]
    pairs = pairs_by_marks(described_set([0, 0.25, 0.5, 0.75, 0, 1], [""] * 6), {"mean": 1}, marks)
    assert pairs.is_similar.tolist() == [True, False, False, True]
    assert pairs.percents.tolist() == [similarity_from_distance(Mean.curve, d) for d in (2.25, 0.75, 0.75, 3)]
    assert pairs.units[0] == pairs.units[1] == pairs.units[2] != pairs.units[3]
    assert pairs_by_marks(described_set([0], [""]), {"mean": 1}, []).percents.tolist() == []

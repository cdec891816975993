"""The mean that is taken off signatures, and the curve by which percentages keep their meaning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from similar_images.signatures.base import similarities_on_curve
from similar_images.signatures.centering import MIN_COUNTED, center, match_curve
from similar_images.signatures.projection import ProjectedMethod
from tests.methods import Wide

CURVE = ((0, 100), (0.1, 90), (0.4, 60), (0.8, 0))


def random_signatures(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(5, 1, 256) + rng.normal(0, 1, (count, 256))).astype(np.float32)


def test_center__takes_the_mean_off_and_scales_to_length_1() -> None:
    values = random_signatures(40)
    centered = center(Wide(), values)
    expected = values.astype(np.half).astype(np.float32) - np.frombuffer(centered.mean_and_matrix[0], np.float32)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert centered.project(values) == pytest.approx(expected, abs=1e-5)
    assert np.frombuffer(centered.mean_and_matrix[0], np.float32) == pytest.approx(values.mean(0), abs=1e-2)
    assert centered.mean_and_matrix[1] == b""
    assert (centered.name, centered.dimensions, len(centered.version) <= 64) == ("wide", 256, True)


def test_version__tells_means_apart() -> None:
    assert center(Wide(), random_signatures(9)).version == center(Wide(), random_signatures(9)).version
    assert center(Wide(), random_signatures(9)).version != center(Wide(), random_signatures(9, seed=1)).version


def test_center__keeps_the_percentages_of_a_former_mean() -> None:
    values = random_signatures(80)
    first = center(Wide(), values[:40])
    first.curve = CURVE
    again = center(Wide(), values[:40], like=first)
    distances = np.linspace(0, 0.8, 30)
    assert isinstance(again, ProjectedMethod)
    assert similarities_on_curve(again.curve, distances) == pytest.approx(
        similarities_on_curve(CURVE, distances), abs=6
    ), "the same mean: nearly the same curve, of which each point lies at a pair"


@given(st.integers(20, 200), st.floats(0.2, 1.5), st.floats(1, 4), st.integers(0, 99))
def test_match_curve__lets_as_many_pairs_reach_each_percentage(
    count: int, width: float, growth: float, seed: int
) -> None:
    before = np.random.default_rng(seed).uniform(0, width, count * 20).astype(np.float32)
    after = (before * growth).astype(np.float32)
    curve = match_curve(CURVE, before, after)
    distances, percents = zip(*curve, strict=True)
    assert list(distances) == sorted(distances)
    assert list(percents) == sorted(percents, reverse=True)
    assert curve[0] == [0, 100]
    for percent in (20, 60, 85):
        shares = [
            np.mean([similarity >= percent for similarity in similarities_on_curve(points, map(float, values))])
            for points, values in ((CURVE, before), (curve, after))
        ]
        assert shares[0] == pytest.approx(shares[1], abs=0.03 + MIN_COUNTED / len(before) / 10)


def test_match_curve__scales_where_hardly_a_pair_is_near() -> None:
    before = np.linspace(0.5, 1, 1000, dtype=np.float32)
    curve = match_curve(CURVE, before, 2 * before)
    assert similarities_on_curve(curve, [0.2]) == pytest.approx([90], abs=0.5)


def test_match_curve__is_not_misled_by_identical_images() -> None:
    before = np.concatenate([np.zeros(200), np.linspace(0.5, 1, 1000)]).astype(np.float32)
    curve = match_curve(CURVE, before, 2 * before)
    assert similarities_on_curve(curve, [0, 1.6]) == pytest.approx([100, 0], abs=1)


def test_match_curve__of_identical_images_stays_one() -> None:
    zeros = np.zeros(200, np.float32)
    curve = match_curve(CURVE, zeros, zeros)
    assert curve[0] == [0, 100]
    assert similarities_on_curve(curve, [0.8]) == [0]

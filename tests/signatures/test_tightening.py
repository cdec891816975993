"""Curves that are made stricter where too many pairs of a source would be similar."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from similar_images.signatures.base import Curve, similarities_on_curve
from similar_images.signatures.tightening import MAX_SIMILAR_SHARE, SIMILAR, similar_share, tighten_curve

CURVE: Curve = ((0, 100), (0.1, 90), (0.4, 70), (0.5, 30), (0.8, 0))

distances = st.one_of(
    st.lists(st.integers(0, 12), min_size=1, max_size=400).map(lambda values: np.array(values) / 16),
    st.integers(0, 999).map(lambda seed: np.random.default_rng(seed).gamma(2, 0.2, 3_000)),
)


@given(distances)
def test_tighten_curve__lets_few_pairs_be_similar(pairs: np.ndarray) -> None:
    curve = tighten_curve(CURVE, pairs)
    different = pairs[pairs > 0]
    similar = sum(percent >= SIMILAR for percent in similarities_on_curve(curve, different))
    assert similar <= MAX_SIMILAR_SHARE * max(len(different), 1)
    assert (curve[0], curve[-1][1]) == ([0, 100] if curve is not CURVE else (0, 100), 0)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(curve))


@given(distances)
def test_tighten_curve__keeps_the_order_and_makes_nothing_more_similar(pairs: np.ndarray) -> None:
    before, after = (similarities_on_curve(curve, np.sort(pairs)) for curve in (CURVE, tighten_curve(CURVE, pairs)))
    assert after == sorted(after, reverse=True)
    assert all(new <= old + 1e-3 for old, new in zip(before, after, strict=True))


def test_tighten_curve__leaves_a_curve_that_is_strict_enough() -> None:
    pairs = np.concatenate([np.full(6, 0.3), np.full(994, 0.7)])
    assert similar_share(CURVE, pairs) == MAX_SIMILAR_SHARE
    assert tighten_curve(CURVE, pairs) is CURVE


def test_tighten_curve__scales_what_is_similar_and_keeps_what_is_far() -> None:
    pairs = np.concatenate([np.full(5, 0.2), np.full(995, 0.36)])
    curve = tighten_curve(CURVE, pairs)
    assert similarities_on_curve(curve, [0.05, 0.2]) == pytest.approx([90, 70])
    assert similarities_on_curve(curve, [0.5, 0.65]) == pytest.approx(similarities_on_curve(CURVE, [0.5, 0.65]))
    assert 45 < similarities_on_curve(curve, [0.36])[0] < 70


def test_similar_share__leaves_images_with_the_same_signature_out() -> None:
    assert similar_share(CURVE, np.array([0.0, 0.0, 0.0, 0.3, 0.7])) == 0.5
    assert similar_share(CURVE, np.zeros(4)) == 0

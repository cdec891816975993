"""Curves that are made stricter where too many pairs of a source would be similar."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from similar_images.signatures.base import Curve, similarities_on_curve
from similar_images.signatures.distances import SignatureArray
from similar_images.signatures.tightening import (
    MAX_SIMILAR_SHARE,
    SIMILAR,
    different_pairs,
    similar_share,
    tighten_curve,
)
from tests.methods import Wide

CURVE: Curve = ((0, 100), (0.1, 90), (0.4, 70), (0.5, 30), (0.8, 0))

distances = st.one_of(
    st.lists(st.integers(0, 12), min_size=1, max_size=400).map(lambda values: np.array(values) / 16),
    st.integers(0, 999).map(lambda seed: np.random.default_rng(seed).gamma(2, 0.2, 3_000)),
)


@given(distances)
def test_tighten_curve__lets_few_pairs_be_similar(pairs: np.ndarray) -> None:
    different = pairs[pairs > 0]
    curve = tighten_curve(CURVE, different)
    similar = sum(percent >= SIMILAR for percent in similarities_on_curve(curve, different))
    assert similar <= MAX_SIMILAR_SHARE * max(len(different), 1)
    assert (curve[0], curve[-1][1]) == ([0, 100] if curve is not CURVE else (0, 100), 0)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(curve))


@given(distances)
def test_tighten_curve__keeps_the_order_and_makes_nothing_more_similar(pairs: np.ndarray) -> None:
    before, after = (
        similarities_on_curve(curve, np.sort(pairs)) for curve in (CURVE, tighten_curve(CURVE, pairs[pairs > 0]))
    )
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


def signatures(values: np.ndarray, curve: Curve) -> SignatureArray:
    method = Wide()
    method.curve = curve
    return SignatureArray(method, values)


def test_different_pairs__leaves_copies_and_equal_signatures_out() -> None:
    """What is near by all methods is a copy; what is near by one of them is not."""
    rng = np.random.default_rng(3)
    originals = rng.normal(0, 1, (6, 256))
    copies = originals[:3] + rng.normal(0, 0.05, (3, 256))
    look_alike = originals[3] + rng.normal(0, 0.05, (1, 256))  # by the first method alone
    first = signatures(np.concatenate([originals, copies, look_alike, originals[:1]]), CURVE)
    second = signatures(np.concatenate([originals, copies, rng.normal(0, 1, (1, 256)), originals[:1]]), CURVE)
    by_both = different_pairs([first, second])
    near = [int((pairs < 0.1).sum()) for pairs in by_both]
    assert near == [1, 0], "the look-alike by the first method"
    assert len(by_both[0]) == 11 * 10 // 2 - 3 - 1 - 1, "three copies, the same image twice, and its copy once more"
    assert (different_pairs([first])[0] < 0.01).sum() == 0, "with one method alone, only what is surely a copy"


@given(distances)
def test_tighten_curve__of_other_curves_makes_nothing_more_similar(pairs: np.ndarray) -> None:
    for curve in (((0, 100), (1, 40)), ((0, 100), (0.5, 99)), ((0, 60), (1, 0)), ((0, 100), (1e-7, 70), (1e-6, 0))):
        tight = tighten_curve(curve, pairs[pairs > 0])
        before, after = (similarities_on_curve(each, pairs) for each in (curve, tight))
        assert all(new <= old + 1e-6 for old, new in zip(before, after, strict=True))
        assert similarities_on_curve(tight, [0.0])[0] == curve[0][1]

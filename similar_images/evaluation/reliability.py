"""Reliability of percentages: of 100 pairs at 85%, how many people called similar, or have the same label.

The answer rises with the percentage: it is fitted by isotonic regression (the pool-adjacent-violators algorithm: Ayer,
Brunk, Ewing, Reid and Silverman, "An Empirical Distribution Function for Sampling with Incomplete Information", 1955).
How far it is off is measured on pairs that it was not fitted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MIN_VERDICTS = 30
"""Similar pairs, and as many others, from which on anything is told; with fewer, chance would decide."""

FOLDS = 5
"""Parts of which each is told by a map that was fitted on the others."""

BAND_EDGES = (0, 30, 50, 60, 70, 80, 90, 100)
"""Percentages between which pairs are counted together."""

MIN_BAND_PAIRS = 10
"""Pairs from which on their share is told."""


@dataclass(frozen=True)
class IsotonicMap:
    """A map that rises with the percentage: between its points it is straight, beyond them it stays the same.

    `percents` and `shares` are those of the points, (p,) each, ascending; shares are from 0 to 1.
    """

    percents: NDArray[np.float64]
    shares: NDArray[np.float64]

    def __call__(self, percents: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the share of similar pairs at these percentages, of the same shape."""
        return np.asarray(np.interp(percents, self.percents, self.shares), np.float64)


@dataclass(frozen=True)
class ReliabilityBand:
    """Pairs between two percentages: how many there are, and the share of them that is similar; None for too few."""

    low: int
    high: int
    count: int
    share: float | None


@dataclass(frozen=True)
class Reliability:
    """The reliability of percentages.

    Attributes:
        similar: number of pairs that are similar.
        different: number of the others.
        fitted: the map, of all pairs; None if there are too few.
        bands: the pairs in bands of percentages.
        error: how far the map is off on pairs that it was not fitted on, as a mean difference from 0 to 1, by bands.
        error_of_percentages: the same, if percentages were shares.
    """

    similar: int
    different: int
    fitted: IsotonicMap | None
    bands: Sequence[ReliabilityBand]
    error: float | None = None
    error_of_percentages: float | None = None


def fit_isotonic(percents: NDArray[np.floating], is_similar: NDArray[np.bool_]) -> IsotonicMap:
    """Return the rising map with the least squared error, (n,) pairs each."""
    levels, index = np.unique(percents, return_inverse=True)
    weights = np.bincount(index).astype(float)
    means = np.bincount(index, is_similar) / weights
    blocks: list[tuple[float, float, int]] = []  # share, weight, levels
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        block = mean, weight, 1
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            total = before[1] + block[1]
            block = (before[0] * before[1] + block[0] * block[1]) / total, total, before[2] + block[2]
        blocks.append(block)
    shares = np.repeat([share for share, *_rest in blocks], [count for *_rest, count in blocks])
    is_end = np.ones(len(levels), bool)
    is_end[1:-1] = (shares[1:-1] != shares[:-2]) | (shares[1:-1] != shares[2:])
    return IsotonicMap(levels[is_end], shares[is_end])


def measure_reliability(
    percents: NDArray[np.floating], is_similar: NDArray[np.bool_], units: NDArray[np.integer]
) -> Reliability:
    """Measure how many pairs are similar by their percentage.

    Args:
        percents: similarities of pairs in percent, (n,).
        is_similar: whether each pair is, (n,).
        units: number of what a pair is a part of, (n,): pairs of one unit are never told by each other. Those below 0
            are of several, and only fitted.
    """
    similar, different = int(is_similar.sum()), int((~is_similar).sum())
    if min(similar, different) < MIN_VERDICTS:
        return Reliability(similar, different, None, [])
    codes = np.unique(units, return_inverse=True)[1]
    folds = np.where(units < 0, -1, np.random.default_rng(0).permutation(codes.max() + 1)[codes] % FOLDS)
    told = np.full(len(percents), np.nan)
    for fold in range(FOLDS):
        is_told, is_other = folds == fold, (folds >= 0) & (folds != fold)
        if is_told.any() and is_other.any():
            told[is_told] = fit_isotonic(percents[is_other], is_similar[is_other])(percents[is_told])
    known = ~np.isnan(told)
    return Reliability(
        similar,
        different,
        fit_isotonic(percents, is_similar),
        [_count_band(low, high, percents, is_similar) for low, high in pairwise(BAND_EDGES)],
        error=calibration_error(percents[known], told[known], is_similar[known]),
        error_of_percentages=calibration_error(percents[known], percents[known] / 100, is_similar[known]),
    )


def calibration_error(
    percents: NDArray[np.floating], told: NDArray[np.floating], is_similar: NDArray[np.bool_]
) -> float | None:
    """Return how far shares that were told are from those of pairs, as a mean over bands of percentages, 0 to 1.

    None if no band has MIN_BAND_PAIRS, as where all marks are connected, so that no pair is told by others.
    """
    errors = []
    for low, high in pairwise(BAND_EDGES):
        is_inside = _is_inside(low, high, percents)
        if is_inside.sum() >= MIN_BAND_PAIRS:
            errors.append(abs(float(told[is_inside].mean() - is_similar[is_inside].mean())))
    return float(np.mean(errors)) if errors else None


def _count_band(low: int, high: int, percents: NDArray[np.floating], is_similar: NDArray[np.bool_]) -> ReliabilityBand:
    is_inside = _is_inside(low, high, percents)
    count = int(is_inside.sum())
    return ReliabilityBand(low, high, count, float(is_similar[is_inside].mean()) if count >= MIN_BAND_PAIRS else None)


def _is_inside(low: int, high: int, percents: NDArray[np.floating]) -> NDArray[np.bool_]:
    return (percents >= low) & ((percents < high) | (high == BAND_EDGES[-1]))

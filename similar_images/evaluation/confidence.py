"""Confidence: how far a mean over queries would be off on other images of the same kind."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
"""Times that the queries are drawn again."""

CONFIDENCE = 0.95
"""Share of the means of queries drawn again that an interval holds."""

MIN_UNITS = 30
"""Independent queries from which on anything is told; with fewer, chance would decide."""


class Interval(NamedTuple):
    """The range in which a mean lies, unless chance has played a trick."""

    low: float
    high: float


def bootstrap_interval(scores: NDArray[np.floating], units: NDArray[np.integer], comparisons: int = 1) -> Interval:
    """Return the interval of a mean, by drawing the queries again with replacement (Efron and Tibshirani, 1993).

    Scores that are all the same would have an interval of no width. As they may differ in one of u further queries, it
    reaches 3 / u to either side (the rule of three: Hanley and Lippman-Hand, "If nothing goes wrong, is everything all
    right?", 1983).

    Args:
        scores: the scores of the queries, or their differences, (q,).
        units: number of what each query is a part of, (q,): queries that depend on each other are drawn together.
        comparisons: means that are told at a time; with more, each interval is wider, so that all hold at once.
    """
    codes = np.unique(units, return_inverse=True)[1]
    sums, counts = np.bincount(codes, scores), np.bincount(codes)
    if np.ptp(scores) == 0:
        mean = float(scores[0])
        return Interval(mean - 3 / len(counts), mean + 3 / len(counts))
    random = np.random.default_rng(0)
    drawn = random.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES)
    means = (drawn @ sums) / (drawn @ counts)
    tail = (1 - CONFIDENCE) / 2 / comparisons
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))

"""Centering: what all images of a source share is taken off their signatures, so that the rest tells them apart.

Pictures of one site have much in common: all are garments, or all stand on white. The mean of their signatures says
what, and without it those that are alike rank higher. Percentages keep their meaning: as many pairs reach each of them
as before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import Curve, Method, distance_from_similarity
from .projection import ProjectedMethod

MAX_SAMPLE = 2_000
"""Signatures that a mean and a curve are learned from, at most: two million pairs, compared in a second."""

STEP = 5
"""Percentage points between the points of a centered curve."""

MIN_COUNTED = 100
"""With fewer pairs up to a distance, chance would say how many there are."""

SAME_IMAGE = 1e-3
"""Distance up to which two signatures are the same, but for their rounding."""


def center(method: Method, values: NDArray[np.float32], like: Method | None = None) -> ProjectedMethod:
    """Return a method whose signatures are those of another one, less a mean.

    Args:
        method: the method, which `can_project`.
        values: signatures by it of a sample of the source's images, (n, dimensions), two at least.
        like: the method whose percentages are kept: by default this one, or a projection of it.
    """
    stored = values[:MAX_SAMPLE].astype(np.half).astype(np.float32)
    mean = stored.mean(axis=0).astype(np.float32).tobytes()
    centered = ProjectedMethod.learned(method, "c", mean)
    centered.curve = carry_curve(like or method, centered, stored)
    return centered


def carry_curve(start: Method, end: Method, values: NDArray[np.float32]) -> Curve:
    """Return the curve by which percentages of one method keep their meaning by another.

    Args:
        start: a method, or a projection of it.
        end: the same method, or another projection of it.
        values: signatures by the method of a sample of images, (n, dimensions).
    """
    before, after = (
        _pair_distances(each.project(values) if isinstance(each, ProjectedMethod) else values) for each in (start, end)
    )
    return match_curve(start.curve, before, after)


def _pair_distances(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine distances of all pairs of signatures."""
    unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    distances: NDArray[np.float32] = (1 - unit @ unit.T)[np.triu_indices(len(unit), 1)]
    return distances


def match_curve(curve: Curve, before: NDArray[np.float32], after: NDArray[np.float32]) -> Curve:
    """Return the curve by which as many pairs reach each percentage as did by another curve and other distances.

    Where too few pairs are that near to be counted, or none is that far, distances grow as they do among the nearest.

    Args:
        curve: the curve of the distances `before`.
        before: distances of pairs, (n,).
        after: the distances of the same pairs that the new curve is for, (n,).
    """
    apart = before > SAME_IMAGE
    nearest = np.argsort(before[apart])[:MIN_COUNTED]
    growth = float(np.median(after[apart][nearest] / before[apart][nearest])) if apart.any() else 1.0
    ranked_before, ranked_after = np.sort(before), np.sort(after)

    def match(distance: float) -> float:
        rank = int(np.searchsorted(ranked_before, distance, side="right"))
        if rank < MIN_COUNTED:
            return growth * distance
        return float(ranked_after[rank - 1]) + growth * max(0.0, distance - float(ranked_before[-1]))

    last = curve[-1][1]
    points = [[0.0, 100.0]]
    for percent in (*(p for p in range(100 - STEP, 0, -STEP) if p > last), last):
        point = [round(match(distance_from_similarity(curve, percent)), 6), float(percent)]
        if point[0] > points[-1][0]:
            points.append(point)
        elif len(points) > 1:  # of points at one distance, the strictest holds
            points[-1][1] = point[1]
    return points

"""Tightening: a curve is made stricter where it would call too many pairs of a source similar.

Curves are measured on photos of all kinds. On images that have much in common, such as products on white, the same
distance says less: many pairs of different things would be at 70 percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .base import Curve, distance_from_similarity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .distances import SignatureArray

SIMILAR = 70
"""Similarity in percent from which two images count as similar."""

UNLIKE = 30
"""Similarity in percent up to which a curve stays as it is."""

MAX_SIMILAR_SHARE = 0.006
"""Share of the pairs of a source's images that may reach it. Most pairs show different things; with this, at most one
in a hundred of these does."""

MAX_IMAGES, MAX_REFINED_IMAGES = 1_000, 200
"""Images of a source of which all pairs are compared, and as many where each pair takes an exact distance."""

COPY_BY_ALL, COPY_BY_ONE = 85, 95
"""Similarity in percent by all methods, and by one where there is no other, of pairs that are taken for copies."""


def different_pairs(signatures: Sequence[SignatureArray]) -> list[NDArray[np.floating]]:
    """Return the distances of pairs of images that are no copies, by each of several methods, (n,) each.

    Copies are near by all methods, different images that look alike to one are not by the others. Of images with the
    same signature nothing is known.

    Args:
        signatures: those of the same images by each method.
    """
    import numpy as np

    from .distances import search_distances, similarities_from_distances

    matrices = [
        search_distances(array, array) for array in (each.take(np.arange(_most_compared(each))) for each in signatures)
    ]
    least = COPY_BY_ALL if len(signatures) > 1 else COPY_BY_ONE
    may_be_copies = np.ones((len(max(matrices, key=len)),) * 2, bool)
    for array, distances in zip(signatures, matrices, strict=True):
        is_near = similarities_from_distances(array.method, distances) >= least
        may_be_copies[: len(distances), : len(distances)] &= is_near
    pairs = []
    for distances in matrices:
        upper = np.triu_indices(len(distances), 1)
        counted = np.isfinite(distances[upper]) & (distances[upper] > 0) & ~may_be_copies[upper]
        pairs.append(distances[upper][counted])
    return pairs


def _most_compared(array: SignatureArray) -> int:
    return min(array.count, MAX_REFINED_IMAGES if array.method.refines else MAX_IMAGES)


def similar_share(curve: Curve, distances: NDArray[np.floating]) -> float:
    """Return the share of pairs that are similar, 0 to 1.

    Args:
        curve: a curve.
        distances: distances of pairs of images, (n,).
    """
    return float((distances <= distance_from_similarity(curve, SIMILAR)).mean()) if len(distances) else 0.0


def tighten_curve(curve: Curve, distances: NDArray[np.floating]) -> Curve:
    """Return a curve by which at most MAX_SIMILAR_SHARE of the pairs are similar: the same one, if that holds already.

    Percentages from SIMILAR on are reached at distances that are smaller by one factor. Those up to UNLIKE stay what
    they are, and those between them fall evenly. A curve that does not fall from above SIMILAR to below it stays.

    Args:
        curve: the curve of a method.
        distances: distances of pairs of different images by the method, (n,), above 0.
    """
    import numpy as np

    is_falling = curve[0][1] > SIMILAR > curve[-1][1]
    if not is_falling or similar_share(curve, distances) <= MAX_SIMILAR_SHARE:
        return curve
    ranked = np.sort(distances)
    too_far = ranked[int(MAX_SIMILAR_SHARE * len(ranked))]
    nearer = ranked[ranked < too_far]
    limit = float(nearer[-1]) if len(nearer) else float(too_far) / 2
    factor = limit / distance_from_similarity(curve, SIMILAR)
    points = [[distance * factor, percent] for distance, percent in curve if percent > SIMILAR]
    points.append([limit, SIMILAR])
    points += [[distance, percent] for distance, percent in curve if percent <= max(UNLIKE, curve[-1][1])]
    return [[float(distance), float(percent)] for distance, percent in points]

"""Tightening: a curve is made stricter where it would call too many pairs of a source similar.

Curves are measured on photos of all kinds. On images that have much in common, such as products on white, the same
distance says less: many pairs of different things would be at 70 percent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Curve, Method, distance_from_similarity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIMILAR = 70
"""Similarity in percent from which two images count as similar."""

UNLIKE = 30
"""Similarity in percent up to which a curve stays as it is."""

MAX_SIMILAR_SHARE = 0.006
"""Share of the pairs of a source's images that may reach it. Most pairs show different things; with this, at most one
in a hundred of these does."""


MAX_IMAGES, MAX_REFINED_IMAGES = 1_000, 200
"""Images of a source of which all pairs are compared, and as many where each pair takes an exact distance."""


def most_compared(method: Method) -> int:
    """Return the number of images of which all pairs are compared by a method, at most."""
    return MAX_REFINED_IMAGES if method.refines else MAX_IMAGES


def similar_share(curve: Curve, distances: NDArray[np.floating]) -> float:
    """Return the share of pairs that are similar, 0 to 1; those with the same signature are not counted.

    Args:
        curve: a curve.
        distances: distances of pairs of images, (n,).
    """
    different = distances[distances > 0]
    return float((different <= distance_from_similarity(curve, SIMILAR)).mean()) if len(different) else 0.0


def tighten_curve(curve: Curve, distances: NDArray[np.floating]) -> Curve:
    """Return a curve by which at most MAX_SIMILAR_SHARE of the pairs are similar: the same one, if that holds already.

    Percentages from SIMILAR on are reached at distances that are smaller by one factor. Those up to UNLIKE stay what
    they are, and those between them fall evenly.

    Args:
        curve: the curve of a method, which falls from above SIMILAR to below it.
        distances: distances of pairs of images by the method, (n,).
    """
    import numpy as np

    if similar_share(curve, distances) <= MAX_SIMILAR_SHARE:
        return curve
    different = np.sort(distances[distances > 0])
    too_far = different[int(MAX_SIMILAR_SHARE * len(different))]
    nearer = different[different < too_far]
    limit = float(nearer[-1]) if len(nearer) else float(too_far) / 2
    before = distance_from_similarity(curve, SIMILAR)
    points: list[list[float]] = [
        [distance * limit / before, percent] for distance, percent in curve if percent > SIMILAR
    ]
    points.append([limit, SIMILAR])
    points += [[distance, percent] for distance, percent in curve if percent <= UNLIKE]
    return [[round(float(distance), 6), float(percent)] for distance, percent in points]

"""Layouts: from vectors to points of a square in which near neighbors stay near.

PCA, then t-SNE (L. van der Maaten, G. Hinton: Visualizing Data using t-SNE, JMLR 2008), by scikit-learn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""One row an image, whose Euclidean distances are those of the method in order."""

Points = NDArray[np.float64]
"""(count, 2): x and y, from 0 to 1."""

COMPONENTS = 50
"""Dimensions that PCA leaves of the vectors, which t-SNE reads."""

PERPLEXITY = 15
"""Neighbors of an image that t-SNE keeps near it, about."""

MIN_SPACING = 0.35
"""Least distance of two points, in units of that which they would have on a grid: copies do not cover each other."""

SPREADING_ROUNDS = 30
"""Rounds in which points that are too near move apart, at most."""

GRID_BITS = 16
"""Bits of each coordinate in the index along the curve."""


def lay_out(vectors: Vectors) -> Points:
    """Return a point for each vector; the same ones for the same vectors."""
    count = len(vectors)
    if count < 5 or not np.ptp(vectors, axis=0).any():
        return _line_up(count)
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # threads wait for each other busily: beside other work, several take many times as long
        components = min(COMPONENTS, *vectors.shape)
        reduced = PCA(components, svd_solver="randomized", random_state=0).fit_transform(vectors)
        tsne = TSNE(perplexity=min(PERPLEXITY, (count - 1) / 3), init="pca", random_state=0, n_jobs=1)
        return spread(_fit_square(tsne.fit_transform(reduced)))


def place_near(vectors: Vectors, points: Points, added: Vectors) -> Points:
    """Return points for vectors that were added to a layout, each beside that of its nearest neighbor.

    Args:
        vectors: those of the layout.
        points: their points.
        added: the new ones.
    """
    nearest = np.concatenate([_nearest(vectors, added[start : start + 256]) for start in range(0, len(added), 256)])
    angles = np.arange(len(added)) * np.pi * (3 - 5**0.5)  # the golden angle: no two directions are the same
    offsets = np.stack([np.cos(angles), np.sin(angles)], 1) * _spacing(len(points) + len(added))
    together = np.clip(np.concatenate([points, points[nearest] + offsets]), 0, 1)
    return spread(together, fixed=len(points))[len(points) :]


def _nearest(vectors: Vectors, queries: Vectors) -> NDArray[np.intp]:
    squares = np.square(vectors).sum(1) - 2 * queries @ vectors.T  # but for the square of the query
    nearest: NDArray[np.intp] = squares.argmin(1)
    return nearest


def spread(points: Points, fixed: int = 0) -> Points:
    """Move points apart that are too near to tell their thumbnails from each other.

    Args:
        points: the points.
        fixed: number of the first points, which stay where they are.
    """
    from scipy.spatial import cKDTree

    points, least = points.copy(), _spacing(len(points))
    points[fixed:] += np.random.default_rng(0).uniform(
        -1e-6, 1e-6, points[fixed:].shape
    )  # equal ones have no direction
    for _round in range(SPREADING_ROUNDS):
        pairs = cKDTree(points).query_pairs(least * 0.99, output_type="ndarray")
        if not len(pairs):
            break
        apart = points[pairs[:, 0]] - points[pairs[:, 1]]
        lengths = np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9)
        push = apart / lengths * (least - lengths) / 2
        for column, sign in ((0, 1), (1, -1)):
            np.add.at(points, pairs[:, column], sign * push * (pairs[:, column] >= fixed)[:, None])
        points[fixed:] = np.clip(points[fixed:], 0, 1)
    return points


def _spacing(count: int) -> float:
    return float(MIN_SPACING / max(count, 1) ** 0.5)


def _line_up(count: int) -> Points:
    """Return points side by side, for too few images to lay out, or for equal ones."""
    columns = int(np.ceil(count**0.5)) or 1
    rows = np.arange(count)
    return np.stack([(rows % columns + 0.5) / columns, (rows // columns + 0.5) / columns], 1)


def _fit_square(points: Points) -> Points:
    """Center points in the square, as large as fits, without distorting them."""
    low, high = points.min(0), points.max(0)
    fitted: Points = (points - (low + high) / 2) / max((high - low).max(), 1e-9) + 0.5
    return fitted


def curve_index(points: Points) -> NDArray[np.int64]:
    """Return the index of each point along Hilbert's curve, on which neighbors are near each other on the map, too."""
    last = 2**GRID_BITS - 1
    x, y = (np.clip(points * 2**GRID_BITS, 0, last).astype(np.int64)).T
    index = np.zeros(len(points), np.int64)
    for bit in reversed(range(GRID_BITS)):
        right, lower = x >> bit & 1, y >> bit & 1
        index += (3 * right ^ lower) << 2 * bit
        flipped, swapped = (lower == 0) & (right == 1), lower == 0
        x, y = np.where(flipped, last - x, x), np.where(flipped, last - y, y)
        x, y = np.where(swapped, y, x), np.where(swapped, x, y)
    return index

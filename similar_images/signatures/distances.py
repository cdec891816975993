"""Distances between many signatures in memory, equal to those of pgvector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .base import Method

if TYPE_CHECKING:
    from .base import Value

BLOCK = 256
"""Queries that are compared with all images at a time, which bounds memory."""

Distances = NDArray[np.float32]


class SignatureArray:
    """Signatures of several images by one method, rounded as they are stored.

    Attributes:
        dense: float32 (count, dimensions), of halfvec and bit.
        sparse: numbers by index, of sparsevec.
    """

    def __init__(self, method: Method, values: Sequence[Value] | Distances) -> None:
        self.method = method
        self.count = len(values)
        if method.storage == "sparsevec":
            self.sparse = [value for value in values if isinstance(value, dict)]
            self._rows = np.repeat(np.arange(self.count), [len(value) for value in self.sparse])
            self._indices = np.array([index for value in self.sparse for index in value], np.intp)
            self._numbers = np.array([number for value in self.sparse for number in value.values()], np.float32)
        else:
            stored_type = np.bool_ if method.storage == "bit" else np.float16
            self.dense = np.array(values).astype(stored_type).astype(np.float32).reshape(self.count, -1)

    def take(self, indices: NDArray[np.intp]) -> SignatureArray:
        """Return the signatures of some of the images."""
        if self.method.storage == "sparsevec":
            return SignatureArray(self.method, [self.sparse[index] for index in indices])
        return SignatureArray(self.method, self.dense[indices])

    def mean_bytes(self) -> float:
        """Return the mean size of a signature in PostgreSQL, in bytes, without the header of its row."""
        if self.method.storage == "sparsevec":
            return 16 + 8 * len(self._numbers) / self.count
        bits = self.method.dimensions if self.method.storage == "bit" else 16 * self.method.dimensions
        return 8 + bits / 8

    def distances(self, queries: SignatureArray) -> Iterator[Distances]:
        """Yield the distances from the queries to these images, (at most BLOCK queries, count), block by block.

        Undefined distances (the cosine of zeros), which are NaN in pgvector, are infinite.
        """
        for start in range(0, queries.count, BLOCK):
            block = slice(start, start + BLOCK)
            with np.errstate(invalid="ignore", divide="ignore"):
                if self.method.storage == "sparsevec":
                    distances = np.array([self._sparse_distances(value) for value in queries.sparse[block]])
                else:
                    distances = _dense_distances(self.method.metric, queries.dense[block], self.dense)
            yield np.nan_to_num(distances, nan=np.inf, posinf=np.inf).astype(np.float32)

    def _sparse_distances(self, query: dict[int, float]) -> NDArray[np.float64]:
        full = np.zeros(self.method.dimensions, np.float32)
        full[list(query)] = list(query.values())
        shared = full[self._indices]
        distances: NDArray[np.float64]
        if self.method.metric == "l1":
            distances = self._sum_by_image(np.abs(shared - self._numbers) - np.abs(shared)) + np.abs(full).sum()
        else:
            norms = np.sqrt(self._sum_by_image(self._numbers**2) * (full**2).sum())
            distances = 1 - self._sum_by_image(shared * self._numbers) / norms
        return distances

    def _sum_by_image(self, numbers: Distances) -> NDArray[np.float64]:
        return np.bincount(self._rows, numbers, self.count).astype(np.float64)


def _dense_distances(metric: str, queries: Distances, base: Distances) -> Distances:
    if metric == "l1":
        return np.array([np.abs(base - query).sum(axis=1) for query in queries])
    products = queries @ base.T
    ones = queries.sum(axis=1)[:, None] + base.sum(axis=1)
    distances: Distances
    if metric == "hamming":
        distances = ones - 2 * products
    elif metric == "jaccard":
        distances = np.where(products > 0, 1 - products / (ones - products), np.float32(1))
    else:
        distances = 1 - products / (np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(base, axis=1))
    return distances


def search_distances(queries: SignatureArray, signatures: SignatureArray) -> NDArray[np.floating]:
    """Return the distances that searches use, (queries, signatures): refined ones if the method refines."""
    method = queries.method
    if method.refines:
        return np.array([method.refine(query, list(signatures.dense)) for query in queries.dense])
    return np.concatenate(list(signatures.distances(queries)))


def pair_distances(signatures: SignatureArray) -> NDArray[np.floating]:
    """Return the distances that searches use of all pairs of images, (n,), without undefined ones."""
    pairs = search_distances(signatures, signatures)[np.triu_indices(signatures.count, 1)]
    finite: NDArray[np.floating] = pairs[np.isfinite(pairs)]
    return finite


def similarities_from_distances(method: Method, distances: Distances) -> NDArray[np.float64]:
    """Apply `Method.similarity` to an array of distances: percent, of the same shape."""
    points = np.array(method.curve)
    return np.asarray(np.interp(distances, points[:, 0], points[:, 1]), np.float64)


def rank_by_distance(
    weights: Mapping[str, float], queries: Mapping[str, SignatureArray], base: Mapping[str, SignatureArray]
) -> Iterator[NDArray[np.floating]]:
    """Yield sort keys of all images for each query by a ranking, (at most BLOCK queries, images), nearest smallest.

    By a single method, the keys are its distances; by several, 100 less the blended similarity in percent.
    """
    blocks = [base[name].distances(queries[name]) for name in weights]
    if len(weights) == 1:
        yield from blocks[0]
        return
    shares = np.array(list(weights.values())) / sum(weights.values())
    for distances_by_method in zip(*blocks, strict=True):
        similarities = [
            similarities_from_distances(base[name].method, distances)
            for name, distances in zip(weights, distances_by_method, strict=True)
        ]
        yield 100 - np.tensordot(shares, similarities, axes=1)

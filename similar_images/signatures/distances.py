"""Distances between many signatures in memory, as pgvector tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .base import Method

if TYPE_CHECKING:
    from .base import Value

BLOCK = 256
"""Queries that are compared with all pictures at a time: this bounds the memory."""

Floats = NDArray[np.float32]


class SignatureArray:
    """What one method saw in some pictures, rounded as it is stored: dense and bits as rows, sparse by place."""

    def __init__(self, method: Method, values: Sequence[Value] | Floats) -> None:
        self.method = method
        self.count = len(values)
        if method.storage == "sparsevec":
            self.sparse = [value for value in values if isinstance(value, dict)]
            self._rows = np.repeat(np.arange(self.count), [len(value) for value in self.sparse])
            self._places = np.array([place for value in self.sparse for place in value], np.intp)
            self._numbers = np.array([number for value in self.sparse for number in value.values()], np.float32)
        else:
            kind = np.bool_ if method.storage == "bit" else np.float16
            self.dense = np.array(values).astype(kind).astype(np.float32).reshape(self.count, -1)

    def of(self, places: NDArray[np.intp]) -> SignatureArray:
        """Those of some of the pictures."""
        if self.method.storage == "sparsevec":
            return SignatureArray(self.method, [self.sparse[place] for place in places])
        return SignatureArray(self.method, self.dense[places])

    def bytes_each(self) -> float:
        """The mean size of a signature in PostgreSQL, without its row's own."""
        if self.method.storage == "sparsevec":
            return 16 + 8 * len(self._numbers) / self.count
        bits = self.method.dimensions if self.method.storage == "bit" else 16 * self.method.dimensions
        return 8 + bits / 8

    def distances(self, queries: SignatureArray) -> Iterator[Floats]:
        """The method's distances from the queries to these pictures: (up to BLOCK, pictures), block by block.

        Where pgvector tells none (the cosine of nothing but zeros), it is infinite.
        """
        for start in range(0, queries.count, BLOCK):
            chosen = slice(start, start + BLOCK)
            with np.errstate(invalid="ignore", divide="ignore"):
                if self.method.storage == "sparsevec":
                    block = np.array([self._sparse_row(value) for value in queries.sparse[chosen]])
                else:
                    block = _between(self.method.metric, queries.dense[chosen], self.dense)
            yield np.nan_to_num(block, nan=np.inf, posinf=np.inf).astype(np.float32)

    def _sparse_row(self, query: dict[int, float]) -> NDArray[np.float64]:
        full = np.zeros(self.method.dimensions, np.float32)
        full[list(query)] = list(query.values())
        met = full[self._places]
        row: NDArray[np.float64]
        if self.method.metric == "l1":
            row = self._sums(np.abs(met - self._numbers) - np.abs(met)) + np.abs(full).sum()
        else:
            row = 1 - self._sums(met * self._numbers) / np.sqrt(self._sums(self._numbers**2) * (full**2).sum())
        return row

    def _sums(self, numbers: Floats) -> NDArray[np.float64]:
        """Add up by picture."""
        return np.bincount(self._rows, numbers, self.count).astype(np.float64)


def _between(metric: str, queries: Floats, base: Floats) -> Floats:
    if metric == "l1":
        return np.array([np.abs(base - query).sum(axis=1) for query in queries])
    shared = queries @ base.T
    ones = queries.sum(axis=1)[:, None] + base.sum(axis=1)
    block: Floats
    if metric == "hamming":
        block = ones - 2 * shared
    elif metric == "jaccard":
        block = np.where(shared > 0, 1 - shared / (ones - shared), np.float32(1))
    else:
        block = 1 - shared / (np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(base, axis=1))
    return block


def similarities_from_distances(method: Method, distances: Floats) -> NDArray[np.float64]:
    """`Method.similarity` of many distances, in percent."""
    points = np.array(method.curve)
    return np.asarray(np.interp(distances, points[:, 0], points[:, 1]), np.float64)


def rank_by_distance(
    weights: Mapping[str, float], queries: Mapping[str, SignatureArray], base: Mapping[str, SignatureArray]
) -> Iterator[NDArray[np.floating]]:
    """How far all pictures are from each query by a ranking, nearest least; (up to BLOCK, pictures), block by block.

    By one method this is its distance; by several it is what their blended similarity lacks to 100 percent.
    """
    blocks = [base[name].distances(queries[name]) for name in weights]
    if len(weights) == 1:
        yield from blocks[0]
        return
    shares = np.array(list(weights.values())) / sum(weights.values())
    for together in zip(*blocks, strict=True):
        percents = [
            similarities_from_distances(base[name].method, block) for name, block in zip(weights, together, strict=True)
        ]
        yield 100 - np.tensordot(shares, percents, axes=1)

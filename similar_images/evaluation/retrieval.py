"""Do pictures with the same label come first?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..signatures.distances import BLOCK, SignatureArray, rank_by_distance

CUTS = (1, 5, 10)
METRICS = ("mAP", *(f"precision@{k}" for k in CUTS), *(f"recall@{k}" for k in CUTS))
RANDOM = "random"


@dataclass(frozen=True)
class Retrieval:
    """What one ranking made of all queries of one label.

    `queries`: the places of the pictures that were searched with, (q,). `values`: the METRICS of each, (q, 7).
    `first`, `best`: the places of what came first, and of the right picture that came first, (q,); `rank`: of that.
    """

    queries: NDArray[np.intp]
    values: NDArray[np.float64]
    first: NDArray[np.intp]
    best: NDArray[np.intp]
    rank: NDArray[np.intp]

    @property
    def means(self) -> dict[str, float]:
        """The metrics' means over all queries, from 0 to 1."""
        return dict(zip(METRICS, self.values.mean(axis=0).tolist(), strict=True))


def ranking_metrics(distances: NDArray[np.floating], relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The METRICS of queries, (q, 7), from the distances of n pictures and which of them are right, (q, n) each.

    Pictures at the same distance are in no order: every metric is its mean over all orders of them (McSherry and
    Najork, "Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores", 2008).
    Precision at k counts the right ones among the first k, divided by k; recall, divided by how many are right.
    Every query needs a right picture.
    """
    count = distances.shape[1]
    order = np.argsort(distances, axis=1, kind="stable")
    distances = np.take_along_axis(distances, order, axis=1)
    relevant = np.take_along_axis(relevant, order, axis=1)
    place = np.arange(count)
    ahead = np.pad(np.cumsum(relevant, axis=1), ((0, 0), (1, 0)))  # how many right ones are before each place
    new = np.pad(distances[:, 1:] != distances[:, :-1], ((0, 0), (1, 1)), constant_values=True)
    start = np.maximum.accumulate(np.where(new[:, :-1], place, 0), axis=1)  # of the tie that a place is in
    end = np.minimum.accumulate(np.where(new[:, 1:], place + 1, count)[:, ::-1], axis=1)[:, ::-1]
    before = np.take_along_axis(ahead, start, axis=1)
    right: NDArray[np.intp] = np.take_along_axis(ahead, end, axis=1) - before
    chance = right / (end - start)
    expected = before + 1 + (place - start) * (right - 1) / np.maximum(end - start - 1, 1)
    total = ahead[:, -1]
    found = np.stack([chance[:, :k].sum(axis=1) for k in CUTS])
    return np.array([(chance * expected / (place + 1)).sum(axis=1) / total, *(found.T / CUTS).T, *(found / total)]).T


def searchable(labels: Sequence[str]) -> NDArray[np.intp]:
    """The places of the pictures whose label another one has; an empty label is no label."""
    counts = Counter(labels)
    return np.array([i for i, label in enumerate(labels) if label and counts[label] > 1], np.intp)


def retrieve(
    weights: Mapping[str, float],
    signatures: Mapping[str, SignatureArray],
    labels: Sequence[str],
    *,
    every: int = 1,
    rerank: Callable[[int, NDArray[np.floating]], NDArray[np.floating]] | None = None,
) -> Retrieval:
    """Search with every picture, or every so many-th, for those of its label among all others.

    `rerank` makes other distances of those of a picture at a place, and is given infinity for the picture itself.

    A picture without a label is nobody's query and nobody's right answer. No weights at all leave the order to
    chance: the metrics are then what is expected of chance.
    """
    queries = searchable(labels)[::every]
    codes = np.unique(np.array(labels), return_inverse=True)[1]
    parts = []
    for start, block in zip(range(0, len(queries), BLOCK), _blocks(weights, signatures, queries), strict=True):
        chosen = queries[start : start + BLOCK]
        own = np.arange(len(chosen)), chosen
        block[own] = np.inf
        if rerank:
            block = np.array([rerank(place, row) for place, row in zip(chosen.tolist(), block, strict=True)])
        relevant = codes[chosen][:, None] == codes
        relevant[own] = False
        best = np.where(relevant, block, np.inf).argmin(axis=1)
        rank = 1 + (block < np.take_along_axis(block, best[:, None], axis=1)).sum(axis=1)
        parts.append((ranking_metrics(block, relevant), block.argmin(axis=1), best, rank))
    return Retrieval(queries, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def _blocks(
    weights: Mapping[str, float], signatures: Mapping[str, SignatureArray], queries: NDArray[np.intp]
) -> Iterator[NDArray[np.floating]]:
    if weights:
        yield from rank_by_distance(weights, {name: signatures[name].of(queries) for name in weights}, signatures)
        return
    count = next(iter(signatures.values())).count
    for start in range(0, len(queries), BLOCK):
        yield np.zeros((len(queries[start : start + BLOCK]), count))

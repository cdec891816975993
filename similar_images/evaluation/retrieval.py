"""Retrieval: do images with the same label rank first?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..signatures.distances import BLOCK, SignatureArray, rank_by_distance

CUTOFFS = (1, 5, 10)
METRICS = ("mAP", *(f"precision@{k}" for k in CUTOFFS), *(f"recall@{k}" for k in CUTOFFS))
"""Retrieval metrics, each from 0 to 1."""

RANDOM = "random"
"""Title of the ranking that orders images by chance."""


@dataclass(frozen=True)
class Retrieval:
    """Results of one ranking for all q queries of one label.

    `queries`: indices of the query images, (q,). `values`: the METRICS of each query, (q, 7). `first`: index of the
    image that ranked first, `best`: of the relevant image that ranked best, and `rank`: its rank, (q,) each.
    """

    queries: NDArray[np.intp]
    values: NDArray[np.float64]
    first: NDArray[np.intp]
    best: NDArray[np.intp]
    rank: NDArray[np.intp]

    @property
    def means(self) -> dict[str, float]:
        """Means of the metrics over all queries."""
        return dict(zip(METRICS, self.values.mean(axis=0).tolist(), strict=True))


def ranking_metrics(distances: NDArray[np.floating], relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute the METRICS of q queries, (q, 7), from the distances of n images and their relevance, (q, n) each.

    Images at the same distance have no order, so every metric is its mean over all orders of them (McSherry and
    Najork, "Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores", 2008).
    Precision at k is the number of relevant images among the first k, divided by k; recall divides by the number of
    relevant images. Every query needs a relevant image.
    """
    count = distances.shape[1]
    order = np.argsort(distances, axis=1, kind="stable")
    distances = np.take_along_axis(distances, order, axis=1)
    relevant = np.take_along_axis(relevant, order, axis=1)
    index = np.arange(count)
    hits_before = np.pad(np.cumsum(relevant, axis=1), ((0, 0), (1, 0)))
    is_edge = np.pad(distances[:, 1:] != distances[:, :-1], ((0, 0), (1, 1)), constant_values=True)
    tie_start = np.maximum.accumulate(np.where(is_edge[:, :-1], index, 0), axis=1)
    tie_end = np.minimum.accumulate(np.where(is_edge[:, 1:], index + 1, count)[:, ::-1], axis=1)[:, ::-1]
    before = np.take_along_axis(hits_before, tie_start, axis=1)
    hits: NDArray[np.intp] = np.take_along_axis(hits_before, tie_end, axis=1) - before
    probability = hits / (tie_end - tie_start)
    expected = before + 1 + (index - tie_start) * (hits - 1) / np.maximum(tie_end - tie_start - 1, 1)
    total = hits_before[:, -1]
    average_precision = (probability * expected / (index + 1)).sum(axis=1) / total
    found = np.stack([probability[:, :k].sum(axis=1) for k in CUTOFFS])
    return np.array([average_precision, *(found.T / CUTOFFS).T, *(found / total)]).T


def query_indices(labels: Sequence[str]) -> NDArray[np.intp]:
    """Return the indices of the images that share their label with another image; an empty label is no label."""
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
    """Search with every labeled image for the images with its label among all others.

    Images without a label are neither queries nor relevant results (they remain as distractors).

    Args:
        weights: the ranking; without weights, the metrics are those expected of a random order.
        signatures: signatures of the images by method.
        labels: a label for each image; "" means none.
        every: search only with every Nth query.
        rerank: returns new distances (n,) for the index of a query and its distances (n,), where the query itself is
            at infinity.
    """
    queries = query_indices(labels)[::every]
    codes = np.unique(np.array(labels), return_inverse=True)[1]
    parts = []
    for start, block in zip(range(0, len(queries), BLOCK), _distance_blocks(weights, signatures, queries), strict=True):
        chunk = queries[start : start + BLOCK]
        diagonal = np.arange(len(chunk)), chunk
        block[diagonal] = np.inf
        if rerank:
            block = np.array([rerank(query, row) for query, row in zip(chunk.tolist(), block, strict=True)])
        relevant = codes[chunk][:, None] == codes
        relevant[diagonal] = False
        best = np.where(relevant, block, np.inf).argmin(axis=1)
        rank = 1 + (block < np.take_along_axis(block, best[:, None], axis=1)).sum(axis=1)
        parts.append((ranking_metrics(block, relevant), block.argmin(axis=1), best, rank))
    return Retrieval(queries, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def _distance_blocks(
    weights: Mapping[str, float], signatures: Mapping[str, SignatureArray], queries: NDArray[np.intp]
) -> Iterator[NDArray[np.floating]]:
    if weights:
        yield from rank_by_distance(weights, {name: signatures[name].take(queries) for name in weights}, signatures)
        return
    count = next(iter(signatures.values())).count
    for start in range(0, len(queries), BLOCK):
        yield np.zeros((len(queries[start : start + BLOCK]), count))

"""Robustness: is the original found by a modified copy of it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..signatures.distances import SignatureArray, rank_by_distance
from .retrieval import METRICS, ranking_metrics
from .transforms import TRANSFORMS, Pixels

COPY_METRICS = ("copy-AP", "copy-recall@1")
"""Metrics of searches by a modified copy, 0 to 1. As a copy has one original, its AP is 1 / the original's rank."""

_METRIC_COLUMNS = [METRICS.index("mAP"), METRICS.index("recall@1")]


@dataclass(frozen=True)
class Robustness:
    """Results of one ranking for q images, each modified by 15 transforms at 3 strengths.

    `queries`: indices of the modified images, (q,). `values`: the COPY_METRICS of each copy, (q, 15, 3, 2). `first`:
    index of the image that ranked first, and `rank`: of the original, (q, 15, 3) each.
    """

    queries: NDArray[np.intp]
    values: NDArray[np.float64]
    first: NDArray[np.intp]
    rank: NDArray[np.intp]

    @property
    def means(self) -> dict[str, float]:
        """Means of the metrics over all images, transforms and strengths."""
        return dict(zip(COPY_METRICS, self.values.mean(axis=(0, 1, 2)).tolist(), strict=True))

    @property
    def recall_by_transform(self) -> NDArray[np.float64]:
        """Mean recall@1 by transform, (15,)."""
        return np.asarray(self.values[..., 1].mean(axis=(0, 2)), np.float64)


def evaluate_robustness(
    rankings: Mapping[str, Mapping[str, float]],
    signatures: Mapping[str, SignatureArray],
    originals: Iterable[tuple[int, Pixels]],
    rerank: Mapping[str, tuple[str, Callable[[int, NDArray[np.floating]], NDArray[np.floating]]]] | None = None,
) -> dict[str, Robustness]:
    """Search with every modified copy of some images for the originals among all images.

    Memory use does not grow with the number of originals: the copies of one image are evaluated and dropped before
    those of the next one are made.

    Args:
        rankings: weights by method, by the ranking's title.
        signatures: signatures of all images, by method.
        originals: indices and pixels of the images to modify.
        rerank: the title of a ranking, and a function as `retrieve` takes one, by the title of what is re-ranked.

    Returns:
        The results by ranking; empty if there are no originals.
    """
    methods = {name: signatures[name].method for weights in rankings.values() for name in weights}
    rerank = rerank or {}
    parts: dict[str, list[tuple[NDArray[np.generic], ...]]] = {title: [] for title in [*rankings, *rerank]}
    indices = []
    for index, pixels in originals:
        indices.append(index)
        copies = [copy for transform in TRANSFORMS.values() for copy in transform(pixels)]
        queries = {
            name: SignatureArray(method, [method.compute(copy) for copy in copies]) for name, method in methods.items()
        }
        for title, weights in rankings.items():
            distances = np.concatenate(list(rank_by_distance(weights, queries, signatures)))
            parts[title].append(_rank_original(distances, index))
            for reranked_title, (base_title, function) in rerank.items():
                if base_title == title:
                    again = np.array([function(index, row) for row in distances])
                    parts[reranked_title].append(_rank_original(again, index))
    if not indices:
        return {}
    return {
        title: Robustness(np.array(indices, np.intp), *(np.array(part) for part in zip(*by_original, strict=True)))
        for title, by_original in parts.items()
    }


def _rank_original(distances: NDArray[np.floating], original: int) -> tuple[NDArray[np.generic], ...]:
    """Return `values`, `first` and `rank` of one original from the distances of its copies to n images, (45, n)."""
    shape = len(TRANSFORMS), len(next(iter(TRANSFORMS.values())).strengths)
    relevant = np.zeros(distances.shape, bool)
    relevant[:, original] = True
    values = ranking_metrics(distances, relevant)[:, _METRIC_COLUMNS]
    rank = 1 + (distances < distances[:, [original]]).sum(axis=1)
    first = np.where(rank == 1, original, distances.argmin(axis=1))
    return values.reshape(*shape, -1), first.reshape(shape), rank.reshape(shape)

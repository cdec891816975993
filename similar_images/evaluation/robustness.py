"""Is the original found by a changed copy of it?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..signatures.distances import SignatureArray, rank_by_distance
from .retrieval import METRICS, ranking_metrics
from .transforms import TRANSFORMS, Pixels

COPY_METRICS = ("copy-AP", "copy-recall@1")
_COLUMNS = [METRICS.index("mAP"), METRICS.index("recall@1")]


@dataclass(frozen=True)
class Robustness:
    """What one ranking made of changed copies.

    `queries`: the places of the pictures that were changed, (q,). `values`: the COPY_METRICS of each, from 0 to 1, by
    transform and strength: (q, 15, 3, 2). As a copy has one original, its AP is 1 / the original's rank.
    `first`: the place of what came first, and `rank`: of the original, (q, 15, 3) each.
    """

    queries: NDArray[np.intp]
    values: NDArray[np.float64]
    first: NDArray[np.intp]
    rank: NDArray[np.intp]

    @property
    def means(self) -> dict[str, float]:
        """The metrics' means over all pictures, transforms and strengths."""
        return dict(zip(COPY_METRICS, self.values.mean(axis=(0, 1, 2)).tolist(), strict=True))


def evaluate_robustness(
    rankings: Mapping[str, Mapping[str, float]],
    base: Mapping[str, SignatureArray],
    pictures: Iterable[tuple[int, Pixels]],
) -> dict[str, Robustness]:
    """Search with every changed copy of some pictures, given with their places, for the originals among all pictures.

    Nothing comes of no pictures. Memory does not grow with their number: the copies of a picture are described,
    judged and forgotten before those of the next are made.
    """
    methods = {name: base[name].method for weights in rankings.values() for name in weights}
    shape = len(TRANSFORMS), len(next(iter(TRANSFORMS.values())).strengths)
    parts: dict[str, list[tuple[NDArray[np.generic], ...]]] = {name: [] for name in rankings}
    places = []
    for place, pixels in pictures:
        places.append(place)
        copies = [copy for transform in TRANSFORMS.values() for copy in transform(pixels)]
        queries = {
            name: SignatureArray(method, [method.compute(copy) for copy in copies]) for name, method in methods.items()
        }
        for name, weights in rankings.items():
            distances = np.concatenate(list(rank_by_distance(weights, queries, base)))
            relevant = np.zeros(distances.shape, bool)
            relevant[:, place] = True
            values = ranking_metrics(distances, relevant)[:, _COLUMNS]
            rank = 1 + (distances < distances[:, [place]]).sum(axis=1)
            first = np.where(rank == 1, place, distances.argmin(axis=1))
            parts[name].append((values.reshape(*shape, -1), first.reshape(shape), rank.reshape(shape)))
    if not places:
        return {}
    queried = np.array(places, np.intp)
    return {
        name: Robustness(queried, *(np.array(part) for part in zip(*found, strict=True)))
        for name, found in parts.items()
    }

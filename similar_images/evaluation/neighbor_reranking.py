"""Re-ranking by neighbors as `rerank="neighbors"` does it, on signatures in memory instead of a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..search.ranking import Ranking
from ..search.rerank import neighbors
from ..signatures.distances import SignatureArray, rank_by_distance, similarities_from_distances


def similarities_by_ranking(
    weights: Ranking, keys: NDArray[np.floating], signatures: Mapping[str, SignatureArray]
) -> NDArray[np.floating]:
    """Return similarities in percent from the sort keys of `rank_by_distance`, of the same shape; infinite ones are 0.

    Args:
        weights: the ranking.
        keys: what images were ranked by: distances by one method, or 100 less the similarity by several.
        signatures: signatures of the images by method.
    """
    if len(weights) == 1:
        return similarities_from_distances(signatures[next(iter(weights))].method, keys)
    similarities: NDArray[np.floating] = np.where(np.isfinite(keys), 100 - keys, 0)
    return similarities


@dataclass(frozen=True)
class NeighborReranker:
    """Re-ranks images of a set by a ranking, and by how it finds them similar to each other."""

    weights: Ranking
    signatures: Mapping[str, SignatureArray]

    def rerank(self, _query: int, distances: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return new distances (n,) of which the smallest are in their new order, before all others.

        Args:
            distances: sort keys of all n images by `rank_by_distance`; infinite for images that are no candidates.
        """
        nearest = np.argsort(distances, kind="stable")[: neighbors.MAX_SMOOTHED]
        nearest = nearest[np.isfinite(distances[nearest])]
        best = {name: self.signatures[name].take(nearest) for name in self.weights}
        among, own = (
            similarities_by_ranking(self.weights, keys, self.signatures)
            for keys in (np.concatenate(list(rank_by_distance(self.weights, best, best))), distances[nearest])
        )
        smoothed = neighbors.smooth_similarities(own.tolist(), among)
        again = np.array(distances, float)
        again[nearest] = -np.array(smoothed) - 1  # below any distance
        return again

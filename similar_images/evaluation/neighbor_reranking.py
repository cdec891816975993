"""Re-ranking by neighbors as `rerank="neighbors"` does it, on signatures in memory instead of a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..search.ranking import Ranking
from ..search.rerank import neighbors
from ..signatures.distances import SignatureArray, rank_by_distance


@dataclass(frozen=True)
class NeighborReranker:
    """Re-ranks images of a set by a ranking of several methods, and by how it finds them similar to each other."""

    weights: Ranking
    signatures: Mapping[str, SignatureArray]

    def rerank(self, _query: int, distances: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return new distances (n,) of which the smallest are in their new order, before all others.

        Args:
            distances: distances of all n images, each 100 − similarity; infinite for images that are no candidates.
        """
        nearest = np.argsort(distances, kind="stable")[: neighbors.MAX_SMOOTHED]
        nearest = nearest[np.isfinite(distances[nearest])]
        best = {name: self.signatures[name].take(nearest) for name in self.weights}
        among = 100 - np.concatenate(list(rank_by_distance(self.weights, best, best)))
        smoothed = neighbors.smooth_similarities((100 - distances[nearest]).tolist(), among)
        again = np.array(distances, float)
        again[nearest] = -np.array(smoothed) - 1  # below any distance
        return again

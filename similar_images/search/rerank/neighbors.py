"""Neighbors: a match whose own nearest matches resemble the query, too, ranks before one that does by chance.

The similarity of each match is smoothed over its nearest ones among the best matches and the query. That is
database-side augmentation (Arandjelović and Zisserman, "Three things everyone should know to improve object retrieval",
2012) of similarities instead of vectors, and among what may come back only, so that nothing hidden has a say.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from django.db import models

from ...sources.source import ImageSource
from ..candidates import ScoredCandidate, ScoredResults, ranked_by_similarity
from ..near_duplicates import pair_similarities
from ..query_vectors import QueryVector

MAX_SMOOTHED = 50
"""Results that are ranked again, at most: some thousand pairs."""

NEIGHBORS = 5
"""Nearest images that have a say, beside the match itself."""

SHARPNESS = 6
"""Power of the similarity, 0 to 1, by which a neighbor weighs: at 80% it has a quarter of the say of the match."""


def smooth_by_neighbors(
    source: ImageSource,
    query: models.Model | bytes | str,
    vectors: list[QueryVector],
    results: list[ScoredCandidate],
) -> ScoredResults:
    """Rank results again, with the similarity of each smoothed over its nearest ones; no image is read."""
    best = results[:MAX_SMOOTHED]
    ids = [scored.candidate.record_id for scored in best]
    pairs = pair_similarities(source, {vector.spec.name: vector.spec for vector in vectors}, ids)
    among = [[pairs.get((min(a, b), max(a, b)), 0.0) for b in ids] for a in ids]
    smoothed = smooth_similarities([scored.similarity for scored in best], among)
    again = [scored._replace(similarity=similarity) for scored, similarity in zip(best, smoothed, strict=True)]
    return ScoredResults([*ranked_by_similarity(again, is_complete=True), *results[MAX_SMOOTHED:]])


def smooth_similarities(similarities: Sequence[float], among: Sequence[Sequence[float]]) -> list[float]:
    """Return the weighted mean of each match's similarity to the query and that of its nearest neighbors.

    The query is a neighbor as well, whose similarity to itself is 100: so a match that has the query among its nearest
    gains by it.

    Args:
        similarities: similarity of n matches to the query, in percent.
        among: similarity of each match to each, in percent, (n, n); that of a match to itself does not count.
    """
    smoothed = []
    for index, similarity in enumerate(similarities):
        others = [(near, similarities[other]) for other, near in enumerate(among[index]) if other != index]
        nearest = heapq.nlargest(NEIGHBORS, [(similarity, 100.0), *others])
        weights = [1.0, *((near / 100) ** SHARPNESS for near, _value in nearest)]
        values = [similarity, *(value for _near, value in nearest)]
        total = sum(weight * value for weight, value in zip(weights, values, strict=True))
        smoothed.append(total / sum(weights))
    return smoothed

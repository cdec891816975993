"""Searches by several examples, some of which matches must not resemble (relevance feedback)."""

from __future__ import annotations

from collections.abc import Sequence

from .candidates import ScoredCandidate, score_rows, sort_key, sort_scored
from .query_vectors import QueryVector
from .ranking import Ranking
from .sql import KnnRow

ExampleVectors = Sequence[list[QueryVector]]
"""The query vectors of each image of one example: of an owner, there may be several."""

NEGATIVE_WEIGHT = 0.5
"""Share of the similarity to the most similar negative example that is subtracted."""

MULTI_QUERY_FACTOR, MULTI_QUERY_MAX = 4, 400
"""With several examples, candidates are fetched for this many times the limit, and for this many at most: an image
close to all examples may be nearest to none of them."""


def widened_limit(limit: int) -> int:
    """Return the number of matches to fetch candidates for, where there are several examples."""
    return max(limit, min(MULTI_QUERY_FACTOR * limit, MULTI_QUERY_MAX))


def score_examples(
    positive: Sequence[ExampleVectors],
    negative: Sequence[ExampleVectors],
    rows: Sequence[KnnRow],
    weights: Ranking,
    *,
    refine: bool = True,
) -> list[ScoredCandidate]:
    """Score the rows of a statement by the query vectors of all examples, best first; `refine` as for `score_rows`.

    Of an example with several images, the one that is most similar to a candidate counts.
    """
    by_example: list[dict[int, ScoredCandidate]] = []
    first = 0
    for images in (*positive, *negative):
        best: dict[int, ScoredCandidate] = {}
        for vectors in images:
            for scored in score_rows(vectors, rows, weights, first=first, refine=refine):
                record_id = scored.candidate.record_id
                best[record_id] = min(best.get(record_id, scored), scored, key=sort_key)
            first += len(vectors)
        by_example.append(best)
    combined = []
    for row in rows:
        similar, dissimilar = (
            [scored[row.record_id] for scored in group if row.record_id in scored]
            for group in (by_example[: len(positive)], by_example[len(positive) :])
        )
        if similar:
            combined.append(combine_examples(similar, dissimilar))
    return sort_scored(combined)


def combine_examples(positive: Sequence[ScoredCandidate], negative: Sequence[ScoredCandidate]) -> ScoredCandidate:
    """Combine the scores of one candidate by every example.

    The similarity is the mean to the positive examples, less `NEGATIVE_WEIGHT` times the greatest to a negative one,
    and never below 0; the same by method. The distances are those to the nearest positive example.
    """
    methods = dict.fromkeys(name for scored in positive for name in scored.scores)
    scores = {name: _combine(*(_scores_by(name, group) for group in (positive, negative))) for name in methods}
    similarity = _combine([scored.similarity for scored in positive], [scored.similarity for scored in negative])
    found_by = list(dict.fromkeys(name for scored in positive for name in scored.candidate.found_by))
    return ScoredCandidate(similarity, sort_scored(positive)[0].candidate._replace(found_by=found_by), scores)


def _scores_by(method: str, group: Sequence[ScoredCandidate]) -> list[float]:
    return [scored.scores[method] for scored in group if method in scored.scores]


def _combine(positive: list[float], negative: list[float]) -> float:
    return max(sum(positive) / len(positive) - NEGATIVE_WEIGHT * max(negative, default=0), 0)

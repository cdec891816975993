"""Near-duplicates among the results: grouped under the best of them, so that no page is full of one image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connections, router

from .. import conf
from ..indexing import versions
from ..models import Signature, Source
from ..signatures.base import MethodSpec, distance_from_similarity, similarities_on_curve
from ..sources.source import ImageSource
from . import sql
from .candidates import ScoredCandidate
from .ranking import Ranking, fuse_scores, normalized_weights

MAX_METHOD_DEFICIT = 25
"""Percentage points that a single method's similarity of two near-duplicates may lie below the threshold."""

MAX_FOLDED = 400
"""Results that are compared with each other, the best ones: some ten thousand pairs, a tenth of a second."""

PairSimilarities = dict[tuple[int, int], float]
"""Similarity in percent of two records, by their ids, the smaller one first."""


def group_near_duplicates(
    source: ImageSource, specs: Mapping[str, MethodSpec], results: list[ScoredCandidate], *, query_is_image: bool
) -> list[ScoredCandidate]:
    """Return the results, best first, without near-duplicates of better ones; each has those left out for it.

    Args:
        source: the source of the results.
        specs: the versions that the search goes by.
        results: scored candidates, best first.
        query_is_image: whether near-duplicates of the query are grouped, too.
    """
    compared = results[:MAX_FOLDED]
    pairs = pair_similarities(source, specs, [scored.candidate.record_id for scored in compared], near_only=True)
    return fold_near_duplicates(compared, pairs, query_is_image) + results[MAX_FOLDED:]


def fold_near_duplicates(
    results: Iterable[ScoredCandidate], pairs: Iterable[tuple[int, int]], query_is_image: bool
) -> list[ScoredCandidate]:
    """Fold each result into the best earlier one that it is a near-duplicate of, by these pairs of record ids."""
    near: dict[int, set[int]] = defaultdict(set)
    for a, b in pairs:
        near[a].add(b)
        near[b].add(a)
    weights = normalized_weights()
    kept: dict[int, ScoredCandidate] = {}
    ranks: dict[int, int] = {}
    first_copy_of_query = None
    for scored in results:
        record_id = scored.candidate.record_id
        target = min(near[record_id] & kept.keys(), key=ranks.__getitem__, default=None)
        is_copy_of_query = (
            query_is_image and weights.keys() <= scored.scores.keys() and is_near_duplicate(scored.scores, weights)
        )
        if target is None and is_copy_of_query:
            target = first_copy_of_query
        if target is not None:
            alone = scored._replace(near_duplicates=())
            near_duplicates = (*kept[target].near_duplicates, alone, *scored.near_duplicates)
            kept[target] = kept[target]._replace(near_duplicates=near_duplicates)
            continue
        kept[record_id], ranks[record_id] = scored, len(ranks)
        if is_copy_of_query:
            first_copy_of_query = record_id
    return list(kept.values())


def pair_similarities(
    source: ImageSource, specs: Mapping[str, MethodSpec], record_ids: Sequence[int], *, near_only: bool = False
) -> PairSimilarities:
    """Return how similar these records are to each other; with `near_only`, the near-duplicates among them.

    This always goes by SIMILAR_IMAGES["RANKING"], whatever the search is ranked by: otherwise a search by color would
    fold all items of one color. Pairs that are marked as not alike are left out.
    """
    return pair_similarities_of_each(source, specs, [record_ids], near_only=near_only)[0]


def pair_similarities_of_each(
    source: ImageSource,
    specs: Mapping[str, MethodSpec],
    groups: Sequence[Sequence[int]],
    *,
    near_only: bool = False,
) -> list[PairSimilarities]:
    """Return what `pair_similarities` returns of each group of records, in one query."""
    asked = [index for index, record_ids in enumerate(groups) if len(record_ids) > 1]
    similarities: list[PairSimilarities] = [{} for _group in groups]
    if not asked:
        return similarities
    weights = normalized_weights()
    if not weights.keys() <= specs.keys():
        specs = versions.active_versions(source) | dict(specs)
    compared_by = sorted((specs[name] for name in weights), key=lambda spec: spec.dimensions)  # cheap ones first
    bounds = [distance_from_similarity(s.curve, _min_method_similarity(weights[s.name])) for s in compared_by]
    source_id = Source.objects.get_id(source)
    statements = [
        sql.pairs_sql(source_id, compared_by, groups[index], bounds if near_only else None) for index in asked
    ]
    rows: list[list[Any]] = [[] for _index in asked]
    with connections[router.db_for_read(Signature)].cursor() as cursor:
        cursor.execute(*sql.union_sql(statements, [1] * len(statements)))
        for part, *row in cursor.fetchall():
            rows[part].append(row)
    for index, found in zip(asked, rows, strict=True):
        similarities[index] = _read_pairs(compared_by, found, weights, near_only=near_only)
    return similarities


def _read_pairs(
    compared_by: Sequence[MethodSpec], rows: Sequence[Sequence[Any]], weights: Ranking, *, near_only: bool
) -> PairSimilarities:
    """Return the similarities of the pairs in rows of `pairs_sql`, without those that are marked as not alike."""
    marked = {frozenset((a, b)) for a, b, is_marked, *_distances in rows if is_marked}
    unmarked = [row for row in rows if not row[2] and not (near_only and frozenset(row[:2]) in marked)]
    scores = _score_pairs(compared_by, [row[3:] for row in unmarked])
    pairs = [
        (row[0], row[1], by_method)
        for row, by_method in zip(unmarked, scores, strict=True)
        if by_method and (not near_only or is_near_duplicate(by_method, weights))
    ]
    fused = fuse_scores([by_method for _a, _b, by_method in pairs], weights)
    return {(a, b): similarity for (a, b, _scores), similarity in zip(pairs, fused, strict=True)}


def _score_pairs(specs: Sequence[MethodSpec], rows: Sequence[Sequence[float | None]]) -> list[dict[str, float]]:
    """Return the similarities by method of each row of distances."""
    scores: list[dict[str, float]] = [{} for _row in rows]
    for column, spec in enumerate(specs):
        known = [(index, d) for index, row in enumerate(rows) if (d := row[column]) is not None]
        similarities = similarities_on_curve(spec.curve, [distance for _index, distance in known])
        for (index, _distance), similarity in zip(known, similarities, strict=True):
            scores[index][spec.name] = similarity
    return scores


def is_near_duplicate(scores: Mapping[str, float], weights: Ranking) -> bool:
    """Tell whether two images with these similarities by method are near-duplicates.

    Methods of at least half of the weight must have described both; each may lie `MAX_METHOD_DEFICIT` below the
    threshold at most.
    """
    threshold = conf.get().near_duplicate_threshold
    known = {name: weight for name, weight in weights.items() if name in scores}
    total = sum(known.values())
    if total < sum(weights.values()) / 2:
        return False
    similarity = sum(weight * scores[name] for name, weight in known.items()) / total
    return similarity >= threshold and all(scores[name] >= threshold - MAX_METHOD_DEFICIT for name in known)


def _min_method_similarity(share: float) -> float:
    """Return the similarity that near-duplicates have at least by a method of this share of the weight.

    Below it, all other methods together could not lift the pair to the threshold.
    """
    threshold = conf.get().near_duplicate_threshold
    return max(threshold - MAX_METHOD_DEFICIT, (threshold - 100 * (1 - share)) / share)

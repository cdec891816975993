"""From the signatures of a query to ranked records, in percent: nearest, blended, and only what is allowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import models

from .. import marks, ranking_presets
from ..indexing import hnsw, versions
from ..models import IndexedImage, IndexedImageQuerySet, Signature, Source
from ..registry import ImageSource
from ..signatures import storage
from . import sql
from .query_vectors import QueryVector
from .ranking import Ranking

if TYPE_CHECKING:
    from ..measures.verdict import Verdict

MAX_POOL = 100
"""The most candidates that a method puts forward; four times the limit where that is more."""

MIN_OVERFETCH, OVERFETCH_PER_SHARE = 20, 1_000
"""By how many candidates are more than the limit: at least, and by the weight of other methods."""


class Candidate(NamedTuple):
    """A record that methods put forward, which they were, and its distances by all methods that described it."""

    record_id: int
    object_id: str
    file_name: str
    distances: dict[str, float]
    found_by: Sequence[str] = ()


class ScoredCandidate(NamedTuple):
    """A candidate in percent, by all methods together and by each; a verdict where the pictures were compared; and how
    many near copies it stands for."""

    similarity: float
    candidate: Candidate
    scores: dict[str, float]
    verdict: Verdict | None = None
    folded: int = 0


def searchable_records(
    source: ImageSource,
    allowed: Iterable[models.QuerySet[Any]],
    excluded: Iterable[Any],
    searched_by: Iterable[Any] = (),
) -> IndexedImageQuerySet:
    """The records that may come back: of the objects of all these querysets, but for those with these primary keys,
    and those that are marked as not alike with an object that is searched by."""
    records = (
        IndexedImage.objects.for_source(source)
        .for_objects(source, *allowed)
        .exclude(object_id__in=[source.object_id(pk) for pk in excluded])
    )
    queries = {source.object_id(pk) for pk in searched_by}
    return records.filter(marks.exclude_marked(source, queries)) if queries else records


def score(
    source: ImageSource,
    operands: list[QueryVector],
    weights: Ranking,
    records: models.QuerySet[IndexedImage],
    limit: int,
) -> list[ScoredCandidate]:
    """The candidates for so many matches, best first: at least SPARE more, if there are."""
    found = search_candidates(source, operands, records, pool_sizes(operands, weights, limit), limit)
    return score_candidates(operands, refine_distances(operands, found), weights)


def filter_by_similarity(min_similarity: float, best: list[ScoredCandidate]) -> list[ScoredCandidate]:
    return [one for one in best if round(one.similarity, 1) >= min_similarity]


def pool_sizes(operands: list[QueryVector], weights: Ranking, limit: int) -> dict[str, int]:
    """How many candidates each method puts forward.

    The method of most weight, as many as are wanted and more, as other methods and truer distances change their order;
    those that count less, fewer by the square of their weight: what they alone find seldom comes to the front.
    """
    of = {operand.form.name: weights[operand.form.name] for operand in operands}
    most = max(of.values())
    refines = any(method.refines for o in operands if (method := versions.instantiate(o.form)))
    sway = 1 if refines else 1 - most / sum(of.values())
    pool = min(max(MAX_POOL, 4 * limit), limit + max(MIN_OVERFETCH, ceil(OVERFETCH_PER_SHARE * sway)))
    return {name: ceil(pool * (weight / most) ** 2) for name, weight in of.items()}


def search_candidates(
    source: ImageSource,
    operands: list[QueryVector],
    records: models.QuerySet[IndexedImage],
    pools: Mapping[str, int],
    limit: int,
) -> list[Candidate]:
    """The records nearest by any method, with their distances by every one."""
    columns = [(number, operand.form.name) for number, operand in enumerate(operands)]
    return [candidate_from_row(row, columns) for row in knn_rows(source, operands, records, pools, limit)]


def candidate_from_row(row: Sequence[Any], columns: Iterable[tuple[int, str]]) -> Candidate:
    """A row as one, with what some of the operands tell: the number of each, and the name of its method."""
    pk, object_id, file_name, found_by, *distances = row
    known = {name: distances[number] for number, name in columns if distances[number] is not None}
    return Candidate(pk, object_id, file_name, known, [name for number, name in columns if number in found_by])


def knn_rows(
    source: ImageSource,
    operands: list[QueryVector],
    records: models.QuerySet[IndexedImage],
    pools: Mapping[str, int],
    limit: int,
) -> list[tuple[Any, ...]]:
    """The rows of `statements.nearest`, in one query.

    Where an approximate index gave up behind a filter that leaves little, what is left is searched exactly, in another.
    """
    source_id = Source.objects.get_id(source)
    names = [operand.form.name for operand in operands]
    indexed = {o.form.name for o in operands if getattr(o.form, "has_index", True)}
    exactly = set(names) - indexed
    enough = {name: max(limit, pool) for name, pool in pools.items()}
    # Fewer save time only where there is an index, which for most searches need not go on then.
    first = {name: pool if name in indexed else enough[name] for name, pool in pools.items()}
    rows: list[tuple[Any, ...]]
    with hnsw.search_cursor() as cursor:
        try:
            cursor.execute(*sql.knn_sql(source_id, operands, records, first, exactly))
            rows = cursor.fetchall()
            found_by = Counter(number for row in rows for number in row[3])
            short = {name for n, name in enumerate(names) if name in indexed and found_by[n] < first[name]}
            if short or (indexed and len(rows) < limit):
                cursor.execute(*sql.knn_sql(source_id, operands, records, enough, exactly | short))
                rows = cursor.fetchall()
        except EmptyResultSet:
            return []
    return rows


def refine_distances(operands: list[QueryVector], found: list[Candidate]) -> list[Candidate]:
    """The candidates with truer distances, by methods that have one."""
    for operand in operands:
        truer = _truer(operand, [candidate.record_id for candidate in found])
        for candidate in found:
            if candidate.record_id in truer:
                candidate.distances[operand.form.name] = truer[candidate.record_id]
    return found


def _truer(operand: QueryVector, record_ids: list[int]) -> dict[int, float]:
    method = versions.instantiate(operand.form)
    if not method or not method.refines:
        return {}
    rows = Signature.objects.filter(
        record__in=[*record_ids, operand.record_id],
        method=operand.form.name,
        version=operand.form.version,
        low_detail=False,
    )
    values = {
        pk: storage.unpack(value) for pk, value in rows.values_list("record_id", storage.column_name(operand.form))
    }
    query = values.pop(operand.record_id, operand.described)
    if query is None:  # gone meanwhile
        return {}
    return dict(zip(values, method.refine(query, list(values.values())), strict=True))


def score_candidates(operands: list[QueryVector], found: list[Candidate], weights: Ranking) -> list[ScoredCandidate]:
    """The candidates in percent, best first.

    Far away, where percents end, distances still tell; at the same one, the oldest number comes first.
    """
    best = []
    by_method = [(operand.form.name, operand.similarity) for operand in operands]
    for candidate in found:
        distances = candidate.distances
        scores = {name: percent_of(distances[name]) for name, percent_of in by_method if name in distances}
        if scores:  # else the query's own signatures went meanwhile
            best.append(ScoredCandidate(ranking_presets.fuse_scores(scores, weights), candidate, scores))
    return sort_scored(best)


def sort_scored(found: Iterable[ScoredCandidate]) -> list[ScoredCandidate]:
    return sorted(found, key=sort_key)


def sort_key(one: ScoredCandidate) -> tuple[float, float, int]:
    """By what candidates are put in order."""
    return -one.similarity, sum(one.candidate.distances.values()), one.candidate.record_id

"""Candidates: the records nearest to the query vectors, scored in percent, of those that may come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import models

from ..models import IndexedImage, IndexedImageQuerySet, Signature, Source
from ..signatures import storage
from ..sources.source import ImageSource
from . import sql
from .query_vectors import QueryVector
from .ranking import Ranking, fuse_scores
from .selectivity import estimate_selectivity, is_correlated

if TYPE_CHECKING:
    from ..measures.verdict import Verdict

MAX_POOL = 100
"""Candidates of one method, or four times the limit where that is more."""

MIN_OVERFETCH = 20
"""Candidates fetched beyond the limit, at least."""

OVERFETCH_PER_SHARE = 1_000
"""Further candidates × (1 − share of the heaviest method): other methods, and exact distances, change the order."""


MIN_NEARBY_SIMILARITY = 70
"""Percentage above which something found is surely near the query: of 10,000 random images, one is."""


class Candidate(NamedTuple):
    """A record that methods put forward (`found_by`), with its distances by all methods that described it.

    `width` and `height` are those of its image in pixels.
    """

    record_id: int
    object_id: str
    file_name: str
    distances: dict[str, float]
    found_by: Sequence[str] = ()
    width: int | None = None
    height: int | None = None


class ScoredCandidate(NamedTuple):
    """A candidate with its similarity in percent, by all methods together and by each (`scores`).

    `verdict` is there where the images were compared; `near_duplicates` are those that it stands for, best first.
    """

    similarity: float
    candidate: Candidate
    scores: dict[str, float]
    verdict: Verdict | None = None
    near_duplicates: tuple[ScoredCandidate, ...] = ()

    @property
    def folded(self) -> int:
        """The number of near-duplicates that it stands for."""
        return len(self.near_duplicates)


class ScoredResults(list[ScoredCandidate]):
    """Results of a search; `is_complete` is False where not all images could be compared that it had to compare."""

    is_complete = True

    def as_complete_as(self, other: ScoredResults) -> ScoredResults:
        """Return these results, which were made of others, as complete as those."""
        self.is_complete = other.is_complete
        return self


def ranked_by_similarity(results: Iterable[ScoredCandidate], *, is_complete: bool) -> ScoredResults:
    """Return results that were compared, best first; not all of them where they are not complete."""
    ranked = ScoredResults(sorted(results, key=lambda scored: -scored.similarity))
    ranked.is_complete = is_complete
    return ranked


def searchable_records(
    source: ImageSource,
    allowed: Iterable[models.QuerySet[Any]],
    excluded: Iterable[Any],
    queried: Iterable[Any] = (),
) -> IndexedImageQuerySet:
    """Return the records that may come back.

    Args:
        source: the source.
        allowed: querysets that an object must all be in.
        excluded: primary keys of objects that must not come back.
        queried: primary keys of objects that are searched by; those marked as not alike with one stay out.
    """
    source_id = Source.objects.get_id(source)
    left_out, queries = ([source.object_id(pk) for pk in pks] for pks in (excluded, queried))
    condition = sql.searchable_condition(source_id, left_out, queries)
    return IndexedImage.objects.filter(condition).for_objects(source, *allowed)


def pool_sizes(vectors: Iterable[QueryVector], weights: Ranking, limit: int) -> dict[str, int]:
    """Return the number of candidates that each method puts forward, for so many matches.

    The heaviest method gets `limit` and an over-fetch, `MAX_POOL` or four times the limit at most. The others get that
    times (weight / heaviest weight)², because what only a light method finds rarely reaches the top; and none where
    that is less than one.
    """
    by_method = {vector.spec.name: weights[vector.spec.name] for vector in vectors}
    heaviest = max(by_method.values())
    refines = any(method.refines for vector in vectors if (method := vector.method))
    changing_share = 1 if refines else 1 - heaviest / sum(by_method.values())
    overfetch = max(MIN_OVERFETCH, ceil(OVERFETCH_PER_SHARE * changing_share))
    pool = min(max(MAX_POOL, 4 * limit), limit + overfetch)
    shares = {name: pool * (weight / heaviest) ** 2 for name, weight in by_method.items()}
    return {name: ceil(share) if share >= 1 else 0 for name, share in shares.items()}


class Pools(NamedTuple):
    """The numbers of candidates to look for by method: at `first`, and where that leaves too few, `enough`.

    Methods are `indexed`, or have no approximate index to be searched by, and are scanned in full: `exact`.
    """

    first: Mapping[str, int]
    enough: Mapping[str, int]
    indexed: Set[str]
    exact: Set[str]


def plan_pools(
    vectors: Iterable[QueryVector], pools: Mapping[str, int], limit: int, *, is_exact: bool = False
) -> Pools:
    """Return how to look for so many matches; with `is_exact`, without any approximate index."""
    indexed = {v.spec.name for v in vectors if not is_exact and getattr(v.spec, "has_index", True)}
    enough = {name: max(limit, pool) for name, pool in pools.items()}
    # Smaller pools save time only where there is an index, which for most searches need not scan on then.
    first = {name: pool if name in indexed else enough[name] for name, pool in pools.items()}
    return Pools(first, enough, indexed, pools.keys() - indexed)


def search_candidates(
    source: ImageSource,
    vectors: Sequence[QueryVector],
    records: models.QuerySet[IndexedImage],
    pools: Mapping[str, int],
    limit: int,
    *,
    is_exact: bool = False,
) -> sql.KnnRows:
    """Read the records nearest to any query vector, with their distances to all of them, in one query.

    Where a version is in a search backend, that is asked which are near.

    Where filters leave few records, each is compared. Where an approximate index gave up behind a filter, or found
    nothing similar as all that is similar is hidden by it, each is compared after all, in another query. With
    `is_exact`, no index is used.
    """
    source_id = Source.objects.get_id(source)
    names = [vector.spec.name for vector in vectors]
    first, enough, indexed, exact = plan_pools(vectors, pools, limit, is_exact=is_exact)
    if not is_exact and is_in_backend(vectors):
        from .backend_candidates import find_candidates  # which other projects do without

        found = find_candidates(source, vectors, records, (first, enough), indexed, limit)
        if found is not None:
            return found
    with sql.search_cursor() as cursor:
        try:
            walked = {name: first[name] for name in indexed}
            selectivity = estimate_selectivity(cursor, source_id, records) if indexed else None
            is_few = selectivity is not None and selectivity.leaves_few(walked)
            if is_few:
                exact, walked = exact | indexed, {}
            cursor.execute(*sql.knn_sql(source_id, vectors, records, first, exact, gathers=is_few))
            rows = sql.read_rows(cursor.fetchall())
            counts = Counter(index for row in rows for index in row.found_by)
            short = {name for index, name in enumerate(names) if counts[index] < walked.get(name, 0)}
            if selectivity and walked and not short and not _has_similar(vectors, rows):
                # All that is similar may be hidden: the rest is about as far as anything, and has no paths to follow.
                short = {*walked} if is_correlated(cursor, source_id, vectors[0], records, selectivity) else set()
            if short or (len(rows) < limit and (walked or first != enough)):
                sizes = enough if len(rows) < limit else first
                gathers = selectivity is not None
                cursor.execute(*sql.knn_sql(source_id, vectors, records, sizes, exact | short, gathers=gathers))
                rows = sql.read_rows(cursor.fetchall())
        except EmptyResultSet:
            return sql.KnnRows()
    return rows


def is_in_backend(vectors: Iterable[QueryVector]) -> bool:
    """Tell whether a search by these goes to a search backend, too."""
    return any(getattr(vector.spec, "is_in_backend", False) for vector in vectors)


def _has_similar(vectors: Sequence[QueryVector], rows: Sequence[sql.KnnRow]) -> bool:
    """Tell whether a row is by one of the vectors as similar as hardly any random image."""
    for index, vector in enumerate(vectors):
        distances = [distance for row in rows if (distance := row.distances[index]) is not None]
        if distances and max(vector.similarities([min(distances)])) >= MIN_NEARBY_SIMILARITY:
            return True
    return False


def score_rows(
    vectors: Sequence[QueryVector],
    rows: Sequence[sql.KnnRow],
    weights: Ranking,
    *,
    first: int = 0,
    refine: bool = True,
) -> list[ScoredCandidate]:
    """Score the rows by some of the query vectors of their statement, best first.

    Args:
        vectors: query vectors of one example.
        rows: rows of a statement.
        weights: weights by method.
        first: index in the statement of the first of these vectors.
        refine: whether methods that have an exact distance replace the stored one by it.
    """
    names = [(first + offset, vector.spec.name) for offset, vector in enumerate(vectors)]
    candidates = []
    for row in rows:
        distances = {name: d for index, name in names if (d := row.distances[index]) is not None}
        found_by = [name for index, name in names if index in row.found_by]
        if distances:  # otherwise the query's own signatures were deleted meanwhile
            record = (row.record_id, row.object_id, row.file_name)
            candidates.append(Candidate(*record, distances, found_by, row.width, row.height))
    if refine:
        for vector in vectors:
            _refine_distances(vector, candidates)
    scores: list[dict[str, float]] = [{} for _candidate in candidates]
    for vector in vectors:
        name = vector.spec.name
        described = [(index, c.distances[name]) for index, c in enumerate(candidates) if name in c.distances]
        similarities = vector.similarities([distance for _index, distance in described])
        for (index, _distance), similarity in zip(described, similarities, strict=True):
            scores[index][name] = similarity
    fused = fuse_scores(scores, weights)
    return sort_scored(map(ScoredCandidate, fused, candidates, scores))


def _refine_distances(vector: QueryVector, candidates: Sequence[Candidate]) -> None:
    """Replace distances by exact ones that cannot be indexed, where the method has them."""
    method = vector.method
    if not method or not method.refines:
        return
    signatures = Signature.objects.filter(
        record__in=[*(candidate.record_id for candidate in candidates), vector.record_id],
        method=vector.spec.name,
        version=vector.spec.version,
        low_detail=False,
    )
    columns = signatures.values_list("record_id", storage.column_name(vector.spec))
    values = {record_id: storage.unpack(value) for record_id, value in columns}
    query = values.pop(vector.record_id, vector.value)
    if query is None:  # deleted meanwhile
        return
    exact = dict(zip(values, method.refine(query, list(values.values())), strict=True))
    for candidate in candidates:
        if candidate.record_id in exact:
            candidate.distances[vector.spec.name] = exact[candidate.record_id]


def filter_by_similarity(min_similarity: float, scored: Iterable[ScoredCandidate]) -> list[ScoredCandidate]:
    """Return the candidates of at least this similarity, with the one decimal that is shown."""
    if min_similarity <= 0:
        return list(scored)
    return [candidate for candidate in scored if round(candidate.similarity, 1) >= min_similarity]


def sort_scored(scored: Iterable[ScoredCandidate]) -> list[ScoredCandidate]:
    """Sort candidates, best first."""
    return sorted(scored, key=sort_key)


def sort_key(scored: ScoredCandidate) -> tuple[float, float, int]:
    """Return the key by which the best candidate comes first.

    Beyond the end of the curve every similarity is 0%, so ties are broken by the sum of distances, then by record id.
    """
    return -scored.similarity, sum(scored.candidate.distances.values()), scored.candidate.record_id

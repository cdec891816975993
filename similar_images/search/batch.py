"""The matches of many objects at once, in as many queries as those of one: statements of the same kind are joined.

Each object is searched by as `similar_to` does: the same candidates, scores, folding, and rounds until a page is full.
Only a method with exact distances of its own (`palette`) reads its signatures for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.backends.utils import CursorWrapper
from django.db.models import Value

from ..models import IndexedImageQuerySet, Source
from ..sources.source import MAX_OWNER_IMAGES, ImageSource
from . import diversity, near_duplicates, sql
from .candidates import (
    MIN_OVERFETCH,
    ScoredCandidate,
    ScoredResults,
    filter_by_similarity,
    is_in_backend,
    plan_pools,
    pool_sizes,
    search_candidates,
    sort_scored,
)
from .matches import Matches, load_matches_of_each, search_among
from .options import SearchOptions
from .plan import plan_search
from .query_vectors import stored_queries
from .search import MAX_CANDIDATES, REFILL_FACTOR, ResolvedQuery, Search
from .selectivity import estimate_selectivity


@dataclass
class _Progress:
    """A search on its way: the results so far, the records that were seen, and those that are left."""

    search: Search
    query: ResolvedQuery
    records: IndexedImageQuerySet
    remaining: IndexedImageQuerySet
    size: int
    results: list[ScoredCandidate] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    groups: dict[str, Any] = field(default_factory=dict)
    is_done: bool = False
    is_complete: bool = True


def similar_to_each(items: Sequence[models.Model], options: SearchOptions) -> list[Matches]:
    """Find the matches of each of several objects of one model, as `similar_to` does of one.

    Args:
        items: the objects.
        options: how to search, but for `mode`, `rerank`, `box`, `like`, `unlike`, `diversity`, `distinct` and
            `fallback`.

    Returns:
        The matches of each object, in their order.
    """
    if not items:
        return []
    template = plan_search(items[0], options)
    return load_matches_of_each(template, run_each(template, items), None)


def similar_among_each(
    source: ImageSource,
    items: Sequence[models.Model],
    objects: models.QuerySet[Any],
    owners: Sequence[models.QuerySet[Any]],
    *,
    limit: int,
    min_similarity: float,
) -> list[Matches]:
    """Find the matches of each of several objects as editors see them, for callers that decide who may see what.

    They are explained, and have the near-duplicates that they stand for.

    Args:
        source: the source of the images.
        items: objects of the source, or owners.
        objects: the objects that may come back, and be searched by.
        owners: the owners that may come back, by model.
        limit: number of matches of each.
        min_similarity: similarity in percent that they have at least.
    """
    if not items:
        return []
    template = search_among(source, None, objects, owners, limit=limit, folds=True, min_similarity=min_similarity)
    return load_matches_of_each(template, run_each(template, items), template.weights, is_for_editors=True)


def run_each(template: Search, items: Sequence[models.Model]) -> list[ScoredResults]:
    """Run a search for each of several objects of one model; return the results of each, in their order.

    Args:
        template: the search by one of them.
        items: the objects.
    """
    source = template.source
    images = images_of_each(source, items, template.allowed[0])
    queried = [image for group in images for image in group]
    vectors = stored_queries(source, queried, template.weights, template.allowed[0])
    running: dict[int, _Progress] = {}
    for index, (item, group) in enumerate(zip(items, images, strict=True)):
        search = _replace_item(template, item, group)
        described = [image for image in group if image.pk is not None and vectors.get(image)]
        if described:
            query = ResolvedQuery([[vectors[image] for image in described]], [], described)
            records = search.records(described)
            running[index] = _Progress(search, query, records, records, search.limit)
    while active := [progress for progress in running.values() if not progress.is_done]:
        _advance(source, active)
    return [_results_of(running.get(index), template.limit) for index in range(len(items))]


def _results_of(progress: _Progress | None, limit: int) -> ScoredResults:
    results = ScoredResults(progress.results[:limit] if progress else [])
    results.is_complete = progress is None or progress.is_complete or len(results) == limit
    return results


def images_of_each(
    source: ImageSource, items: Sequence[models.Model], images: models.QuerySet[Any]
) -> list[list[models.Model]]:
    """Return what `ImageSource.images_of` returns for each object, in one query at most."""
    groups: list[list[models.Model]] = [[] if source.is_owner(item) else [item] for item in items]
    ownership = source.ownership
    if ownership is None or all(groups):
        return groups
    visible = source.as_filterable(images)
    parts = [
        ownership.images_of(item, visible).annotate(asked_by=Value(index)).order_by("pk")[:MAX_OWNER_IMAGES]
        for index, item in enumerate(items)
        if not groups[index]
    ]
    found: list[Any] = list(parts[0].union(*parts[1:], all=True))
    for image in sorted(found, key=lambda image: image.pk):
        groups[image.asked_by].append(image)
    return groups


def _replace_item(template: Search, item: models.Model, images: Sequence[models.Model]) -> Search:
    """Return the search of a template, by another object of the same kind."""
    ownership = template.source.ownership
    if ownership and template.source.is_owner(item):
        return replace(template, examples=[images], excluded=[], excluded_owners=[ownership.owner_key(item)])
    return replace(template, examples=[images], excluded=[item.pk])


def _advance(source: ImageSource, running: Sequence[_Progress]) -> None:
    """Take the next round of all searches: candidates, scores, one result an owner, near-duplicates folded."""
    rounds = []
    for progress, rows in zip(running, _search_candidates(source, running), strict=True):
        search = progress.search
        scored = search.score_rows(progress.query, rows)
        progress.is_complete &= rows.is_complete
        similar = filter_by_similarity(search.min_similarity, scored)
        progress.results = sort_scored([*progress.results, *similar])
        progress.seen += [candidate.candidate.record_id for candidate in scored]
        rounds.append((progress, scored, similar, progress.results))
    if source.ownership:
        found = [candidate for _progress, _scored, similar, _all in rounds for candidate in similar]
        owners = diversity.group_values(source, source.ownership.key, found) if found else {}
        for progress, _scored, similar, _all in rounds:
            progress.groups |= {c.candidate.object_id: owners.get(c.candidate.object_id) for c in similar}
            progress.results = diversity.deduplicate(progress.results, progress.groups)
    if running[0].search.folds:
        _fold(source, running)
    for progress, scored, similar, unfolded in rounds:
        is_folded = len(progress.query.specs) > 1 and len(progress.results) < len(unfolded)
        is_below = not similar or (len(similar) < len(scored) and not is_folded)
        is_full = len(progress.results) >= progress.search.limit
        is_last = len(scored) < progress.size + MIN_OVERFETCH or is_below
        progress.is_done = is_full or is_last or len(progress.seen) >= MAX_CANDIDATES
        progress.size = min(progress.size * REFILL_FACTOR, MAX_CANDIDATES)
        if not progress.is_done:
            groups = [(source.ownership.key, progress.groups)] if source.ownership else []
            progress.remaining = progress.search.remaining_records(progress.records, progress.seen, groups)


def _fold(source: ImageSource, running: Sequence[_Progress]) -> None:
    """Group the near-duplicates among the results of each search."""
    for specs, group in _by_versions(running):
        compared = [progress.results[: near_duplicates.MAX_FOLDED] for progress in group]
        ids = [[scored.candidate.record_id for scored in results] for results in compared]
        pairs = near_duplicates.pair_similarities_of_each(source, specs, ids, near_only=True)
        for progress, results, near in zip(group, compared, pairs, strict=True):
            rest = progress.results[near_duplicates.MAX_FOLDED :]
            progress.results = near_duplicates.fold_near_duplicates(results, near, query_is_image=True) + rest


def _by_versions(running: Sequence[_Progress]) -> Iterable[tuple[Mapping[str, Any], list[_Progress]]]:
    """Return searches by the versions that they go by: one kind, but while a new version is computed."""
    groups: dict[tuple[tuple[str, str], ...], tuple[Mapping[str, Any], list[_Progress]]] = {}
    for progress in running:
        specs = progress.query.specs
        key = tuple((name, spec.version) for name, spec in specs.items())
        groups.setdefault(key, (specs, []))[1].append(progress)
    return groups.values()


def _search_candidates(source: ImageSource, running: Sequence[_Progress]) -> list[sql.KnnRows]:
    """Do for each search what `candidates.search_candidates` does for one; with a search backend, one by one."""
    if any(is_in_backend(progress.query.vectors) for progress in running):
        return [_search_alone(source, progress) for progress in running]
    source_id = Source.objects.get_id(source)
    first, enough, exact = [], [], []
    for progress in running:
        vectors = progress.query.vectors
        sizes = pool_sizes(vectors, progress.search.weights, progress.size)
        pools = plan_pools(vectors, sizes, progress.size, is_exact=progress.search.options.exact)
        first.append(pools.first)
        enough.append(pools.enough)
        exact.append({*pools.exact})
    with sql.search_cursor() as cursor:
        walked = [{*sizes} - names for sizes, names in zip(first, exact, strict=True)]
        if is_few := _leave_few(cursor, source_id, running[0], {name: first[0][name] for name in walked[0]}):
            exact, walked = [{*sizes} for sizes in first], [set() for _progress in running]
        found = _read_each(cursor, source_id, running, first, exact, gathers=is_few)
        again = []
        for index, (progress, rows) in enumerate(zip(running, found, strict=True)):
            names = [vector.spec.name for vector in progress.query.vectors]
            counts = Counter(operand for row in rows for operand in row.found_by)
            short = {name for n, name in enumerate(names) if name in walked[index] and counts[n] < first[index][name]}
            has_more = walked[index] or first[index] != enough[index]
            if short or (len(rows) < progress.size and has_more):
                exact[index] |= short
                if len(rows) < progress.size:
                    first[index] = enough[index]
                again.append(index)
        if again:
            left, more = [running[index] for index in again], [first[index] for index in again]
            rows_of_each = _read_each(cursor, source_id, left, more, [exact[index] for index in again], gathers=is_few)
            for index, rows in zip(again, rows_of_each, strict=True):
                found[index] = rows
    return found


def _search_alone(source: ImageSource, progress: _Progress) -> sql.KnnRows:
    vectors, is_exact = progress.query.vectors, progress.search.options.exact
    sizes = pool_sizes(vectors, progress.search.weights, progress.size)
    return search_candidates(source, vectors, progress.remaining, sizes, progress.size, is_exact=is_exact)


def _leave_few(cursor: CursorWrapper, source_id: int, progress: _Progress, sizes: Mapping[str, int]) -> bool:
    """Tell whether the filters, which are those of all searches of a batch, leave few records."""
    try:
        selectivity = estimate_selectivity(cursor, source_id, progress.remaining) if sizes else None
    except EmptyResultSet:
        return False
    return selectivity is not None and selectivity.leaves_few(sizes)


def _read_each(
    cursor: Any,
    source_id: int,
    running: Sequence[_Progress],
    pools: Sequence[Mapping[str, int]],
    exact: Sequence[set[str]],
    *,
    gathers: bool,
) -> list[sql.KnnRows]:
    """Read the rows of the statement of each search, in one query."""
    found: list[list[Any]] = [[] for _progress in running]
    statements, columns, indexes = [], [], []
    for index, progress in enumerate(running):
        vectors = progress.query.vectors
        try:
            parts = (source_id, vectors, progress.remaining, pools[index], exact[index])
            statements.append(sql.knn_sql(*parts, gathers=gathers))
        except EmptyResultSet:  # a queryset that can hold nothing
            continue
        columns.append(len(vectors))
        indexes.append(index)
    if statements:
        cursor.execute(*sql.union_sql(statements, columns))
        for part, *row in cursor.fetchall():
            found[indexes[part]].append(row)
    return [sql.read_rows(rows) for rows in found]

"""The nearest records of stored signatures, kept in the memory of a process for as long as no signature is added.

What is kept is the same for all visitors: the records nearest to an object, whoever may see them, with their scores.
Which of them may come back is looked up each time, by the same conditions as in a search. So nothing that is hidden,
deleted, marked, or out of date ever comes from here; and where too little is left, the caller searches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connections, models, router
from django.utils.functional import cached_property

from ..models import IndexedImage, Signature, Source, current_schema
from ..sources.source import ImageSource
from . import sql
from .candidates import Pools, ScoredCandidate
from .query_vectors import QueryVector

MAX_NEIGHBORHOODS = 100
"""Searches that a process keeps; of those with the default limit, each takes some 190 kB."""

MAX_ROWS = 400
"""Records of a search that is kept, at most."""

POOL_FACTOR = 2
"""Records are kept for each record that a search needs, so that others may be hidden."""


class Scorer(NamedTuple):
    """The way in which rows are scored, best first: each by itself, and always the same by scorers of one `key`."""

    key: Hashable
    score_rows: Callable[[Sequence[sql.KnnRow]], list[ScoredCandidate]]


class Selection(NamedTuple):
    """The results of a search of some pools among neighbors, of which those in `hashes` might come back."""

    pools: Pools
    hashes: Mapping[int, str]
    found: list[ScoredCandidate] | None


@dataclass
class Neighborhood:
    """The records nearest to some query vectors.

    `generations` are the states that the vectors were read in, `sizes` the number of records that were asked for by
    method. `nearest` has the ids of those that each vector put forward, the nearest first, and `hashes` the SHA-256 of
    their images. The last `selection` is mostly that of the next visitor, too.
    """

    generations: Sequence[str]
    sizes: Mapping[str, int]
    nearest: Sequence[Sequence[int]]
    hashes: Mapping[int, str]
    scored: Sequence[ScoredCandidate]
    selection: Selection | None = None


class _Place:
    """The place of one search in the memory, which may be empty."""

    neighborhood: Neighborhood | None = None


@lru_cache(maxsize=MAX_NEIGHBORHOODS)
def _place_of(*search: Hashable) -> _Place:
    return _Place()


@dataclass(frozen=True)
class NeighborSearch:
    """A search for the records nearest to stored signatures.

    Attributes:
        source: the source.
        vectors: query vectors.
        pools: how to look for candidates.
        limit: the number of matches to look for.
        scorer: how to score them.
    """

    source: ImageSource
    vectors: Sequence[QueryVector]
    pools: Pools
    limit: int
    scorer: Scorer

    @property
    def known(self) -> Neighborhood | None:
        """The neighbors that are kept; None where there are none of the state that the query vectors were read in."""
        kept = self._place.neighborhood if self._place else None
        return kept if kept and kept.generations == self._generations else None

    def recall(self, records: models.QuerySet[IndexedImage]) -> list[ScoredCandidate] | None:
        """Return what the search would find among records; None where that can't be told without one."""
        if self._place is None:
            return None
        neighborhood = self.known or self._look(self._place)
        alias = router.db_for_read(Signature)
        try:
            same = records.filter(sql.id_condition(neighborhood.hashes)).values("pk", "sha256")
            statement = same.query.get_compiler(alias).as_sql()
        except EmptyResultSet:
            return []
        with connections[alias].cursor() as cursor:
            cursor.execute(*statement)
            return self.select(neighborhood, dict(cursor.fetchall()))

    def select(self, neighborhood: Neighborhood, hashes: Mapping[int, str]) -> list[ScoredCandidate] | None:
        """Return what the search finds among the neighbors; None where there may be others.

        Args:
            neighborhood: the neighbors.
            hashes: the SHA-256 of the image of each record that may come back, which must be the same as before.
        """
        last = neighborhood.selection
        if last is not None and last.pools == self.pools and last.hashes == hashes:
            found = last.found
        else:
            current = {record_id for record_id, sha256 in hashes.items() if neighborhood.hashes[record_id] == sha256}
            found = _select_nearest(neighborhood, current, self.vectors, self.pools)
            neighborhood.selection = Selection(self.pools, hashes, found)
        return None if found is None or (self.pools.indexed and len(found) < self.limit) else found

    @property
    def _generations(self) -> list[str]:
        return [vector.generation for vector in self.vectors]

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return {name: POOL_FACTOR * size for name, size in self.pools.first.items()}

    @cached_property
    def _place(self) -> _Place | None:
        """The place of the search in the memory; None where it is too large, or nothing tells what goes out of date.

        That is so of a search backend, too, which may be told later of what PostgreSQL has.
        """
        is_large = sum(self._sizes[vector.spec.name] for vector in self.vectors) > MAX_ROWS
        is_served = any(getattr(vector.spec, "is_in_backend", False) for vector in self.vectors)
        if is_large or is_served or not all(self._generations):
            return None
        alias, source_id = router.db_for_read(Signature), Source.objects.get_id(self.source)
        operands = [(v.record_id, v.spec.name, v.spec.version, *map(tuple, v.spec.curve)) for v in self.vectors]
        search = (*operands, *self._sizes.items(), *sorted(self.pools.exact), self.scorer.key)
        return _place_of(alias, current_schema(alias), source_id, *search)

    def _look(self, place: _Place) -> Neighborhood:
        """Look for the neighbors, and keep them where no write is under way."""
        source_id = Source.objects.get_id(self.source)
        every = IndexedImage.objects.filter(sql.RecordCondition("{record}.source_id = %s", [source_id]))
        with sql.search_cursor() as cursor:
            is_same = cursor.db.alias == router.db_for_read(Signature)  # a router may choose among databases
            is_settled = is_same and sql.is_settled(cursor)
            cursor.execute(*sql.knn_sql(source_id, self.vectors, every, self._sizes, self.pools.exact))
            rows = sql.read_rows(cursor.fetchall())
        hashes = {row.record_id: row.sha256 for row in rows if row.sha256}
        nearest = [_rank_rows(rows, index) for index in range(len(self.vectors))]
        scored = self.scorer.score_rows(rows)
        neighborhood = Neighborhood(self._generations, self._sizes, nearest, hashes, scored)
        if is_settled:
            place.neighborhood = neighborhood
        return neighborhood


def _rank_rows(rows: Sequence[sql.KnnRow], index: int) -> list[int]:
    """Return the ids of the records that a vector put forward, the nearest first."""
    found: list[Any] = [(row.distances[index], row.record_id) for row in rows if index in row.found_by]
    return [record_id for _distance, record_id in sorted(found)]


def _select_nearest(
    neighborhood: Neighborhood, current: Set[int], vectors: Sequence[QueryVector], pools: Pools
) -> list[ScoredCandidate] | None:
    """Return what a search of these pools finds among the current records; None where there may be others."""
    found_by: dict[int, dict[str, None]] = {}
    for vector, ranked in zip(vectors, neighborhood.nearest, strict=True):
        name = vector.spec.name
        nearest = [record_id for record_id in ranked if record_id in current]
        is_exhausted = name in pools.exact and len(ranked) < neighborhood.sizes[name]
        if len(nearest) < pools.first[name] and not is_exhausted:
            return None
        for record_id in nearest[: pools.first[name]]:
            found_by.setdefault(record_id, {})[name] = None
    return [
        _put_forward_by(scored, names)
        for scored in neighborhood.scored
        if (names := found_by.get(scored.candidate.record_id)) is not None
    ]


def _put_forward_by(scored: ScoredCandidate, names: Mapping[str, None]) -> ScoredCandidate:
    """Return a candidate that these methods found: fewer than those that had it among more neighbors."""
    candidate = scored.candidate
    if len(candidate.found_by) == len(names):
        return scored
    return scored._replace(candidate=candidate._replace(found_by=[*names]))

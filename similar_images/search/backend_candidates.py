"""Candidates by a search backend: it says which records are near, and PostgreSQL which of them may come back.

Where filters leave too few of what the backend found, it is asked for four times as many, until there are enough or it
gives no more. Methods without a copy there are searched by pgvector in the same statement.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING

from django.core.exceptions import EmptyResultSet
from django.db import models

from .. import plugins
from ..backends.base import BackendError, Condition, SearchBackend
from ..indexing.backend_feed import collection_of
from ..models import IndexedImage, MethodVersion, Signature, Source
from ..signatures import storage
from ..sources.source import ImageSource
from . import sql
from .pushdown import pushed_conditions
from .query_vectors import QueryVector
from .selectivity import Selectivity, estimate_selectivity, has_filter

if TYPE_CHECKING:
    from ..backends.base import Vector

logger = logging.getLogger("similar_images")

HITS_FACTOR = 4
"""Where too few may come back, a backend is asked for this many times as many."""

REST_SECONDS = 10
"""Time for which a process does not ask a backend again that did not answer."""

_resting: dict[SearchBackend, float] = {}
"""Time until which backends are not asked."""


def find_candidates(
    source: ImageSource,
    vectors: Sequence[QueryVector],
    records: models.QuerySet[IndexedImage],
    sizes: tuple[Mapping[str, int], Mapping[str, int]],
    indexed: Set[str],
    limit: int,
) -> sql.KnnRows | None:
    """Return what `search_candidates` does; None where PostgreSQL has to be asked.

    That is where no backend answers, and where filters leave so few records that comparing each is quicker.

    Args:
        source: the source.
        vectors: query vectors, of which some are of versions in the backend.
        records: the records that may come back.
        sizes: numbers of candidates by method, at first, and where that leaves too few.
        indexed: methods that are not scanned in full.
        limit: number of matches.
    """
    backend = plugins.search_backend()
    if backend is None or _resting.get(backend, 0) > time.monotonic():
        return None
    try:
        search = _BackendSearch(backend, source, vectors, records)
        selectivity = search.estimate_selectivity()
        if selectivity is not None and selectivity.leaves_few(search.served_sizes(sizes[0])):
            return None
        return search.run(sizes, indexed, limit)
    except EmptyResultSet:
        return sql.KnnRows()
    except _QueryGone:
        return None
    except BackendError as error:
        _resting[backend] = time.monotonic() + REST_SECONDS
        logger.error("PostgreSQL is searched in place of the search backend, for %s seconds: %s", REST_SECONDS, error)
        return None


class _QueryGone(Exception):
    """The signature to search by was deleted meanwhile."""


class _BackendSearch:
    """A search of a backend by query vectors, those of each version in one request."""

    def __init__(
        self,
        backend: SearchBackend,
        source: ImageSource,
        vectors: Sequence[QueryVector],
        records: models.QuerySet[IndexedImage],
    ) -> None:
        self.backend, self.source, self.vectors, self.records = backend, source, vectors, records
        self.indexes: dict[MethodVersion, list[int]] = defaultdict(list)
        for index, vector in enumerate(vectors):
            if isinstance(vector.spec, MethodVersion) and vector.spec.is_in_backend:
                self.indexes[vector.spec].append(index)
        self.values = {
            version: _read_query_values(version, vectors, indexes) for version, indexes in self.indexes.items()
        }
        self.conditions: dict[MethodVersion, Sequence[Condition]] = {
            version: pushed_conditions(source, records, version.backend_attributes) for version in self.indexes
        }

    def estimate_selectivity(self) -> Selectivity | None:
        """Return how many records the filters leave; None where there is no filter."""
        if not has_filter(self.records):
            return None
        with sql.search_cursor() as cursor:
            return estimate_selectivity(cursor, Source.objects.get_id(self.source), self.records)

    def served_sizes(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return the numbers of candidates of the methods that the backend serves."""
        return {version.name: sizes[version.name] for version in self.indexes}

    def run(self, sizes: tuple[Mapping[str, int], Mapping[str, int]], indexed: Set[str], limit: int) -> sql.KnnRows:
        """Read candidates in rounds: `sizes`, `indexed` and `limit` are those of `find_candidates`."""
        wanted, enough = sizes
        names = [vector.spec.name for vector in self.vectors]
        served = {index for indexes in self.indexes.values() for index in indexes}
        exact = {*names} - {*indexed}
        size = max(self.served_sizes(wanted).values())
        # The images that are searched by are found, too, and stay out.
        size += len({vector.record_id for vector in self.vectors if vector.record_id}) if size else 0
        source_id = Source.objects.get_id(self.source)
        while True:
            hits = self._find_nearest(size, wanted) if size else {}
            with sql.search_cursor() as cursor:
                cursor.execute(*sql.knn_sql(source_id, self.vectors, self.records, wanted, exact, hits=hits))
                rows = sql.read_rows(cursor.fetchall())
            counts = Counter(index for row in rows for index in row.found_by)
            short = {index for index, name in enumerate(names) if counts[index] < wanted[name]}
            exhausted = {index for index in short & served if len(hits.get(index, ())) < size}
            # Behind conditions, an approximate index may give up, which nothing tells from having no more.
            may_have_more = short & served if any(self.conditions.values()) else (short & served) - exhausted
            local = {names[index] for index in short - served} - exact
            if len(rows) < limit and wanted != enough:
                wanted = enough
                size = max(size, *self.served_sizes(wanted).values())
            elif may_have_more and size < self.backend.max_hits:
                if exhausted:
                    self.conditions = dict.fromkeys(self.conditions, ())
                size = min(HITS_FACTOR * size, self.backend.max_hits)
            elif not local:
                rows.is_complete = len(rows) >= limit or not may_have_more
                return rows
            exact |= local

    def _find_nearest(self, size: int, wanted: Mapping[str, int]) -> dict[int, list[int]]:
        """Return the ids of the records nearest to each vector, the nearest first, by index of the vector."""
        found: dict[int, list[int]] = {}
        for version, indexes in self.indexes.items():
            if wanted[version.name]:
                queries, conditions = self.values[version], self.conditions[version]
                hits = self.backend.find_nearest(collection_of(version), queries, size, conditions)
                found |= {i: [hit.record_id for hit in of_query] for i, of_query in zip(indexes, hits, strict=True)}
        return found


def _read_query_values(version: MethodVersion, vectors: Sequence[QueryVector], indexes: Sequence[int]) -> list[Vector]:
    """Return the values of those of the query vectors, which are of one version.

    Raises:
        _QueryGone: a signature is no longer stored.
    """
    ids = [vectors[index].record_id for index in indexes if vectors[index].record_id]
    rows = Signature.objects.filter(record__in=ids, method=version.name, version=version.version)
    stored = dict(rows.values_list("record_id", storage.quick_column(version))) if ids else {}
    values = []
    for index in indexes:
        vector = vectors[index]
        if vector.record_id and vector.record_id not in stored:
            raise _QueryGone
        values.append(storage.unpack(stored[vector.record_id]) if vector.record_id else vector.value)
    return values

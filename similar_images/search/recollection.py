"""Recollect a search by stored images, as far as one statement proves that it still holds.

The query vectors of images are kept, beside their neighbors. The statement tells whether the signatures and versions
are those that both were made of, whether the images may still be searched by, and which of the neighbors may come back,
by the conditions of a search. Where anything has changed, the caller searches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from django.db import connections, models, router
from django.utils.functional import cached_property

from .. import conf
from ..models import IndexedImage, Signature, Source, current_schema, freshest
from ..sources.source import ImageSource
from . import sql
from .candidates import ScoredCandidate
from .neighbors import MAX_NEIGHBORHOODS, NeighborSearch
from .query_vectors import SIGNED_BY, STATE, QueryVector


class Recollection(NamedTuple):
    """A search by images that still holds.

    `vectors` has the query vectors of each image, `scored` what the search finds, and `freshness` the status of the
    images, with the last time when one was indexed.
    """

    vectors: Sequence[list[QueryVector]]
    scored: list[ScoredCandidate]
    freshness: tuple[str, datetime | None]


@dataclass(frozen=True)
class ImageQuery:
    """Stored images to search by, and the methods to do it by."""

    source: ImageSource
    images: Sequence[models.Model]
    methods: Sequence[str]

    @property
    def files(self) -> dict[str, str]:
        """The names of the images' files, by object id."""
        return {self.source.object_id(image.pk): self.source.get_file_name(image) for image in self.images}

    @cached_property
    def kept(self) -> _KeptVectors:
        """The place of the query vectors in the memory."""
        alias, source_id = router.db_for_read(Signature), Source.objects.get_id(self.source)
        state = (alias, current_schema(alias), source_id, conf.get().fingerprint)
        return _kept_vectors_of(*state, *self.methods, *self.files.items())


class _KeptVectors:
    """The place of the query vectors of some images in the memory, which may be empty."""

    vectors: Sequence[list[QueryVector]] = ()


@lru_cache(maxsize=MAX_NEIGHBORHOODS)
def _kept_vectors_of(*query: Hashable) -> _KeptVectors:
    return _KeptVectors()


def keep_vectors(query: ImageQuery, vectors: Mapping[models.Model, list[QueryVector]]) -> None:
    """Keep the query vectors of images, if each has some: what has none yet may get some at any time."""
    if not any(image.pk is None or image not in vectors for image in query.images):
        query.kept.vectors = [vectors[image] for image in query.images]


def recollect(
    query: ImageQuery,
    make_search: Callable[[Sequence[list[QueryVector]]], NeighborSearch],
    make_conditions: Callable[[], tuple[sql.RecordCondition, sql.RecordCondition]],
) -> Recollection | None:
    """Return what holds still of a search; None where it is not known, or something has changed.

    Args:
        query: the images that are searched by.
        make_search: takes the query vectors of each image.
        make_conditions: returns the conditions on records that they may be searched by, and that they may come back.

    Raises:
        EmptyResultSet: there can be no such records.
    """
    vectors = query.kept.vectors
    search = make_search(vectors) if vectors else None
    neighborhood = search.known if search else None
    if search is None or neighborhood is None:
        return None
    queried, allowed = make_conditions()
    statement = _proof_sql(queried.also(sql.file_condition(query.files)), allowed, query.methods, neighborhood.hashes)
    with connections[router.db_for_read(Signature)].cursor() as cursor:
        cursor.execute(*statement)
        *records, (_id, _status, _indexed_at, current) = cursor.fetchall()
    states = {record_id: set((state or "").split(",")) for record_id, _status, _indexed_at, state in records}
    if len(states) != len(vectors) or not all(_holds(of_image, states) for of_image in vectors):
        return None
    scored = search.select(neighborhood, {int(pk): sha256 for pk, sha256 in json.loads(current or "{}").items()})
    if scored is None:
        return None
    freshness = freshest([(IndexedImage.Status(status), moment) for _id, status, moment, _states in records])
    return Recollection(vectors, scored, freshness)


def _holds(vectors: Iterable[QueryVector], states: Mapping[int, set[str]]) -> bool:
    """Tell whether the records have the signatures, and these the versions, that query vectors were read from."""
    return all(vector.generation in states.get(vector.record_id, ()) for vector in vectors)


def _proof_sql(
    queried: sql.RecordCondition,
    allowed: sql.RecordCondition,
    methods: Sequence[str],
    neighbors: Iterable[int],
) -> sql.Statement:
    """Select the records of images with the states of their signatures, and the neighbors that may come back.

    Each row: the record, its status, when it was indexed, and a `STATE` a version; in the last row there is nothing but
    a JSON object, which has the SHA-256 of the images by record.
    """
    same = allowed.also(sql.id_condition(neighbors))
    states = f"SELECT string_agg({STATE}, ',') {SIGNED_BY} AND record_id = record.id"
    statement = (
        f"SELECT record.id, status, indexed_at, ({states}) "
        f"FROM {sql.RECORDS} record WHERE {queried.on('record')} "
        "UNION ALL SELECT NULL, NULL, NULL, "
        f"(SELECT json_object_agg(id, sha256)::text FROM {sql.RECORDS} record WHERE {same.on('record')})"
    )
    return statement, [list(methods), *queried.parameters, *same.parameters]

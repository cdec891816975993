"""Known images: those that a file which is not stored repeats, byte for byte, or looks almost the same as.

The same bytes are found by their SHA-256. Near-duplicates are found by stored signatures: of a file that is there
already, by its own, and else by those of the new one. No stored image is read, and no two are compared.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import Error as DatabaseError
from django.db import connections, models, router, transaction
from django.db.models.fields.files import FieldFile

from .. import conf
from ..imaging.decode import UnreadableImage
from ..imaging.files import read_stored, sha256_of
from ..imaging.timeouts import SearchTimeout
from ..models import IndexedImage, Signature, Source
from ..sources.source import ImageSource
from .candidates import filter_by_similarity, pool_sizes, score_rows, search_candidates, searchable_records
from .near_duplicates import is_near_duplicate
from .query_vectors import QueryVector, describe_query, stored_queries
from .ranking import normalized_weights
from .sql import searchable_condition

MAX_SAME_FILES, MAX_NEAR_DUPLICATES = 100, 24
"""Images with the same bytes, and near-duplicates, that are looked for, at most."""

MIN_STATEMENT_SECONDS = 0.1
"""Seconds that a statement may take at least: if going back to the savepoint took longer than it may, the caller, who
saves something, would lose the transaction."""

logger = logging.getLogger("similar_images")


class PlainImage(Exception):
    """No method finds enough detail in an image to tell it apart from others."""


@dataclass(frozen=True)
class KnownImage:
    """An image that a file repeats.

    Attributes:
        object: the registered object.
        similarity: in percent; None where the bytes are the same.
        width: width of its image in pixels, as it was indexed.
        height: its height.
    """

    object: Any
    similarity: float | None
    width: int | None
    height: int | None

    @property
    def is_same_file(self) -> bool:
        """True where the bytes are the same."""
        return self.similarity is None

    @property
    def pixels(self) -> int:
        """Width × height; 0 where that is not known."""
        return (self.width or 0) * (self.height or 0)


class _Found(NamedTuple):
    """A record that was found, with what is needed to load its object."""

    object_id: str
    file_name: str
    similarity: float | None
    width: int | None
    height: int | None


def find_known_images(
    source: ImageSource,
    file: FieldFile | bytes,
    objects: models.QuerySet[Any],
    excluded: Iterable[Any] = (),
    *,
    timeout: float | None = None,
) -> list[KnownImage]:
    """Return the images of a source that a file repeats, the same bytes first; for the notice of an integration.

    It never raises for the image, the storage, or the database, but finds less, and logs what the image is not to
    blame for: the file has been uploaded.

    Args:
        source: the source.
        file: the file of an object, or its bytes.
        objects: the objects that may come back: those that the editor may see.
        excluded: primary keys of those that must not, such as the new one.
        timeout: seconds that describing the file may take, and as many a statement; those of a request by default.
    """
    excluded = list(excluded)
    same_files: list[KnownImage] = []
    try:
        data = file if isinstance(file, bytes) else read_stored(file, max_bytes=conf.get().search_max_bytes)
        same_files = find_same_files(source, sha256_of(data), objects, excluded, timeout=timeout)
        return [*same_files, *find_near_duplicates(source, data, same_files, objects, excluded, timeout=timeout)]
    except (UnreadableImage, PlainImage):
        return same_files
    except (SearchTimeout, DatabaseError, OSError) as error:
        logger.warning("A file that was uploaded was not looked up: %r", error)
        return same_files


def find_same_files(
    source: ImageSource,
    sha256: str,
    objects: models.QuerySet[Any],
    excluded: Iterable[Any] = (),
    *,
    timeout: float | None = None,
) -> list[KnownImage]:
    """Return the images of a source with these bytes, the oldest records first.

    Args:
        source: the source.
        sha256: hash of the file.
        objects: the objects that may come back.
        excluded: primary keys of those that must not.
        timeout: seconds that a statement may take; those of a request by default.
    """
    left_out = [source.object_id(pk) for pk in excluded]
    condition = searchable_condition(Source.objects.get_id(source), left_out)
    records = IndexedImage.objects.filter(condition, sha256=sha256).for_objects(source, objects).order_by("pk")
    columns = ("object_id", "file_name", "width", "height")
    with _bounded_statements(timeout):
        rows = list(records.values_list(*columns)[:MAX_SAME_FILES])
        return _load(source, objects, [_Found(key, name, None, *size) for key, name, *size in rows])


def find_near_duplicates(
    source: ImageSource,
    data: bytes,
    same_files: Iterable[KnownImage],
    objects: models.QuerySet[Any],
    excluded: Iterable[Any] = (),
    *,
    timeout: float | None = None,
) -> list[KnownImage]:
    """Return the images of a source that look almost the same as a file, best first, without those of the same bytes.

    Args:
        source: the source.
        data: the file; it is decoded and described only where none of the same bytes is there.
        same_files: images with the same bytes.
        objects: the objects that may come back.
        excluded: primary keys of those that must not.
        timeout: seconds that describing the file may take, and as many a statement; those of a request by default.

    Raises:
        UnreadableImage: the bytes are no image that can be read.
        SearchTimeout: describing it took too long.
        PlainImage: no method finds detail in it.
    """
    threshold, weights = conf.get().near_duplicate_threshold, normalized_weights()
    if threshold > 100:
        return []
    stored = [known.object for known in same_files]
    with _bounded_statements(timeout):
        vectors: list[QueryVector] = next(iter(stored_queries(source, stored[:1], weights, objects).values()), [])
    vectors = vectors or describe_query(data, source, weights, timeout=timeout)
    if not vectors:
        raise PlainImage
    excluded = [*excluded, *(item.pk for item in stored)]
    pools = pool_sizes(vectors, weights, MAX_NEAR_DUPLICATES)
    with _bounded_statements(timeout):
        records = searchable_records(source, [objects], excluded)
        rows = search_candidates(source, vectors, records, pools, MAX_NEAR_DUPLICATES)
        scored = filter_by_similarity(threshold, score_rows(vectors, rows, weights))
        found = [
            _Found(c.object_id, c.file_name, round(similarity, 1), c.width, c.height)
            for similarity, c, scores, *_rest in scored
            if is_near_duplicate(scores, weights)
        ]
        return _load(source, objects, found[:MAX_NEAR_DUPLICATES])


def _load(source: ImageSource, objects: models.QuerySet[Any], found: list[_Found]) -> list[KnownImage]:
    """Fetch the objects of records, in their order; an object whose file has changed since is left out."""
    items = source.current_objects(objects, {each.object_id: each.file_name for each in found}) if found else {}
    return [
        KnownImage(items[each.object_id], each.similarity, each.width, each.height)
        for each in found
        if each.object_id in items
    ]


@contextmanager
def _bounded_statements(seconds: float | None) -> Iterator[None]:
    """Let no statement on the database that is searched take longer within the block, which writes nothing there."""
    seconds = conf.get().request_timeout if seconds is None else seconds
    alias = router.db_for_read(Signature)
    is_nested = not connections[alias].get_autocommit()
    with transaction.atomic(using=alias):
        with connections[alias].cursor() as cursor:
            milliseconds = round(1000 * max(seconds, MIN_STATEMENT_SECONDS))
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
        yield
        if is_nested:  # the limit must not hold for the rest of the caller's transaction
            transaction.set_rollback(True, using=alias)

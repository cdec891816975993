"""The outbox: records of images that are to be indexed, and what is missing or out of date among them.

Everything here reads from the database that is written to, as a replica lags behind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.db import connections, models, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Cast

from ..models import WRITE_CHUNK, IndexedImage, IndexedImageQuerySet, Signature, Source, write_alias
from ..sources.source import ImageSource
from . import triggers, versions


def set_files(source: ImageSource, files: Mapping[str, str], *, is_rewritten: bool = False) -> None:
    """Record which file each of these objects has now, by object id.

    Where the name is new, the record becomes pending and the signatures of the former file are deleted. Where it is
    empty, the record is deleted. The triggers call the same function of the database.

    Args:
        source: the source of the objects.
        files: file names by object id.
        is_rewritten: the files may have new content even under an unchanged name.
    """
    using = write_alias()
    arguments: list[Any] = [
        Source.objects.get_id(source),
        source.has_integer_key,
        list(files),
        list(files.values()),
        is_rewritten,
    ]
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT {triggers.FUNCTION}(%s, %s, %s::text[], %s::text[], %s)", arguments)


def records_of(source: ImageSource) -> IndexedImageQuerySet:
    """Return the records of a source."""
    return IndexedImage.primary.for_source(source)


def objects_with_file(source: ImageSource) -> models.QuerySet[Any]:
    """Return the objects of a source that have a file."""
    return source.with_file().using(write_alias())


def missing_records(source: ImageSource) -> models.QuerySet[Any]:
    """Return the source's objects whose file has no record, or one with another file name."""
    records = record_of_outer_row(source).filter(file_name=OuterRef(source.field_name))
    return objects_with_file(source).filter(~Exists(records))


def record_of_outer_row(source: ImageSource) -> models.QuerySet[IndexedImage]:
    """Return the record of an object for use in a subquery, whose outer query is over the source's model."""
    if source.has_integer_key:
        return records_of(source).filter(object_key=OuterRef("pk"))
    return records_of(source).filter(object_id=Cast(OuterRef("pk"), models.CharField()))


def orphaned_records(source: ImageSource) -> IndexedImageQuerySet:
    """Return the records whose object no longer exists or has no file any more."""
    if source.has_integer_key:
        objects = objects_with_file(source).filter(pk=OuterRef("object_key"))
    else:
        keys = Cast("pk", models.CharField())
        objects = objects_with_file(source).annotate(key=keys).filter(key=OuterRef("object_id"))
    return records_of(source).filter(~Exists(objects))


def outdated_records(source: ImageSource, methods: Collection[str] = ()) -> IndexedImageQuerySet:
    """Return the indexed records without a signature of the configured version of a method.

    Args:
        source: the source of the records.
        methods: names of the methods; all configured ones if empty.
    """
    configured = versions.configured_methods(source)
    is_outdated = Q()
    for name in methods or configured:
        current = Signature.primary.filter(record=OuterRef("pk"), method=name, version=configured[name].version)
        is_outdated |= ~Q(Exists(current))
    return records_of(source).indexed().filter(is_outdated)


def enqueue_missing(source: ImageSource, objects: models.QuerySet[Any] | None = None) -> Iterator[int]:
    """Request the indexing of all `missing_records`; yield the size of every chunk as it is written.

    The objects of a chunk are locked; those being saved or deleted by others are skipped, as that writes their records.

    Args:
        source: the source.
        objects: missing records among which to do so; all of the source if None.
    """
    rows = (missing_records(source) if objects is None else objects).order_by("pk")
    rows = rows.select_for_update(of=("self",), skip_locked=True, no_key=True)
    while True:
        with transaction.atomic(using=write_alias()):
            files = list(rows.values_list("pk", source.field_name)[:WRITE_CHUNK])
            set_files(source, {source.object_id(pk): name for pk, name in files})
        if not files:
            return
        rows = rows.filter(pk__gt=files[-1][0])
        yield len(files)

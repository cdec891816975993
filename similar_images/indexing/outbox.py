"""The outbox: records of images that are to be indexed.

`enqueue` and `delete_records` run in the transaction that saves or deletes the object; `sweep_sources` finds what
neither saw.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Cast

from .. import registry
from ..models import WRITE_CHUNK, IndexedImage, IndexedImageQuerySet, Signature, Source
from ..registry import ImageSource
from ..signatures.projection import ProjectedMethod
from . import versions

logger = logging.getLogger("similar_images")


def enqueue(
    source: ImageSource, pk: Any, file_name: str, *, is_rewritten: bool = False, last_revision: UUID | None = None
) -> UUID | None:
    """Request the indexing of an object's file if it has changed, and delete the signatures of the old one.

    Objects of a source that has no row yet are left to the sweep.

    Args:
        source: the source of the object.
        pk: the primary key of the object.
        file_name: the name of its file, empty if it has none; then its record is deleted.
        is_rewritten: the file may have new content even under an unchanged name.
        last_revision: the revision of the request that was made for this content before, if any.

    Returns:
        The revision of the request, None if there is nothing to index.
    """
    if not Source.objects.get_id(source):
        return None
    if not file_name:
        delete_records(source, [pk])
        return None
    record = IndexedImage.objects.for_source(source).filter(object_id=source.object_id(pk))
    known_name, revision = record.values_list("file_name", "revision").first() or (None, None)
    if known_name == file_name and (not is_rewritten or revision == last_revision):
        return None
    (request,) = request_indexing(source, [(pk, file_name)], may_exist=known_name is not None)
    return request.revision


def request_indexing(
    source: ImageSource, files: Iterable[tuple[Any, str]], *, may_exist: bool = True
) -> list[IndexedImage]:
    """Request the indexing of new images and delete the signatures of former ones.

    Args:
        source: the source of the objects.
        files: pairs of a primary key and a file name.
        may_exist: False if no object has a record yet, which saves a query.

    Returns:
        The records, whose revisions identify the requests.
    """
    source_id = Source.objects.get_id(source)
    records = [
        IndexedImage(
            source_id=source_id,
            object_id=source.object_id(pk),
            object_key=pk if source.has_integer_key else None,
            file_name=name,
        )
        for pk, name in files
    ]
    IndexedImage.objects.bulk_create(
        records,
        update_conflicts=True,
        unique_fields=["source", "object_id"],
        update_fields=[
            f.name for f in IndexedImage._meta.fields if f.name not in ("id", "source", "object_id", "object_key")
        ],
    )
    if may_exist:  # only after the records have new revisions, as a worker could write old signatures until then
        ids = [record.object_id for record in records]
        Signature.objects.filter(record__source_id=source_id, record__object_id__in=ids).delete()
    return records


def delete_records(source: ImageSource, pks: Collection[Any]) -> None:
    """Delete the records of these objects with their signatures and marks."""
    IndexedImage.objects.for_source(source).filter(object_id__in=[source.object_id(pk) for pk in pks]).delete()


def missing_records(source: ImageSource) -> models.QuerySet[Any]:
    """Return the source's objects whose file has no record, or one with another file name."""
    records = record_of_outer_row(source).filter(file_name=OuterRef(source.field_name))
    return source.with_file().filter(~Exists(records))


def record_of_outer_row(source: ImageSource) -> models.QuerySet[IndexedImage]:
    """Return the record of an object for use in a subquery, whose outer query is over the source's model."""
    records = IndexedImage.objects.for_source(source)
    if source.has_integer_key:
        return records.filter(object_key=OuterRef("pk"))
    return records.filter(object_id=Cast(OuterRef("pk"), models.CharField()))


def orphaned_records(source: ImageSource) -> IndexedImageQuerySet:
    """Return the records whose object no longer exists or has no file any more."""
    if source.has_integer_key:
        objects = source.with_file().filter(pk=OuterRef("object_key"))
    else:
        objects = source.with_file().annotate(key=Cast("pk", models.CharField())).filter(key=OuterRef("object_id"))
    return IndexedImage.objects.for_source(source).filter(~Exists(objects))


def outdated_records(source: ImageSource, methods: Collection[str] = ()) -> IndexedImageQuerySet:
    """Return the indexed records without a signature of the configured version of a method.

    Args:
        source: the source of the records.
        methods: names of the methods; all configured ones if empty.
    """
    configured = versions.configured_methods(source)
    is_outdated = Q()
    for name in methods or configured:
        current = Signature.objects.filter(record=OuterRef("pk"), method=name, version=configured[name].version)
        is_outdated |= ~Q(Exists(current))
    return IndexedImage.objects.for_source(source).indexed().filter(is_outdated)


def enqueue_missing(source: ImageSource) -> Iterator[int]:
    """Request the indexing of all `missing_records`; yield the size of every chunk as it is written.

    The objects of a chunk are locked; those being saved or deleted by others are skipped, as their signals follow.
    """
    rows = missing_records(source).order_by("pk").select_for_update(of=("self",), skip_locked=True, no_key=True)
    while True:
        with transaction.atomic():
            files = list(rows.values_list("pk", source.field_name)[:WRITE_CHUNK])
            request_indexing(source, files)
        if not files:
            return
        rows = rows.filter(pk__gt=files[-1][0])
        yield len(files)


def sweep_sources() -> int:
    """Enqueue what escaped the signals, delete orphaned records, and return how many records are due.

    An error of one source is logged and does not keep the others from being swept.
    """
    Source.objects.create_missing(registry.get_sources())
    versions.register_versions()
    for source in registry.get_sources():
        try:
            for _size in enqueue_missing(source):
                pass
            orphaned_records(source).remove()
            for method in versions.configured_methods(source).values():
                if isinstance(method, ProjectedMethod):
                    for _size in versions.fill_projection(source, method):
                        pass
            outdated_records(source).reset()
        except Exception:
            logger.exception("The sweep failed for %s.", source.label)
    return IndexedImage.objects.due().count()

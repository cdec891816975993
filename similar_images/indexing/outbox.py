"""Which pictures are to be indexed: the records are an outbox, written here.

`note` and `forget` run in the transaction that saves or deletes the object; `sweep` finds what neither saw.
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

Status = IndexedImage.Status


def enqueue(
    source: ImageSource, pk: Any, file_name: str, *, replaced: bool = False, ordered: UUID | None = None
) -> UUID | None:
    """Write down that an object was saved with this file; return the order to index it, if there is anything to do.

    `replaced` says that the file may have new bytes even under the name it had, unless `ordered`, the order that
    was given for it, still stands. Signatures of the old file are gone with this transaction. Of a source that has
    no row yet, the sweep finds the object.
    """
    if not Source.objects.get_id(source):
        return None
    if not file_name:
        delete_records(source, [pk])
        return None
    record = IndexedImage.objects.for_source(source).filter(object_id=source.object_id(pk))
    known, revision = record.values_list("file_name", "revision").first() or (None, None)
    if known == file_name and (not replaced or revision == ordered):
        return None
    (new,) = request_indexing(source, [(pk, file_name)], existing=known is not None)
    return new.revision


def request_indexing(
    source: ImageSource, files: Iterable[tuple[Any, str]], *, existing: bool = True
) -> list[IndexedImage]:
    """Order the indexing of these (primary key, file name) pairs as new pictures; return their records."""
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
    if existing:  # not sooner: only now no worker can write old ones again
        ids = [record.object_id for record in records]
        Signature.objects.filter(record__source_id=source_id, record__object_id__in=ids).delete()
    return records


def delete_records(source: ImageSource, pks: Collection[Any]) -> None:
    """Delete the records of these objects, and with them their signatures."""
    IndexedImage.objects.for_source(source).filter(object_id__in=[source.object_id(pk) for pk in pks]).delete()


def missing_records(source: ImageSource) -> models.QuerySet[Any]:
    """The source's objects whose file has no record, or one of another name."""
    noted = record_of_outer_row(source).filter(file_name=OuterRef(source.field_name))
    return source.with_file().filter(~Exists(noted))


def record_of_outer_row(source: ImageSource) -> models.QuerySet[IndexedImage]:
    """In a subquery over the source's model: the record of the outer row."""
    records = IndexedImage.objects.for_source(source)
    if source.has_integer_key:
        return records.filter(object_key=OuterRef("pk"))
    return records.filter(object_id=Cast(OuterRef("pk"), models.CharField()))


def orphaned_records(source: ImageSource) -> IndexedImageQuerySet:
    """The records whose object, or its file, is gone."""
    if source.has_integer_key:
        objects = source.with_file().filter(pk=OuterRef("object_key"))
    else:
        objects = source.with_file().annotate(key=Cast("pk", models.CharField())).filter(key=OuterRef("object_id"))
    return IndexedImage.objects.for_source(source).filter(~Exists(objects))


def outdated_records(source: ImageSource, methods: Collection[str] = ()) -> IndexedImageQuerySet:
    """The indexed records that lack a current signature by one of these methods; by any, where none is named."""
    wanted = versions.configured_methods(source)
    lacking = Q()
    for name in methods or wanted:
        current = Signature.objects.filter(record=OuterRef("pk"), method=name, version=wanted[name].version)
        lacking |= ~Q(Exists(current))
    return IndexedImage.objects.for_source(source).filter(lacking, status=Status.INDEXED)


def enqueue_missing(source: ImageSource) -> Iterator[int]:
    """Order all of `unnoted`; yield the size of every chunk as it is written.

    A chunk is read under a row lock, so that an object that is being saved or deleted meanwhile wins.
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
    """Note what escaped the hooks, drop what is gone, and return how many records are due.

    A source that gives an error takes no other down.
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

"""From record to bytes to signatures to rows: every change of state, and the only writer of signatures.

The records are an outbox. `note` and `forget` run in the transaction that saves or deletes the object;
`claim` and `index` run in a worker; `sweep` finds what neither saw.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from . import conf, images, registry, signatures, vectors
from .models import IndexedImage, IndexedImageQuerySet, Signature, Source
from .registry import ImageSource
from .signatures.base import Method

logger = logging.getLogger("similar_images")

CHUNK = 200
"""Rows that the backfill locks, reads and writes at a time: some 20 ms."""

IN_FLIGHT = 4
"""Pictures that are decoded and written at a time; twice as many may be held in memory."""

FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)

Status = IndexedImage.Status


# --- noting what is to be done ---------------------------------------------------------------------------------


def note(source: ImageSource, pk: Any, file_name: str, *, replaced: bool = False) -> bool:
    """Write down that an object was saved with this file; tell whether there is anything to index.

    `replaced` says that the file may have new bytes even under the name it had. Signatures of the old
    file are gone with this transaction.
    """
    if not file_name:
        forget(source, [pk])
        return False
    known = IndexedImage.objects.of(source).filter(object_id=str(pk)).values_list("file_name", flat=True).first()
    if known == file_name and not replaced:
        return False
    order(source, [(pk, file_name)], existing=known is not None)
    return True


def order(source: ImageSource, files: Iterable[tuple[Any, str]], *, existing: bool = True) -> int:
    """Order the indexing of these (primary key, file name) pairs as new pictures; return how many they are."""
    source_id = Source.objects.id_of(source)
    records = [
        IndexedImage(
            source_id=source_id,
            object_id=str(pk),
            object_key=pk if source.has_integer_key else None,
            file_name=name,
        )
        for pk, name in files
    ]
    if existing:
        Signature.objects.filter(
            record__source_id=source_id, record__object_id__in=[record.object_id for record in records]
        ).delete()
    IndexedImage.objects.bulk_create(
        records,
        update_conflicts=True,
        unique_fields=["source", "object_id"],
        update_fields=[
            f.name for f in IndexedImage._meta.fields if f.name not in ("id", "source", "object_id", "object_key")
        ],
    )
    return len(records)


def forget(source: ImageSource, pks: Collection[Any]) -> None:
    """Delete the records of these objects, and with them their signatures."""
    IndexedImage.objects.of(source).filter(object_id__in=[str(pk) for pk in pks]).delete()


# --- finding what was missed -----------------------------------------------------------------------------------


def unnoted(source: ImageSource) -> models.QuerySet[Any]:
    """The source's objects whose file has no record, or one of another name."""
    noted = records_of(source).filter(file_name=OuterRef(source.field_name))
    return source.with_file().filter(~Exists(noted))


def records_of(source: ImageSource) -> models.QuerySet[IndexedImage]:
    """In a subquery over the source's model: the record of the outer row."""
    records = IndexedImage.objects.of(source)
    if source.has_integer_key:
        return records.filter(object_key=OuterRef("pk"))
    return records.filter(object_id=Cast(OuterRef("pk"), models.CharField()))


def orphans(source: ImageSource) -> models.QuerySet[IndexedImage]:
    """The records whose object, or its file, is gone."""
    if source.has_integer_key:
        objects = source.with_file().filter(pk=OuterRef("object_key"))
    else:
        objects = source.with_file().annotate(key=Cast("pk", models.CharField())).filter(key=OuterRef("object_id"))
    return IndexedImage.objects.of(source).filter(~Exists(objects))


def outdated(source: ImageSource, methods: Collection[str] = ()) -> IndexedImageQuerySet:
    """The indexed records that lack a current signature by one of these methods; by any, where none is named."""
    enabled = signatures.enabled()
    lacking = Q()
    for name in methods or enabled:
        current = Signature.objects.filter(record=OuterRef("pk"), method=name, version=enabled[name].version)
        lacking |= ~Q(Exists(current))
    return IndexedImage.objects.of(source).filter(lacking, status=Status.INDEXED)


def order_unnoted(source: ImageSource) -> Iterator[int]:
    """Order all of `unnoted`; yield the size of every chunk as it is written.

    A chunk is read under a row lock, so that an object that is being saved or deleted meanwhile wins.
    """
    rows = unnoted(source).order_by("pk").select_for_update(of=("self",), skip_locked=True, no_key=True)
    while True:
        with transaction.atomic():
            files = list(rows.values_list("pk", source.field_name)[:CHUNK])
            order(source, files)
        if not files:
            return
        rows = rows.filter(pk__gt=files[-1][0])
        yield len(files)


def sweep() -> int:
    """Note what escaped the hooks, drop what is gone, and return how many records are due."""
    for source in registry.sources():
        for _size in order_unnoted(source):
            pass
        orphans(source).delete()
        outdated(source).reset()
    return IndexedImage.objects.due().count()


# --- indexing --------------------------------------------------------------------------------------------------


class StorageDown(Exception):
    """The storage did not give a file, but may later."""


def claim(within: models.QuerySet[IndexedImage] | None = None) -> list[IndexedImage]:
    """Take a batch of due records for this worker, the newest orders first; another worker gets others.

    A record that was tried before comes alone: if its picture brings the worker down, no other suffers.
    """
    settings = conf.get()
    due = IndexedImage.objects.due()
    if within is not None:
        due = due.filter(pk__in=within.values("pk"))
    with transaction.atomic():
        due.filter(started_at__isnull=False, attempts__gte=settings.max_attempts).update(
            status=Status.FAILED, error=_("The worker was stopped every time it looked at this picture.")
        )
        rows = due.order_by("attempts", "-requested_at").select_related("source")
        records = list(rows.select_for_update(skip_locked=True, of=("self",))[: settings.batch_size])
        records = [record for record in records if not record.attempts] or records[:1]
        started = {"started_at": timezone.now(), "attempts": models.F("attempts") + 1}
        IndexedImage.objects.filter(pk__in=[record.pk for record in records]).update(**started)
    for record in records:
        record.attempts += 1
    return records


def index(records: Collection[IndexedImage]) -> None:
    """Describe the pictures of claimed records, and write what came out, some at a time.

    Never raises for a picture or a storage: the record then says what was wrong.
    """
    made: dict[str, Future[_Seen]] = {}
    rest = list(records)
    at_work: list[tuple[IndexedImage, Future[_Seen]]] = []
    try:
        # While the models look at some pictures, the ones before are written and the ones after are read.
        with ThreadPoolExecutor(1, thread_name_prefix="similar_images") as executor:
            while rest or at_work:
                begun = [(record, _begin(record, made, executor)) for record in rest[:IN_FLIGHT]]
                _write([(record, _settle(record, seen)) for record, seen in at_work])
                rest, at_work = rest[IN_FLIGHT:], begun
    except BaseException:  # stopped from outside: others need not wait for the lease to end
        claimed = IndexedImage.objects.filter(pk__in=[record.pk for record in records], status=Status.PENDING)
        claimed.update(started_at=None, attempts=models.F("attempts") - 1)
        raise


@dataclass
class _Seen:
    """What is known of some bytes: the size of their picture, and its signatures by method."""

    width: int | None = None
    height: int | None = None
    values: dict[str, Any] = field(default_factory=dict)


def _begin(record: IndexedImage, made: dict[str, Future[_Seen]], executor: Executor) -> Future[_Seen]:
    """Read the record's picture and hand it over to be described. `made` remembers the batch by digest."""
    record.sha256 = ""
    try:
        data = _read(record)
        record.sha256 = images.digest(data)
        if record.sha256 not in made:
            seen = _known(record.sha256)
            missing = [method for name, method in signatures.enabled().items() if name not in seen.values]
            picture = images.decode(data, max_pixels=conf.get().max_pixels) if missing else None
            made[record.sha256] = executor.submit(_describe, seen, picture, missing)
        return made[record.sha256]
    except Exception as error:  # told by _settle
        failed: Future[_Seen] = Future()
        failed.set_exception(error)
        return failed


def _describe(seen: _Seen, picture: images.Picture | None, missing: list[Method]) -> _Seen:
    """Add the signatures that are missing. Runs in a thread of its own, without a database."""
    if picture:
        seen.width, seen.height = picture.width, picture.height
        seen.values |= {method.name: vectors.pack(method, method.compute(picture.pixels)) for method in missing}
    return seen


def _settle(record: IndexedImage, future: Future[_Seen]) -> dict[str, Any]:
    """Set the record's new state; return its signatures."""
    record.started_at = record.retry_at = record.indexed_at = record.width = record.height = None
    record.error = ""
    try:
        seen = future.result()
    except images.UnreadableImage as error:
        record.status, record.error = Status.FAILED, str(error)
        return {}
    except Exception as error:  # storages, codecs and models raise what they like; the others go on
        _postpone(record, error)
        return {}
    record.width, record.height = seen.width, seen.height
    record.status, record.indexed_at = Status.INDEXED, timezone.now()
    return seen.values


def _read(record: IndexedImage) -> bytes:
    source = record.source.registered
    if source is None:
        raise images.UnreadableImage(_("The image field is no longer registered."))
    try:
        return images.read(source.field.storage, record.file_name, max_bytes=conf.get().max_bytes)
    except images.UnreadableImage:
        raise
    except Exception as error:
        raise StorageDown(_("The storage gave an error: %(error)r.") % {"error": error}) from error


def _known(sha256: str) -> _Seen:
    """What was already made of the same bytes, for this or another record."""
    methods = signatures.enabled()
    seen = _Seen()
    for signature in Signature.objects.filter(record__sha256=sha256).select_related("record"):
        method = methods.get(signature.method)
        if method and method.version == signature.version:
            seen.values[method.name] = getattr(signature, vectors.column(method))
            seen.width, seen.height = signature.record.width, signature.record.height
    return seen


def _postpone(record: IndexedImage, error: Exception) -> None:
    """Leave the record for a later try, after growing waits; give up on what only this picture can cause."""
    record.error = str(error) or repr(error)
    if not isinstance(error, StorageDown):
        logger.exception("Image record %s could not be indexed.", record.pk)
        if record.attempts >= conf.get().max_attempts:
            record.status = Status.FAILED
            return
    wait = min(FIRST_RETRY * 2 ** min(record.attempts - 1, 16), LONGEST_RETRY)
    record.retry_at = timezone.now() + wait


def _write(results: Collection[tuple[IndexedImage, dict[str, Any]]]) -> None:
    """Write new states and signatures in one transaction, of records only that are still the order claimed."""
    if not results:
        return
    methods = signatures.enabled()
    with transaction.atomic():
        # A record that its object's transaction has locked is about to change: not worth waiting for.
        rows = IndexedImage.objects.filter(pk__in=[record.pk for record, _values in results])
        current = dict(rows.select_for_update(skip_locked=True).values_list("pk", "revision"))
        results = [(record, values) for record, values in results if current.get(record.pk) == record.revision]
        settled = [record.pk for record, _values in results if record.status != Status.PENDING]
        Signature.objects.filter(record__in=settled).delete()
        Signature.objects.bulk_create(
            Signature(
                record=record,
                source_id=record.source_id,
                method=name,
                version=methods[name].version,
                **{vectors.column(methods[name]): value},
            )
            for record, values in results
            for name, value in values.items()
        )
        IndexedImage.objects.bulk_create(
            [record for record, _values in results],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=[
                "sha256", "width", "height", "status", "error", "started_at", "retry_at", "indexed_at"
            ],
        )  # fmt: skip

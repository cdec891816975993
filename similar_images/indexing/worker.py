"""From record to bytes to signatures to rows: what a worker does, and the only place where signatures are made."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, DataError, IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import conf
from ..imaging import decode
from ..models import IndexedImage, Signature, Source
from ..signatures import storage
from ..signatures.base import Method
from ..signatures.projection import ProjectedMethod
from . import versions

if TYPE_CHECKING:
    from ..signatures.base import Value

logger = logging.getLogger("similar_images")

IN_FLIGHT = 4
"""Pictures that are decoded and written at a time; twice as many may be held in memory."""

FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)

STATE = ["sha256", "width", "height", "status", "error", "attempts", "started_at", "retry_at", "indexed_at"]
"""What a worker writes of a record."""

Status = IndexedImage.Status


class StorageDown(Exception):
    """The storage did not give a file, but may later."""


def claim_batch(within: models.QuerySet[IndexedImage] | None = None) -> list[IndexedImage]:
    """Take a batch of due records for this worker, the newest orders first; another worker gets others.

    A record that was tried before comes alone: if its picture brings the worker down, no other suffers.
    """
    settings = conf.get()
    while True:
        due = IndexedImage.objects.due()
        if within is not None:
            due = due.filter(pk__in=within.values("pk"))
        rows = due.order_by("attempts", "-requested_at").select_related("source")
        with transaction.atomic():
            found = list(rows.select_for_update(skip_locked=True, of=("self",))[: settings.batch_size])
            lost = [record for record in found if record.attempts >= settings.max_attempts]
            records = [record for record in found if record not in lost]
            records = [record for record in records if not record.attempts] or records[:1]
            if lost:
                reason = _("The worker was stopped every time it looked at this picture.")
                _by_pk(lost).update(status=Status.FAILED, error=reason)
            if records:
                now = timezone.now()
                _by_pk(records).update(started_at=now, attempts=models.F("attempts") + 1)
        if records or not lost:
            break
    for record in records:
        record.started_at = now
        record.attempts += 1
    return records


def _by_pk(records: Collection[IndexedImage]) -> models.QuerySet[IndexedImage]:
    return IndexedImage.objects.filter(pk__in=[record.pk for record in records])


def index_records(records: Collection[IndexedImage]) -> None:
    """Describe the pictures of claimed records, and write what came out, some at a time.

    Never raises for a picture or a storage: the record then says what was wrong.

    Raises:
        MemoryError, SoftTimeLimitExceeded: the records that are left are handed back, to be tried one by one.
        DatabaseError: nothing can be written; the lease of the records ends by itself.
    """
    made: _BatchCache = {}
    methods_of = cache(_methods_of)
    rest = list(records)
    at_work: list[_Job] = []
    try:
        # While the models look at some pictures, the ones before are written and the ones after are read.
        with ThreadPoolExecutor(1, thread_name_prefix="similar_images") as executor:
            while rest or at_work:
                _renew(rest)
                begun = [_begin(record, made, methods_of, executor) for record in rest[:IN_FLIGHT]]
                _write([_finish(job) for job in at_work])
                rest, at_work = rest[IN_FLIGHT:], begun
    except BaseException as error:
        # Others need not wait for the lease to end. Whoever is stopped from outside is not to blame.
        _hand_back(records, blameless=not isinstance(error, Exception))
        raise


_Values = dict[tuple[str, str], dict[str, Any]]
"""The columns of signatures, by (method, version)."""


@dataclass
class _Description:
    """What is known of some bytes: the size of their picture, and its signatures."""

    width: int | None = None
    height: int | None = None
    values: _Values = field(default_factory=dict)


_BatchCache = dict[tuple[str, int], Future[_Description]]
"""What is seen in the pictures of a batch, by digest and source."""


@dataclass
class _Job:
    """A record at work: the digest of the bytes that were read for it, and what will be seen in them."""

    record: IndexedImage
    sha256: str
    seen: Future[_Description]


@dataclass
class _Result:
    """The new state of a record, by field; its signatures; and whether those it has are out of date."""

    record: IndexedImage
    state: dict[str, Any]
    values: _Values = field(default_factory=dict)
    is_new_picture: bool = False


def _begin(
    record: IndexedImage, made: _BatchCache, methods_of: Callable[[int], list[Method]], executor: Executor
) -> _Job:
    """Read the record's picture and hand it over to be described. `made` remembers the batch."""
    sha256 = ""
    try:
        data = _read(record)
        sha256 = decode.sha256_of(data)
        key = sha256, record.source_id
        if key not in made:
            methods = methods_of(record.source_id)
            seen = _known(sha256, methods)
            missing = [method for method in methods if (method.name, method.version) not in seen.values]
            picture = decode.decode(data, max_pixels=conf.get().max_pixels) if missing else None
            made[key] = executor.submit(_describe, seen, picture, missing)
        return _Job(record, sha256, made[key])
    except decode.INTERRUPTIONS:
        raise
    except Exception as error:  # told by _settle
        failed: Future[_Description] = Future()
        failed.set_exception(error)
        return _Job(record, sha256, failed)


def _describe(seen: _Description, picture: decode.Picture | None, missing: list[Method]) -> _Description:
    """Add the signatures that are missing. Runs in a thread of its own, without a database."""
    if picture:
        seen.width, seen.height = picture.width, picture.height
        compute = cache(lambda method: method.compute(picture.pixels))
        for method in missing:
            value = method.project(compute(method.base)) if isinstance(method, ProjectedMethod) else compute(method)
            seen.values[method.name, method.version] = _columns(method, value)
    return seen


def _columns(method: Method, value: Value) -> dict[str, Any]:
    return {storage.column_name(method): storage.pack(method, value), "low_detail": method.has_low_detail(value)}


def _finish(job: _Job) -> _Result:
    """Wait until the picture is described, and say what is to be written."""
    record = job.record
    is_known = bool(job.sha256) and job.sha256 == record.sha256
    try:
        seen = job.seen.result()
    except decode.INTERRUPTIONS:
        raise
    except decode.UnreadableImage as error:
        return _failed(record, str(error), keep=is_known or isinstance(error, decode.MissingFile))
    except StorageDown as error:  # not the picture's fault: no attempt of it, and tried for as long as it takes
        return _retry_later(record, str(error), attempts=record.attempts - 1)
    except Exception as error:  # codecs and models raise what they like; the others go on
        return _unexpected_error(record, error, keep=is_known)
    state = {
        "sha256": job.sha256,
        "width": seen.width,
        "height": seen.height,
        "status": Status.INDEXED,
        "error": "",
        "indexed_at": timezone.now(),
    }
    return _Result(record, state, seen.values, is_new_picture=not is_known)


def _failed(record: IndexedImage, reason: str, *, keep: bool) -> _Result:
    """Nothing came of it. To `keep` what is known of the picture leaves it in service.

    A new model that does not run, or a worker that does not see the files, must not empty the site.
    """
    state: dict[str, Any] = {"status": Status.FAILED, "error": _printable(reason)}
    if not keep:
        state |= {"sha256": "", "width": None, "height": None, "indexed_at": None}
    return _Result(record, state, is_new_picture=not keep)


def _retry_later(record: IndexedImage, reason: str, **state: Any) -> _Result:
    """Another try, after as much time as has passed already. What is known of the picture stays in service."""
    now = timezone.now()
    wait = min(max(now - record.requested_at, FIRST_RETRY), LONGEST_RETRY)
    return _Result(record, {"error": _printable(reason), "retry_at": now + wait, **state})


def _unexpected_error(record: IndexedImage, error: Exception, *, keep: bool) -> _Result:
    logger.error("Image record %s could not be indexed.", record.pk, exc_info=error)
    reason = str(error) or repr(error)
    given_up = record.attempts >= conf.get().max_attempts
    return _failed(record, reason, keep=keep) if given_up else _retry_later(record, reason)


def _printable(reason: str) -> str:
    return reason.replace("\0", "\N{REPLACEMENT CHARACTER}")  # Postgres keeps no NUL in texts


def _read(record: IndexedImage) -> bytes:
    source = record.source.image_source
    if source is None:
        raise decode.UnreadableImage(_("The image field is no longer registered."))
    try:
        return decode.read_stored(source.field.storage, record.file_name, max_bytes=conf.get().max_bytes)
    except (decode.UnreadableImage, *decode.INTERRUPTIONS):
        raise
    except Exception as error:
        raise StorageDown(_("The storage gave an error: %(error)r.") % {"error": error}) from error


def _methods_of(source_id: int) -> list[Method]:
    source = Source.objects.get(pk=source_id).image_source
    return versions.methods_to_compute(source) if source else []


def _known(sha256: str, methods: list[Method]) -> _Description:
    """What was already made of the same bytes, for this or another record."""
    if not IndexedImage.objects.filter(sha256=sha256).exists():  # a quick answer for most pictures
        return _Description()
    columns = {(method.name, method.version): storage.column_name(method) for method in methods}
    current = Q(pk__in=[])
    for name, version in columns:
        current |= Q(method=name, version=version)
    rows = Signature.objects.filter(current, record__sha256=sha256).select_related("record")
    seen = _Description()
    for signature in rows.order_by("method", "version").distinct("method", "version"):
        column = columns[signature.method, signature.version]
        value = {column: getattr(signature, column), "low_detail": signature.low_detail}
        seen.values[signature.method, signature.version] = value
        seen.width, seen.height = signature.record.width, signature.record.height
    return seen


def _claimed(records: Collection[IndexedImage]) -> models.QuerySet[IndexedImage]:
    """Those of the records that are still the order that was claimed, and in this worker's hands."""
    ours = Q(pk__in=[])
    for record in records:
        ours |= Q(pk=record.pk, revision=record.revision, started_at=record.started_at)
    return IndexedImage.objects.filter(ours, status=Status.PENDING)


def _lock_claimed(records: Collection[IndexedImage]) -> list[int]:
    """Lock those of `_ours` that are free: an UPDATE of many would wait for one while it holds others."""
    return list(_claimed(records).select_for_update(skip_locked=True).values_list("pk", flat=True))


def _renew(records: Collection[IndexedImage]) -> None:
    """Ask for more time for what is not begun yet, when a good part of the lease is over."""
    now = timezone.now()
    begun = now - timedelta(seconds=conf.get().claim_timeout / 3)
    late = [record for record in records if record.started_at and record.started_at < begun]
    if late:
        with transaction.atomic():
            ours = set(_lock_claimed(late))
            IndexedImage.objects.filter(pk__in=ours).update(started_at=now)
        for record in late:
            if record.pk in ours:
                record.started_at = now


def _hand_back(records: Collection[IndexedImage], *, blameless: bool) -> None:
    state: dict[str, Any] = {"started_at": None}
    if blameless:
        state["attempts"] = Greatest(models.F("attempts") - 1, 0)
    try:
        with transaction.atomic():
            free = _lock_claimed([record for record in records if record.started_at])
            IndexedImage.objects.filter(pk__in=free).update(**state)
    except DatabaseError:
        logger.exception("Image records could not be handed back; their lease ends by itself.")


def _write(results: list[_Result]) -> None:
    """Write new states and signatures in one transaction, of records only that are still the order claimed."""
    try:
        _write_all(results)
    except (DataError, IntegrityError) as error:
        if len(results) > 1:
            for result in results:
                _write([result])
        elif results[0].values:
            _write_all([_unexpected_error(results[0].record, error, keep=not results[0].is_new_picture)])
        else:
            raise


def _write_all(results: list[_Result]) -> None:
    if not results:
        return
    with transaction.atomic():
        # A record that its object's transaction has locked is about to change: not worth waiting for.
        rows = _claimed([result.record for result in results])
        ours = set(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
        results = [result for result in results if result.record.pk in ours]
        Signature.objects.filter(record__in=[r.record.pk for r in results if r.is_new_picture]).delete()
        Signature.objects.bulk_create(
            (
                Signature(
                    record=result.record,
                    source_id=result.record.source_id,
                    method=name,
                    version=version,
                    **value,
                )
                for result in results
                for (name, version), value in result.values.items()
            ),
            update_conflicts=True,
            unique_fields=["record", "method", "version"],
            update_fields=["dense", "bits", "sparse", "low_detail"],
        )
        idle = {"started_at": None, "retry_at": None}
        for result in results:
            for name, value in (idle | result.state).items():
                setattr(result.record, name, value)
        IndexedImage.objects.bulk_create(
            [result.record for result in results],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=STATE,
        )

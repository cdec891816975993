"""Results of indexing: the new state of a record and its signatures, written together."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from .. import conf
from ..generations import clear_widgets_on_commit
from ..imaging import decode
from ..imaging.files import MissingFile
from ..models import IndexedImage, Signature, write_alias
from .claims import lock_claimed
from .descriptions import Job, SignatureColumns, StorageUnavailable

logger = logging.getLogger("similar_images")

MIN_RETRY_DELAY = timedelta(seconds=30)
MAX_RETRY_DELAY = timedelta(hours=1)

STATE_FIELDS = ["sha256", "width", "height", "status", "error", "attempts", "started_at", "retry_at", "indexed_at"]
"""Fields of a record that a worker writes."""


@dataclass
class IndexingResult:
    """The new state of a record, by field, and its new signatures; `is_new_image` if stored ones are out of date."""

    record: IndexedImage
    state: dict[str, Any]
    columns: SignatureColumns = field(default_factory=dict)
    is_new_image: bool = False


def get_result(job: Job) -> IndexingResult:
    """Wait until the image is described, and return what is to be written.

    Raises:
        MemoryError, SoftTimeLimitExceeded: the process is to stop.
    """
    record = job.record
    is_same_image = bool(job.sha256) and job.sha256 == record.sha256
    try:
        description = job.description.result()
    except decode.INTERRUPTIONS:
        raise
    except decode.UnreadableImage as error:
        return _fail(record, str(error), keep=is_same_image or isinstance(error, MissingFile))
    except StorageUnavailable as error:  # not the image's fault: it costs no attempt, and is retried without end
        return _retry_later(record, str(error), attempts=record.attempts - 1)
    except Exception as error:  # codecs and models may raise anything, which must not stop other images
        return _retry_or_fail(record, error, keep=is_same_image)
    state = {
        "sha256": job.sha256,
        "width": description.width,
        "height": description.height,
        "status": IndexedImage.Status.INDEXED,
        "error": "",
        "indexed_at": timezone.now(),
    }
    return IndexingResult(record, state, description.columns, is_new_image=not is_same_image)


def _fail(record: IndexedImage, reason: str, *, keep: bool) -> IndexingResult:
    """Mark the record as failed.

    With `keep`, its signatures stay searchable, as the bytes are unchanged or can't be read right now: a new model
    that does not run, or a media folder that is not mounted, must not empty the site.
    """
    state: dict[str, Any] = {"status": IndexedImage.Status.FAILED, "error": _printable(reason)}
    if not keep:
        state |= {"sha256": "", "width": None, "height": None, "indexed_at": None}
    return IndexingResult(record, state, is_new_image=not keep)


def _retry_later(record: IndexedImage, reason: str, **state: Any) -> IndexingResult:
    """Postpone the next attempt by the time since the request, so that delays double; signatures are kept."""
    now = timezone.now()
    delay = min(max(now - record.requested_at, MIN_RETRY_DELAY), MAX_RETRY_DELAY)
    return IndexingResult(record, {"error": _printable(reason), "retry_at": now + delay, **state})


def _retry_or_fail(record: IndexedImage, error: Exception, *, keep: bool) -> IndexingResult:
    """Handle an unexpected error: retry until the attempts are used up."""
    logger.error("Image record %s could not be indexed.", record.pk, exc_info=error)
    reason = str(error) or repr(error)
    if record.attempts >= conf.get().max_attempts:
        return _fail(record, reason, keep=keep)
    return _retry_later(record, reason)


def _printable(reason: str) -> str:
    return reason.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL stores no NUL in texts


def write_results(results: list[IndexingResult]) -> None:
    """Write states and signatures in one transaction, of records only that this worker still has claimed.

    Where the database refuses a value, results are written one by one, and the refused one is retried or failed.
    """
    if not results:
        return
    try:
        _write_together(results)
    except (DataError, IntegrityError) as error:
        if len(results) > 1:
            for result in results:
                write_results([result])
        elif results[0].columns:
            _write_together([_retry_or_fail(results[0].record, error, keep=not results[0].is_new_image)])
        else:
            raise


def _write_together(results: list[IndexingResult]) -> None:
    with transaction.atomic(using=write_alias()):
        clear_widgets_on_commit(write_alias())
        # A record that its object's transaction has locked is about to change: not worth waiting for.
        locked = lock_claimed([result.record for result in results])
        results = [result for result in results if result.record.pk in locked]
        Signature.primary.filter(record__in=[result.record.pk for result in results if result.is_new_image]).delete()
        Signature.primary.bulk_create(
            (
                Signature(
                    record=result.record, source_id=result.record.source_id, method=name, version=version, **columns
                )
                for result in results
                for (name, version), columns in result.columns.items()
            ),
            update_conflicts=True,
            unique_fields=["record", "method", "version"],
            update_fields=["dense", "bits", "sparse", "low_detail"],
        )
        for result in results:
            for name, value in {"started_at": None, "retry_at": None, **result.state}.items():
                setattr(result.record, name, value)
        IndexedImage.primary.bulk_create(
            [result.record for result in results],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=STATE_FIELDS,
        )

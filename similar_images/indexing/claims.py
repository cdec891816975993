"""Claims of a worker on records: taken for a batch, renewed while it works, released when it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import conf
from ..models import IndexedImage, write_alias

logger = logging.getLogger("similar_images")


def claim_batch(within: models.QuerySet[IndexedImage] | None = None) -> list[IndexedImage]:
    """Claim a batch of due records for this worker, the most recently requested first.

    A record that was attempted before is claimed alone, so that an image that crashes the worker affects no other.
    Records without attempts left are marked as failed, with the reason that the last attempt has left. A worker that
    is killed leaves none, as claiming clears it.

    Args:
        within: claim only from these records.
    """
    while True:
        with transaction.atomic(using=write_alias()):
            records, exhausted = _lock_due_records(within)
            if exhausted:
                reason = _("The worker crashed or was killed each time it indexed this image.")
                _filter_by_pk(exhausted).filter(error="").update(error=reason)
                _filter_by_pk(exhausted).update(status=IndexedImage.Status.FAILED)
            now = timezone.now()
            _filter_by_pk(records).update(started_at=now, attempts=F("attempts") + 1, error="")
        if records or not exhausted:
            break
    for record in records:
        record.started_at = now
        record.attempts += 1
        record.error = ""
    return records


def _lock_due_records(
    within: models.QuerySet[IndexedImage] | None,
) -> tuple[list[IndexedImage], list[IndexedImage]]:
    """Lock due records; return those to index and those whose attempts are used up."""
    settings = conf.get()
    due = IndexedImage.primary.due()
    if within is not None:
        due = due.filter(pk__in=within.values("pk"))
    # Two statements with an index each: one would walk past all that wait, which may be a million after an outage.
    locked = _lock(due.filter(retry_at=None).order_by("attempts", "-requested_at"), settings.batch_size)
    if left := settings.batch_size - len(locked):
        locked += _lock(due.exclude(retry_at=None).order_by("retry_at"), left)
    exhausted = [record for record in locked if record.attempts >= settings.max_attempts]
    retryable = [record for record in locked if record.attempts < settings.max_attempts]
    return [record for record in retryable if not record.attempts] or retryable[:1], exhausted


def _lock(due: models.QuerySet[IndexedImage], count: int) -> list[IndexedImage]:
    return list(due.select_related("source").select_for_update(skip_locked=True, of=("self",), no_key=True)[:count])


def _filter_by_pk(records: Collection[IndexedImage]) -> models.QuerySet[IndexedImage]:
    return IndexedImage.primary.filter(pk__in=[record.pk for record in records])


def lock_claimed(records: Collection[IndexedImage]) -> set[int]:
    """Lock those of the records that are still claimed by this worker and not locked by others; return their ids.

    A record whose image was replaced since, or that another worker has claimed after a timeout, is no longer ours.
    Locked ones are skipped, as waiting for them while holding others could deadlock.
    """
    claimed = Q(pk__in=[])
    for record in records:
        claimed |= Q(pk=record.pk, revision=record.revision, started_at=record.started_at)
    rows = IndexedImage.primary.filter(claimed, status=IndexedImage.Status.PENDING)
    return set(rows.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))


def renew_claims(records: Collection[IndexedImage]) -> None:
    """Restart the timeout of claims of which more than a third has passed."""
    now = timezone.now()
    renewal_due = now - timedelta(seconds=conf.get().claim_timeout / 3)
    aging = [record for record in records if record.started_at and record.started_at < renewal_due]
    if not aging:
        return
    with transaction.atomic(using=write_alias()):
        locked = lock_claimed(aging)
        IndexedImage.primary.filter(pk__in=locked).update(started_at=now)
    for record in aging:
        if record.pk in locked:
            record.started_at = now


def release_claims(records: Collection[IndexedImage], *, refund_attempt: bool, reason: str = "") -> None:
    """Give the records that are still claimed back to other workers, without waiting for the timeout.

    Args:
        records: the records that were claimed, finished ones included.
        refund_attempt: do not count this attempt, as the image is not the reason that it was cut short.
        reason: why it was cut short, which is the error of an image that fails for it.
    """
    state: dict[str, Any] = {"started_at": None, "error": reason}
    if refund_attempt:
        state["attempts"] = Greatest(F("attempts") - 1, 0)
    try:
        with transaction.atomic(using=write_alias()):
            locked = lock_claimed([record for record in records if record.started_at])
            IndexedImage.primary.filter(pk__in=locked).update(**state)
    except DatabaseError:
        logger.exception("Image records could not be released; they are claimed again after CLAIM_TIMEOUT.")

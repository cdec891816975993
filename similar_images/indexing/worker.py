"""The work of a worker: claimed records in, signatures and states out; the only place where signatures are made."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future, wait
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.utils.translation import gettext as _

from .. import conf
from ..models import IndexedImage
from .claims import release_claims, renew_claims
from .descriptions import Describer, Job
from .results import get_result, write_results

IMAGES_IN_FLIGHT = 4
"""Images that are decoded and written at a time; twice as many may be held in memory."""


def index_records(records: Collection[IndexedImage]) -> None:
    """Describe the images of claimed records and write the results, a few at a time.

    Files are read, decoded and described on other threads, which do not use the database; this one writes, and renews
    the claims as long as it waits for them. Never raises for an image or a storage: the record then says what went
    wrong.

    Raises:
        MemoryError, SoftTimeLimitExceeded: the remaining records are released, to be attempted one by one.
        DatabaseError: nothing can be written; the claims time out.
    """
    remaining = list(records)
    jobs: list[Job] = []
    describer = Describer()
    try:
        # While the models describe some images, the previous ones are written and the next ones are read.
        while remaining or jobs:
            batch, remaining = remaining[:IMAGES_IN_FLIGHT], remaining[IMAGES_IN_FLIGHT:]
            files = describer.read(batch)
            next_jobs = []
            for record, file in zip(batch, files, strict=True):
                _await(file, records)
                next_jobs.append(describer.start(record, file))
            for job in jobs:
                _await(job.description, records)
            write_results([get_result(job) for job in jobs])
            jobs = next_jobs
    except BaseException as error:
        # KeyboardInterrupt and SystemExit stop the worker from outside: no image is to blame for them.
        release_claims(records, refund_attempt=not isinstance(error, Exception), reason=_describe_stop(error))
        raise
    finally:
        describer.close()


def _await(future: Future[Any], records: Collection[IndexedImage]) -> None:
    """Wait until a future is done, and keep the claims that are still held meanwhile."""
    renew_claims(records)
    while wait([future], timeout=conf.get().claim_timeout / 4).not_done:
        renew_claims(records)


def _describe_stop(error: BaseException) -> str:
    """Return why an image was given up half-way, for people; empty if it says nothing about the image."""
    if isinstance(error, MemoryError):
        return _("The worker ran out of memory while it indexed this image.")
    if isinstance(error, SoftTimeLimitExceeded):
        return _("The worker reached its time limit while it indexed this image.")
    return ""

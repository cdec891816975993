"""The work of a worker: claimed records in, signatures and states out; the only place where signatures are made."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from ..models import IndexedImage
from .claims import release_claims, renew_claims
from .descriptions import Describer, Job
from .results import get_result, write_results

IMAGES_IN_FLIGHT = 4
"""Images that are decoded and written at a time; twice as many may be held in memory."""


def index_records(records: Collection[IndexedImage]) -> None:
    """Describe the images of claimed records and write the results, a few at a time.

    Never raises for an image or a storage: the record then says what went wrong.

    Raises:
        MemoryError, SoftTimeLimitExceeded: the remaining records are released, to be attempted one by one.
        DatabaseError: nothing can be written; the claims time out.
    """
    remaining = list(records)
    jobs: list[Job] = []
    try:
        # While the models describe some images, the previous ones are written and the next ones are read.
        with ThreadPoolExecutor(1, thread_name_prefix="similar_images") as executor:
            describer = Describer(executor)
            while remaining or jobs:
                renew_claims(remaining)
                next_jobs = [describer.start(record) for record in remaining[:IMAGES_IN_FLIGHT]]
                write_results([get_result(job) for job in jobs])
                remaining, jobs = remaining[IMAGES_IN_FLIGHT:], next_jobs
    except BaseException as error:
        # KeyboardInterrupt and SystemExit stop the worker from outside: no image is to blame for them.
        release_claims(records, refund_attempt=not isinstance(error, Exception))
        raise

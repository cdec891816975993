"""The Celery tasks: thin, without arguments, harmless to run twice or late."""

from __future__ import annotations

from celery import Task, shared_task

from .indexing import claims, hnsw, notify, requests, tenants, versions
from .indexing.sweep import sweep_sources


@shared_task(bind=True, ignore_result=True, name=notify.INDEX_TASK)
def index_due(self: Task) -> int:
    """Index a batch of due records and return how many were claimed.

    A task that claims some first queues the next one, so that one message sets all free workers to work.
    """
    from .indexing import worker  # loads OpenCV, which web processes that only queue the task do without

    count = 0
    for _schema in tenants.each_schema():
        requests.take_requests()
        while records := claims.claim_batch():
            count += len(records)
            if self.request.is_eager:  # a task queued here would run inside this one, before it
                worker.index_records(records)
            else:
                notify.notify_workers()
                worker.index_records(records)
                break
    return count


@shared_task(ignore_result=True)
def sweep() -> int:
    """Find images that escaped the signals, and return how many records are due. To be run every minute or so."""
    due = 0
    for _schema in tenants.each_schema():
        due += sweep_sources()
        hnsw.sync_indexes()
        versions.switch_versions()
    if due:
        notify.notify_workers()
    return due

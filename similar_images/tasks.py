"""The Celery tasks: thin, without arguments, harmless to run twice or late."""

from __future__ import annotations

from celery import Task, shared_task

from .indexing import hnsw, notify, outbox, versions, worker


@shared_task(bind=True, ignore_result=True)
def index_due(self: Task) -> int:
    """Index a batch of due records; returns how many were taken.

    A task that found some first queues the next one, so that one message sets all free workers to work.
    """
    taken = 0
    while records := worker.claim_batch():
        taken += len(records)
        if self.request.is_eager:  # a task queued here would run inside this one, before it
            worker.index_records(records)
        else:
            notify.notify_workers()
            worker.index_records(records)
            break
    return taken


@shared_task(ignore_result=True)
def sweep() -> int:
    """Find what was lost and have it indexed; returns how many records are due. To be run every minute or so."""
    due = outbox.sweep_sources()
    if due:
        notify.notify_workers()
    hnsw.sync_indexes()
    versions.switch_versions()
    return due

"""The Celery tasks: thin, without arguments, harmless to run twice or late."""

from __future__ import annotations

from celery import Task, shared_task

from . import dispatch, indexes, indexing, outbox, versions


@shared_task(bind=True, ignore_result=True)
def index_due(self: Task) -> int:
    """Index a batch of due records; returns how many were taken.

    A task that found some first queues the next one, so that one message sets all free workers to work.
    """
    taken = 0
    while records := indexing.claim():
        taken += len(records)
        if self.request.is_eager:  # a task queued here would run inside this one, before it
            indexing.index(records)
        else:
            dispatch.wake()
            indexing.index(records)
            break
    return taken


@shared_task(ignore_result=True)
def sweep() -> int:
    """Find what was lost and have it indexed; returns how many records are due. To be run every minute or so."""
    due = outbox.sweep()
    if due:
        dispatch.wake()
    indexes.sync()
    versions.switch()
    return due

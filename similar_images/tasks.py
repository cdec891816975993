"""The Celery tasks: thin, without arguments, harmless to run twice or late."""

from __future__ import annotations

from celery import Task, shared_task

from . import dispatch, indexes, indexing


@shared_task(bind=True, ignore_result=True)
def index_due(self: Task) -> int:
    """Index a batch of due records; returns how many were taken.

    A task that found some first queues the next one, so that one message sets all free workers to work.
    """
    records = indexing.claim()
    if records:
        if not self.request.is_eager:  # there it would run inside this one, again and again
            dispatch.wake()
        indexing.index(records)
    return len(records)


@shared_task(ignore_result=True)
def sweep() -> int:
    """Find what was lost and have it indexed; returns how many records are due. To be run every minute or so."""
    due = indexing.sweep()
    if due:
        dispatch.wake()
    indexes.sync()
    return due

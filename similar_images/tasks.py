"""The Celery tasks: thin, without arguments, harmless to run twice or late."""

from __future__ import annotations

from celery import Task, shared_task

from .duplicates import scans
from .indexing import backend_copies, backend_feed, claims, hnsw, notify, requests, tenants, versions
from .indexing.sweep import sweep_sources
from .merging import undo
from .search import recall
from .similarity_map.state import requested_maps


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
                backend_feed.feed_quietly()
            else:
                notify.notify_workers()
                worker.index_records(records)
                backend_feed.feed_quietly()
                break
    return count


@shared_task(ignore_result=True, name=notify.SCAN_TASK)
def find_due_duplicates() -> int:
    """Look for duplicates in a source of which that was requested, and return in how many it was done.

    It may take hours: others that are due have a task of their own, which another worker may take.
    """
    from .duplicates import scan_worker  # loads OpenCV

    count = 0
    for _schema in tenants.each_schema():
        if scan_worker.run_due_scan():
            count += 1
            if scans.due_scans().exists():
                notify.notify_workers(notify.SCAN_TASK)
            break
    return count


@shared_task(ignore_result=True, name=notify.MAP_TASK)
def update_maps() -> int:
    """Make the updates of maps that were requested, and return how many were made."""
    from .similarity_map import update  # loads NumPy

    return sum(update.update_requested_maps() for _schema in tenants.each_schema())


@shared_task(ignore_result=True)
def sweep() -> int:
    """Find images that escaped the signals, and return how many records are due. To be run every minute or so."""
    from .indexing import calibration, centering  # load NumPy

    due = due_scans = due_maps = 0
    for _schema in tenants.each_schema():
        due += sweep_sources()
        due_scans += scans.due_scans().count()
        due_maps += requested_maps().count()
        hnsw.sync_indexes()
        versions.switch_versions()
        centering.center_sources()
        calibration.calibrate_sources()
        backend_copies.follow_versions()
        recall.sample_recall()
        undo.forget_old_merges()
    if due:
        notify.notify_workers()
    if due_scans:
        notify.notify_workers(notify.SCAN_TASK)
    if due_maps:
        notify.notify_workers(notify.MAP_TASK)
    return due

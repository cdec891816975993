"""Searches for duplicates that an editor requests, and a worker runs: one at a time of each source."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from ..indexing.notify import SCAN_TASK, notify_workers
from ..models import DuplicateScan, Source, write_alias

LOST_AFTER = timedelta(minutes=5)
"""Time without a sign of life after which a search counts as lost with its worker, and another worker may run it."""

BEAT_SECONDS = 2
"""Time between two signs of life."""

STAGE_PERCENTS = {"candidates": (0, 25), "pairs": (25, 99)}
"""Percents of a search at which its stages begin and end."""


class ScanReplaced(Exception):
    """Another process runs this search by now."""


def request_scan(source: Source) -> None:
    """Have a worker look for duplicates in a source; one that is waiting or under way already is enough."""
    using = write_alias()
    wanted = {"status": DuplicateScan.Status.WAITING, "changed_at": timezone.now()}
    scans = DuplicateScan.objects.using(using)
    if not scans.get_or_create(source=source, defaults=wanted)[1]:
        is_over = Q(status__in=[DuplicateScan.Status.DONE, DuplicateScan.Status.FAILED])
        scans.filter(is_over | _is_lost(), source=source).update(**wanted)
    transaction.on_commit(partial(notify_workers, SCAN_TASK), using=using, robust=True)


def due_scans() -> models.QuerySet[DuplicateScan]:
    """Return the searches that a worker may run: requested ones, and those whose worker is lost."""
    return DuplicateScan.objects.using(write_alias()).filter(Q(status=DuplicateScan.Status.WAITING) | _is_lost())


def _is_lost() -> Q:
    """Return the condition that a search is under way, but its worker has given no sign of life for minutes."""
    return Q(status=DuplicateScan.Status.RUNNING, changed_at__lt=timezone.now() - LOST_AFTER)


class ScanProgress:
    """The signs of life of one run of a search."""

    def __init__(self, source_id: int, run: uuid.UUID) -> None:
        """Take the source, and what the run is known by; `begin` makes one."""
        self._percent = 0
        self._next_beat = 0.0
        self._scans = DuplicateScan.objects.using(write_alias()).filter(source=source_id, run=run)

    @classmethod
    def begin(cls, source_id: int) -> ScanProgress:
        """Note that a run has begun; one that was under way is given up at its next sign of life."""
        run = uuid.uuid4()
        begun = {"status": DuplicateScan.Status.RUNNING, "run": run, "percent": 0, "changed_at": timezone.now()}
        DuplicateScan.objects.using(write_alias()).update_or_create(source_id=source_id, defaults=begun)
        return cls(source_id, run)

    def report(self, stage: str, done: int, total: int) -> None:
        """Note how much of a stage of the search is done, and that the worker lives.

        Raises:
            ScanReplaced: another process runs the search by now.
        """
        begin, end = STAGE_PERCENTS[stage]
        self._percent = begin + (end - begin) * done // max(1, total)
        self.beat()

    def beat(self) -> None:
        """Note that the worker lives, every few seconds.

        Raises:
            ScanReplaced: another process runs the search by now.
        """
        if time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + BEAT_SECONDS
        self._note(percent=self._percent)

    def finish(self, *, is_complete: bool) -> None:
        """Note that the groups are saved, and whether no image was left out.

        Raises:
            ScanReplaced: another process runs the search by now.
        """
        done = {"status": DuplicateScan.Status.DONE, "percent": 100, "finished_at": timezone.now()}
        self._note(**done, is_complete=is_complete)

    def fail(self) -> None:
        """Note that the run has ended without groups, unless another process runs the search by now."""
        with suppress(ScanReplaced):
            self._note(status=DuplicateScan.Status.FAILED)

    def _note(self, **values: Any) -> None:
        if not self._scans.update(changed_at=timezone.now(), **values):
            raise ScanReplaced

"""The searches for duplicates as the page of the review shows them: one of each source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from ..duplicates.scans import LOST_AFTER, request_scan
from ..models import DuplicateScan, Source, write_alias
from .duplicate_access import DuplicateAccess
from .page_admin import name_source

WORKER_PATIENCE = timedelta(seconds=30)
"""Time that a search may wait until the page says that there is no worker for it."""


@dataclass(frozen=True)
class ScanRow:
    """The search for duplicates in a source.

    Attributes:
        source: the source.
        label: the source in words.
        scan: where its search is; one that is not saved where none was ever requested.
        can_request: whether the user may have it begun.
    """

    source: Source
    label: str
    scan: DuplicateScan
    can_request: bool

    @property
    def is_lost(self) -> bool:
        """True if it is under way, but its worker has given no sign of life for minutes."""
        is_running = self.scan.status == DuplicateScan.Status.RUNNING
        return is_running and self.scan.changed_at < timezone.now() - LOST_AFTER

    @property
    def is_working(self) -> bool:
        """True if it is waiting for a worker, or under way."""
        return self.scan.status in (DuplicateScan.Status.WAITING, DuplicateScan.Status.RUNNING) and not self.is_lost

    @property
    def is_stuck(self) -> bool:
        """True if no worker has begun it for longer than it takes where one is free."""
        is_waiting = self.scan.status == DuplicateScan.Status.WAITING
        return is_waiting and self.scan.changed_at < timezone.now() - WORKER_PATIENCE


def list_scans(access: DuplicateAccess) -> Sequence[ScanRow]:
    """Return the search of each source of which the user may see something, in two queries."""
    using = write_alias()
    scans = DuplicateScan.objects.using(using).in_bulk(list(access.sources))
    rows = [
        ScanRow(
            source=row,
            label=name_source(row),
            scan=scans.get(row.pk) or DuplicateScan(source=row, status=DuplicateScan.Status.DONE),
            can_request=access.objects.can_change_some(access.sources[row.pk]),
        )
        for row in Source.objects.using(using).filter(pk__in=list(access.sources))
    ]
    return sorted(rows, key=lambda row: row.label)


def request_scan_of(access: DuplicateAccess, source_id: str) -> bool:
    """Have a worker look for duplicates in a source; return whether the user may ask for it."""
    row = next((row for row in list_scans(access) if str(row.source.pk) == source_id), None)
    if row is None or not row.can_request:
        return False
    request_scan(row.source)
    return True

"""Health of the index: what is indexed, what waits, what failed and why, and how complete each version is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from django.db.models import Count, Max, Min, Q
from django.utils import timezone

from .. import conf, plugins
from ..models import IndexedImage, IndexedImageQuerySet, MethodVersion, Signature, Source
from ..signatures import storage
from . import hnsw, versions

RATE_PERIOD = timedelta(minutes=10)
"""Time over which the images are counted from which the speed of the workers is told."""

LATE_AFTER = timedelta(minutes=5)
"""Time that images may wait, and that sweeps may be apart, before that counts as a fault."""

MAX_REASONS = 50
"""Reasons of failures that are told apart, the most frequent ones."""


@dataclass(frozen=True)
class FailureReason:
    """A reason for which images could not be indexed, and how many; `example` is one of the records."""

    error: str
    count: int
    example: int


@dataclass(frozen=True)
class VersionHealth:
    """One version of a method in a source.

    `described` is the number of images with a signature, `plain` that of those with too little detail to search by.
    `index_size` is in bytes, 0 where the version is searched without an index. `is_building` tells that it needs one
    that is not complete, `is_searched` that images are searched by it.
    """

    version: MethodVersion
    is_configured: bool
    described: int
    plain: int
    index_size: int
    is_building: bool
    is_searched: bool


@dataclass(frozen=True)
class SourceHealth:
    """Records of a source by status, with what their times tell.

    `waiting_since` is when the oldest image that is due was requested, `worked_at` when a worker last took or finished
    one, `per_minute` how many were indexed a minute of late.
    """

    counts: Mapping[str, int]
    waiting_since: datetime | None
    worked_at: datetime | None
    per_minute: float
    failures: Sequence[FailureReason]

    @property
    def total(self) -> int:
        """The number of records."""
        return sum(self.counts.values())

    @property
    def done_percent(self) -> int:
        """Share of the records that wait no longer; 100 where there are none. Only a whole one is 100."""
        waiting = self.counts[IndexedImage.Status.PENDING]
        return 100 if not waiting else min(99, 100 * (self.total - waiting) // self.total)

    @property
    def minutes_left(self) -> int | None:
        """Minutes until all is indexed, at the speed of late; None where nothing waits or nothing was indexed."""
        waiting = self.counts[IndexedImage.Status.PENDING]
        return ceil(waiting / self.per_minute) if waiting and self.per_minute else None

    @property
    def is_stuck(self) -> bool:
        """Tell whether images have been waiting for minutes in which no worker has touched one."""
        late = timezone.now() - LATE_AFTER
        is_late = self.waiting_since is not None and self.waiting_since < late
        return is_late and (self.worked_at is None or self.worked_at < late)


def source_health(records: IndexedImageQuerySet) -> SourceHealth:
    """Return the figures of these records of a source, in two queries."""
    status, now = IndexedImage.Status, timezone.now()
    waits = Q(status=status.PENDING) & (Q(retry_at=None) | Q(retry_at__lte=now))
    row = records.order_by().aggregate(
        **{str(value): Count("pk", filter=Q(status=value)) for value in status.values},
        waiting_since=Min("requested_at", filter=waits),
        started=Max("started_at"),
        finished=Max("indexed_at"),
        of_late=Count("pk", filter=Q(indexed_at__gt=now - RATE_PERIOD)),
    )
    reasons = (
        records.filter(status=status.FAILED)
        .order_by()
        .values("error")
        .annotate(count=Count("pk"), example=Min("pk"))
        .order_by("-count", "error")[:MAX_REASONS]
    )
    return SourceHealth(
        counts={value: row[value] for value in status.values},
        waiting_since=row["waiting_since"],
        worked_at=max((moment for moment in (row["started"], row["finished"]) if moment), default=None),
        per_minute=row["of_late"] / (RATE_PERIOD.total_seconds() / 60),
        failures=[FailureReason(**reason) for reason in reasons],
    )


def sweep_is_late(source: Source) -> bool:
    """Check that no sweep has looked at a source for minutes, or ever."""
    return source.sweep_began_at is None or source.sweep_began_at < timezone.now() - LATE_AFTER


def versions_health(sources: Sequence[Source]) -> dict[int, list[VersionHealth]]:
    """Return the active and the configured versions of sources, by id of the source, in a fixed number of queries."""
    ids = [source.pk for source in sources]
    counted = (
        Signature.primary.filter(source__in=ids)
        .order_by()
        .values("source_id", "method", "version")
        .annotate(described=Count("pk"), plain=Count("pk", filter=Q(low_detail=True)))
    )
    counts = {(row["source_id"], row["method"], row["version"]): (row["described"], row["plain"]) for row in counted}
    sizes, complete = hnsw.index_sizes(), hnsw.existing_indexes()
    health: dict[int, list[VersionHealth]] = {pk: [] for pk in ids}
    configured = _configured_versions(sources)
    rows = MethodVersion.primary.filter(source__in=ids, name__in=plugins.stored_methods())
    rows = rows.select_related("projection").defer("projection__mean", "projection__matrix")
    for version in rows.order_by("name", "-is_active", "pk"):
        is_configured = (version.source_id, version.name, version.version) in configured
        if not (version.is_active or is_configured):
            continue
        described, plain = counts.get((version.source_id, version.name, version.version), (0, 0))
        name = hnsw.index_name(version)
        is_searched = version.name in plugins.enabled_methods()
        can_have_index = is_searched and version.dimensions <= storage.MAX_INDEXED_DIMENSIONS[version.storage]
        is_building = can_have_index and described >= conf.get().hnsw_min_rows and not complete.get(name)
        size = sizes.get(name, 0) if complete.get(name) else 0
        health[version.source_id].append(
            VersionHealth(version, is_configured, described, plain, size, is_building, is_searched)
        )
    return health


def _configured_versions(sources: Sequence[Source]) -> set[tuple[int, str, str]]:
    return {
        (row.pk, method.name, method.version)
        for row in sources
        if (source := row.image_source) is not None
        for method in versions.configured_methods(source).values()
    }

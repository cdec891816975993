"""Copies of versions in a search backend: they are begun, filled, searched by, and given up, without a gap.

A version that is to replace one in the backend gets a copy by sweeps, and is searched by there as soon as it is whole;
until then, PostgreSQL is asked.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import DatabaseError, OperationalError
from django.db.models import Min

from .. import plugins, registry
from ..backends.attributes import filtered_fields
from ..backends.base import BackendError, SearchBackend
from ..models import BackendChange, MethodVersion, Source
from ..signatures.base import VectorSpec
from ..sources.source import ImageSource
from . import backend_triggers, versions
from .backend_feed import NOT_BEGUN, collection_of, feed_changes, feeding, fill

logger = logging.getLogger("similar_images")

FEED_SECONDS = 20
"""Time that a sweep spends on filling copies."""


class BackendLag(NamedTuple):
    """The changes of a source that a backend has not been told of: how many, and when the oldest was made."""

    waiting: int
    since: datetime | None


def can_serve(backend: SearchBackend, spec: VectorSpec) -> bool:
    """Tell whether a backend finds the nearest signatures of a version."""
    return spec.storage == "halfvec" and spec.metric in backend.metrics


def copies_of(sources: Sequence[ImageSource], backend: SearchBackend) -> list[MethodVersion]:
    """Return the active and configured versions of sources that a backend can serve."""
    found = []
    for source in sources:
        current = {(name, method.version) for name, method in versions.configured_methods(source).items()}
        rows = MethodVersion.primary.filter(
            source_id=Source.objects.get_id(source), name__in=plugins.enabled_methods()
        ).select_related("source")
        found += [
            row
            for row in rows.order_by("pk")
            if (row.is_active or (row.name, row.version) in current) and can_serve(backend, row)
        ]
    return found


def begin_fill(backend: SearchBackend, version: MethodVersion) -> None:
    """Begin a copy anew: from now on changes are noted, and `fill` goes on with what is there.

    Raises:
        BackendError: the backend does not answer; nothing has changed.
        OperationalError: as `await_writers`; it may be called again.
    """
    source = version.source.image_source
    columns = [*filtered_fields(source)] if source else []
    with feeding():
        backend.create(collection_of(version))
        MethodVersion.primary.filter(pk=version.pk).update(
            backend_cursor=NOT_BEGUN, backend_filled_at=None, is_in_backend=False, backend_attributes=[]
        )
    backend_triggers.await_writers()
    if source:
        try:
            backend_triggers.note_attributes(source, columns)
        except DatabaseError as error:  # filters are then left to PostgreSQL
            logger.warning("The search backend gets no attributes of %s: %s", source.label, error)
            columns = []
    MethodVersion.primary.filter(pk=version.pk).update(backend_cursor=0, backend_attributes=columns)


def switch(versions_to_serve: Sequence[MethodVersion]) -> None:
    """Have searches ask the backend for these versions, from one moment to the next."""
    keys = [version.pk for version in versions_to_serve]
    MethodVersion.primary.filter(pk__in=keys, backend_filled_at__isnull=False).update(is_in_backend=True)


def switch_back(versions_to_free: Sequence[MethodVersion]) -> None:
    """Have searches ask PostgreSQL for these versions, whose copies are kept up to date still."""
    MethodVersion.primary.filter(pk__in=[version.pk for version in versions_to_free]).update(is_in_backend=False)


def drop_copy(backend: SearchBackend, version: MethodVersion) -> None:
    """Delete the copy of a version, which nothing is searched by from then on.

    Raises:
        BackendError: the backend does not answer; searches go to PostgreSQL all the same.
    """
    with feeding():
        MethodVersion.primary.filter(pk=version.pk).update(
            backend_cursor=None, backend_filled_at=None, is_in_backend=False, backend_attributes=[]
        )
        BackendChange.primary.filter(version=version).delete()
    backend.drop(collection_of(version))
    backend_triggers.drop_unused_triggers()


def lag_of(source: Source) -> BackendLag | None:
    """Return how far the backend is behind in a source; None where it has no copy."""
    copied = MethodVersion.primary.filter(source=source, backend_cursor__isnull=False)
    if not copied.exists():
        return None
    waiting = BackendChange.primary.filter(version__in=copied)
    return BackendLag(waiting.count(), waiting.aggregate(since=Min("changed_at"))["since"])


def follow_versions() -> None:
    """Do a sweep's share: go on with fills, begin those of versions to come, and delete copies that nothing uses."""
    backend = plugins.search_backend()
    if backend is None:
        return
    end = time.monotonic() + FEED_SECONDS
    try:
        for source in registry.get_sources():
            _follow_source(backend, source, end)
        for _size in feed_changes(backend):
            pass
    except (BackendError, OperationalError) as error:
        logger.warning("The search backend lags behind, as a sweep could not reach it: %s", error)


def _follow_source(backend: SearchBackend, source: ImageSource, end: float) -> None:
    rows = MethodVersion.primary.filter(source_id=Source.objects.get_id(source))
    if all(row.backend_cursor is None for row in rows):
        return
    current = copies_of([source], backend)
    served = {row.name for row in rows if row.is_in_backend}
    for row in current:
        if row.backend_cursor in (None, NOT_BEGUN) and row.name in served:
            begin_fill(backend, row)
        for _size in fill(backend, row):
            if time.monotonic() > end:
                return
    switch([row for row in current if row.name in served])
    for row in rows:
        if row.backend_cursor is not None and row not in current:
            drop_copy(backend, row)


def count_signatures(version: MethodVersion) -> int:
    """Return the number of signatures that a copy of a version has when it is whole."""
    return versions.signatures_of(version).filter(low_detail=False).count()

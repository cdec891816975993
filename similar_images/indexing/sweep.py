"""The sweep: finds what triggers and signals did not see, a slice of every source at a time.

Where there are triggers that is little: objects from before the app was installed, and records that lack a signature
since the setting has changed. So a sweep looks at a bounded number of objects, and the next one goes on from there.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from .. import registry
from ..models import IndexedImage, Source, write_alias
from ..signatures.projection import ProjectedMethod
from ..sources.source import ImageSource
from . import outbox, requests, triggers, versions

logger = logging.getLogger("similar_images")

SLICE = 20_000
"""Objects, and records, of a source that one sweep looks at, which takes a few tenths of a second."""


HEARTBEAT = timedelta(seconds=30)
"""Time for which a sweep does not write again that it looked at a source."""


def sweep_sources() -> int:
    """Enqueue what was not seen, delete orphaned records, and return how many records are due.

    A source is swept from its first object to the last once, and if it has no triggers, every time; otherwise by
    slices. An error of one source is logged and does not keep the others from being swept.
    """
    using, sources = write_alias(), registry.get_sources()
    Source.objects.create_missing(sources)
    versions.register_versions()
    requests.take_requests()
    for source in sources:
        try:
            triggers.create_missing_triggers([source], using)
            _sweep_source(source, using)
        except Exception:
            logger.exception("The sweep failed for %s.", source.label)
    return IndexedImage.primary.due().count()


def _sweep_source(source: ImageSource, using: str) -> None:
    row = Source.objects.get(pk=Source.objects.get_id(source))
    if row.sweep_began_at is None or row.sweep_began_at < timezone.now() - HEARTBEAT:
        Source.objects.filter(pk=row.pk).update(sweep_began_at=timezone.now())
    sweep_whole = row.swept_at is None or bool(triggers.missing_triggers([source], using))
    next_object = _sweep_objects(source, "" if sweep_whole else row.next_object, sweep_whole)
    for method in versions.configured_methods(source).values():
        if isinstance(method, ProjectedMethod):
            for _size in versions.fill_projection(source, method):
                pass
    next_record = _sweep_records(source, 0 if sweep_whole else row.next_record, sweep_whole)
    if row.swept_at is None or (next_object, next_record) != (row.next_object, row.next_record):
        ended = {} if next_object else {"swept_at": timezone.now()}
        state = {"next_object": next_object, "next_record": next_record, **ended}
        Source.objects.filter(pk=row.pk).update(**state)


def _sweep_objects(source: ImageSource, start: str, sweep_whole: bool) -> str:
    """Enqueue what is missing after a key; return the key to go on from, empty after the last object."""
    objects, missing = outbox.objects_with_file(source), outbox.missing_records(source)
    while True:
        end = _end_of_slice(objects, start)
        for _size in outbox.enqueue_missing(source, _slice(missing, start, end)):
            pass
        start = "" if end is None else source.object_id(end)
        if not start or not sweep_whole:
            return start


def _sweep_records(source: ImageSource, start: int, sweep_whole: bool) -> int:
    """Delete orphaned records and reset outdated ones after an id; return the id to go on from, 0 after the last."""
    records, orphaned = outbox.records_of(source), outbox.orphaned_records(source)
    outdated = outbox.outdated_records(source)
    while True:
        end = _end_of_slice(records, start)
        _slice(orphaned, start, end).remove()
        _slice(outdated, start, end).reset()
        start = end or 0
        if not start or not sweep_whole:
            return start


def _slice(rows: Any, start: Any, end: Any) -> Any:
    """Restrict rows to those whose keys are after `start`, if there is one, and up to `end`, if there is one."""
    rows = rows.filter(pk__gt=start) if start else rows
    return rows if end is None else rows.filter(pk__lte=end)


def _end_of_slice(rows: models.QuerySet[Any], start: Any) -> Any:
    """Return the last key of a slice; None where fewer rows than that are left."""
    keys = _slice(rows, start, None).order_by("pk").values_list("pk", flat=True)
    return next(iter(keys[SLICE - 1 : SLICE]), None)

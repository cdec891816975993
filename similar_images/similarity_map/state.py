"""The state of maps: what was asked for, and what a worker is busy with. Web processes load no NumPy for it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from importlib.util import find_spec

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from ..indexing.notify import MAP_TASK, notify_workers
from ..models import Map, Source, write_alias

MAX_MAPPED = 20_000
"""Images on a map, at most; of more, a sample is shown, which stays the same while images are added and deleted."""

UPDATE_TIMEOUT = timedelta(minutes=15)
"""Time without a sign of life after which an update counts as interrupted."""


def can_lay_out() -> bool:
    """Tell whether scikit-learn is installed, without which there is no layout."""
    return find_spec("sklearn") is not None


def stored_maps() -> QuerySet[Map]:
    """Return all maps, in the database that is written to."""
    return Map.objects.using(write_alias())


def idle_condition() -> Q:
    """Return the condition on maps that no worker is busy with them."""
    return Q(started_at=None) | Q(started_at__lt=timezone.now() - UPDATE_TIMEOUT)


def is_busy(image_map: Map) -> bool:
    """Tell whether a worker is busy with a map."""
    return image_map.started_at is not None and image_map.started_at >= timezone.now() - UPDATE_TIMEOUT


def request_update(row: Source) -> None:
    """Have a worker update the map of a source."""
    stored_maps().update_or_create(source=row, defaults={"requested_at": timezone.now()})
    transaction.on_commit(partial(notify_workers, MAP_TASK), using=write_alias(), robust=True)


def requested_maps() -> QuerySet[Map]:
    """Return the maps for which an update was asked, and with which no worker is busy."""
    return stored_maps().filter(idle_condition(), requested_at__isnull=False)

"""Fallback: objects to show where nothing is similar enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models

from ..models import IndexedImage, IndexedImageQuerySet
from ..sources.source import ImageSource
from .candidates import Candidate, ScoredCandidate
from .diversity import deduplicate, exclude_groups, group_values
from .options import Fallback


def fallback_results(
    source: ImageSource,
    fallback: Fallback,
    records: IndexedImageQuerySet,
    allowed: Sequence[models.QuerySet[Any]],
    excluded: Iterable[Any],
    limit: int,
    owners: Sequence[models.QuerySet[Any]] = (),
) -> list[ScoredCandidate]:
    """Return the objects that a caller wants where nothing is similar enough, at 0% and without scores.

    Only indexed images of objects that may come back are returned, one an owner, `limit` at most.
    """
    records = records.indexed()
    if fallback == "newest":
        return _newest(source, records, limit)
    if source.ownership and owners:
        items = list(fallback(source, owners[0], limit))
        images = [image for item in items for image in source.images_of(item, allowed[0])[:1]]
    else:
        objects = source.as_filterable(allowed[-1]).exclude(pk__in=list(excluded))
        for others in allowed[:-1]:
            objects = objects.filter(pk__in=source.as_filterable(others).using(None).values("pk"))
        images = list(fallback(source, objects, limit))
    ids = [source.object_id(image.pk) for image in images]
    ranks = {object_id: rank for rank, object_id in reversed(list(enumerate(ids)))}
    chosen = sorted(records.filter(object_id__in=ids), key=lambda record: ranks[record.object_id])
    return [_unscored(record) for record in chosen[:limit]]


def _newest(source: ImageSource, records: IndexedImageQuerySet, limit: int) -> list[ScoredCandidate]:
    """Return the newest records, one an owner: in rounds, until there are enough."""
    records = records.order_by("-pk")
    ownership = source.ownership
    chosen: list[ScoredCandidate] = []
    while True:
        found = [_unscored(record) for record in records[:limit]]
        if ownership is None:
            return found
        values = group_values(source, ownership.key, found)
        chosen += deduplicate(found, values)
        if len(found) < limit or len(chosen) >= limit:
            return chosen[:limit]
        records = records.for_objects(source, exclude_groups(source, values.values(), ownership.key))


def _unscored(record: IndexedImage) -> ScoredCandidate:
    candidate = Candidate(record.pk, record.object_id, record.file_name, {}, [], record.width, record.height)
    return ScoredCandidate(0, candidate, {})

"""Fallback: objects to show where nothing is similar enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models

from ..models import IndexedImageQuerySet
from ..registry import ImageSource
from .candidates import Candidate, ScoredCandidate
from .options import Fallback


def fallback_results(
    source: ImageSource,
    fallback: Fallback,
    records: IndexedImageQuerySet,
    allowed: Sequence[models.QuerySet[Any]],
    excluded: Iterable[Any],
    limit: int,
) -> list[ScoredCandidate]:
    """Return the objects that a caller wants where nothing is similar enough, at 0% and without scores.

    Only indexed images of objects that may come back are returned, `limit` at most.
    """
    records = records.indexed()
    if fallback == "newest":
        chosen = list(records.order_by("-pk")[:limit])
    else:
        objects = source.as_filterable(allowed[-1]).exclude(pk__in=list(excluded))
        for others in allowed[:-1]:
            objects = objects.filter(pk__in=source.as_filterable(others).using(None).values("pk"))
        ids = [source.object_id(item.pk) for item in fallback(source, objects, limit)]
        ranks = {object_id: rank for rank, object_id in reversed(list(enumerate(ids)))}
        chosen = sorted(records.filter(object_id__in=ids), key=lambda record: ranks[record.object_id])[:limit]
    candidates = (Candidate(r.pk, r.object_id, r.file_name, {}, [], r.width, r.height) for r in chosen)
    return [ScoredCandidate(0, candidate, {}) for candidate in candidates]

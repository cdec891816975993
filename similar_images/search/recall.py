"""Recall of the HNSW indexes: how many of the nearest images an approximate search finds, sampled now and then."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import F, Q
from django.utils import timezone

from ..indexing import versions
from ..models import IndexedImage, MethodVersion
from . import sql
from .query_vectors import QueryVector, stored_vector

logger = logging.getLogger("similar_images")

RECALL_CUTOFF = 10
"""Nearest images that are counted: the figure is recall@10."""

SAMPLE_SIZE = 20
"""Images that are searched by, each with and without the index."""

SAMPLE_INTERVAL = timedelta(days=1)
"""Time between two samples of an index: a search without it reads every signature."""


def sample_recall() -> MethodVersion | None:
    """Sample the recall@10 of the index whose last sample is the oldest, if it is a day old, and store it.

    Returns:
        The version in question; None where no sample is due.
    """
    due = MethodVersion.primary.filter(
        Q(recall_sampled_at=None) | Q(recall_sampled_at__lt=timezone.now() - SAMPLE_INTERVAL),
        has_index=True,
        is_active=True,
    )
    version = due.order_by(F("recall_sampled_at").asc(nulls_first=True), "pk").first()
    if version is None:
        return None
    recall = None
    try:
        recall = measure_recall(version)
    except DatabaseError:  # a limit on the time of statements, say; the next sample is due in a day
        logger.exception("The recall of %s could not be sampled.", version)
    MethodVersion.primary.filter(pk=version.pk).update(recall=recall, recall_sampled_at=timezone.now())
    return version


def measure_recall(version: MethodVersion) -> float | None:
    """Return the recall@10 of a version's index, from 0 to 1: the mean of `SAMPLE_SIZE` images spread over all.

    An image that is as near as the tenth counts as found, whichever of the two it is. None where there is no image.
    """
    described = versions.signatures_of(version).filter(low_detail=False)
    keys = described.order_by("record_id").values_list("record_id", flat=True)
    count = described.count()
    shares = []
    for position in range(0, count, max(count // SAMPLE_SIZE, 1)):
        record_id = next(iter(keys[position : position + 1]), None)
        if record_id is not None:
            vector = stored_vector(version, record_id)
            exact = _nearest_distances(version, vector, is_exact=True)
            found = _nearest_distances(version, vector, is_exact=False)
            shares.append(sum(distance <= exact[-1] for distance in found) / len(exact) if exact else 1.0)
    return sum(shares) / len(shares) if shares else None


def _nearest_distances(version: MethodVersion, vector: QueryVector, *, is_exact: bool) -> list[float]:
    """Return the distances of the nearest images to one, nearest first, itself left out."""
    records = IndexedImage.objects.filter(sql.searchable_condition(version.source_id)).exclude(pk=vector.record_id)
    pools, exact = {version.name: RECALL_CUTOFF}, {version.name} if is_exact else set()
    with sql.search_cursor() as cursor:
        cursor.execute(*sql.knn_sql(version.source_id, [vector], records, pools, exact))
        rows = sql.read_rows(cursor.fetchall())
    return sorted(distance for row in rows if (distance := row.distances[0]) is not None)

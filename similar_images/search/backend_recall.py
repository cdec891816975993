"""Recall of a search backend: how many of the nearest images its copy of a version finds, by a sample of searches."""

from __future__ import annotations

from collections.abc import Iterator

from ..backends.base import SearchBackend
from ..indexing import versions
from ..indexing.backend_feed import collection_of
from ..models import IndexedImage, MethodVersion
from ..signatures import storage
from . import sql
from .query_vectors import stored_vector

BACKEND_RECALL_CUTOFF = 12
"""Nearest images that are counted: the figure is recall@12."""

BACKEND_SAMPLE_SIZE = 20
"""Images that are searched by, spread over all."""


def measure_backend_recall(
    backend: SearchBackend, version: MethodVersion, sample_size: int = BACKEND_SAMPLE_SIZE
) -> float | None:
    """Return the recall@12 of the copy of a version, from 0 to 1, against exact search by PostgreSQL.

    An image that is as near as the twelfth counts as found, whichever of the two it is. None where there is no image.

    Raises:
        BackendError: the backend does not answer.
    """
    shares = []
    for record_id, value in _sample_signatures(version, sample_size):
        (hits,) = backend.find_nearest(collection_of(version), [storage.unpack(value)], BACKEND_RECALL_CUTOFF)
        exact, found = _exact_distances(version, record_id, [hit.record_id for hit in hits])
        shares.append(sum(distance <= exact[-1] for distance in found) / len(exact) if exact else 1.0)
    return sum(shares) / len(shares) if shares else None


def _sample_signatures(version: MethodVersion, size: int) -> Iterator[tuple[int, object]]:
    described = versions.signatures_of(version).filter(low_detail=False)
    rows = described.order_by("record_id").values_list("record_id", storage.quick_column(version))
    count = described.count()
    for position in range(0, count, max(count // size, 1)):
        yield from rows[position : position + 1]


def _exact_distances(version: MethodVersion, record_id: int, hits: list[int]) -> tuple[list[float], list[float]]:
    """Return the distances of the nearest images to one, nearest first, and those of what a backend found."""
    vector = stored_vector(version, record_id)
    records = IndexedImage.objects.filter(sql.RecordCondition("{record}.source_id = %s", [version.source_id]))
    pools = {version.name: BACKEND_RECALL_CUTOFF}
    with sql.search_cursor() as cursor:
        cursor.execute(*sql.knn_sql(version.source_id, [vector], records, pools, {version.name}))
        exact = sql.read_rows(cursor.fetchall())
        cursor.execute(*sql.distances_sql(version.source_id, [vector], records.filter(pk__in=hits)))
        found = sql.read_rows(cursor.fetchall())
    return _sorted_distances(exact), _sorted_distances(found)


def _sorted_distances(rows: sql.KnnRows) -> list[float]:
    return sorted(distance for row in rows if (distance := row.distances[0]) is not None)

"""Stored keypoints: which candidates of a search for copies are worth reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from ... import plugins
from ...measures.compact_keypoints import (
    FEW_COMPACT_POINTS,
    MIN_COMMON_KEYPOINTS,
    CompactKeypoints,
    Poses,
    count_common_keypoints,
    unpack_keypoints,
    unpack_poses,
)
from ...models import Signature
from ...signatures import storage
from ..candidates import ScoredCandidate

if TYPE_CHECKING:
    from ...measures.base import ComparisonImage

StoredKeypoints = Mapping[int, Any]
"""The packed keypoints of images, by the ids of their records."""


def load_keypoints(record_ids: Sequence[int]) -> StoredKeypoints:
    """Return the keypoints that are stored of records; none where SIMILAR_IMAGES["STORE_KEYPOINTS"] is off."""
    method = plugins.stored_methods().get(CompactKeypoints.name)
    if not isinstance(method, CompactKeypoints):
        return {}
    rows = Signature.objects.filter(record__in=record_ids, method=method.name, version=method.version)
    return dict(rows.values_list("record_id", "bits"))


def choose_by_keypoints(
    candidates: Sequence[ScoredCandidate],
    stored: StoredKeypoints,
    query_id: int,
    load_query: Callable[[], ComparisonImage | None],
    seconds: float,
) -> list[ScoredCandidate]:
    """Return the candidates that may be copies, those with the most keypoints in common with the query first.

    Those whose keypoints are not stored, too few to tell, or not looked at in time, follow in their order.

    Args:
        candidates: candidates, in the order in which they would be compared.
        stored: keypoints of records.
        query_id: id of the query's record; 0 for an image that is not stored.
        load_query: reads the query's image, where its keypoints are not stored; returns None if it can't be read.
        seconds: time after which no more keypoints are looked at.
    """
    end = monotonic() + seconds
    poses = _query_poses(stored, query_id, load_query) if stored else None
    if poses is None or len(poses) < FEW_COMPACT_POINTS:
        return list(candidates)
    chosen, counts = [], {}
    for scored in candidates:
        packed = stored.get(scored.candidate.record_id) if monotonic() < end else None
        keypoints = unpack_keypoints(storage.unpack(packed)) if packed is not None else None
        if keypoints is None or len(keypoints) < FEW_COMPACT_POINTS:
            chosen.append(scored)
        elif (count := count_common_keypoints(poses, keypoints)) >= MIN_COMMON_KEYPOINTS:
            counts[scored.candidate.record_id] = count
            chosen.append(scored)
    return sorted(chosen, key=lambda scored: -counts.get(scored.candidate.record_id, 0))


def _query_poses(
    stored: StoredKeypoints, query_id: int, load_query: Callable[[], ComparisonImage | None]
) -> Poses | None:
    if query_id in stored:
        return unpack_poses(storage.unpack(stored[query_id]))
    image = load_query()
    return None if image is None else unpack_poses(CompactKeypoints().compute(image.pixels))

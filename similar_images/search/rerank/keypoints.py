"""Keypoints: images of the same object ranked before those that merely look like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from ...sources.source import ImageSource
from ..candidates import ScoredCandidate, ScoredResults, ranked_by_similarity
from ..query_vectors import QueryVector
from .image_pairs import compare_candidates

if TYPE_CHECKING:
    from ...measures.base import ComparisonImage
    from ...measures.geometry.keypoint_detection import Keypoints

MAX_RERANKED = 100
"""Results that are ranked again, at most."""

KEYPOINT_SIDE, MAX_POINTS = 320, 300
"""Pixels on the long side of the images that keypoints are detected in, and how many of these are used."""

CHANCE_INLIERS, INLIERS_FOR_FULL_BOOST = 9, 30
"""Inliers that unrelated images reach by chance, and that only images of the same object have."""

MAX_BOOST = 0.9
"""Share of the gap to 100% that is closed at `INLIERS_FOR_FULL_BOOST`; never all of it, so that copies still rank
first."""


def boost_by_keypoints(
    source: ImageSource,
    query: models.Model | bytes | str,
    vectors: list[QueryVector],
    results: list[ScoredCandidate],
) -> ScoredResults:
    """Rank results again, with the similarity boosted where keypoints verify the same object.

    Images that can't be read, or that there is no time for, keep their similarity.
    """
    if isinstance(query, str):
        return ScoredResults(results)
    inliers = compare_candidates(source, query, results[:MAX_RERANKED], _compare_keypoints, long_side=KEYPOINT_SIDE)
    boosted = [
        scored._replace(similarity=boosted_similarity(scored.similarity, inliers.get(scored.candidate.record_id, 0)))
        for scored in results
    ]
    return ranked_by_similarity(boosted, is_complete=inliers.is_complete)


def _compare_keypoints(a: ComparisonImage, b: ComparisonImage, scored: ScoredCandidate) -> int:
    return count_inliers(detect_keypoints(a), detect_keypoints(b))


def detect_keypoints(image: ComparisonImage) -> Keypoints:
    """Detect the RootSIFT keypoints of an image that is reduced to `KEYPOINT_SIDE`."""
    from ...measures.geometry.keypoint_detection import extract_keypoints

    return extract_keypoints(image, "rootsift", MAX_POINTS)


def count_inliers(a: Keypoints, b: Keypoints) -> int:
    """Count the keypoints of two images that one geometry explains, by Lowe's ratio test and MAGSAC++."""
    from ...measures.geometry.keypoint_matching import ratio_test, verify_geometry

    return len(verify_geometry(a, b, ratio_test(a, b, 0.8)).inlier_pairs)


def boosted_similarity(similarity: float, inliers: int) -> float:
    """Return a similarity in percent, boosted by so many inliers."""
    share = min(1.0, max(0.0, (inliers - CHANCE_INLIERS) / (INLIERS_FOR_FULL_BOOST - CHANCE_INLIERS)))
    return similarity + (100 - similarity) * MAX_BOOST * share

"""The best matches ranked again by what keypoints prove: the same thing comes before what merely looks like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from ...registry import ImageSource
from .. import candidates
from ..query_vectors import QueryVector
from . import image_pairs

if TYPE_CHECKING:
    from ...measures.base import ComparisonImage
    from ...measures.geometry.keypoint_detection import Keypoints

MAX_RERANKED = 100
"""Matches that are ranked again, at most."""

KEYPOINT_SIDE, MAX_POINTS = 320, 300
"""Pixels on the long side of the pictures in which points are looked for, and how many of these are taken."""

CHANCE_INLIERS, INLIERS_FOR_FULL_BOOST = 9, 30
"""Points that one geometry explains: up to this many by chance, and so many only in pictures of the same thing."""

MAX_BOOST = 0.9
"""Share of what a similarity lacks to 100 percent that is made up where the same thing is sure: copies stay ahead."""


def boost_by_keypoints(
    source: ImageSource,
    query: models.Model | bytes | str,
    operands: list[QueryVector],
    found: list[candidates.ScoredCandidate],
) -> list[candidates.ScoredCandidate]:
    """What was found, in a new order, with the similarity lifted where keypoints prove the same thing.

    What can't be read, or SIMILAR_IMAGES["REQUEST_TIMEOUT"] has no time left for, keeps its similarity.
    """
    if isinstance(query, str):
        return found
    counts = image_pairs.compare_candidates(source, query, found[:MAX_RERANKED], _compare, long_side=KEYPOINT_SIDE)
    ranked = [
        one._replace(similarity=boosted_similarity(one.similarity, counts.get(one.candidate.record_id, 0)))
        for one in found
    ]
    return sorted(ranked, key=lambda one: -one.similarity)


def _compare(a: ComparisonImage, b: ComparisonImage, one: candidates.ScoredCandidate) -> int:
    return count_inliers(detect_keypoints(a), detect_keypoints(b))


def detect_keypoints(view: ComparisonImage) -> Keypoints:
    """The RootSIFT points of a picture that is reduced to SIDE."""
    from ...measures.geometry import keypoint_detection

    return keypoint_detection.detect(view, "rootsift", MAX_POINTS)


def count_inliers(a: Keypoints, b: Keypoints) -> int:
    """How many points of two pictures one geometry explains: by Lowe's ratio and MAGSAC++."""
    from ...measures.geometry import keypoint_detection

    return int(keypoint_detection.verify_geometry(a, b, keypoint_detection.ratio_test(a, b, 0.8)).proven.sum())


def boosted_similarity(similarity: float, proven: int) -> float:
    """A similarity in percent, lifted by so many proven points."""
    share = min(1.0, max(0.0, (proven - CHANCE_INLIERS) / (INLIERS_FOR_FULL_BOOST - CHANCE_INLIERS)))
    return similarity + (100 - similarity) * MAX_BOOST * share

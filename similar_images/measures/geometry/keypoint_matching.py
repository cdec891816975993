"""Keypoints of two images matched by their descriptors, and the matches verified by one homography."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .homography import Matrix, is_plausible, transform_points
from .keypoint_detection import Keypoints
from .keypoint_options import Estimator

MIN_VERIFIED = 8
"""Inliers below which a homography counts for nothing: four matches can always be made to fit one."""

REPROJECTION_THRESHOLD = 3.0
"""Pixels of `ComparisonImage.pixels` by which an inlier may be off from where the homography takes it."""


PairArray = NDArray[np.intp]


@dataclass(frozen=True)
class KeypointMatches:
    """Matches of two images' keypoints: `pairs` (n, 2) of their indexes, and which of these are inliers, (n,).

    `homography` (3, 3) takes coordinates of the second image to those of the first; None where none was verified.
    """

    pairs: NDArray[np.intp]
    inlier_mask: NDArray[np.bool_]
    homography: Matrix | None

    @property
    def inlier_pairs(self) -> NDArray[np.intp]:
        """The pairs that the homography explains: (inliers, 2)."""
        return self.pairs[self.inlier_mask]


def ratio_test(a: Keypoints, b: Keypoints, ratio: float, *, both_ways: bool = False) -> NDArray[np.intp]:
    """Match each keypoint of b with its nearest one of a if that is much nearer than the second (Lowe, 2004).

    Args:
        a: keypoints of the first image.
        b: keypoints of the second.
        ratio: distance to the nearest, divided by that to the second nearest, below which the match is kept.
        both_ways: keep only matches that are each other's nearest, so that a keypoint of a is in one pair at most.

    Returns:
        Pairs (n, 2) of indexes into a and b, nearest first.
    """
    if not len(b) or len(a) < 2:
        return np.empty((0, 2), np.intp)
    distances = _distance_matrix(b, a)
    rows = np.arange(len(b))
    nearest = distances.argmin(axis=1)
    first = distances[rows, nearest]
    to_nearest = distances.argmin(axis=0) if both_ways else None
    distances[rows, nearest] = np.inf
    kept = first < ratio * distances.min(axis=1)
    if to_nearest is not None:
        kept &= to_nearest[nearest] == rows
    order = np.argsort(first[kept], kind="stable")
    return np.column_stack([nearest[kept], rows[kept]])[order].astype(np.intp)


def _distance_matrix(a: Keypoints, b: Keypoints) -> NDArray[np.float32]:
    """Return the distances of all descriptors of a to all of b: (len(a), len(b)), Hamming of binary ones, else L2."""
    first, second = (
        (np.unpackbits(each.descriptors, axis=1) if each.is_binary else each.descriptors).astype(np.float32)
        for each in (a, b)
    )
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.asarray(squares if a.is_binary else np.sqrt(np.maximum(squares, 0)), np.float32)


def cross_check(a: Keypoints, b: Keypoints) -> NDArray[np.intp]:
    """Match keypoints that are each other's nearest: pairs (n, 2), nearest first."""
    if not len(a) or not len(b):
        return np.empty((0, 2), np.intp)
    return _sort_matches(_matcher(a, crossCheck=True).match(b.descriptors, a.descriptors))


def match_within_distance(a: Keypoints, b: Keypoints, max_distance: float) -> NDArray[np.intp]:
    """Match each keypoint of b with its nearest one of a within this distance: pairs (n, 2), nearest first."""
    if not len(a) or not len(b):
        return np.empty((0, 2), np.intp)
    matches = _matcher(a).match(b.descriptors, a.descriptors)
    return _sort_matches([match for match in matches if match.distance <= max_distance])


def _matcher(keypoints: Keypoints, **options: Any) -> Any:
    return cv2.BFMatcher(cv2.NORM_HAMMING if keypoints.is_binary else cv2.NORM_L2, **options)


def _sort_matches(matches: list[Any]) -> NDArray[np.intp]:
    ranked = sorted(matches, key=lambda match: (match.distance, match.queryIdx))
    return np.array([(match.trainIdx, match.queryIdx) for match in ranked], np.intp).reshape(-1, 2)


def verify_geometry(
    a: Keypoints,
    b: Keypoints,
    pairs: NDArray[np.intp],
    estimator: Estimator = "magsac",
    *,
    min_inliers: int = MIN_VERIFIED,
) -> KeypointMatches:
    """Find the pairs that one homography explains; none where it explains fewer than `min_inliers`.

    RANSAC of Fischler and Bolles (1981), or MAGSAC++ of Barath et al., "MAGSAC++, a fast, reliable and accurate
    robust estimator" (2020); both seeded, so that results are reproducible.
    """
    rejected = KeypointMatches(pairs, np.zeros(len(pairs), bool), None)
    distinct = _distinct_mask(pairs)
    if distinct.sum() < min_inliers:
        return rejected
    method = cv2.USAC_MAGSAC if estimator == "magsac" else cv2.RANSAC
    from_b, to_a = b.coordinates[pairs[:, 1]], a.coordinates[pairs[:, 0]]
    try:
        matrix, _mask = cv2.findHomography(
            from_b[distinct], to_a[distinct], method, REPROJECTION_THRESHOLD, maxIters=5000, confidence=0.999
        )
    except cv2.error:  # degenerate points
        return rejected
    if matrix is None or not is_plausible(homography := np.asarray(matrix, np.float64), from_b):
        return rejected
    errors = np.linalg.norm(transform_points(homography, from_b) - to_a, axis=1)
    inlier_mask = (errors <= REPROJECTION_THRESHOLD) & distinct
    return KeypointMatches(pairs, inlier_mask, homography) if inlier_mask.sum() >= min_inliers else rejected


def _distinct_mask(pairs: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Keep the first pair of each keypoint of a, because many matches of one keypoint prove nothing."""
    mask = np.zeros(len(pairs), bool)
    mask[np.unique(pairs[:, 0], return_index=True)[1]] = True
    return mask

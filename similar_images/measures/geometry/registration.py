"""Image registration: find the geometry that takes one image to the other, and judge it by how well they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from weakref import ref

import cv2
import numpy as np
from numpy.typing import NDArray

from ..base import ComparisonImage, reduce_to
from . import keypoint_matching
from .agreement import brightest_channel, measure_agreement
from .copy_probability import PairEvidence, copy_probability
from .evidence import examine_frame, rough_agreement
from .homography import (
    Matrix,
    PointArray,
    coverage_mask,
    image_corners,
    mirror_matrix,
    scale_matrix,
    transform_points,
    warp,
)
from .keypoint_detection import Keypoints, extract_keypoints, reflect_keypoints
from .right_angled import align_by_correlation
from .shared_frame import share_frame

AGREEMENT_SIDE = 192
"""Pixels on the long side of the first image when two registered ones are compared pixel by pixel."""

ROUGH_SIDE = 112
"""Side of the frames in which poses are chosen."""

GOOD_AGREEMENT = 0.9
"""Rough agreement above which the geometry is not refined."""

MIN_AGREEMENT = 0.7
"""Agreement of two images that show the same object, be it in another picture."""

MIN_PROBABILITY = 0.7
"""Probability from which on two images count as one picture."""

CERTAIN = 0.95
"""Probability from which on no other pose is looked for."""

MIN_RECOLOR_DIFFERENCE = 8.0
"""Mean color difference, 0 to 255, above which an image was recolored."""

FEW_KEYPOINTS = 30
"""Number of inliers below which an affine geometry is preferred even if it fits less closely."""

MIN_CORNER_SHIFT = 0.02
"""Share of the long side by which a corner has to move, for an image to count as cropped or rotated."""

MIN_INLIERS = 12
"""Inliers that prove the same object, whatever else is in the images."""

MIN_POSE_INLIERS = 5
"""Inliers of a pose that is tried, at least."""

LIKELY_INLIERS = 15
"""Inliers from which on a negative is not looked for."""


class Pose(NamedTuple):
    """A geometry to be tried.

    `matrix` takes coordinates of b.pixels to those of a.pixels; `inliers` of the `matches` between keypoints in the
    part that both show agree with it, 0 where it was not found by them. `is_inverted` tells whether one image is taken
    for a negative.
    """

    matrix: Matrix
    inliers: int = 0
    matches: int = 0
    is_inverted: bool = False


@dataclass(frozen=True)
class Registration:
    """The geometry that lays the second image on the first, and how well they agree there.

    Attributes:
        matrix: (3, 3), takes coordinates of b.pixels to those of a.pixels.
        overlap_a: share of the first image that the second covers, 0 to 1.
        overlap_b: share of the second image that lies on the first, 0 to 1.
        agreement: share of the textured windows that match, without what may have been laid over one image, 0 to 1.
        color_difference: mean difference of colors, 0 to 255.
        probability: that both are one picture, edited or not, 0 to 1.
        inliers: number of keypoint matches that the geometry was estimated from; 0 if it was not.
        tilt: ratio of the depths of b's farthest and nearest corner; 1 if it was only rotated, stretched or sheared.
        is_inverted: whether one is a negative.
        is_retouched: whether a region of one differs, as where something was laid over it.
    """

    matrix: Matrix
    overlap_a: float
    overlap_b: float
    agreement: float
    color_difference: float
    probability: float
    inliers: int
    tilt: float
    is_inverted: bool = False
    is_retouched: bool = False

    @property
    def is_mirrored(self) -> bool:
        """True if the second image is mirrored."""
        return bool(np.linalg.det(self.matrix) < 0)

    @property
    def is_same_picture(self) -> bool:
        """True if one image is, apart from edits, the other one or a part of it."""
        return self.probability >= MIN_PROBABILITY

    @property
    def is_same_object(self) -> bool:
        """True if both images show the same object, be it in the same picture or another one."""
        return self.is_same_picture or self.inliers >= MIN_INLIERS or self.agreement >= MIN_AGREEMENT


def register(a: ComparisonImage, b: ComparisonImage) -> Registration | None:
    """Return the geometry that lays b on a, computed once per pair; None if none was found."""
    return a.cached(("registration", ref(b)), lambda: _register(a, b))


def find_crop_or_rotation(a: ComparisonImage, b: ComparisonImage) -> Matrix | None:
    """Return the matrix that takes b to a if they agree and one was cropped, rotated or mirrored; else None."""
    registration = register(a, b)
    if registration is None or registration.agreement < MIN_AGREEMENT:
        return None
    corners = image_corners(b.pixels.shape)
    stretched = transform_points(scale_matrix(b.pixels.shape, a.pixels.shape), corners)
    shift = np.abs(transform_points(registration.matrix, corners) - stretched).max()
    return registration.matrix if shift > MIN_CORNER_SHIFT * max(a.pixels.shape) else None


def gather_evidence(a: ComparisonImage, b: ComparisonImage) -> tuple[Pose, PairEvidence] | None:
    """Return the pose in which two images agree best, and the evidence that they are one picture; None if none fits."""
    best = _examine_best(a, b, _align_by_keypoints(a, b))
    if best is None or copy_probability(best[1]) < CERTAIN:
        poses = [Pose(matrix, is_inverted=inverted) for matrix, inverted in align_by_correlation(a, b)]
        best = _examine_best(a, b, poses + ([best[0]] if best else []))
    return best


def _register(a: ComparisonImage, b: ComparisonImage) -> Registration | None:
    if np.array_equal(a.pixels, b.pixels):
        return Registration(np.eye(3), 1.0, 1.0, 1.0, 0.0, 1.0, 0, 1.0)
    best = gather_evidence(a, b)
    if best is None:
        return None
    pose, evidence = best
    small = reduce_to(a.pixels, AGREEMENT_SIDE)
    to_small = scale_matrix(a.pixels.shape, small.shape) @ pose.matrix
    covered = coverage_mask(b.pixels.shape, to_small, small.shape)
    warped = warp(b.pixels, to_small, small.shape)
    if pose.is_inverted:
        warped = 255 - warped
    agreement, color_difference = measure_agreement(small, warped, covered)
    overlaps = _measure_overlaps(a, b, pose.matrix)
    probability = copy_probability(evidence)
    return Registration(
        pose.matrix,
        *overlaps,
        agreement,
        color_difference,
        probability,
        pose.inliers,
        evidence.tilt,
        pose.is_inverted,
        evidence.frame.is_retouched,
    )


def _align_by_keypoints(a: ComparisonImage, b: ComparisonImage) -> list[Pose]:
    """Return the poses that keypoints verify, with b as it is and mirrored, and as a negative if neither is likely."""
    keypoints_a, keypoints_b = (extract_keypoints(image, "rootsift") for image in (a, b))
    poses: list[Pose] = []
    for is_inverted in (False, True):
        for mirrored in (False, True):
            reflected = reflect_keypoints(keypoints_b, b.pixels.shape[1], mirrored=mirrored, inverted=is_inverted)
            pairs = keypoint_matching.ratio_test(keypoints_a, reflected, 0.8, both_ways=True)
            poses += _verify_pose((a, b), (keypoints_a, reflected), pairs, mirrored=mirrored, inverted=is_inverted)
        if max((pose.inliers for pose in poses), default=0) >= LIKELY_INLIERS:
            break
    return poses


def _verify_pose(
    images: tuple[ComparisonImage, ComparisonImage],
    keypoints: tuple[Keypoints, Keypoints],
    pairs: keypoint_matching.PairArray,
    *,
    mirrored: bool,
    inverted: bool,
) -> list[Pose]:
    """Return the pose that pairs of keypoints verify, if any; of those, the ones in the part that both show count."""
    matches = keypoint_matching.verify_geometry(*keypoints, pairs, min_inliers=MIN_POSE_INLIERS)
    if matches.homography is None:
        return []
    in_a, in_b = (each.coordinates[pairs[:, index]] for index, each in enumerate(keypoints))
    inliers = matches.inlier_mask
    matrix = _simplify_homography(matches.homography, in_b[inliers], in_a[inliers])
    back = np.linalg.inv(matrix).astype(np.float64)
    is_shared = _are_inside(transform_points(matrix, in_b), images[0]) & _are_inside(
        transform_points(back, in_a), images[1]
    )
    if mirrored:
        matrix = matrix @ mirror_matrix(images[1].pixels.shape[1])
    return [Pose(matrix, int(inliers.sum()), int((is_shared | inliers).sum()), inverted)]


def _are_inside(points: PointArray, image: ComparisonImage) -> NDArray[np.bool_]:
    height, width = image.pixels.shape[:2]
    return np.asarray(((points >= 0) & (points <= (width, height))).all(axis=1), np.bool_)


def _simplify_homography(homography: Matrix, from_b: PointArray, to_a: PointArray) -> Matrix:
    """Return the affine matrix through the same points if it fits nearly as well as the homography."""
    estimate, _inliers = cv2.estimateAffine2D(from_b, to_a, method=cv2.LMEDS)
    if estimate is None:
        return homography
    affine = np.vstack([estimate, [0, 0, 1]])
    errors = [
        np.quantile(np.linalg.norm(transform_points(matrix, from_b) - to_a, axis=1), 0.9)
        for matrix in (homography, affine)
    ]
    threshold = keypoint_matching.REPROJECTION_THRESHOLD / (1 if len(to_a) < FEW_KEYPOINTS else 2)
    return affine if errors[1] <= max(threshold, 1.5 * errors[0]) else homography


def _examine_best(a: ComparisonImage, b: ComparisonImage, poses: list[Pose]) -> tuple[Pose, PairEvidence] | None:
    """Return the most promising of some poses, refined where that helps, and its evidence."""
    promising = [(promise, pose) for pose in poses if (promise := _promise(a, b, pose)) is not None]
    if not promising:
        return None
    promise, pose = max(promising, key=lambda each: each[0])  # the first of equal ones: from simple to complex
    if promise < GOOD_AGREEMENT + 0.3 and not pose.is_inverted:
        refined = pose._replace(matrix=_refine_by_ecc(a, b, pose.matrix))
        refined_promise = _promise(a, b, refined)
        if refined_promise is not None and refined_promise > promise + 0.01:
            pose = refined
    frame = share_frame(a, b, pose.matrix)
    if frame is None:
        return None
    counts = (len(extract_keypoints(image, "rootsift")) for image in (a, b))
    examined = examine_frame(frame, is_inverted=pose.is_inverted)
    tilt = _measure_tilt(b, pose.matrix)
    return pose, PairEvidence(examined, pose.inliers, pose.matches, min(counts), tilt)


def _promise(a: ComparisonImage, b: ComparisonImage, pose: Pose) -> float | None:
    """Return how promising a pose is, to 1.3: by the agreement, the inliers, and how much of an image it covers."""
    frame = share_frame(a, b, pose.matrix, ROUGH_SIDE)
    if frame is None:
        return None
    agreement = rough_agreement(frame, is_inverted=pose.is_inverted)
    return agreement + min(pose.inliers, 30) / 300 + 0.2 * max(_measure_overlaps(a, b, pose.matrix))


def _refine_by_ecc(a: ComparisonImage, b: ComparisonImage, matrix: Matrix) -> Matrix:
    """Return the affine matrix near this one under which b fits a best; this one if the search does not converge.

    Evangelidis and Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization" (2008).
    """
    small_a, small_b = (brightest_channel(reduce_to(image.pixels, AGREEMENT_SIDE)) for image in (a, b))
    scale_a, scale_b = scale_matrix(a.pixels.shape, small_a.shape), scale_matrix(b.pixels.shape, small_b.shape)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    try:
        start = np.linalg.inv(scale_a @ matrix @ np.linalg.inv(scale_b))
        affine = (start / start[2, 2])[:2].astype(np.float32)
        mask = np.full(small_a.shape, 255, np.uint8)
        _, estimate = cv2.findTransformECC(small_a, small_b, affine, cv2.MOTION_AFFINE, criteria, mask, 5)
        refined = np.linalg.inv(scale_a) @ np.linalg.inv(np.vstack([estimate, [0, 0, 1]]).astype(float)) @ scale_b
    except (cv2.error, np.linalg.LinAlgError):
        return matrix
    return np.asarray(refined, np.float64)


def _measure_overlaps(a: ComparisonImage, b: ComparisonImage, matrix: Matrix) -> tuple[float, float]:
    """Return the share of each image that the other covers."""
    corners_a, corners_b = (image_corners(image.pixels.shape) for image in (a, b))
    on_a = transform_points(matrix, corners_b)
    shared = cv2.intersectConvexConvex(on_a, corners_a)[0]
    overlap_a, overlap_b = (min(1.0, shared / max(cv2.contourArea(corners), 1e-6)) for corners in (corners_a, on_a))
    return overlap_a, overlap_b


def _measure_tilt(b: ComparisonImage, matrix: Matrix) -> float:
    depths = image_corners(b.pixels.shape) @ matrix[2, :2] + matrix[2, 2]
    return float(depths.max() / max(depths.min(), 1e-9))

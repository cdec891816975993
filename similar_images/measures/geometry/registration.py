"""Image registration: find the geometry that takes one image to the other, and judge it by how well they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import ref

import cv2
import numpy as np

from ..base import ComparisonImage, reduce_to
from . import keypoint_matching
from .agreement import brightest_channel, measure_agreement
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
from .keypoint_detection import extract_keypoints

if TYPE_CHECKING:
    from ..base import Gray, Pixels

AGREEMENT_SIDE = 192
"""Pixels on the long side of the first image when two registered ones are compared pixel by pixel."""

GOOD_AGREEMENT = 0.9
"""Agreement above which the geometry is not refined."""

MIN_AGREEMENT = 0.7
"""Least agreement of a copy. Tuned on photos: of 700 edited copies all had 0.75, of 1,000 other pairs none."""

RETOUCHED_BELOW = 0.97
"""Agreement below which a copy was edited in parts."""

MIN_FIDELITY = 0.978
"""Least fidelity of a copy that was edited in parts; that of another photo of the same object is lower."""

MIN_RECOLOR_DIFFERENCE = 8.0
"""Mean color difference, 0 to 255, above which an image was recolored."""

RECOLOR_MIN_AGREEMENT = 0.95
"""Least agreement of a recolored copy, because products sold in two colors are often photographed in one pose."""

MAX_COLOR_RESIDUAL = 6.0
"""Most color difference that editing the whole image may leave; a product in another color leaves more."""

MAX_LOG_STRETCH = 0.03
"""Logarithm of the largest ratio of horizontal to vertical scale at which images are aligned by correlation."""

FEW_KEYPOINTS = 30
"""Number of inliers below which an affine geometry is preferred even if it fits less closely."""

MIN_OVERLAP = 0.9
"""Share of one image that has to lie on the other, for one to be a part of the other."""

MAX_TILT = 1.1
"""Tilt up to which an image does not show its object from another side."""

MIN_CORNER_SHIFT = 0.02
"""Share of the long side by which a corner has to move, for an image to count as cropped or rotated."""

MIN_INLIERS = 12
"""Inliers that prove the same object, whatever else is in the images."""

THUMBNAIL_SIDE = 64
"""Pixels on the long side of the thumbnails that are aligned by correlation."""

MIN_THUMBNAIL_CORRELATION = 0.5
"""Correlation of two thumbnails above which their pose is tried."""


@dataclass(frozen=True)
class Registration:
    """The geometry that lays the second image on the first, and how well they agree there.

    Attributes:
        matrix: (3, 3), takes coordinates of b.pixels to those of a.pixels.
        overlap_a: share of the first image that the second covers, 0 to 1.
        overlap_b: share of the second image that lies on the first, 0 to 1.
        agreement: share of the textured windows that match, without what may have been laid over one image, 0 to 1.
        union_agreement: the same share with it.
        fidelity: correlation in the windows that match, weighted by contrast, up to 1.
        color_difference: mean difference of colors, 0 to 255.
        color_residual: what is left of it after the best edit of the whole image.
        inliers: number of keypoint matches that the geometry was estimated from; 0 if it was not.
        tilt: ratio of the depths of b's farthest and nearest corner; 1 if it was only rotated, stretched or sheared.
    """

    matrix: Matrix
    overlap_a: float
    overlap_b: float
    agreement: float
    union_agreement: float
    fidelity: float
    color_difference: float
    color_residual: float
    inliers: int
    tilt: float

    @property
    def is_mirrored(self) -> bool:
        """True if the second image is mirrored."""
        return bool(np.linalg.det(self.matrix) < 0)

    @property
    def is_same_picture(self) -> bool:
        """True if one image is, apart from edits, the other one or a part of it."""
        return self._agrees and max(self.overlap_a, self.overlap_b) >= MIN_OVERLAP and self.tilt <= MAX_TILT

    @property
    def _agrees(self) -> bool:
        if self.inliers < MIN_INLIERS:  # with little detail, a white box looks like many others
            threshold = GOOD_AGREEMENT if self.fidelity >= MIN_FIDELITY else RETOUCHED_BELOW
            return self.union_agreement >= threshold and self.color_difference <= MAX_COLOR_RESIDUAL
        if self.color_difference > MIN_RECOLOR_DIFFERENCE:
            return (
                self.union_agreement >= RECOLOR_MIN_AGREEMENT
                and self.fidelity >= MIN_FIDELITY
                and self.color_residual <= MAX_COLOR_RESIDUAL
            )
        return self.agreement >= (MIN_AGREEMENT if self.fidelity >= MIN_FIDELITY else RETOUCHED_BELOW)

    @property
    def is_same_object(self) -> bool:
        """True if both images show the same object, be it in the same picture or another one."""
        return self.inliers >= MIN_INLIERS or self.agreement >= MIN_AGREEMENT


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


def _register(a: ComparisonImage, b: ComparisonImage) -> Registration | None:
    if np.array_equal(a.pixels, b.pixels):
        return Registration(np.eye(3), 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0, 1.0)
    poses = [_evaluate_pose(a, b, matrix, inliers) for matrix, inliers in _align_by_keypoints(a, b)]
    poses += [
        _evaluate_pose(a, b, _refine_by_ecc(a, b, pose.matrix), pose.inliers)
        for pose in poses
        if pose.agreement < GOOD_AGREEMENT
    ]
    if not any(pose.is_same_picture for pose in poses):
        poses += [_evaluate_pose(a, b, matrix, 0) for matrix in _align_by_correlation(a, b)]
    # `max` keeps the first of equal poses; they go from simple to complex, which matters for symmetric objects.
    return max(poses, key=lambda pose: (pose.is_same_picture, round(pose.agreement, 1)), default=None)


def _align_by_keypoints(a: ComparisonImage, b: ComparisonImage) -> list[tuple[Matrix, int]]:
    """Return the homographies that keypoints verify, with b as it is and mirrored, each with its number of inliers."""
    keypoints_a, poses = extract_keypoints(a, "rootsift"), []
    for mirrored in (False, True):
        keypoints_b = extract_keypoints(b, "rootsift", mirrored=mirrored)
        pairs = keypoint_matching.ratio_test(keypoints_a, keypoints_b, 0.8, both_ways=True)
        matches = keypoint_matching.verify_geometry(keypoints_a, keypoints_b, pairs, min_inliers=5)
        if matches.homography is not None:
            inliers = matches.inlier_pairs
            from_b, to_a = keypoints_b.coordinates[inliers[:, 1]], keypoints_a.coordinates[inliers[:, 0]]
            matrix = _simplify_homography(matches.homography, from_b, to_a)
            poses.append((matrix @ mirror_matrix(b.pixels.shape[1]) if mirrored else matrix, len(inliers)))
    return poses


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


def _align_by_correlation(a: ComparisonImage, b: ComparisonImage) -> list[Matrix]:
    """Return the matrices that lay the whole of b on the whole of a in a right-angled pose, where thumbnails fit."""
    thumbnail_a, matrices = _thumbnail(a.pixels), []
    for pose, matrix in _right_angled_poses(b.pixels):
        y, x = (side_a / side_b for side_a, side_b in zip(a.pixels.shape[:2], pose.shape[:2], strict=True))
        if abs(np.log(y / x)) > MAX_LOG_STRETCH:
            continue
        thumbnail_b = cv2.resize(_thumbnail(pose), thumbnail_a.shape[1::-1], interpolation=cv2.INTER_AREA)
        if _correlation(thumbnail_a, np.asarray(thumbnail_b, np.uint8)) > MIN_THUMBNAIL_CORRELATION:
            matrices.append(scale_matrix(pose.shape, a.pixels.shape) @ matrix)
    return matrices


def _thumbnail(pixels: Pixels) -> Gray:
    return brightest_channel(reduce_to(pixels, THUMBNAIL_SIDE))


def _right_angled_poses(pixels: Pixels) -> list[tuple[Pixels, Matrix]]:
    """Return the image rotated by right angles and mirrored, each pose with the matrix that takes coordinates there."""
    poses = []
    for mirrored in (False, True):
        pose = pixels[:, ::-1] if mirrored else pixels
        matrix = mirror_matrix(pixels.shape[1]) if mirrored else np.eye(3)
        for _turn in range(4):
            poses.append((pose, matrix))
            # A quarter turn counterclockwise takes (x, y) to (y, width - 1 - x).
            matrix = np.array([[0, 1, 0], [-1, 0, pose.shape[1] - 1], [0, 0, 1]], float) @ matrix
            pose = np.rot90(pose)
    return poses


def _correlation(a: Gray, b: Gray) -> float:
    return float(cv2.matchTemplate(a, b, cv2.TM_CCOEFF_NORMED)[0, 0]) if a.std() and b.std() else 0.0


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


def _evaluate_pose(a: ComparisonImage, b: ComparisonImage, matrix: Matrix, inliers: int) -> Registration:
    small = reduce_to(a.pixels, AGREEMENT_SIDE)
    to_small = scale_matrix(a.pixels.shape, small.shape) @ matrix
    covered = coverage_mask(b.pixels.shape, to_small, small.shape)
    agreement = measure_agreement(small, warp(b.pixels, to_small, small.shape), covered)
    corners_a, corners_b = (image_corners(image.pixels.shape) for image in (a, b))
    on_a = transform_points(matrix, corners_b)
    shared = cv2.intersectConvexConvex(on_a, corners_a)[0]
    overlap_a, overlap_b = (shared / max(cv2.contourArea(corners), 1e-6) for corners in (corners_a, on_a))
    depths = corners_b @ matrix[2, :2] + matrix[2, 2]
    tilt = float(depths.max() / max(depths.min(), 1e-9))
    return Registration(matrix, overlap_a, overlap_b, *agreement, inliers, tilt)

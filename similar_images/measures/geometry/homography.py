"""Matrices (3, 3) between the pixel coordinates of two images, and images warped by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..base import Pixels

Matrix = NDArray[np.float64]
PointArray = NDArray[np.float32]


def transform_points(matrix: Matrix, points: PointArray) -> PointArray:
    """Apply a homography to points (n, 2)."""
    if not len(points):
        return points
    return np.asarray(cv2.perspectiveTransform(np.asarray(points, np.float32)[None], matrix)[0], np.float32)


def mirror_matrix(width: int) -> Matrix:
    """Return the matrix that mirrors an image of this width left to right."""
    return np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]], float)


def scale_matrix(start: tuple[int, ...], end: tuple[int, ...]) -> Matrix:
    """Return the matrix from the pixels of an image of shape `start` to those of the same image resized to `end`."""
    y, x = end[0] / start[0], end[1] / start[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def image_corners(shape: tuple[int, ...]) -> PointArray:
    """Return the corners (4, 2) of an image of this shape: the outer ones of its corner pixels."""
    height, width = shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5


def warp(pixels: Pixels, matrix: Matrix, shape: tuple[int, ...], interpolation: int = cv2.INTER_LINEAR) -> Pixels:
    """Warp an image into a frame of this shape, black where it has nothing there."""
    return np.asarray(cv2.warpPerspective(pixels, matrix, (shape[1], shape[0]), flags=interpolation), np.uint8)


def coverage_mask(image_shape: tuple[int, ...], matrix: Matrix, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where a warped image covers a frame of this shape: (height, width)."""
    return warp(np.ones(image_shape[:2], np.uint8), matrix, shape, cv2.INTER_NEAREST).astype(bool)


def jacobian(matrix: Matrix, point: Any) -> Matrix:
    """Return the linear map (2, 2) that approximates a homography near a point (x, y)."""
    x, y, depth = matrix @ [*point, 1]
    return np.asarray((matrix[:2, :2] - np.outer([x / depth, y / depth], matrix[2, :2])) / depth, np.float64)


def is_plausible(matrix: Matrix, points: PointArray) -> bool:
    """Tell whether a camera or an editor could make this homography: no mirroring, no fold, no extreme stretch.

    Args:
        matrix: the homography.
        points: (n, 2), those which it was estimated from.
    """
    if not np.isfinite(matrix).all():
        return False
    depth = points @ matrix[2, :2] + matrix[2, 2]
    if (depth <= 0).any() or depth.max() > 4 * depth.min():
        return False
    linear = jacobian(matrix, np.mean(points, axis=0))
    long, short = np.linalg.svd(linear, compute_uv=False)
    return bool(np.linalg.det(linear) > 0 and 0.1 < short <= long < 10 and long < 4 * short)

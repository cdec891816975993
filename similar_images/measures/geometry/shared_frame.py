"""Two images in one frame: the part that both show, at a resolution that both have."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .homography import Matrix, image_corners, jacobian, scale_matrix, transform_points

if TYPE_CHECKING:
    from ..base import ComparisonImage, Pixels

FRAME_SIDE = 256
"""Side, in pixels, of a square that is as large as a frame, at most."""

MIN_FRAME_SIDE = 24
"""Pixels on the short side of a frame, at least."""

MAX_ENLARGEMENT = 1.3
"""Factor by which an image is enlarged for a frame, at most: there is no more to see in it."""

MIN_SHARED_PIXELS = 200
"""Pixels away from the borders that both images show, below which nothing can be said."""

EDGE = 7
"""Pixels by which the shared part is smaller than what both images cover: half of them are those of a border."""


class SharedFrame(NamedTuple):
    """The part that two images share: RGB of both, (height, width, 3), and where both show something (`shared`)."""

    a: Pixels
    b: Pixels
    shared: NDArray[np.bool_]


def share_frame(a: ComparisonImage, b: ComparisonImage, matrix: Matrix, side: int = FRAME_SIDE) -> SharedFrame | None:
    """Bring the part that two images share into one frame; None if it is too small.

    Args:
        a: an image.
        b: another.
        matrix: takes coordinates of `b.pixels` to those of `a.pixels`, (3, 3).
        side: of a square that is as large as the frame, at most.
    """
    corners_b = transform_points(matrix, image_corners(b.pixels.shape))
    area, polygon = cv2.intersectConvexConvex(corners_b, image_corners(a.pixels.shape))
    if area <= 1 or polygon is None:
        return None
    points = polygon.reshape(-1, 2)
    low, size = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1.0)
    middle = transform_points(np.linalg.inv(matrix).astype(np.float64), points.mean(axis=0, keepdims=True))[0]
    density = float(np.sqrt(abs(np.linalg.det(jacobian(matrix, middle)))))
    if not np.isfinite(density) or density < 1e-3:
        return None
    scale = min(side / float(np.sqrt(size.prod())), MAX_ENLARGEMENT, MAX_ENLARGEMENT / density)
    scale = max(scale, MIN_FRAME_SIDE / float(size.min()))
    width, height = (round(float(length) * scale) for length in size)
    if width * height > 4 * side * side:  # a sliver
        return None
    to_frame = np.array(
        [[scale, 0, (scale - 1) / 2 - low[0] * scale], [0, scale, (scale - 1) / 2 - low[1] * scale], [0, 0, 1]]
    )
    frame_a, covered_a = _bring(a.pixels, to_frame, scale, (width, height))
    frame_b, covered_b = _bring(b.pixels, to_frame @ matrix, scale * density, (width, height))
    kernel = np.ones((EDGE, EDGE), np.uint8)
    covered = (covered_a & covered_b).astype(np.uint8)
    shared = cv2.erode(covered, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1).astype(bool)
    return SharedFrame(frame_a, frame_b, shared) if shared.sum() >= MIN_SHARED_PIXELS else None


def _bring(pixels: Pixels, matrix: Matrix, scale: float, size: tuple[int, int]) -> tuple[Pixels, NDArray[np.uint8]]:
    """Warp an image into a frame, and return where it covers that; where it is reduced, every pixel counts."""
    if scale < 0.6:
        factor = 1.2 * scale
        reduced = tuple(max(1, round(length * factor)) for length in pixels.shape[1::-1])
        smaller = np.asarray(cv2.resize(pixels, reduced, interpolation=cv2.INTER_AREA), np.uint8)
        matrix, pixels = matrix @ scale_matrix(smaller.shape, pixels.shape), smaller
    warped = cv2.warpPerspective(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    covered = cv2.warpPerspective(np.ones(pixels.shape[:2], np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    return np.asarray(warped, np.uint8), np.asarray(covered, np.uint8)

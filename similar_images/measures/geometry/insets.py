"""A picture that lies in another one as in a collage, as opposed to a crop: there, what is around it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .homography import Matrix, PointArray, image_corners, transform_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base import ComparisonImage

SAMPLES = 80
"""Places along each side of the inner image at which the outer one is looked at."""

NEAR, FAR = 3.0, 9.0
"""Pixels from the side at which colors are compared: across it, and as far apart within."""

CLOSE, DEEP = 2.0, 6.0
"""Pixels from the side of the lines whose courses are compared: across it, and as far apart within."""

MIN_JUMP = 8.0
"""Mean difference of colors across a side, 0 to 255, which is more than noise."""

JUMP_FACTOR = 1.6
"""Factor by which the difference across a side has to exceed that between places as far apart within."""

MAX_LINE_DEVIATION = 3.0
"""Standard deviation of the levels along a line up to which it is plain, as between the pictures of a collage."""

MAX_CORRELATION, CORRELATION_FACTOR = 0.35, 0.6
"""Correlation of the colors on both sides below which the picture does not go on; and that as a share of the one
within, so that fine detail is not taken for a side."""

PLAIN_RANGE = 12
"""Range of levels in a neighborhood of 5 x 5 pixels up to which it is plain."""

MAX_PLAIN_SURROUNDINGS = 0.85
"""Share of the surroundings that may be plain; with more, they are a frame."""


def is_inset(inner: ComparisonImage, outer: ComparisonImage, matrix: Matrix) -> bool:
    """Return whether an image lies in another one that shows something else around it.

    Args:
        inner: the image that lies in the other.
        outer: the other.
        matrix: takes coordinates of `inner.pixels` to those of `outer.pixels`, (3, 3).
    """
    corners = transform_points(matrix, image_corners(inner.pixels.shape))
    smooth = cv2.GaussianBlur(outer.pixels, (0, 0), 1.0).astype(np.float32)
    sides = [ends for start in range(4) if (ends := _ends_at(smooth, corners, start)) is not None]
    return 2 * sum(sides) > len(sides) and not _has_plain_surroundings(outer, corners)


def _ends_at(pixels: NDArray[np.float32], corners: PointArray, start: int) -> bool | None:
    """Return whether a picture ends at a side of a quadrangle; None for a side at the edge of the image."""
    begin, end = corners[start], corners[(start + 1) % 4]
    along = end - begin
    outward = np.array([along[1], -along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
    if outward @ (corners.mean(axis=0) - begin) > 0:
        outward = -outward
    places = begin + np.linspace(0.08, 0.92, SAMPLES)[:, None] * along
    height, width = pixels.shape[:2]
    farthest = places + FAR * outward
    if (farthest < 0).any() or (farthest > (width - 1, height - 1)).any():
        return None
    deep, inside, outside = (_colors_at(pixels, places + distance * outward) for distance in (-FAR, -NEAR, NEAR))
    across, within = (float(np.abs(inside - other).mean()) for other in (outside, deep))
    if across > max(MIN_JUMP, JUMP_FACTOR * within) or outside.std(axis=0).mean() < MAX_LINE_DEVIATION:
        return True
    deep, inside, outside = (_colors_at(pixels, places + distance * outward) for distance in (-DEEP, -CLOSE, CLOSE))
    return _correlate_lines(inside, outside) < min(MAX_CORRELATION, CORRELATION_FACTOR * _correlate_lines(inside, deep))


def _correlate_lines(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    a, b = (colors - colors.mean(axis=0) for colors in (first, second))
    return float((a * b).sum()) / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-3)


def _colors_at(pixels: NDArray[np.float32], points: PointArray) -> NDArray[np.float32]:
    x, y = (points[:, axis].astype(np.float32)[None] for axis in (0, 1))
    return np.asarray(cv2.remap(pixels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0], np.float32)


def _has_plain_surroundings(outer: ComparisonImage, corners: PointArray) -> bool:
    around = np.ones(outer.gray.shape, np.uint8)
    cv2.fillConvexPoly(around, np.rint(corners).astype(np.int32), 0)
    kernel = np.ones((5, 5), np.uint8)
    is_around = cv2.erode(around, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1).astype(bool)
    if not is_around.any():
        return True
    levels = cv2.morphologyEx(outer.gray, cv2.MORPH_GRADIENT, kernel)
    return bool((levels[is_around] <= PLAIN_RANGE).mean() > MAX_PLAIN_SURROUNDINGS)

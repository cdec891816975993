"""Poses of two images at right angles, found by the correlation of thumbnails: for images with little detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from ...signatures.trim import find_content
from ..base import ComparisonImage, reduce_to
from .agreement import brightest_channel
from .homography import Matrix, mirror_matrix, scale_matrix

if TYPE_CHECKING:
    from ..base import Gray, Pixels

THUMBNAIL_SIDE = 64
"""Pixels on the long side of the thumbnails that are aligned by correlation."""

MIN_THUMBNAIL_CORRELATION = 0.5
"""Correlation of two thumbnails above which their pose is tried; of a negative, below minus that."""

MAX_LOG_STRETCH = 0.53
"""Logarithm of the largest ratio of horizontal to vertical scale at which images are aligned."""

MAX_POSES = 3
"""Poses that are returned, at most: the ones that correlate best."""

MIN_UNIFORM_EDGE = 0.6
"""Share of the pixels at the edge that must have one color, for them to be a border."""

MIN_BORDER = 0.1
"""Share of the area that a border takes, at least, to be trimmed."""

MIN_CONTENT_SIDE = 16
"""Pixels on the short side of what a border leaves, at least."""


def align_by_correlation(a: ComparisonImage, b: ComparisonImage) -> list[tuple[Matrix, bool]]:
    """Return the matrices that lay the whole of b on the whole of a, with their borders and without, best first.

    Each comes with whether one image is a negative there. Images may be turned by right angles, mirrored and stretched.
    """
    found = []
    for pixels_a, matrix_a in a.cached("views", lambda: _views(a.pixels)):
        thumbnail_a = _thumbnail(pixels_a)
        for pixels_b, matrix_b in b.cached("views", lambda: _views(b.pixels)):
            from_view = np.linalg.inv(matrix_b).astype(np.float64)
            for pose, matrix in _right_angled_poses(pixels_b):
                y, x = (side_a / side_b for side_a, side_b in zip(pixels_a.shape[:2], pose.shape[:2], strict=True))
                if abs(np.log(y / x)) > MAX_LOG_STRETCH:
                    continue
                thumbnail_b = cv2.resize(_thumbnail(pose), thumbnail_a.shape[1::-1], interpolation=cv2.INTER_AREA)
                correlation = _correlation(thumbnail_a, np.asarray(thumbnail_b, np.uint8))
                if abs(correlation) > MIN_THUMBNAIL_CORRELATION:
                    to_a: Matrix = matrix_a @ scale_matrix(pose.shape, pixels_a.shape) @ matrix @ from_view
                    found.append((abs(correlation), to_a, correlation < 0))
    found.sort(key=lambda each: -each[0])
    return [(matrix, is_inverted) for _correlation, matrix, is_inverted in found[:MAX_POSES]]


def _views(pixels: Pixels) -> list[tuple[Pixels, Matrix]]:
    """Return an image, and what a border leaves of it if it has one, each with the matrix from its coordinates."""
    views: list[tuple[Pixels, Matrix]] = [(pixels, np.eye(3))]
    found = find_content(pixels, MIN_UNIFORM_EDGE)
    if found is not None:
        rows, columns, _color = found
        content = pixels[rows, columns]
        is_trimmed = content.size < (1 - MIN_BORDER) * pixels.size
        if is_trimmed and min(content.shape[:2]) >= MIN_CONTENT_SIDE:
            views.append((content, np.array([[1, 0, columns.start], [0, 1, rows.start], [0, 0, 1]], float)))
    return views


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

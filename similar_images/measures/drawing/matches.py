"""Draw the keypoints of two images and their matches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from ..geometry.homography import mirror_matrix, transform_points
from . import canvas

if TYPE_CHECKING:
    from ..base import ComparisonImage, MeasureResult, Pixels
    from ..geometry.homography import PointArray

MAX_LINES = 100
"""Number of matches drawn, about: more lines would hide the images."""


def draw_inlier_matches(a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
    """Draw lines between the keypoints that one homography explains."""
    matches = result.artifacts[2]
    panel, points_a, points_b = _place_keypoints(a, b, result)
    pairs = matches.inlier_pairs
    pairs = pairs[:: max(1, round(len(pairs) / MAX_LINES))]
    for index, (i, j) in enumerate(pairs):
        color = canvas.LINES[index % len(canvas.LINES)]
        start, end = ([round(16 * float(x)) for x in point] for point in (points_a[i], points_b[j]))  # in 1/16 pixel
        cv2.line(panel, start, end, canvas.GROUND, 3, cv2.LINE_AA, 4)
        cv2.line(panel, start, end, color, 1, cv2.LINE_AA, 4)
        for point in (start, end):
            cv2.circle(panel, point, 3 * 16, color, -1, cv2.LINE_AA, 4)
    return panel


def draw_keypoints_by_match(a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
    """Draw all keypoints: matched ones as blue dots, others as vermilion crosses."""
    matches = result.artifacts[2]
    panel, *points_by_image = _place_keypoints(a, b, result)
    for column, points in enumerate(points_by_image):
        matched = set(matches.pairs[:, column])
        for index, point in enumerate(points):
            x, y = (round(float(value)) for value in point)
            if index in matched:
                cv2.circle(panel, (x, y), 4, canvas.GROUND, -1, cv2.LINE_AA)
                cv2.circle(panel, (x, y), 3, canvas.GOOD, -1, cv2.LINE_AA)
            else:
                cv2.drawMarker(panel, (x, y), canvas.GROUND, cv2.MARKER_TILTED_CROSS, 8, 3, cv2.LINE_AA)
                cv2.drawMarker(panel, (x, y), canvas.BAD, cv2.MARKER_TILTED_CROSS, 7, 1, cv2.LINE_AA)
    return panel


def _place_keypoints(
    a: ComparisonImage, b: ComparisonImage, result: MeasureResult
) -> tuple[Pixels, PointArray, PointArray]:
    """Return both images side by side, and the coordinates of their keypoints there."""
    keypoints_a, keypoints_b, _matches = result.artifacts
    panel, to_a, to_b = canvas.place_side_by_side(a.pixels, b.pixels)
    points_b = keypoints_b.coordinates
    if result.details["mirrored"]:
        points_b = transform_points(mirror_matrix(b.pixels.shape[1]), points_b)
    return panel, transform_points(to_a, keypoints_a.coordinates), transform_points(to_b, points_b)

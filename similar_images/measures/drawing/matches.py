"""Pictures of keypoints: which of them match, and which of these one geometry explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from ..base import ComparisonImage, MeasureResult
from ..geometry import keypoint_detection
from . import canvas

if TYPE_CHECKING:
    from ..base import Pixels
    from ..geometry.keypoint_detection import Floats, Keypoints


MAX_LINES = 100
"""About as many lines are drawn, where there are more: any more would hide the pictures."""


def draw_inlier_matches(a: ComparisonImage, b: ComparisonImage, reading: MeasureResult) -> Pixels:
    of_a, of_b, matches = reading.evidence
    panel, to_a, to_b = canvas.place_side_by_side(a.pixels, b.pixels)
    pairs = matches.pairs[matches.proven]
    pairs = pairs[:: max(1, round(len(pairs) / MAX_LINES))]
    ends = zip(
        keypoint_detection.transform_points(to_a, of_a.places[pairs[:, 0]]),
        keypoint_detection.transform_points(to_b, _upright(of_b, b, reading)[pairs[:, 1]]),
        strict=True,
    )
    for number, (start, end) in enumerate(ends):
        color = canvas.LINES[number % len(canvas.LINES)]
        one, other = ([round(16 * float(value)) for value in place] for place in (start, end))  # in 16ths of a pixel
        cv2.line(panel, one, other, canvas.GROUND, 3, cv2.LINE_AA, 4)
        cv2.line(panel, one, other, color, 1, cv2.LINE_AA, 4)
        for end in (one, other):
            cv2.circle(panel, end, 3 * 16, color, -1, cv2.LINE_AA, 4)
    return panel


def draw_keypoints_by_match(a: ComparisonImage, b: ComparisonImage, reading: MeasureResult) -> Pixels:
    of_a, of_b, matches = reading.evidence
    panel, to_a, to_b = canvas.place_side_by_side(a.pixels, b.pixels)
    for column, places in enumerate(
        (
            keypoint_detection.transform_points(to_a, of_a.places),
            keypoint_detection.transform_points(to_b, _upright(of_b, b, reading)),
        )
    ):
        matched = set(matches.pairs[:, column])
        for number, place in enumerate(places):
            x, y = (round(float(value)) for value in place)
            if number in matched:
                cv2.circle(panel, (x, y), 4, canvas.GROUND, -1, cv2.LINE_AA)
                cv2.circle(panel, (x, y), 3, canvas.GOOD, -1, cv2.LINE_AA)
            else:
                cv2.drawMarker(panel, (x, y), canvas.GROUND, cv2.MARKER_TILTED_CROSS, 8, 3, cv2.LINE_AA)
                cv2.drawMarker(panel, (x, y), canvas.BAD, cv2.MARKER_TILTED_CROSS, 7, 1, cv2.LINE_AA)
    return panel


def _upright(of_b: Keypoints, b: ComparisonImage, reading: MeasureResult) -> Floats:
    """Places of the second picture's points in it, where it was matched mirrored."""
    if not reading.details["mirrored"]:
        return of_b.places
    return keypoint_detection.transform_points(keypoint_detection.mirror_matrix(b.pixels.shape[1]), of_b.places)

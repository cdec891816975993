"""Pictures of keypoints: which of them match, and which of these one geometry explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from . import canvas, points
from .base import Reading, View

if TYPE_CHECKING:
    from .base import Pixels
    from .points import Floats, Points


MOST = 100
"""About as many lines are drawn, where there are more: any more would hide the pictures."""


def between_proven(a: View, b: View, reading: Reading) -> Pixels:
    of_a, of_b, matches = reading.evidence
    panel, to_a, to_b = canvas.beside(a.pixels, b.pixels)
    pairs = matches.pairs[matches.proven]
    pairs = pairs[:: max(1, round(len(pairs) / MOST))]
    ends = zip(
        points.moved(to_a, of_a.places[pairs[:, 0]]),
        points.moved(to_b, _upright(of_b, b, reading)[pairs[:, 1]]),
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


def matched_and_not(a: View, b: View, reading: Reading) -> Pixels:
    of_a, of_b, matches = reading.evidence
    panel, to_a, to_b = canvas.beside(a.pixels, b.pixels)
    for column, places in enumerate((points.moved(to_a, of_a.places), points.moved(to_b, _upright(of_b, b, reading)))):
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


def _upright(of_b: Points, b: View, reading: Reading) -> Floats:
    """Places of the second picture's points in it, where it was matched mirrored."""
    if not reading.details["mirrored"]:
        return of_b.places
    return points.moved(points.flip(b.pixels.shape[1]), of_b.places)

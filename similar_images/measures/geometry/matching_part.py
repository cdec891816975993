"""The part that two registered images share: where it lies in each, and how its colors differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..base import reduce_to
from .agreement import compare_windows
from .color_residual import largest_residuals
from .homography import PointArray, coverage_mask, scale_matrix, transform_points, warp
from .registration import AGREEMENT_SIDE, Registration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...imaging.decode import Box
    from ..base import ComparisonImage

OUTLIERS = 0.02
"""Share of the windows on each side that a box leaves out: single windows match by chance."""

MIN_BOX_SIDE = 0.02
"""Side of a box below which it shows nothing, in fractions of the image."""


@dataclass(frozen=True)
class MatchingPart:
    """The part that two images share.

    `box_a` and `box_b` are left, top, width and height in fractions of each image; None where it is too small to show.
    `color_difference` is that of its colors, where they differ most, and `color_residual` what the best edit of
    brightness, contrast or saturation leaves of it, both 0 to 255. Plain ground, which is alike in many images, is left
    out, and so is what may be laid over one of them.
    """

    box_a: Box | None
    box_b: Box | None
    color_difference: float
    color_residual: float


def find_matching_part(a: ComparisonImage, b: ComparisonImage, registration: Registration) -> MatchingPart:
    """Return the part that two registered images share: the windows with something in them that show the same."""
    small = reduce_to(a.pixels, AGREEMENT_SIDE)
    to_small = scale_matrix(a.pixels.shape, small.shape) @ registration.matrix
    covered = coverage_mask(b.pixels.shape, to_small, small.shape)
    warped = warp(b.pixels, to_small, small.shape)
    windows = compare_windows(small, warped, covered)
    blurred = (np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2.0), np.uint8) for pixels in (small, warped))
    colors = [pixels[windows.matching] for pixels in blurred]
    corners = _corners_of(windows.matching)
    box_a = box_b = None
    if corners is not None:
        box_a = _box_of(corners, small.shape)
        on_b = transform_points(np.linalg.inv(to_small).astype(np.float64), corners)
        box_b = _box_of(on_b, b.pixels.shape)
    return MatchingPart(box_a, box_b, *largest_residuals(*colors))


def _corners_of(mask: NDArray[np.bool_]) -> PointArray | None:
    """Return the corners (4, 2) of what a mask covers, without outliers; None where it covers nothing."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None
    left, right = np.quantile(columns, [OUTLIERS, 1 - OUTLIERS])
    top, bottom = np.quantile(rows, [OUTLIERS, 1 - OUTLIERS])
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def _box_of(corners: PointArray, shape: tuple[int, ...]) -> Box | None:
    """Return the box around points in an image of this shape, in fractions of its sides."""
    size = np.array([shape[1], shape[0]])
    low, high = (np.clip((edge + 0.5) / size, 0, 1) for edge in (corners.min(axis=0), corners.max(axis=0)))
    width, height = (float(side) for side in high - low)
    if min(width, height) < MIN_BOX_SIDE:
        return None
    left, top = (float(edge) for edge in low)
    return round(left, 4), round(top, 4), round(width, 4), round(height, 4)

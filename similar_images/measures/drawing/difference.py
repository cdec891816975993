"""Draw where two registered images differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from . import canvas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base import Pixels
    from ..geometry.registered_pair import RegisteredPair

DIFFERENCE_SIDE = 320
"""Pixels on the long side of each of the three images, at most."""


def draw_difference(pair: RegisteredPair, difference: NDArray[np.float32], region: list[float] | None = None) -> Pixels:
    """Draw both images as they were compared, and their difference from 0 to 1 as a heat map, beside each other.

    `region` is framed in all three: left, top, width and height in fractions of the sides.
    """
    outside = ~pair.valid_mask[..., None]
    masked = [np.where(outside, canvas.GROUND, pixels) for pixels in (pair.b, canvas.heat_map(difference))]
    images = [canvas.fit_into(pixels.astype(np.uint8), DIFFERENCE_SIDE).copy() for pixels in (pair.a, *masked)]
    height, width = images[0].shape[:2]
    if region:
        x, y, w, h = (round(part * side) for part, side in zip(region, (width, height) * 2, strict=True))
        corners = (max(0, x - 3), max(0, y - 3)), (min(width - 1, x + w + 2), min(height - 1, y + h + 2))
        for pixels in images:
            cv2.rectangle(pixels, *corners, canvas.GROUND, 4)
            cv2.rectangle(pixels, *corners, canvas.BAD, 2)
    gap = np.full((height, canvas.GAP, 3), canvas.GROUND, np.uint8)
    return np.hstack([images[0], gap, images[1], gap, images[2]])

"""Draw one image laid over the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..geometry.homography import coverage_mask, image_corners, transform_points, warp
from . import canvas

if TYPE_CHECKING:
    from ..base import ComparisonImage, Pixels
    from ..geometry.homography import Matrix


def draw_overlay(a: ComparisonImage, b: ComparisonImage, matrix: Matrix) -> Pixels:
    """Draw both images in one frame, the second half transparent, outlined: the first solid, the second dashed.

    `matrix` takes coordinates of b.pixels to those of a.pixels.
    """
    outlines = [image_corners(a.pixels.shape), transform_points(matrix, image_corners(b.pixels.shape))]
    low, high = (extreme(np.concatenate(outlines), axis=0) for extreme in (np.min, np.max))
    factor = canvas.WIDE_PANEL_SIDE / float(max(high - low))
    frame = np.array([[factor, 0, -low[0] * factor], [0, factor, -low[1] * factor], [0, 0, 1]])
    shape = tuple(int(max(1, round(float(side)))) for side in ((high - low) * factor)[::-1])
    panel = np.full((*shape, 3), canvas.GROUND, np.uint8)
    for image, to_panel, opacity in ((a, frame, 1.0), (b, frame @ matrix, 0.5)):
        covered = coverage_mask(image.pixels.shape, to_panel, shape)
        mixed = opacity * warp(image.pixels, to_panel, shape)[covered] + (1 - opacity) * panel[covered]
        panel[covered] = np.rint(mixed).astype(np.uint8)
    for index, outline in enumerate(outlines):
        canvas.draw_outline(panel, [transform_points(frame, outline)], dashed=index == 1)
    return panel

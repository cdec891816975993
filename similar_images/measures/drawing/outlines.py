"""Draw the outlines of two images' objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..geometry.outlines import OUTLINE_FRAME, LargestGap, normalize_outlines
from . import canvas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base import Pixels

OUTLINE_PANEL, OUTLINE_MARGIN = 316, 12
"""Pixels a side of each of the three panels, and of the margin in the last one."""


def draw_outlines(
    images: tuple[Pixels, Pixels], outlines: Sequence[Sequence[NDArray[np.float64]]], gap: LargestGap | None
) -> Pixels:
    """Draw the first image outlined, solid; the second, dashed; and both outlines in one frame.

    Args:
        images: the two images.
        outlines: of each image, in its own pixels.
        gap: where the outlines are farthest apart, marked by a line.
    """
    panel = np.full((OUTLINE_PANEL, 3 * OUTLINE_PANEL + 2 * canvas.GAP, 3), canvas.GROUND, np.uint8)
    frame = panel[:, 2 * (OUTLINE_PANEL + canvas.GAP) :]
    frame[:] = 255
    frame_scale = (OUTLINE_PANEL - 2 * OUTLINE_MARGIN) / OUTLINE_FRAME
    for index, (pixels, lines) in enumerate(zip(images, outlines, strict=True)):
        thumbnail = canvas.fit_into(pixels, OUTLINE_PANEL)
        top, left = (OUTLINE_PANEL - thumbnail.shape[0]) // 2, (OUTLINE_PANEL - thumbnail.shape[1]) // 2
        left += index * (OUTLINE_PANEL + canvas.GAP)
        area = panel[top : top + thumbnail.shape[0], left : left + thumbnail.shape[1]]
        area[:] = thumbnail
        scale = np.divide(thumbnail.shape[1::-1], pixels.shape[1::-1])
        canvas.draw_outline(area, [(line + 0.5) * scale - 0.5 for line in lines], dashed=index == 1)
        normalized = [line * frame_scale + OUTLINE_MARGIN for line in normalize_outlines(lines)]
        canvas.draw_outline(frame, normalized, dashed=index == 1)
    if gap:
        ends = [tuple(round(x * frame_scale) + OUTLINE_MARGIN for x in point) for point in (gap.point, gap.nearest)]
        cv2.line(frame, ends[0], ends[1], canvas.TEXT, 1, cv2.LINE_AA)
        for end in ends:
            cv2.circle(frame, end, 4, canvas.TEXT, -1, cv2.LINE_AA)
    return panel

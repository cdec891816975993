"""The change of a copy's colors, in one word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from .color_residual import match_tone, trimmed_difference
from .registration import MIN_RECOLOR_DIFFERENCE, Registration
from .shared_frame import SharedFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base import Pixels

ColorChange = Literal["gray", "brighter", "darker", "contrast", "recolored"]

MIN_CHROMA = 10.0
"""Mean difference of the largest and smallest channel, 0 to 255, from which on an image is in color."""

MAX_GRAY_CHROMA = 5.0
"""The same difference up to which it is in black and white."""

MAX_TONE_RESIDUAL = 5.0
"""Mean color difference that a change of brightness and contrast may leave, where it is nothing but that."""

MIN_BRIGHTNESS_SHIFT = 6.0
"""Difference of the mean levels above which an image is brighter or darker, not just of other contrast."""


def name_color_change(frame: SharedFrame, registration: Registration) -> ColorChange | None:
    """Name what was done to the colors of the first of two images to make the second; None if nothing was."""
    if registration.is_inverted or registration.color_difference <= MIN_RECOLOR_DIFFERENCE:
        return None
    first, second = (
        np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2.0), np.uint8)[frame.shared] for pixels in (frame.a, frame.b)
    )
    if _chroma(first) >= MIN_CHROMA and _chroma(second) <= MAX_GRAY_CHROMA:
        return "gray"
    if trimmed_difference(match_tone(first, second), second) > MAX_TONE_RESIDUAL:
        return "recolored"
    shift = float(second.mean() - first.mean())
    if abs(shift) <= MIN_BRIGHTNESS_SHIFT:
        return "contrast"
    return "brighter" if shift > 0 else "darker"


def _chroma(colors: Pixels | NDArray[np.uint8]) -> float:
    return float(np.ptp(colors, axis=1).mean())

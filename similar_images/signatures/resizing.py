"""Reduce pixels to a long side, averaging by area."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def fit_size(pixels: NDArray[np.uint8], long_side: int) -> tuple[int, int]:
    """Return (width, height) of the image reduced to at most `long_side` pixels; it is never enlarged."""
    height, width = pixels.shape[:2]
    scale = min(1, long_side / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def reduce_to_side(pixels: NDArray[np.uint8], long_side: int) -> NDArray[np.uint8]:
    """Average pixels (height, width, 3) by area to that size."""
    import cv2
    import numpy as np

    return np.asarray(cv2.resize(pixels, fit_size(pixels, long_side), interpolation=cv2.INTER_AREA), np.uint8)

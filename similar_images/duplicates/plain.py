"""Images that are too plain to be told from others: blank, or next to blank, such as an empty placeholder."""

from __future__ import annotations

from ..measures.base import ComparisonImage, reduce_to

PLAIN_SIDE = 192
"""Pixels on the long side to which an image is reduced."""

MIN_DETAIL = 6.0
"""Standard deviation of the levels in a window of 11 × 11 pixels, 0 to 255, from which on it shows something: noise
and the blocks of a JPEG have less, and so has a gradient from black to white."""

MAX_PLAIN_SHARE = 0.002
"""Share of such windows up to which an image is plain: a dot of 2 × 2 pixels in 192 is in more."""


def is_plain(image: ComparisonImage) -> bool:
    """Return whether an image shows next to nothing, so that it is like any other of its color."""
    return image.cached("is_plain", lambda: _share_of_detail(image) <= MAX_PLAIN_SHARE)


def _share_of_detail(image: ComparisonImage) -> float:
    """Return the share of the windows that show something in any channel, 0 to 1."""
    import cv2
    import numpy as np

    pixels = cv2.GaussianBlur(reduce_to(image.pixels, PLAIN_SIDE).astype(np.float32), (0, 0), 1.0)
    mean = cv2.blur(pixels, (11, 11))
    variance = np.asarray(cv2.blur(pixels * pixels, (11, 11)) - mean * mean)
    return float((variance.max(axis=2) > MIN_DETAIL**2).mean())

"""The agreement of two images where one lies on the other: windows of the same structure, and their colors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .color_residual import trimmed_difference

if TYPE_CHECKING:
    from ..base import Gray, Pixels

AGREEMENT_WINDOW = 11
"""Side of the windows that are compared, in pixels."""

MIN_TEXTURE = 4.0
"""Standard deviation in a window, 0 to 255, above which it shows something."""

MIN_WINDOW_CORRELATION = 0.8
"""Correlation of two windows above which they show the same."""

WHITE_LEVEL = 243
"""Level of the darkest channel from which on a pixel counts as white ground, which is alike in many images."""


class WindowAgreement(NamedTuple):
    """The agreement of the windows that show something.

    `agreement` is the share that match, without what may have been laid over one of the two images, 0 to 1; `textured`
    (height, width) are the centers of the windows that it counts, and `matching` of those among them that match.
    """

    agreement: float
    textured: NDArray[np.bool_]
    matching: NDArray[np.bool_]


def measure_agreement(a: Pixels, b: Pixels, covered: NDArray[np.bool_]) -> tuple[float, float]:
    """Compare two images of one shape (height, width, 3) where both show something, `covered` (height, width).

    Returns:
        Agreement and color difference, as in Registration.
    """
    windows = compare_windows(a, b, covered)
    colored = windows.textured | (covered & (np.minimum(a, b).min(axis=2) < WHITE_LEVEL))
    # Fine edges are blurred away: a shift by one pixel gives them other colors.
    blurred = (np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2.0), np.uint8)[colored] for pixels in (a, b))
    return windows.agreement, trimmed_difference(*blurred)


def compare_windows(a: Pixels, b: Pixels, covered: NDArray[np.bool_]) -> WindowAgreement:
    """Compare two images of one size window by window.

    An overlay (text, a logo) hides one image. `agreement` is therefore the better of two shares: that among the windows
    textured in a, and that among those textured in b, unless these are much rarer.
    The brightest channel and the gray levels are both tried, since an edit may leave only one of them alone.
    """
    kernel = np.ones((AGREEMENT_WINDOW, AGREEMENT_WINDOW), np.uint8)
    inside = cv2.erode(covered.astype(np.uint8), kernel).astype(bool)
    nowhere = np.zeros(inside.shape, bool)
    candidates = [WindowAgreement(0.0, nowhere, nowhere)]
    for first, second in ((brightest_channel(a), brightest_channel(b)), (_luma(a), _luma(b))):
        candidates += _compare_channel(first, second, inside)
    return max(candidates, key=lambda candidate: candidate.agreement)


def _compare_channel(a: Gray, b: Gray, inside: NDArray[np.bool_]) -> list[WindowAgreement]:
    window = AGREEMENT_WINDOW, AGREEMENT_WINDOW
    first, second = (cv2.GaussianBlur(channel.astype(np.float32), (0, 0), 1.0) for channel in (a, b))
    means = [cv2.blur(values, window) for values in (first, second)]
    variances = [
        np.maximum(cv2.blur(values * values, window) - mean * mean, 0)
        for values, mean in zip((first, second), means, strict=True)
    ]
    covariance = cv2.blur(first * second, window) - means[0] * means[1]
    contrast = np.sqrt(np.maximum(variances[0] * variances[1], 1e-3))
    matches = covariance > MIN_WINDOW_CORRELATION * contrast
    textured = [inside & (variance > MIN_TEXTURE**2) for variance in variances]
    union = textured[0] | textured[1]
    return [
        WindowAgreement(float(matches[windows].mean()), windows, windows & matches)
        for windows in textured
        if windows.any() and windows.sum() > union.sum() / 3
    ]


def brightest_channel(pixels: Pixels) -> Gray:
    """Return the largest channel of each pixel, which a turned hue leaves alone: (height, width)."""
    return np.asarray(pixels.max(axis=2), np.uint8)


def _luma(pixels: Pixels) -> Gray:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)

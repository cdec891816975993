"""The change of a copy's fine detail, in one word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from .shared_frame import SharedFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray

DetailChange = Literal["softened", "sharpened", "noisy"]

FINE_SIGMA, COARSE_SIGMA = 1.2, 4.0
"""Sigma of the blurs, in pixels of the frame, between which and above which detail is coarse, and below which fine."""

MAX_SOFT_RATIO, MIN_SHARP_RATIO, MIN_NOISE_RATIO = 0.5, 1.25, 1.3
"""Strength of the fine detail of the second image over that of the first: below which it was softened, above which it
was sharpened, or has noise. Both are relative to the coarse detail, which an edit of the contrast changes, too."""

MAX_RETOUCHED_RATIO = 0.35
"""The first of these where something was laid over the second image: that is coarse detail, mostly."""

MIN_SHARP_CORRELATION, MAX_NOISE_CORRELATION = 0.92, 0.8
"""Correlation of the fine detail above which it is the same one, made stronger, and below which it is another."""

MIN_FINE_DETAIL = 1.0
"""Standard deviation of the fine detail, in levels from 0 to 255, below which there is none that could be weaker."""


def name_detail_change(frame: SharedFrame, *, is_retouched: bool) -> DetailChange | None:
    """Name what was done to the fine detail of the first of two images to make the second; None if nothing was.

    Where a region `is_retouched`, detail that was added to it is not taken for noise.
    """
    (fine_a, coarse_a), (fine_b, coarse_b) = (_split_detail(pixels, frame.shared) for pixels in (frame.a, frame.b))
    contrast = max(float(coarse_b.std()), 0.5) / max(float(coarse_a.std()), 0.5)
    before, after = float(fine_a.std()) * contrast, float(fine_b.std())
    if max(before, after) < MIN_FINE_DETAIL:
        return None
    ratio = after / max(before, 1e-3)
    correlation = abs(float((fine_a * fine_b).mean())) / max(float(fine_a.std() * fine_b.std()), 1e-6)
    if ratio < (MAX_RETOUCHED_RATIO if is_retouched else MAX_SOFT_RATIO):
        return "softened"
    if ratio > MIN_SHARP_RATIO and correlation > MIN_SHARP_CORRELATION:
        return "sharpened"
    if ratio > MIN_NOISE_RATIO and correlation < MAX_NOISE_CORRELATION and not is_retouched:
        return "noisy"
    return None


def _split_detail(pixels: NDArray[np.uint8], shared: NDArray[np.bool_]) -> tuple[NDArray[np.float32], ...]:
    """Return the fine and the coarse detail of the gray levels at the shared pixels."""
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth, smoother = (cv2.GaussianBlur(gray, (0, 0), sigma) for sigma in (FINE_SIGMA, COARSE_SIGMA))
    return (gray - smooth)[shared], (smooth - smoother)[shared]

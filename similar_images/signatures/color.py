"""Which colors a picture has, wherever they are."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, ClassVar

from similar_images.signatures.base import Method, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HUES = 6
LEVELS = 6
FINE_BINS = (60, 32, 32)
LONG_SIDE = 256


class Color(Method):
    """HSV histogram of 6 hues x 6 saturations x 6 values, without the near-white background of a product.

    A pixel is shared among the bins around its color, so that a small change of color is a small change of
    the histogram. The bins sum to 1: the histogram intersection of two pictures is 1 - distance / 2.

    `white_tolerance`: how far below 255 (0 to 255) a near-white pixel's channels may be; a picture with no
    other pixels counts all of them.
    """

    name = "color"
    metric: ClassVar[Metric] = "l1"
    curve = ((0.0, 100.0), (2.0, 0.0))
    dimensions = HUES * LEVELS * LEVELS

    def __init__(self, white_tolerance: int = 12) -> None:
        self.white_tolerance = white_tolerance

    @property
    def version(self) -> str:
        return f"hsv-soft{HUES}x{LEVELS}x{LEVELS}-white{self.white_tolerance}-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Count the colors of a picture: 216 shares from 0 to 1, in the order hue, saturation, value."""
        import cv2
        import numpy as np

        scale = LONG_SIDE / max(pixels.shape)
        if scale < 1:
            size = [max(1, round(side * scale)) for side in pixels.shape[1::-1]]
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        colored = cv2.bitwise_not(cv2.inRange(pixels, (255 - self.white_tolerance,) * 3, (255,) * 3))
        mask = colored if colored.any() else None
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        fine = cv2.calcHist([hsv], [0, 1, 2], mask, FINE_BINS, (0, 180, 0, 256, 0, 256))
        histogram = np.einsum("hsv,ha,sb,vc->abc", fine, *_weights(), optimize=True).ravel()
        return histogram / histogram.sum()


@cache
def _weights() -> tuple[NDArray[np.float32], ...]:
    """How much each fine bin of hue, saturation and value counts for each of the few that are kept."""
    import numpy as np

    hue = np.arange(1, 180, 3)[:, None] / (180 / HUES) - np.arange(HUES)
    hue = (hue + HUES / 2) % HUES - HUES / 2  # the last hue is next to the first
    level = np.arange(3.5, 256, 8)[:, None] / (255 / (LEVELS - 1)) - np.arange(LEVELS)
    return tuple(np.maximum(0, 1 - np.abs(offset)).astype(np.float32) for offset in (hue, level, level))

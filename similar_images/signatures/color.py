"""Color histograms of an image, whatever its layout."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy

from .base import Method, Metric
from .resizing import reduce_to_side

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HUES, LEVELS = 6, 6
"""Bins of hue, and of saturation and value, that are stored."""

FINE_BINS = (60, 32, 32)
"""Bins of hue, saturation and value that are counted, then shared among the stored ones."""

HISTOGRAM_LONG_SIDE = 256
"""Pixels of the long side of the image that is counted."""

EMD_HUES, EMD_LEVELS = 60, 64
"""Bins of hue, and of saturation and value, of the cumulative histograms."""

GRAY_CHROMA = 0.05
"""Mean chroma, 0 to 1, below which the hues of an image count only partly."""


class Color(Method):
    """HSV histogram of 6 hues x 6 saturations x 6 values, without the near-white background of a product.

    Pixels are shared among the bins around their color (soft binning), so that a small change of color is a small
    change of the histogram. The square roots of the counts are stored, so that small patches of color count beside
    large areas (Arandjelović and Zisserman, "Three Things Everyone Should Know to Improve Object Retrieval", 2012, for
    other histograms), scaled to sum to 1: the histogram intersection of two images is 1 - distance / 2.

    Args:
        white_tolerance: levels below 255, 0 to 255, down to which all channels of a pixel must be to count as
            near-white; an image of nothing else counts all of its pixels.
    """

    name = "color"
    title = gettext_lazy("Color")
    metric: ClassVar[Metric] = "l1"
    # 300 photos: re-encoded at JPEG quality 60 the median is 0.070; of random pairs 1 in 10,000 is below 0.34.
    curve = ((0, 100), (0.07, 96), (0.14, 91), (0.34, 70), (0.61, 30), (1.11, 2), (2, 0.0))
    dimensions = HUES * LEVELS * LEVELS

    def __init__(self, white_tolerance: int = 12) -> None:
        self.white_tolerance = white_tolerance

    @property
    def version(self) -> str:
        """Name of algorithm and options."""
        return f"hsv-sqrt{HUES}x{LEVELS}x{LEVELS}-white{self.white_tolerance}-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the square roots of the counts: float32 (216,) with the sum 1, ordered by hue, saturation, value."""
        import numpy as np

        histogram = np.sqrt(count_colors(pixels, self.white_tolerance))
        histogram /= histogram.sum()
        return histogram


def count_colors(pixels: NDArray[np.uint8], white_tolerance: int = 12) -> NDArray[np.float32]:
    """Count the pixels of each color of an RGB image, reduced, without near-white if it has other colors.

    Returns:
        float32 (216,), ordered by hue, saturation, value; a pixel is shared among the bins around its color.
    """
    import cv2
    import numpy as np

    small, mask = mask_white(pixels, HISTOGRAM_LONG_SIDE, white_tolerance)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    fine = cv2.calcHist([hsv], [0, 1, 2], mask, FINE_BINS, (0, 180, 0, 256, 0, 256))
    counts: NDArray[np.float32] = np.einsum("hsv,ha,sb,vc->abc", fine, *_bin_shares(), optimize=True).ravel()
    return counts


class ColorEmd(Method):
    """Cumulative histograms of hue, saturation and value, compared by the earth mover's distance, without near-white.

    The distance, 0 to 1, is the mean of three earth mover's distances, as shares of the whole range: of the
    saturations, of the values, and of the hues, whose whole range is half the circle. On a line, the earth mover's
    distance is the L1 distance of the cumulative histograms, which are stored. The weight of a pixel's hue is its
    chroma, saturation times value: gray has no hue. The less color an image has, the more its hues are spread evenly.

    On a circle, the earth mover's distance is the minimum over all constants added to one of the cumulative
    histograms (Rabin, Delon and Gousseau, "Transportation Distances on the Circle", 2011). Stored vectors have a fixed
    one, which makes their mean 0. The resulting distance of hues is one to two times the exact one: for two single
    hues t of the circle apart, 2 t (1 - t) instead of min(t, 1 - t).

    Args:
        white_tolerance: see `Color`.
    """

    name = "color-emd"
    title = gettext_lazy("Color distribution")
    metric: ClassVar[Metric] = "l1"
    # 300 photos: re-encoded at JPEG quality 60 the median is 0.004; of random pairs 1 in 10,000 is below 0.029.
    curve = ((0, 100), (0.029, 70), (0.08, 30), (0.23, 2), (0.49, 0.0))
    dimensions = EMD_HUES + 2 * EMD_LEVELS

    def __init__(self, white_tolerance: int = 12) -> None:
        self.white_tolerance = white_tolerance

    @property
    def version(self) -> str:
        """Name of algorithm and options."""
        return f"hsv-cdf{EMD_HUES}+{EMD_LEVELS}+{EMD_LEVELS}-white{self.white_tolerance}-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the cumulative shares of 60 hues, 64 saturations and 64 values, each over three times their number.

        Hues are those in excess of an even distribution, -2/180 to 2/180 with the mean 0; the others are 0 to 1/192.
        """
        import cv2
        import numpy as np

        small, mask = mask_white(pixels, HISTOGRAM_LONG_SIDE, self.white_tolerance)
        hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
        hue, saturation, value = (hsv.reshape(-1, 3) if mask is None else hsv[mask > 0]).T
        chroma = saturation * value.astype(np.float64) / 255**2
        hues = np.bincount(hue // (180 // EMD_HUES), chroma, EMD_HUES) / max(chroma.sum(), GRAY_CHROMA * len(chroma))
        excess = np.cumsum(hues - hues.mean())
        levels = [
            np.bincount(level // (256 // EMD_LEVELS), minlength=EMD_LEVELS).cumsum() / (len(level) * EMD_LEVELS)
            for level in (saturation, value)
        ]
        signature = np.concatenate([2 * (excess - excess.mean()) / EMD_HUES, *levels]) / 3
        return signature.astype(np.float32)


def mask_white(
    pixels: NDArray[np.uint8], long_side: int, tolerance: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Return the reduced image, and a mask (255) of the pixels that are not near-white; None if all of them are."""
    import cv2
    import numpy as np

    small = reduce_to_side(pixels, long_side)
    colored = np.asarray(cv2.bitwise_not(cv2.inRange(small, (255 - tolerance,) * 3, (255,) * 3)), np.uint8)
    return small, colored if colored.any() else None


@cache
def _bin_shares() -> tuple[NDArray[np.float32], ...]:
    """Return the share of each fine bin of hue, saturation and value that each stored bin gets: (fine, stored) each."""
    import numpy as np

    # Bins centered on 30, 90, ... degrees find slightly more than bins centered on red, yellow, ... (measured).
    hue = (np.arange(FINE_BINS[0])[:, None] + 0.5) * HUES / FINE_BINS[0] - 0.5 - np.arange(HUES)
    hue = (hue + HUES / 2) % HUES - HUES / 2  # hue is circular
    level = np.linspace(0, LEVELS - 1, FINE_BINS[1])[:, None] - np.arange(LEVELS)
    return tuple(np.maximum(0, 1 - np.abs(offset)).astype(np.float32) for offset in (hue, level, level))

"""Color histograms of two images, compared wherever the colors are and without the white ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy as _

from ..signatures.color import count_colors
from .base import ComparisonImage, Measure, MeasureResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RGB_BINS = 256**3
"""Bins of a histogram that counts every RGB color by itself."""

WHITE = RGB_BINS - 1
"""The bin of white, which is not counted."""


class Histograms(Measure):
    """Two HSV histograms of 6 hues x 6 saturations x 6 values, each of sum 1, compared by OpenCV.

    They are the counts of the signature `color`, without its square roots: a patch of color counts by its area.
    Near-white pixels are ignored, unless an image has no others: two blank images have the best value.

    Args:
        white_tolerance: how far below 255 the channels of a near-white pixel may be, 0 to 255.
    """

    opencv_method: ClassVar[str]
    """Name of one of OpenCV's HISTCMP_ constants."""

    def __init__(self, white_tolerance: int = 12) -> None:
        self.white_tolerance = white_tolerance

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Compare the histograms, each of which is computed once per image."""
        import cv2

        first, second = (
            image.cached((Histograms, self.white_tolerance), partial(_color_shares, image.pixels, self.white_tolerance))
            for image in (a, b)
        )
        return MeasureResult(cv2.compareHist(first, second, getattr(cv2, self.opencv_method)))


def _color_shares(pixels: NDArray[np.uint8], white_tolerance: int) -> NDArray[np.float32]:
    counts = count_colors(pixels, white_tolerance)
    shares: NDArray[np.float32] = counts / counts.sum()
    return shares


class Intersection(Histograms):
    """The sum of the smaller share of each color (Swain and Ballard, "Color Indexing", 1991): 0 to 1."""

    title = _("Shared colors")
    meaning = _("Share of color that both images have in common (0–1).")
    best, worst = 1.0, 0.0
    # Tuned on 300 photos: re-encoded at JPEG quality 60 the median is 0.038; 1 in 10,000 random pairs is below 0.245.
    curve = ((0, 100), (0.245, 70), (0.43, 30), (0.76, 2), (1, 0.0))
    opencv_method = "HISTCMP_INTERSECT"


class Correlation(Histograms):
    """Pearson's correlation of the shares: -1 to 1, and about 0 where no color is in common."""

    title = _("Color correlation")
    meaning = _("Correlation between the color frequencies of both images (−1 to 1).")
    best, worst = 1.0, -1.0
    # Tuned on 300 photos: re-encoded at JPEG quality 60 the median is 0.002; 1 in 10,000 random pairs is below 0.065.
    curve = ((0, 100), (0.065, 70), (0.27, 30), (0.89, 2), (1, 0.0))
    opencv_method = "HISTCMP_CORREL"


class ChiSquare(Histograms):
    """Twice the sum of (a - b)^2 / (a + b), which is symmetric: 0 to 4."""

    title = _("Color difference (chi-square)")
    meaning = _("Chi-square distance between the two color distributions (0–4).")
    best, worst = 0.0, 4.0
    # Tuned on 300 photos: re-encoded at JPEG quality 60 the median is 0.016; 1 in 10,000 random pairs is below 0.41.
    curve = ((0, 100), (0.41, 70), (1.08, 30), (2.63, 2), (4, 0.0))
    opencv_method = "HISTCMP_CHISQR_ALT"


class Bhattacharyya(Histograms):
    """The square root of 1 - sum of sqrt(a b), also called Hellinger's distance: 0 to 1."""

    title = _("Color difference (Bhattacharyya)")
    meaning = _("Bhattacharyya distance between the two color distributions (0–1).")
    best, worst = 0.0, 1.0
    # Tuned on 300 photos: re-encoded at JPEG quality 60 the median is 0.045; 1 in 10,000 random pairs is below 0.242.
    curve = ((0, 100), (0.242, 70), (0.418, 30), (0.72, 2), (1, 0.0))
    opencv_method = "HISTCMP_BHATTACHARYYA"


class RgbCorrelation(Measure):
    """Pearson's correlation of two RGB histograms of 256 bins a channel, without pure white: -1 to 1.

    It is the value of OpenCV's `compareHist(HISTCMP_CORREL)` for two `calcHist` of the three channels, with the bin of
    white set to 0 and both `normalize`d to 0 to 1, which changes no correlation. Only colors that occur are held, as
    such a histogram has 64 MB. An image counts at the size that it is given in; files of 1,280 pixels or more on the
    long side are reduced when they are decoded.

    OpenCV takes an entirely white image for equal to any other; here it equals another white one only.
    """

    title = _("Exact color correlation")
    meaning = _("Correlation between the frequencies of exact RGB values in both images, without white (−1 to 1).")
    best, worst = 1.0, -1.0
    # Tuned on 150 photos, to pass as many of their random pairs as the curve of `correlation`: 1 in 10,000 is below
    # 0.092. Compression scatters exact values, so a copy re-encoded at JPEG quality 60 has a median of 0.37, 47%.
    curve = ((0, 100), (0.092, 70), (0.58, 30), (0.987, 2), (1, 0.0))

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Correlate the counts of all colors, each of which is counted once per image."""
        first, second = (image.cached(RgbCorrelation, partial(_count_rgb, image.original_pixels)) for image in (a, b))
        return MeasureResult(_correlate_counts(first, second))


def _count_rgb(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """Return the RGB values that occur, as sorted numbers 0xRRGGBB, and the pixels of each; without white."""
    import numpy as np

    red, green, blue = (pixels[..., channel].ravel().astype(np.uint32) for channel in range(3))
    colors, counts = np.unique((red << 16) | (green << 8) | blue, return_counts=True)
    kept = colors != WHITE
    return colors[kept], counts[kept].astype(np.float64)


def _correlate_counts(
    a: tuple[NDArray[np.uint32], NDArray[np.float64]], b: tuple[NDArray[np.uint32], NDArray[np.float64]]
) -> float:
    """Return the correlation of two histograms over all `RGB_BINS`, most of which are empty."""
    import numpy as np

    (colors_a, counts_a), (colors_b, counts_b) = a, b
    if not counts_a.size or not counts_b.size:
        return float(counts_a.size == counts_b.size)
    _colors, in_a, in_b = np.intersect1d(colors_a, colors_b, assume_unique=True, return_indices=True)
    covariance = counts_a[in_a] @ counts_b[in_b] - counts_a.sum() * counts_b.sum() / RGB_BINS
    variances = [counts @ counts - counts.sum() ** 2 / RGB_BINS for counts in (counts_a, counts_b)]
    return float(np.clip(covariance / np.sqrt(variances[0] * variances[1]), -1, 1))

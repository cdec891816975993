"""Which colors a picture has, wherever they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy

from .base import Method, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Value

HUES = 6
LEVELS = 6
FINE_BINS = (60, 32, 32)
LONG_SIDE = 256
EMD_HUES = 60
EMD_LEVELS = 64
GRAY = 0.05  # mean chroma, 0 to 1, below which a picture's hues mean little
PALETTE_LONG_SIDE = 64
LAB_SPACINGS = (20, 40, 80)


class Color(Method):
    """HSV histogram of 6 hues x 6 saturations x 6 values, without the near-white background of a product.

    A pixel is shared among the bins around its color, so that a small change of color is a small change of
    the histogram. Of the shares, the square roots are kept, so that small patches of color count beside large areas
    (Arandjelović and Zisserman, "Three Things Everyone Should Know to Improve Object Retrieval", 2012, for other
    histograms), and scaled to sum to 1: the histogram intersection of two pictures is 1 - distance / 2.

    `white_tolerance`: how far below 255 (0 to 255) a near-white pixel's channels may be; a picture with no
    other pixels counts all of them.
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
        return f"hsv-sqrt{HUES}x{LEVELS}x{LEVELS}-white{self.white_tolerance}-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Count the colors of a picture: 216 numbers from 0 to 1, in the order hue, saturation, value."""
        import numpy as np

        histogram = np.sqrt(color_counts(pixels, self.white_tolerance))
        histogram /= histogram.sum()
        return histogram


def color_counts(pixels: NDArray[np.uint8], white_tolerance: int = 12) -> NDArray[np.float32]:
    """Count the pixels of each color of an RGB picture, reduced, and without its near-white where it has other colors.

    Returns:
        216 numbers in the order hue, saturation, value; a pixel is shared among the bins around its color.
    """
    import cv2
    import numpy as np

    small, mask = _without_white(pixels, LONG_SIDE, white_tolerance)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    fine = cv2.calcHist([hsv], [0, 1, 2], mask, FINE_BINS, (0, 180, 0, 256, 0, 256))
    counts: NDArray[np.float32] = np.einsum("hsv,ha,sb,vc->abc", fine, *_weights(), optimize=True).ravel()
    return counts


class ColorEmd(Method):
    """Earth mover's distance of the hues, of the saturations and of the values of two pictures, without their white.

    The distance, 0 to 1, is the mean of three: how far, in shares of the whole range, the saturations of one picture
    must move to become the other's; the same of the values; and of the hues, where half the circle is the whole range.
    The earth mover's distance on a line is the L1 distance of the cumulative histograms, which is what is stored.
    A pixel counts for its hue by its chroma, saturation times value: gray has no hue. A picture that is hardly
    colored at all counts partly, a gray one wholly, for all hues alike.

    On a circle, the earth mover's distance is the least over all numbers that may be added to one of the cumulative
    histograms (Rabin, Delon and Gousseau, "Transportation Distances on the Circle", 2011). For stored vectors it must
    be added beforehand: the one that makes the mean 0. The distance of hues so told is from one to two times the
    true one: for two single hues t of the circle apart, 2 t (1 - t) instead of min(t, 1 - t).

    `white_tolerance`: as of `Color`.
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
        return f"hsv-cdf{EMD_HUES}+{EMD_LEVELS}+{EMD_LEVELS}-white{self.white_tolerance}-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Cumulate the shares of 60 hues, 64 saturations and 64 values, each divided by three times their number.

        Hues are told in excess of all hues alike, from -2/180 to 2/180 around a mean of 0; the others up to 1/192.
        """
        import cv2
        import numpy as np

        small, mask = _without_white(pixels, LONG_SIDE, self.white_tolerance)
        hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
        hue, saturation, value = (hsv.reshape(-1, 3) if mask is None else hsv[mask > 0]).T
        chroma = saturation * value.astype(np.float64) / 255**2
        hues = np.bincount(hue // (180 // EMD_HUES), chroma, EMD_HUES) / max(chroma.sum(), GRAY * len(chroma))
        excess = np.cumsum(hues - hues.mean())
        levels = [
            np.bincount(level // (256 // EMD_LEVELS), minlength=EMD_LEVELS).cumsum() / (len(level) * EMD_LEVELS)
            for level in (saturation, value)
        ]
        signature = np.concatenate([2 * (excess - excess.mean()) / EMD_HUES, *levels]) / 3
        return signature.astype(np.float32)


def _grid(spacing: int) -> tuple[int, int, int]:
    """How many points, so far apart, span L from 0 to 100, and a and b from -100 to 100."""
    light, hue = math.ceil(100 / spacing) + 1, math.ceil(200 / spacing) + 1
    return light, hue, hue


GRID_POINTS = sum(math.prod(_grid(spacing)) for spacing in LAB_SPACINGS)
KEPT = 2e-5


class Palette(Method):
    """The few main colors of a picture and how much of it each covers, without its white.

    The earth mover's distance of two palettes, `palette_distance`, can't be indexed; the distance of the stored
    vectors stands in for it, and puts forward the candidates, which are then ranked by the true one. Colors are shared
    among the points of three grids in Lab, a fine, a middle and a coarse one, each weighted by its spacing (Indyk and
    Thaper, "Fast Image Retrieval via Embeddings", 2003). Of random pairs of photos, the rank correlation of the two
    distances is 0.95, and the nearest hundredth is as far by one as by the other: 12 units of Lab.

    `colors`: how many. `white_tolerance`: as of `Color`.
    """

    name = "palette"
    title = gettext_lazy("Main colors")
    metric: ClassVar[Metric] = "l1"
    # 300 photos: re-encoded at JPEG quality 60 the median is 0.56; of random pairs 1 in 10,000 is below 6.2.
    curve = ((0, 100), (6.2, 70), (11.9, 30), (28.2, 2), (60, 0.0))
    refines = True

    def __init__(self, colors: int = 5, white_tolerance: int = 12) -> None:
        if not 1 <= colors <= 64:
            raise ValueError("colors must be from 1 to 64")
        self.colors = colors
        self.white_tolerance = white_tolerance

    @property
    def version(self) -> str:
        return f"lab-palette{self.colors}-grids20:40:80-white{self.white_tolerance}-2"

    @property
    def dimensions(self) -> int:
        return GRID_POINTS + 4 * self.colors

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Share out the main colors among the points of the grids: 918 numbers from 0 to 80 / 3.

        After them comes the palette itself, four numbers a color: L, a, b and weight in percent, times 0.00002, which
        is too small to matter to the distance, and large enough for half precision.
        """
        import numpy as np

        colors, weights = palette(pixels, self.colors, self.white_tolerance)
        parts = []
        for spacing in LAB_SPACINGS:
            grid = np.zeros(_grid(spacing), np.float32)
            position = np.clip(colors - (0, -100, -100), 0, (100, 200, 200)) / spacing
            low = np.minimum(position.astype(int), np.array(grid.shape) - 2)
            for corner in np.ndindex(2, 2, 2):
                share = np.abs(1 - np.array(corner) - (position - low)).prod(axis=1)
                np.add.at(grid, tuple((low + corner).T), share * weights)
            parts.append(grid.ravel() * (spacing / len(LAB_SPACINGS)))
        kept = np.zeros((self.colors, 4), np.float32)
        kept[: len(colors)] = np.column_stack([colors, 100 * weights]) * KEPT
        return np.concatenate([*parts, kept.ravel()])

    def refine(self, query: Value, candidates: Sequence[Value]) -> list[float]:
        """The earth mover's distance of the palettes, in units of Lab."""
        own = _kept(query)
        return [palette_distance(own, _kept(candidate)) for candidate in candidates]


def _kept(signature: Value) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The palette at the end of a stored signature."""
    import numpy as np

    rows = np.asarray(signature, np.float32)[GRID_POINTS:].reshape(-1, 4) / KEPT
    rows = rows[rows[:, 3] > 0]
    return rows[:, :3], rows[:, 3] / rows[:, 3].sum()


def palette(
    pixels: NDArray[np.uint8], count: int = 5, white_tolerance: int = 12
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find the main colors of an RGB picture by k-means, the largest first.

    Returns:
        At most `count` colors in CIE Lab, (k, 3): L from 0 to 100, a and b from about -128 to 127; and the share of
        the picture that each stands for, (k,), together 1. A picture of fewer colors has fewer.
    """
    import cv2
    import numpy as np

    small, mask = _without_white(pixels, LONG_SIDE, white_tolerance)
    share = np.ones(small.shape[:2], np.float32) if mask is None else (mask > 0).astype(np.float32)
    size = _fit(small, PALETTE_LONG_SIDE)
    # Averaged without the white, which would blend with what it surrounds into colors that are not there.
    sums, shares = (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (small * share[..., None], share)
    )
    full = shares >= shares.max() / 2
    colors = (sums[full] / shares[full][:, None]).astype(np.float32)
    lab = cv2.cvtColor(colors[None] / np.float32(255), cv2.COLOR_RGB2LAB)[0]
    if len(lab) == 1:  # which OpenCV would take for three samples of one number
        return lab, np.ones(1, np.float32)
    # Started from colors chosen here, and not by chance: the same picture always gets the same palette.
    centers = _spread(colors, lab, count)
    labels = ((lab[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1).astype(np.int32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.5)
    _, found, means = cv2.kmeans(lab, len(centers), labels, stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    weights = np.bincount(np.ravel(found), minlength=len(centers)) / len(lab)
    order = np.argsort(-weights, kind="stable")
    return np.asarray(means, np.float32)[order], weights[order].astype(np.float32)


def palette_distance(
    a: tuple[NDArray[np.float32], NDArray[np.float32]], b: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> float:
    """Earth mover's distance of two palettes: how far in Lab colors move, on the mean."""
    import cv2
    import numpy as np

    first, second = (np.column_stack([weights, colors]).astype(np.float32) for colors, weights in (a, b))
    return float(cv2.EMD(first, second, cv2.DIST_L2)[0])


def _spread(colors: NDArray[np.float32], lab: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Choose frequent colors that are far from each other, at most `count`: the means of cells 32 wide in RGB."""
    import numpy as np

    _, cells, shares = np.unique(
        (colors.astype(int) >> 5) @ np.array([64, 8, 1]), return_inverse=True, return_counts=True
    )
    means = np.stack([np.bincount(cells, channel) / shares for channel in lab.T], axis=1)
    chosen = [int(shares.argmax())]
    gap = np.full(len(shares), np.inf)
    for _ in range(min(count, len(shares)) - 1):
        gap = np.minimum(gap, ((means - means[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int((shares * gap).argmax()))
    return means[chosen].astype(np.float32)


def _without_white(
    pixels: NDArray[np.uint8], long_side: int, tolerance: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """The picture reduced, and a mask of what is not near-white; None where all of it is."""
    import cv2
    import numpy as np

    small = np.asarray(cv2.resize(pixels, _fit(pixels, long_side), interpolation=cv2.INTER_AREA), np.uint8)
    colored = np.asarray(cv2.bitwise_not(cv2.inRange(small, (255 - tolerance,) * 3, (255,) * 3)), np.uint8)
    return small, colored if colored.any() else None


def _fit(pixels: NDArray[np.uint8], long_side: int) -> tuple[int, int]:
    """Width and height of a picture whose long side is at most that."""
    height, width = pixels.shape[:2]
    scale = min(1, long_side / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


@cache
def _weights() -> tuple[NDArray[np.float32], ...]:
    """How much each fine bin of hue, saturation and value counts for each of the few that are kept."""
    import numpy as np

    # Hues around 30, 90, ... degrees: measured, they find a little more than hues around red, yellow, ...
    hue = (np.arange(FINE_BINS[0])[:, None] + 0.5) * HUES / FINE_BINS[0] - 0.5 - np.arange(HUES)
    hue = (hue + HUES / 2) % HUES - HUES / 2  # the last hue is next to the first
    level = np.linspace(0, LEVELS - 1, FINE_BINS[1])[:, None] - np.arange(LEVELS)
    return tuple(np.maximum(0, 1 - np.abs(offset)).astype(np.float32) for offset in (hue, level, level))

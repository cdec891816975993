"""Palette: the main colors of an image, compared by the earth mover's distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy

from .base import Method, Metric
from .color import mask_white
from .resizing import fit_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Value

    ColorsAndWeights = tuple[NDArray[np.float32], NDArray[np.float32]]

PALETTE_LONG_SIDE = 64
"""Pixels of the long side of the image whose colors are clustered."""

LAB_SPACINGS = (20, 40, 80)
"""Distance of neighboring points of each grid, in units of Lab."""

MASK_LONG_SIDE = 256
"""Pixels of the long side at which white is masked, before averaging could blend it with other colors."""


def _grid_shape(spacing: int) -> tuple[int, int, int]:
    """Return the number of points that span L from 0 to 100, and a and b from -100 to 100."""
    lightness, chroma = math.ceil(100 / spacing) + 1, math.ceil(200 / spacing) + 1
    return lightness, chroma, chroma


GRID_POINTS = sum(math.prod(_grid_shape(spacing)) for spacing in LAB_SPACINGS)
PALETTE_SCALE = 2e-5
"""Factor of the palette at the end of a signature: too small to affect the distance, yet precise in half precision."""


class Palette(Method):
    """The main colors of an image and the share that each covers, without near-white.

    The earth mover's distance of two palettes, `palette_distance`, can't be indexed. The distance of the stored
    vectors approximates it: it selects the candidates, which are then ranked by the exact distance. Colors are
    shared among the points of a fine, a medium and a coarse grid in Lab, each weighted by its spacing (Indyk and
    Thaper, "Fast Image Retrieval via Embeddings", 2003). Over random pairs of photos, the rank correlation of the two
    distances is 0.95, and their first percentiles are equal: 12 units of Lab.

    Args:
        colors: number of colors, 1 to 64.
        white_tolerance: see `Color`.
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
        """Name of algorithm and options."""
        return f"lab-palette{self.colors}-grids20:40:80-white{self.white_tolerance}-2"

    @property
    def dimensions(self) -> int:
        """Length of a signature."""
        return GRID_POINTS + 4 * self.colors

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Share the main colors among the points of the grids.

        Returns:
            918 numbers from 0 to 80 / 3, one per grid point; then (L, a, b, weight in percent) of each color, times
            PALETTE_SCALE, zeros where there are fewer colors.
        """
        import numpy as np

        colors, weights = extract_palette(pixels, self.colors, self.white_tolerance)
        grids = [_share_among_grid(colors, weights, s) * (s / len(LAB_SPACINGS)) for s in LAB_SPACINGS]
        rows = np.zeros((self.colors, 4), np.float32)
        rows[: len(colors)] = np.column_stack([colors, 100 * weights]) * PALETTE_SCALE
        return np.concatenate([*grids, rows.ravel()])

    def refine(self, query: Value, candidates: Sequence[Value]) -> list[float]:
        """Return the earth mover's distances of the palettes, in units of Lab."""
        query_palette = _palette_from_signature(query)
        return [palette_distance(query_palette, _palette_from_signature(candidate)) for candidate in candidates]


def _share_among_grid(colors: NDArray[np.float32], weights: NDArray[np.float32], spacing: int) -> NDArray[np.float32]:
    """Sum up the weights of the colors at the points of a grid, by trilinear interpolation."""
    import numpy as np

    grid = np.zeros(_grid_shape(spacing), np.float32)
    position = np.clip(colors - (0, -100, -100), 0, (100, 200, 200)) / spacing
    low = np.minimum(position.astype(int), np.array(grid.shape) - 2)
    for corner in np.ndindex(2, 2, 2):
        share = np.abs(1 - np.array(corner) - (position - low)).prod(axis=1)
        np.add.at(grid, tuple((low + corner).T), share * weights)
    return grid.ravel()


def _palette_from_signature(signature: Value) -> ColorsAndWeights:
    """Read the palette at the end of a stored signature."""
    import numpy as np

    rows = np.asarray(signature, np.float32)[GRID_POINTS:].reshape(-1, 4) / PALETTE_SCALE
    rows = rows[rows[:, 3] > 0]
    return rows[:, :3], rows[:, 3] / rows[:, 3].sum()


def extract_palette(pixels: NDArray[np.uint8], count: int = 5, white_tolerance: int = 12) -> ColorsAndWeights:
    """Find the main colors of an RGB image by k-means, the largest first.

    Returns:
        At most `count` colors in CIE Lab, (k, 3): L from 0 to 100, a and b from about -128 to 127; and the share of
        the image that each stands for, (k,), with the sum 1. An image of fewer colors has fewer.
    """
    import cv2
    import numpy as np

    small, mask = mask_white(pixels, MASK_LONG_SIDE, white_tolerance)
    share = np.ones(small.shape[:2], np.float32) if mask is None else (mask > 0).astype(np.float32)
    size = fit_size(small, PALETTE_LONG_SIDE)
    # Average without the white, which would blend with its neighbors into colors that the image does not have.
    sums, shares = (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (small * share[..., None], share)
    )
    is_colored = shares >= shares.max() / 2
    colors = (sums[is_colored] / shares[is_colored][:, None]).astype(np.float32)
    lab = cv2.cvtColor(colors[None] / np.float32(255), cv2.COLOR_RGB2LAB)[0]
    if len(lab) == 1:  # OpenCV would read a single color as three samples of one number
        return lab, np.ones(1, np.float32)
    # Start from chosen colors, not from random ones: the same image always gets the same palette.
    centers = _choose_initial_colors(colors, lab, count)
    labels = ((lab[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1).astype(np.int32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.5)
    _, clusters, means = cv2.kmeans(lab, len(centers), labels, stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    weights = np.bincount(np.ravel(clusters), minlength=len(centers)) / len(lab)
    order = np.argsort(-weights, kind="stable")
    return np.asarray(means, np.float32)[order], weights[order].astype(np.float32)


def palette_distance(a: ColorsAndWeights, b: ColorsAndWeights) -> float:
    """Return the earth mover's distance of two palettes: the mean distance that colors move, in units of Lab."""
    import cv2
    import numpy as np

    first, second = (np.column_stack([weights, colors]).astype(np.float32) for colors, weights in (a, b))
    return float(cv2.EMD(first, second, cv2.DIST_L2)[0])


def _choose_initial_colors(colors: NDArray[np.float32], lab: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Choose at most `count` frequent colors far from each other: means of the cells of a grid of 32 levels in RGB."""
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

"""Where light and color are in a picture, on a grid."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.translation import gettext_lazy

from .base import Method, Metric, StorageType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TINY_SIDE = 4
WAVELET_SIDE = 128
BLANK = 2 * 3 * WAVELET_SIDE * WAVELET_SIDE
# The paper's weights for scanned pictures, by bin from 1 on: Y, and the mean of its I and Q, which U and V turn by 33°.
BIN_WEIGHTS = ((0.83, 1.01, 0.52, 0.47, 0.30), (0.81, 0.445, 0.335, 0.23, 0.205))


class Tiny(Method):
    """The picture at 4 x 4 pixels in YUV: the classic thumbnail, known as "tiny images".

    The distance is the sum of absolute differences of the 48 values, from 0 to 48.
    """

    name = "tiny"
    title = gettext_lazy("Rough layout")
    metric: ClassVar[Metric] = "l1"
    # 300 photos: re-encoded at JPEG quality 60 the median is 0.031; of random pairs 1 in 10,000 is below 1.43.
    curve = ((0, 100), (1.43, 70), (2.44, 30), (5.1, 2), (10.5, 0.0))
    version = f"yuv-{TINY_SIDE}x{TINY_SIDE}-1"
    dimensions = 3 * TINY_SIDE * TINY_SIDE

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Shrink a picture: 48 values from 0 to 1, in the order row, column, channel."""
        import cv2
        import numpy as np

        yuv = cv2.cvtColor(_shrink(pixels, TINY_SIDE), cv2.COLOR_RGB2YUV)
        values: NDArray[np.float32] = yuv.ravel().astype(np.float32) / np.float32(255)
        return values


class Blocks(Method):
    """How much light falls on each of n x n blocks of the picture.

    A value is the block's sum of gray divided by the sum of a white picture, so that the distance is the mean
    difference of the blocks' brightness, from 0 to 1, whatever the grid.

    `grid`: blocks a side, 1 to 63. Only the default is measured for percents.
    """

    name = "blocks"
    title = gettext_lazy("Brightness layout")
    metric: ClassVar[Metric] = "l1"
    # 300 photos: re-encoded at JPEG quality 60 the median is 0.0003; of random pairs 1 in 10,000 is below 0.057.
    curve = ((0, 100), (0.057, 70), (0.095, 30), (0.23, 2), (0.52, 0.0))

    def __init__(self, grid: int = 8) -> None:
        if not 1 <= grid <= 63:
            raise ValueError("grid must be from 1 to 63")
        self.grid = grid

    @property
    def version(self) -> str:
        return f"gray-sums-{self.grid}x{self.grid}-1"

    @property
    def dimensions(self) -> int:
        return self.grid * self.grid

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Sum up gray by block: grid² shares of the white picture's sum, row by row.

        A pixel across the border of blocks counts for each by the area that it has there.
        """
        import cv2
        import numpy as np

        gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
        sums: NDArray[np.float32] = _shrink(gray, self.grid).ravel()
        return sums / np.float32(255 * self.dimensions)


class Wavelet(Method):
    """The largest Haar wavelet coefficients of each YUV channel, by place and sign.

    Jacobs, Finkelstein and Salesin, "Fast Multiresolution Image Querying", SIGGRAPH 1995. The inner product of two
    signatures is the score of the paper without the term of the averages: the sum of the weights of the coefficients
    that both pictures have with the same sign at the same place. The distance is 1 - score / the geometric mean of
    the scores that the two pictures have with themselves.

    `coefficients`: how many of each channel, 1 to 333. `shape` and `color`: weights of Y and of U and V; 0 leaves
    them out. Only the defaults are measured for percents.
    """

    name = "wavelet"
    title = gettext_lazy("Shape and color")
    storage: ClassVar[StorageType] = "sparsevec"
    metric: ClassVar[Metric] = "cosine"
    # 300 photos: re-encoded at JPEG quality 60 the median is 0.024; of random pairs 1 in 10,000 is below 0.56.
    curve = ((0, 100), (0.56, 70), (0.67, 30), (0.81, 2), (0.95, 0.0))
    dimensions = BLANK + 1

    def __init__(self, coefficients: int = 60, shape: float = 1, color: float = 1) -> None:
        if not 1 <= coefficients <= 333:
            raise ValueError("coefficients must be from 1 to 333")
        if not (0 <= shape < math.inf and 0 <= color < math.inf and shape + color > 0):
            raise ValueError("shape and color must be from 0 up, and not both 0")
        self.coefficients = coefficients
        self.shape = shape
        self.color = color

    @property
    def version(self) -> str:
        return f"haar{WAVELET_SIDE}-yuv-top{self.coefficients}-{self.shape:g}:{self.color:g}-1"

    def compute(self, pixels: NDArray[np.uint8]) -> dict[int, float]:
        """Keep the largest coefficients: square roots of their weights.

        The place is 2 (16384 channel + 128 row + column), plus 1 where the coefficient is negative. A picture that
        has no coefficient, being of one color, has a last place to itself.
        """
        import cv2
        import numpy as np

        yuv = np.asarray(cv2.cvtColor(_shrink(pixels, WAVELET_SIDE), cv2.COLOR_RGB2YUV), np.uint8)
        signature: dict[int, float] = {}
        for channel, weight in enumerate((self.shape, self.color, self.color)):
            if weight > 0:
                coefficients = haar(yuv[..., channel]).ravel()
                coefficients[0] = 0  # the average
                places = _largest(np.abs(coefficients), self.coefficients)
                keys = 2 * (channel * WAVELET_SIDE**2 + places) + (coefficients[places] < 0)
                values = np.sqrt(weight * _bin_weights()[min(channel, 1)].ravel()[places])
                signature.update(zip(keys.tolist(), values.tolist(), strict=True))
        return signature or {BLANK: 1.0}


def haar(channel: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Decompose 128 x 128 values: all rows, then all columns, by the orthonormal Haar wavelet.

    Index 0 is the average, 1 the coarsest wavelet, 2 to 3 the next, up to 64 to 127, the finest.
    """
    steps, lengths = _haar_basis()
    # Sums of whole numbers below 2^24: exact in any order, so what cancels out is 0 and not a rounding error.
    coefficients: NDArray[np.float32] = steps @ channel @ steps.T / (lengths[:, None] * lengths)
    return coefficients


@cache
def _haar_basis() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The wavelets as rows of 1, 0 and -1, and the length of each row."""
    import numpy as np

    steps = np.ones((1, 1), np.float32)
    while len(steps) < WAVELET_SIDE:
        steps = np.vstack([np.kron(steps, (1, 1)), np.kron(np.eye(len(steps)), (1, -1))]).astype(np.float32)
    lengths: NDArray[np.float32] = np.sqrt((steps != 0).sum(axis=1)).astype(np.float32)
    return steps, lengths


@cache
def _bin_weights() -> NDArray[np.float64]:
    """The weight of each coefficient, (2, 128, 128): for Y, and for U and V."""
    import numpy as np

    index = np.arange(WAVELET_SIDE)
    bins = np.minimum(np.maximum(index[:, None], index), 5)
    return np.array([(0, *weights) for weights in BIN_WEIGHTS])[:, bins]


def _largest(values: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """The places of the largest positive values; of equal ones, the first."""
    import numpy as np

    least = np.partition(values, -count)[-count]
    above = np.flatnonzero(values > least)
    equal = np.flatnonzero(values == least)[: count - len(above)] if least > 0 else above[:0]
    return np.concatenate([above, equal])


def _shrink(pixels: NDArray[Any], side: int) -> NDArray[Any]:
    """Average a picture by area, to side x side pixels.

    OpenCV percents, instead, in both directions where one is too short: repeated pixels prevent that.
    """
    import cv2

    for axis in (0, 1):
        if pixels.shape[axis] < side:
            pixels = pixels.repeat(-(-side // pixels.shape[axis]), axis=axis)
    return cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)

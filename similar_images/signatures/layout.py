"""Layout of light and color in an image, on a grid."""

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
"""Pixels of the side of the thumbnail."""

WAVELET_SIDE = 128
"""Pixels of the side of the square that is decomposed."""

BLANK_INDEX = 2 * 3 * WAVELET_SIDE * WAVELET_SIDE
"""Index of the only number in the wavelet signature of an image of a single color."""

# The paper's weights for scanned pictures, by bin from 1 on: those of Y, and the mean of those of I and Q, which are U
# and V rotated by 33°.
BIN_WEIGHTS = ((0.83, 1.01, 0.52, 0.47, 0.30), (0.81, 0.445, 0.335, 0.23, 0.205))


class Tiny(Method):
    """The image at 4 x 4 pixels in YUV: the classic thumbnail, known as "tiny images".

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
        """Reduce an image: float32 (48,), 0 to 1, ordered by row, column, channel."""
        import cv2
        import numpy as np

        yuv = cv2.cvtColor(_reduce_to_square(pixels, TINY_SIDE), cv2.COLOR_RGB2YUV)
        values: NDArray[np.float32] = yuv.ravel().astype(np.float32) / np.float32(255)
        return values


class Blocks(Method):
    """The brightness of n x n blocks of the image.

    A value is the block's sum of gray divided by the sum of a white image, so that the distance is the mean
    difference of the blocks' brightness, 0 to 1, whatever the grid.

    Args:
        grid: blocks per side, 1 to 63. The curve was measured for the default.
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
        """Name of algorithm and options."""
        return f"gray-sums-{self.grid}x{self.grid}-1"

    @property
    def dimensions(self) -> int:
        """Length of a signature."""
        return self.grid * self.grid

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Sum up gray by block: float32 (grid²,), shares of a white image's sum, row by row.

        A pixel on the border of blocks counts for each by the area that it has there.
        """
        import cv2
        import numpy as np

        gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
        sums: NDArray[np.float32] = _reduce_to_square(gray, self.grid).ravel()
        return sums / np.float32(255 * self.dimensions)


class Wavelet(Method):
    """The largest Haar wavelet coefficients of each YUV channel, by position and sign.

    Jacobs, Finkelstein and Salesin, "Fast Multiresolution Image Querying", SIGGRAPH 1995. The inner product of two
    signatures is the score of the paper without the term of the averages: the sum of the weights of the coefficients
    that both images have with the same sign at the same position. The distance is 1 - score / the geometric mean of
    the scores of the two images with themselves.

    Args:
        coefficients: number per channel, 1 to 333.
        shape: weight of Y; 0 leaves it out. The curve was measured for the defaults.
        color: weight of U and V.
    """

    name = "wavelet"
    title = gettext_lazy("Shape and color")
    storage: ClassVar[StorageType] = "sparsevec"
    metric: ClassVar[Metric] = "cosine"
    # 300 photos: re-encoded at JPEG quality 60 the median is 0.024; of random pairs 1 in 10,000 is below 0.56.
    curve = ((0, 100), (0.56, 70), (0.67, 30), (0.81, 2), (0.95, 0.0))
    dimensions = BLANK_INDEX + 1

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
        """Name of algorithm and options."""
        return f"haar{WAVELET_SIDE}-yuv-top{self.coefficients}-{self.shape:g}:{self.color:g}-1"

    def compute(self, pixels: NDArray[np.uint8]) -> dict[int, float]:
        """Return the square roots of the weights of the largest coefficients, by index.

        The index is 2 (16384 channel + 128 row + column), plus 1 if the coefficient is negative. An image of a single
        color, which has no coefficients, has BLANK_INDEX only.
        """
        import cv2
        import numpy as np

        yuv = np.asarray(cv2.cvtColor(_reduce_to_square(pixels, WAVELET_SIDE), cv2.COLOR_RGB2YUV), np.uint8)
        signature: dict[int, float] = {}
        for channel, weight in enumerate((self.shape, self.color, self.color)):
            if weight > 0:
                coefficients = haar_transform(yuv[..., channel]).ravel()
                coefficients[0] = 0  # the average
                positions = _find_largest(np.abs(coefficients), self.coefficients)
                indices = 2 * (channel * WAVELET_SIDE**2 + positions) + (coefficients[positions] < 0)
                values = np.sqrt(weight * _coefficient_weights()[min(channel, 1)].ravel()[positions])
                signature.update(zip(indices.tolist(), values.tolist(), strict=True))
        return signature or {BLANK_INDEX: 1.0}


def haar_transform(channel: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Decompose (128, 128) values by the orthonormal Haar wavelet, all rows, then all columns.

    Along each axis, index 0 is the average, 1 the coarsest wavelet, 2 to 3 the next, up to 64 to 127, the finest.
    """
    steps, norms = _haar_basis()
    # Sums of whole numbers below 2^24 are exact in any order, so sums that cancel out are 0, not rounding errors.
    coefficients: NDArray[np.float32] = steps @ channel @ steps.T / (norms[:, None] * norms)
    return coefficients


@cache
def _haar_basis() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the wavelets as rows of 1, 0 and -1, (128, 128), and the norm of each row."""
    import numpy as np

    steps = np.ones((1, 1), np.float32)
    while len(steps) < WAVELET_SIDE:
        steps = np.vstack([np.kron(steps, (1, 1)), np.kron(np.eye(len(steps)), (1, -1))]).astype(np.float32)
    norms: NDArray[np.float32] = np.sqrt((steps != 0).sum(axis=1)).astype(np.float32)
    return steps, norms


@cache
def _coefficient_weights() -> NDArray[np.float64]:
    """Return the weight of each coefficient, (2, 128, 128): of Y, and of U and V."""
    import numpy as np

    index = np.arange(WAVELET_SIDE)
    bins = np.minimum(np.maximum(index[:, None], index), 5)
    return np.array([(0, *weights) for weights in BIN_WEIGHTS])[:, bins]


def _find_largest(values: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Return the positions of the largest positive values; of equal ones, the first."""
    import numpy as np

    smallest = np.partition(values, -count)[-count]
    above = np.flatnonzero(values > smallest)
    equal = np.flatnonzero(values == smallest)[: count - len(above)] if smallest > 0 else above[:0]
    return np.concatenate([above, equal])


def _reduce_to_square(pixels: NDArray[Any], side: int) -> NDArray[Any]:
    """Average an image by area, to side x side pixels."""
    import cv2

    # INTER_AREA falls back to bilinear interpolation on both axes if either axis is enlarged. Repeat the pixels along a
    # short axis first, so that area averaging is always used.
    for axis in (0, 1):
        if pixels.shape[axis] < side:
            pixels = pixels.repeat(-(-side // pixels.shape[axis]), axis=axis)
    return cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)

"""Two images brought into one frame, so that they can be compared pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base import ComparisonImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..base import Gray, Pixels

MIN_PAIR_SIDE = 32
"""Pixels a side of a frame, at least: measures that look at neighborhoods need some."""


@dataclass(frozen=True)
class RegisteredPair:
    """Two RGB images of one shape (height, width, 3), and where both show something: `valid_mask`, (height, width).

    Where the second shows nothing it has the first one's pixels, so that nothing differs there.
    """

    a: Pixels
    b: Pixels
    valid_mask: NDArray[np.bool_]

    @property
    def grays(self) -> tuple[Gray, Gray]:
        """Both in gray, of shape (height, width)."""
        import cv2
        import numpy as np

        a, b = (np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8) for pixels in (self.a, self.b))
        return a, b

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.valid_mask.shape
        return width, height


def register_pair(
    a: ComparisonImage, b: ComparisonImage, long_side: int, matrix: NDArray[np.float64] | None = None
) -> RegisteredPair:
    """Bring two images into one frame of at most `long_side` pixels.

    Without a matrix each is stretched to the frame, which is as wide as the narrower and as high as the lower one: the
    same whichever comes first. With one, the frame is that of the first image and the second is warped into it.

    Args:
        a: an image.
        b: another.
        long_side: pixels on the long side of the frame, at most.
        matrix: takes coordinates of `b.pixels` to those of `a.pixels`, (3, 3); ignored if that leaves no overlap.
    """
    import numpy as np

    shapes = [_frame_shape(image.pixels.shape[:2], long_side) for image in (a, b)]
    if matrix is not None:
        from .homography import coverage_mask, scale_matrix, warp

        first, second = (_resize_to_shape(image.pixels, *shape) for image, shape in zip((a, b), shapes, strict=True))
        to_frame = scale_matrix(a.pixels.shape, first.shape) @ matrix @ scale_matrix(second.shape, b.pixels.shape)
        valid_mask = coverage_mask(second.shape, to_frame, first.shape)
        if valid_mask.any():
            warped = np.where(valid_mask[..., None], warp(second, to_frame, first.shape), first)
            return RegisteredPair(first, warped, valid_mask)
    height, width = (min(pair) for pair in zip(*shapes, strict=True))
    first, second = (_resize_to_shape(image.pixels, height, width) for image in (a, b))
    return RegisteredPair(first, second, np.ones(first.shape[:2], bool))


def _frame_shape(shape: tuple[int, ...], long_side: int) -> list[int]:
    factor = min(1, long_side / max(shape))
    return [max(MIN_PAIR_SIDE, round(side * factor)) for side in shape]


def _resize_to_shape(pixels: Pixels, height: int, width: int) -> Pixels:
    import cv2
    import numpy as np

    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

"""Two pictures brought into one frame, so that they can be compared pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base import ComparisonImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..base import Gray, Pixels

MIN_PAIR_SIDE = 32
"""A frame has at least this many pixels a side: what looks at neighborhoods needs some."""


@dataclass(frozen=True)
class RegisteredPair:
    """Two RGB pictures of one shape (height, width, 3), and where both show something: `shown`, (height, width).

    Where the second shows nothing it has the first one's pixels, so that nothing differs there.
    """

    a: Pixels
    b: Pixels
    shown: NDArray[np.bool_]

    @property
    def grays(self) -> tuple[Gray, Gray]:
        """Both in gray, of shape (height, width)."""
        import cv2
        import numpy as np

        a, b = (np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8) for pixels in (self.a, self.b))
        return a, b

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.shown.shape
        return width, height


def register_pair(
    a: ComparisonImage, b: ComparisonImage, long_side: int, matrix: NDArray[np.float64] | None = None
) -> RegisteredPair:
    """Two pictures in one frame of at most so many pixels on its long side.

    Without a matrix each is stretched to the frame, which is as wide as the narrower and as high as the lower one: the
    same whichever comes first. With one, the frame is that of the first picture and the second is warped into it.

    Args:
        matrix: takes pixels of `b.pixels` to pixels of `a.pixels`, shape (3, 3); without overlap it counts for nothing.
    """
    import cv2
    import numpy as np

    sides = [_reduced(view.pixels.shape[:2], long_side) for view in (a, b)]
    if matrix is not None:
        one, other = (_resized(view.pixels, *shape) for view, shape in zip((a, b), sides, strict=True))
        height, width = one.shape[:2]
        warp = scaling(a.pixels.shape, one.shape) @ matrix @ scaling(other.shape, b.pixels.shape)
        everywhere = np.ones(other.shape[:2], np.uint8)
        shown = cv2.warpPerspective(everywhere, warp, (width, height), flags=cv2.INTER_NEAREST) > 0
        if shown.any():
            return RegisteredPair(
                one, np.where(shown[..., None], cv2.warpPerspective(other, warp, (width, height)), one), shown
            )
    height, width = (min(pair) for pair in zip(*sides, strict=True))
    one, other = (_resized(view.pixels, height, width) for view in (a, b))
    return RegisteredPair(one, other, np.ones(one.shape[:2], bool))


def scaling(start: tuple[int, ...], end: tuple[int, ...]) -> NDArray[np.float64]:
    """The matrix (3, 3) that takes places of a picture of one shape to those of the same picture resized to another."""
    import numpy as np

    y, x = end[0] / start[0], end[1] / start[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _reduced(shape: tuple[int, ...], long_side: int) -> list[int]:
    factor = min(1, long_side / max(shape))
    return [max(MIN_PAIR_SIDE, round(side * factor)) for side in shape]


def _resized(pixels: Pixels, height: int, width: int) -> Pixels:
    import cv2
    import numpy as np

    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

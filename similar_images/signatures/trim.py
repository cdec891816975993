"""Trim a uniform background, so that a product matches whatever margin was left around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Method

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Value

BACKGROUND_TOLERANCE = 16
"""Maximum difference per channel, 0 to 255, of a pixel from the background color; covers JPEG noise."""

MIN_UNIFORM_BORDER = 0.9
"""Share of the border pixels that must have the background color; the content may touch the border a little."""

MIN_CONTENT = 0.005
"""Share of a row or column above which pixels of other colors are content, not specks."""

CONTENT_MARGIN = 0.05
"""Background that is left on every side, as a share of the longer side of the content."""


class TrimBorderMixin(Method):
    """Give a method trimmed images: mixed in before its class."""

    @property
    def version(self) -> str:
        """Version of the method, with a suffix."""
        return f"{super().version}-trim1"  # type: ignore[safe-super]  # of the method's class, which follows

    def compute(self, pixels: NDArray[np.uint8]) -> Value:
        """Describe the trimmed image."""
        return super().compute(trim_border(pixels))  # type: ignore[safe-super]  # as above


def find_content(pixels: NDArray[np.uint8], min_uniform: float) -> tuple[slice, slice, NDArray[np.float64]] | None:
    """Find the content of an image (height, width, 3) within a border of one color.

    Args:
        pixels: the image.
        min_uniform: share of the pixels at its edge that must have that color.

    Returns:
        Rows and columns of the content, and the color of the border; None if that has several, or all of it is one.
    """
    import numpy as np

    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int16)
    color = np.median(border, axis=0)
    if (np.abs(border - color).max(axis=1) <= BACKGROUND_TOLERANCE).mean() < min_uniform:
        return None
    is_content = np.abs(pixels - color.astype(np.int16)).max(axis=2) > BACKGROUND_TOLERANCE
    rows, columns = (np.flatnonzero(is_content.mean(axis=axis) > MIN_CONTENT) for axis in (1, 0))
    if not (len(rows) and len(columns)):
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1), color


def trim_border(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Center the content of an image (height, width, 3) in a square of its background color, with a small margin.

    Returns:
        The square; or the same image if its border has several colors, or all of it a single one.
    """
    import cv2

    found = find_content(pixels, MIN_UNIFORM_BORDER)
    if found is None:
        return pixels
    rows, columns, color = found
    content = pixels[rows, columns]
    side = max(content.shape[:2])
    padding = [side - length + 2 * round(CONTENT_MARGIN * side) for length in content.shape[:2]]
    top, left = (length // 2 for length in padding)
    bottom, right = padding[0] - top, padding[1] - left
    square: NDArray[Any] = cv2.copyMakeBorder(
        content, top, bottom, left, right, cv2.BORDER_CONSTANT, value=color.tolist()
    )
    return square

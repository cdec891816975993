"""Pictures of something on a plain background, brought into the same frame whatever room was left around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Method

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Value

TOLERANCE = 16
"""How far a channel of a background pixel may be from the background's color: what JPEG makes of a plain one."""

MIN_UNIFORM_BORDER = 0.9
"""Share of the outermost pixels that must be of one color; what is shown may touch the border a little."""

MIN_CONTENT = 0.005
"""Share of a row or column from which on what differs is no speck."""

MARGIN = 0.05
"""Background on every side, as a share of the longer side of what is shown."""


class TrimBorderMixin(Method):
    """Mixed in before a method: it sees pictures `trimmed`."""

    @property
    def version(self) -> str:
        return f"{super().version}-trim1"  # type: ignore[safe-super]  # that of the method it is mixed in before

    def compute(self, pixels: NDArray[np.uint8]) -> Value:
        return super().compute(trim_border(pixels))  # type: ignore[safe-super]  # as above


def trim_border(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What is shown on a plain background, in the middle of a square of that color, with a small margin.

    Pictures whose border is of many colors, and those that show nothing else than one color, stay as they are.
    """
    import cv2
    import numpy as np

    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int16)
    color = np.median(border, axis=0)
    if (np.abs(border - color).max(axis=1) <= TOLERANCE).mean() < MIN_UNIFORM_BORDER:
        return pixels
    differs = np.abs(pixels - color.astype(np.int16)).max(axis=2) > TOLERANCE
    rows, columns = (np.flatnonzero(differs.mean(axis=axis) > MIN_CONTENT) for axis in (1, 0))
    if not (len(rows) and len(columns)):
        return pixels
    shown = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = max(shown.shape[:2])
    lacking = [side - length + 2 * round(MARGIN * side) for length in shown.shape[:2]]
    top, left = (length // 2 for length in lacking)
    bottom, right = lacking[0] - top, lacking[1] - left
    framed: NDArray[Any] = cv2.copyMakeBorder(
        shown, top, bottom, left, right, cv2.BORDER_CONSTANT, value=color.tolist()
    )
    return framed

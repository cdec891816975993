"""What shape the object of a picture has, wherever and however large it is, and whatever is on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from .base import ComparisonImage, Measure, MeasureResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Pixels

    Mask = NDArray[np.uint8]
    Points = NDArray[np.int32]

FRAME = 256
"""Silhouettes are scaled so that their longer side is that many pixels, and centered in a square of so many."""
PLAIN = 0.75
"""A background is plain where that share of the picture's border has its color."""
SPECK = 0.01
"""A part of a silhouette counts from that share of the largest part on."""


@dataclass(frozen=True)
class Farthest:
    """The outlines' point that is farthest from the other's, and the nearest to it there: x and y in the frame."""

    point: tuple[int, int]
    nearest: tuple[int, int]


class Silhouette(Measure):
    """Hausdorff distance of the outer outlines of two silhouettes, in shares of the frame's diagonal: 0 to 1.

    Both are moved and scaled to the same frame first, with their proportions kept (Huttenlocher, Klanderman and
    Rucklidge, "Comparing Images Using the Hausdorff Distance", 1993). A silhouette is what differs from the color of
    the picture's border where that is plain, and else the side of Otsu's threshold that is less on the border.
    Two blank pictures are the same; a blank one has nothing in common with any other.

    `tolerance`: how far, 0 to 255, a channel must be from the border's to be no background.
    """

    title = _("Silhouettes")
    meaning = _("How far apart the outlines are at the worst place, in shares of the diagonal, both made as large.")
    best, worst = 0.0, 1.0
    # 462 furniture pictures on white: re-encoded at JPEG quality 60 the median is 0.006; of random pairs 1 in 100 is
    # below 0.053, for many things are rectangles. On photos, which show no one thing, percents mean little.
    curve = ((0, 100), (0.053, 70), (0.12, 30), (0.22, 2), (0.5, 0.0))
    drawings = {"silhouettes": _("The first outline, solid, and the second, dashed; farthest apart at the line")}

    def __init__(self, tolerance: int = 12) -> None:
        self.tolerance = tolerance

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        first, second = (view.once((Silhouette, self.tolerance), partial(self._points, view)) for view in (a, b))
        if not len(first) or not len(second):
            return MeasureResult(0.0 if len(first) == len(second) else 1.0, {"blank": True})
        distance, farthest = hausdorff(first, second)
        return MeasureResult(distance / (FRAME * 2**0.5), {}, farthest)

    def _points(self, view: ComparisonImage) -> Points:
        return outline_points(normalize_outline(contours(view, self.tolerance)))

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, reading: MeasureResult) -> Pixels:
        from .drawing.flows import draw_outlines

        found = [contours(view, self.tolerance) for view in (a, b)]
        return draw_outlines(
            a.pixels, b.pixels, found, [normalize_outline(outlines) for outlines in found], reading.evidence
        )


def silhouette_mask(view: ComparisonImage, tolerance: int) -> Mask:
    """Find the object: 255 where it is and 0 elsewhere, (height, width); 0 everywhere in a blank picture."""
    import cv2
    import numpy as np

    border = np.ones(view.gray.shape, bool)
    border[1:-1, 1:-1] = False
    background = np.median(view.pixels[border], axis=0)
    differs = np.abs(view.pixels - background).max(axis=2) > tolerance
    if differs[border].mean() > 1 - PLAIN:
        _, mask = cv2.threshold(view.gray, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        differs = (mask > 0) != (mask[border].mean() > 127)
    _count, parts, stats, _ = cv2.connectedComponentsWithStats(differs.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    large = np.flatnonzero(areas >= SPECK * areas.max(initial=0)) + 1
    return np.where(np.isin(parts, large), 255, 0).astype(np.uint8)


def contours(view: ComparisonImage, tolerance: int) -> list[NDArray[np.float64]]:
    """The outer outlines of a silhouette's parts: x and y of their pixels, (n, 2) each."""
    import cv2

    found, _ = cv2.findContours(silhouette_mask(view, tolerance), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [contour[:, 0].astype(float) for contour in found]


def normalize_outline(outlines: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The outlines moved and scaled to the frame: x and y from 0 to 255."""
    import numpy as np

    if not outlines:
        return []
    points = np.concatenate(outlines)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (FRAME - 1) / max(1, *(high - low))
    return [(outline - (low + high) / 2) * scale + (FRAME - 1) / 2 for outline in outlines]


def outline_points(outlines: Sequence[NDArray[np.float64]]) -> Points:
    """The pixels of the frame that outlines in it go through: x and y, (n, 2), each once."""
    import cv2
    import numpy as np

    frame = np.zeros((FRAME, FRAME), np.uint8)
    cv2.polylines(frame, [np.rint(outline).astype(np.int32) for outline in outlines], True, 255)
    return np.argwhere(frame)[:, ::-1].astype(np.int32)


def hausdorff(a: Points, b: Points) -> tuple[float, Farthest]:
    """The distance, in pixels of the frame, of the point of one set that is farthest from all of the other."""
    import cv2
    import numpy as np

    worst = -1.0, Farthest((0, 0), (0, 0))
    for points, others in ((a, b), (b, a)):
        free = np.full((FRAME, FRAME), 255, np.uint8)
        free[others[:, 1], others[:, 0]] = 0
        distances = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[points[:, 1], points[:, 0]]
        if (largest := float(distances.max())) > worst[0]:
            point = points[distances.argmax()]
            nearest = others[((others - point) ** 2).sum(axis=1).argmin()]
            worst = largest, Farthest(*(tuple(place.tolist()) for place in (point, nearest)))
    return worst

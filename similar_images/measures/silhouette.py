"""The shape of an image's object, wherever and however large it is, and whatever is on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from .base import ComparisonImage, Measure, MeasureResult

if TYPE_CHECKING:
    from .base import Pixels
    from .geometry.outlines import OutlinePoints


class Silhouette(Measure):
    """Hausdorff distance of the outer outlines of two silhouettes, as a share of the frame's diagonal: 0 to 1.

    Both are moved and scaled to the same frame first, with their proportions kept (Huttenlocher, Klanderman and
    Rucklidge, "Comparing Images Using the Hausdorff Distance", 1993). A silhouette is what differs from the color of
    the image's border where that is plain, and else the side of Otsu's threshold that is less on the border.
    Two blank images have distance 0; a blank and a non-blank image have distance 1.

    Args:
        tolerance: largest difference of a channel from the border's that still is background, 0 to 255.
    """

    title = _("Silhouette")
    meaning = _("Largest distance between the two outlines at the same size, as a share of the diagonal.")
    best, worst = 0.0, 1.0
    # Tuned on 462 furniture images on white: re-encoded at JPEG quality 60 the median is 0.006; 1% of random pairs are
    # below 0.053, because many objects are rectangles. On photos, which show no single object, percents mean little.
    curve = ((0, 100), (0.053, 70), (0.12, 30), (0.22, 2), (0.5, 0.0))
    drawings = {"silhouettes": _("First outline (solid) and second outline (dashed); the line marks the largest gap")}

    def __init__(self, tolerance: int = 12) -> None:
        self.tolerance = tolerance

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Compare the outlines; the result's artifacts are the LargestGap between them."""
        from .geometry.outlines import OUTLINE_FRAME, hausdorff_distance

        first, second = (
            image.cached((Silhouette, self.tolerance), partial(self._outline_points, image)) for image in (a, b)
        )
        if not len(first) or not len(second):
            return MeasureResult(0.0 if len(first) == len(second) else 1.0, {"blank": True})
        distance, gap = hausdorff_distance(first, second)
        return MeasureResult(distance / (OUTLINE_FRAME * 2**0.5), {}, gap)

    def _outline_points(self, image: ComparisonImage) -> OutlinePoints:
        from .geometry.outlines import find_outlines, normalize_outlines, outline_points

        return outline_points(normalize_outlines(find_outlines(image, self.tolerance)))

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
        """Draw both outlines on their images, and in one frame."""
        from .drawing.outlines import draw_outlines
        from .geometry.outlines import find_outlines

        outlines = [find_outlines(image, self.tolerance) for image in (a, b)]
        return draw_outlines((a.pixels, b.pixels), outlines, result.artifacts)

"""The agreement of two images where one lies on the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .base import ComparisonImage, Measure, MeasureResult

if TYPE_CHECKING:
    from .base import Pixels


class Overlap(Measure):
    """The share of the overlapping area that matches, be one image cropped, rotated, mirrored or recolored."""

    name = "alignment"
    title = gettext_lazy("Alignment")
    meaning = gettext_lazy("Share of the overlapping area that matches.")
    best, worst = 1.0, 0.0
    # Of edited copies of photos 95% are above 0.85; one random pair in 2,000 is above 0.3.
    curve = ((0, 100), (0.05, 95), (0.15, 90), (0.3, 70), (0.7, 10), (1, 0))
    drawings = {"alignment": gettext_lazy("Second image laid over the first")}

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Register the images; the result's artifacts are the Registration, if any."""
        from .geometry.registration import register

        registration = register(a, b)
        if registration is None:
            return MeasureResult(0.0, {"found": False})
        details = {
            "found": True,
            "overlap": [round(100 * overlap, 1) for overlap in (registration.overlap_a, registration.overlap_b)],
            "mirrored": registration.is_mirrored,
            "proven": registration.inliers,
        }
        return MeasureResult(registration.agreement, details, registration)

    def caption(self, result: MeasureResult) -> str:
        """Say how far the images overlap, and how much of that matches."""
        if not result.details["found"]:
            return _("No alignment was found.")
        shares = dict(zip("ab", (f"{share:.0f}" for share in result.details["overlap"]), strict=True))
        matching = f"{100 * result.value:.0f}"
        if matching == "100":
            return _("The overlap covers %(a)s%% of the first and %(b)s%% of the second image; all of it matches.") % (
                shares
            )
        return _(
            "The overlap covers %(a)s%% of the first and %(b)s%% of the second image; %(matching)s%% of it matches."
        ) % (shares | {"matching": matching})

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
        """Draw the second image over the first; both side by side if no alignment was found."""
        from .drawing.canvas import place_side_by_side
        from .drawing.overlay import draw_overlay

        if result.artifacts is None:
            return place_side_by_side(a.pixels, b.pixels)[0]
        return draw_overlay(a, b, result.artifacts.matrix)

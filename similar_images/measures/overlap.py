"""How well two pictures agree where one lies on the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .base import ComparisonImage, Measure, MeasureResult

if TYPE_CHECKING:
    from .base import Pixels


class Overlap(Measure):
    """How well the pictures agree where one lies on the other, be it cropped, turned, mirrored or recolored."""

    name = "alignment"
    title = gettext_lazy("Alignment")
    meaning = gettext_lazy("The share of places that show the same, when the second picture is laid over the first.")
    best = 1.0
    worst = 0.0
    # Of edited copies of photos 19 in 20 are above 0.85; one random pair in 2,000 is above 0.3.
    curve = ((0, 100), (0.05, 95), (0.15, 90), (0.3, 70), (0.7, 10), (1, 0))
    drawings = {"alignment": gettext_lazy("The second picture laid over the first")}

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        from .geometry.registration import register

        alignment = register(a, b)
        if alignment is None:
            return MeasureResult(0.0, {"found": False})
        details = {
            "found": True,
            "overlap": [round(100 * overlap, 1) for overlap in (alignment.overlap_a, alignment.overlap_b)],
            "mirrored": alignment.is_mirrored,
            "proven": alignment.proven,
        }
        return MeasureResult(alignment.agreement, details, alignment)

    def caption(self, reading: MeasureResult) -> str:
        if not reading.details["found"]:
            return _("No geometry takes one picture to the other.")
        a, b = reading.details["overlap"]
        return _("%(a)s %% of the first and %(b)s %% of the second picture overlap; %(value)s %% of it agrees.") % {
            "a": f"{a:.0f}",
            "b": f"{b:.0f}",
            "value": f"{100 * reading.value:.0f}",
        }

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, reading: MeasureResult) -> Pixels:
        from .drawing.canvas import place_side_by_side
        from .geometry.registration import overlay

        return overlay(a, b, reading.evidence) if reading.evidence else place_side_by_side(a.pixels, b.pixels)[0]

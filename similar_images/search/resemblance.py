"""The resemblance of two images: one plain sentence, as sure as its evidence, and the parts that match.

Scores alone say what a search knows of a match, for free. Where the two images are at hand, their geometry says more.
The thresholds were chosen on one half of the labeled images and measured on the other: see
docs/explanation/resemblance.md, and `python -m benchmarks resemblance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from ..imaging.decode import Box
    from ..measures.base import ComparisonImage
    from ..measures.verdict import Verdict

ResemblanceKind = Literal[
    "same-file",
    "same-image",
    "same-view",
    "other-color",
    "same-design",
    "same-kind",
    "shared-details",
    "similar-content",
    "similar-colors",
    "similar-layout",
    "loosely-similar",
]

Tone = Literal["same", "other", ""]

TONED_KINDS = ("same-design", "same-kind", "similar-content")
"""Kinds beside which something can be said of colors."""

SAME_DESIGN, SAME_KIND, SIMILAR_CONTENT = 88.0, 85.0, 70.0
"""Scores of the embedding from which on two images probably show the same design, or the same kind of item, and from
which on their content is called similar."""

SAME_COLORS, SIMILAR_COLORS, OTHER_COLORS = 90.0, 70.0, 40.0
"""Scores of colors from which on they are the same, or similar, and below which they differ."""

SIMILAR_LAYOUT = 90.0
"""Score of a hash or of the layout from which on light and dark lie alike."""

COPY_AGREEMENT, VIEW_AGREEMENT, DESIGN_AGREEMENT = 0.9, 0.95, 0.8
"""Agreement from which on a registered image is a copy, is the same view where colors differ, and shows the same
design."""

MAX_COLOR_DIFFERENCE = 8.0
"""Difference, 0 to 255, up to which the colors of the matching part are the same: of copies in the demo, 4 at most; of
products in another color, 11 at least."""

LAYOUT_METHODS = ("phash", "dhash", "ahash", "blockmean", "layout")


@dataclass(frozen=True)
class Resemblance:
    """The resemblance of two images.

    Attributes:
        kind: one of same-file, same-image (also edited), same-view (in other colors or light), other-color (the same
            design), same-design, same-kind, shared-details, similar-content, similar-colors, similar-layout and
            loosely-similar.
        query_box: left, top, width and height of the part of the query's image that matches, in fractions of its sides;
            None where the images were not compared, or no part of them matches.
        match_box: the same of the match's image.
        tone: whether the colors are the same, too, or others; empty where nothing is said of them.
        verdict: what comparing the images found of a copy.
    """

    kind: ResemblanceKind
    query_box: Box | None = None
    match_box: Box | None = None
    tone: Tone = ""
    verdict: Verdict | None = None

    @property
    def sentence(self) -> str:
        """The kind for people, in the language that is active now: images are compared in other threads."""
        if self.verdict and self.verdict.kind == "same-file":
            return self.verdict.text
        if self.verdict and self.verdict.transform and self.verdict.changes not in ((), ("re-encoded",)):
            return _("Same image: %(changes)s.") % {"changes": self.verdict.changes_text}
        return {
            ("same-image", ""): _("Same image."),
            ("same-view", ""): _("Same view in other colors or light."),
            ("other-color", ""): _("Same design in another color."),
            ("same-design", "same"): _("Probably the same design in the same colors."),
            ("same-design", "other"): _("Probably the same design; the colors of the images differ."),
            ("same-design", ""): _("Probably the same design."),
            ("same-kind", "same"): _("Probably the same kind of item, in similar colors."),
            ("same-kind", "other"): _("Probably the same kind of item; the colors of the images differ."),
            ("same-kind", ""): _("Probably the same kind of item."),
            ("shared-details", ""): _("Some details match."),
            ("similar-content", "same"): _("Similar in content and in colors."),
            ("similar-content", "other"): _("Similar in content, not in colors."),
            ("similar-content", ""): _("Similar in content."),
            ("similar-colors", ""): _("Similar in colors, less so in content."),
            ("similar-layout", ""): _("Light and dark areas are arranged alike."),
            ("loosely-similar", ""): _("Only loosely similar."),
        }[self.kind, self.tone]


def describe_known(scores: Mapping[str, float], verdict: Verdict | None = None) -> Resemblance | None:
    """Describe how a match resembles the image that was searched by, by what the search knows; None where it is none.

    No image is read for it.

    Args:
        scores: similarities in percent by method; none for what is shown in place of a match.
        verdict: what comparing the images found, where a search for copies did so.
    """
    if verdict and verdict.kind in ("same-file", "same-picture", "edited-picture", "contains"):
        return _describe_copy(verdict)
    return describe_scores(scores) if scores else None


def describe_scores(scores: Mapping[str, float]) -> Resemblance:
    """Describe how two images resemble each other by their similarities in percent, by method."""
    kind = _kind_of(scores)
    return Resemblance(kind, tone=_tone_of(scores) if kind in TONED_KINDS else "")


def _kind_of(scores: Mapping[str, float]) -> ResemblanceKind:
    content = scores.get("embedding", 0.0)
    if content >= SAME_DESIGN:
        return "same-design"
    if content >= SAME_KIND:
        return "same-kind"
    if content >= SIMILAR_CONTENT:
        return "similar-content"
    if any(scores.get(name, 0.0) >= SIMILAR_LAYOUT for name in LAYOUT_METHODS):
        return "similar-layout"
    return "similar-colors" if scores.get("color", 0.0) >= SIMILAR_COLORS else "loosely-similar"


def _tone_of(scores: Mapping[str, float]) -> Tone:
    if "color" not in scores:
        return ""
    # What is said of a design has to be surer than what is said of two images that are merely similar.
    least = SAME_COLORS if scores.get("embedding", 0.0) >= SAME_DESIGN else SIMILAR_COLORS
    if scores["color"] >= least:
        return "same"
    return "other" if scores["color"] < OTHER_COLORS else ""


def describe_pair(
    a: ComparisonImage, b: ComparisonImage, scores: Mapping[str, float], *, is_same_file: bool = False
) -> Resemblance:
    """Describe how two images at hand resemble each other, with the parts that match.

    Args:
        a: the query's image.
        b: the match's.
        scores: their similarities in percent, by method.
        is_same_file: whether their files have the same bytes.
    """
    from ..measures.geometry.matching_part import find_matching_part
    from ..measures.geometry.registration import register
    from ..measures.verdict import Verdict, judge_pair

    if is_same_file:
        return _describe_copy(Verdict("same-file"))
    registration = register(a, b)
    if registration is None or not registration.is_same_object:
        return describe_scores(scores)
    part = find_matching_part(a, b, registration)
    has_same_colors = part.color_difference <= MAX_COLOR_DIFFERENCE
    if registration.is_same_picture and registration.agreement >= COPY_AGREEMENT and has_same_colors:
        return _describe_copy(judge_pair(a, b, lambda: 0.0))
    boxes = part.box_a, part.box_b
    if registration.agreement >= VIEW_AGREEMENT and not has_same_colors:
        is_edit = part.color_residual <= MAX_COLOR_DIFFERENCE  # or may be one, of the whole image
        return Resemblance("same-view" if is_edit else "other-color", *boxes)
    is_same_design = registration.agreement >= DESIGN_AGREEMENT or scores.get("embedding", 0.0) >= SAME_DESIGN
    return Resemblance("same-design" if is_same_design else "shared-details", *boxes)


def _describe_copy(verdict: Verdict) -> Resemblance:
    """Describe a copy, with what was done to it."""
    kind: ResemblanceKind = "same-file" if verdict.kind == "same-file" else "same-image"
    whole = (0.0, 0.0, 1.0, 1.0)
    parts = (verdict.transform.part, verdict.transform.whole) if verdict.transform else (whole, whole)
    return Resemblance(kind, *parts, verdict=verdict)

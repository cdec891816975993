"""The meaning of percentages on a site, in words and as a curve."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from .assessment_text import out_of_hundred
from .reliability import MIN_VERDICTS, Reliability

TOLD_PERCENTS = (90, 80, 70, 60)
"""Percentages of which it is told how many pairs are similar."""


@dataclass(frozen=True)
class ReliabilityAnswer:
    """The reliability of percentages that can be told; by editors' marks, or else by a label."""

    reliability: Reliability
    by_marks: bool

    @property
    def is_known(self) -> bool:
        """Tell whether there are enough pairs."""
        return self.reliability.fitted is not None

    def sentence(self, label: str) -> str:
        """Return what percentages mean, or how many pairs that would take."""
        reliability = self.reliability
        if reliability.fitted is None:
            text = _(
                "What percentages mean here can’t be told yet: editors have marked %(similar)s pairs as similar and "
                "%(different)s as different, and it takes %(least)s of each."
            )
            if not self.by_marks:
                text = _(
                    "What percentages mean here can’t be told: %(similar)s pairs have the same “%(label)s”, and "
                    "%(different)s have not; it takes %(least)s of each."
                )
            numbers = {"similar": reliability.similar, "different": reliability.different, "least": MIN_VERDICTS}
            return text % {**numbers, "label": label}
        shares = reliability.fitted([float(percent) for percent in TOLD_PERCENTS])
        told = ", ".join(
            _("%(share)s at %(percent)s%%") % {"share": out_of_hundred(share), "percent": percent}
            for percent, share in zip(TOLD_PERCENTS, shares.tolist(), strict=True)
        )
        if self.by_marks:
            text = _("Of 100 marked pairs at each percentage, editors called this many similar: %(told)s.")
        else:
            text = _("Of 100 pairs at each percentage, this many have the same “%(label)s”: %(told)s.")
        return text % {"told": told, "label": label}

    def caution(self) -> str:
        """Return how far that may be off, and what percentages are not."""
        if not self.is_known:
            return ""
        kept = _(
            "Percentages stay as they are: they say how alike two images look, not how likely two items belong "
            "together."
        )
        if self.reliability.error is None:
            error = _("How far this is off on other pairs can’t be told, as all of them are connected.")
        else:
            error = _("On pairs that it was not learned from, this is off by %(error)s of 100 in the mean.") % {
                "error": f"{100 * self.reliability.error:.0f}"
            }
        return f"{error} {kept}"

    def curve(self) -> str:
        """Return the points of the curve for an SVG of 100 × 100 units, "" if there is none."""
        fitted = self.reliability.fitted
        if fitted is None:
            return ""
        points = [
            (0.0, fitted.shares[0]),
            *zip(fitted.percents, fitted.shares, strict=True),
            (100.0, fitted.shares[-1]),
        ]
        return " ".join(f"{percent:.1f},{100 - 100 * share:.1f}" for percent, share in points)

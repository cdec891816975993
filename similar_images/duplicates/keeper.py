"""The image of a group that is best kept, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..models import DuplicateImage

PIXEL_STEP = 1.05
"""Ratio of pixels, or of sharpness, below which two images count as equal."""

LOSSLESS = {"PNG", "TIFF", "BMP"}
"""Formats that keep every pixel as it was."""


@dataclass(frozen=True)
class Keeper:
    """The object that is suggested to be kept, and the reasons for it, the first one first."""

    object_id: str
    reasons: Sequence[Promise]


def suggest_keeper(images: Sequence[DuplicateImage], uses: Mapping[str, int]) -> Keeper:
    """Suggest the image with the most pixels; among equals the sharpest, that in the best format, the most used.

    Args:
        images: at least one image of a group.
        uses: the number of references by object id.
    """
    criteria: list[tuple[Promise, Callable[[DuplicateImage], float]]] = [
        (_("most pixels"), lambda image: _step(image.width * image.height)),
        (_("sharpest"), lambda image: _step(image.sharpness or 0)),
        (_("lossless format"), lambda image: image.format in LOSSLESS),
        (_("most used"), lambda image: uses.get(image.object_id, 0)),
    ]
    remaining = list(images)
    reasons = []
    for reason, score in criteria:
        best = max(map(score, remaining))
        leading = [image for image in remaining if score(image) == best]
        if len(leading) < len(remaining):
            reasons.append(reason)
        remaining = leading
    if len(remaining) > 1 and not reasons:
        reasons.append(_("first added"))
    first = min(remaining, key=lambda image: (image.object_key or 0, image.object_id))
    return Keeper(first.object_id, reasons)


def _step(value: float) -> int:
    """Return a value on a logarithmic scale, in steps of PIXEL_STEP."""
    return round(math.log(value) / math.log(PIXEL_STEP)) if value > 0 else -1

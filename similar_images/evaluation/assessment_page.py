"""A page that tells an editor or the owner of a shop how good the similar items are; it needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import conf
from ..imaging.decode import UnreadableImage
from ..sources.source import ImageSource
from . import assessment_text
from .assessment import AssessedSetting, Assessment, Truth
from .description import decode_image
from .inline_images import inline_thumbnail
from .misses import AssessedMiss
from .reliability_text import ReliabilityAnswer

MISS_THUMBNAIL_SIDE = 176
"""Long side of a thumbnail, in pixels."""

CHART_WIDTH = 100
"""Width of a chart, in units of its own: one for each of 100 results."""


def render_assessment(
    assessment: Assessment,
    misses: Sequence[AssessedMiss],
    source: ImageSource,
    label: str,
    titles: Mapping[str, str],
    reliability: ReliabilityAnswer,
) -> str:
    """Render the page.

    Args:
        assessment: the assessment.
        misses: what is shown of what fails.
        source: the source.
        label: name of the label.
        titles: names of objects by their ids, of those that are shown.
        reliability: what percentages mean.
    """
    images = assessment.described.images

    @cache
    def thumbnail(index: int) -> str:
        try:
            pixels = decode_image(images[index], conf.get().max_pixels)
        except (UnreadableImage, OSError):
            return ""
        return inline_thumbnail(pixels, MISS_THUMBNAIL_SIDE)

    def show(index: int) -> dict[str, Any]:
        image = images[index]
        return {"title": titles.get(image.object_id, image.name), "thumbnail": thumbnail(index)}

    shown = [
        {
            "query": {
                **show(miss.index),
                **({"thumbnail": inline_thumbnail(miss.copy, MISS_THUMBNAIL_SIDE)} if miss.copy is not None else {}),
            },
            "group": assessment_text.name_group(assessment, miss.group) if _has_names(assessment) else "",
            "is_copy": miss.copy is not None,
            "found": [{**show(found.index), "result": found} for found in miss.found],
            "missed": {**show(miss.missed), "rank": miss.rank},
            "is_missing": not any(found.is_right for found in miss.found),
        }
        for miss in misses
    ]
    context = {
        "name": str(source.model._meta.verbose_name_plural).capitalize(),
        "source": source.label,
        "date": timezone.now(),
        "assessment": assessment,
        "score": assessment_text.describe_score(assessment, label),
        "certainty": assessment_text.describe_certainty(assessment),
        "chance": assessment_text.describe_chance(assessment),
        "basis": assessment_text.describe_basis(assessment, label),
        "limits": assessment_text.describe_limits(assessment, label),
        "advice": assessment_text.describe_advice(assessment),
        "settings": [_show_setting(assessment, each) for each in assessment.settings],
        "groups": [
            {
                "name": assessment_text.name_group(assessment, group.name),
                "share": assessment_text.out_of_hundred(group.mean),
                "count": group.count,
            }
            for group in assessment.groups
        ],
        "misses": shown,
        "reliability": reliability,
        "meaning": reliability.sentence(label),
        "bands": [
            {"band": band, "share": band.share is not None and assessment_text.out_of_hundred(band.share)}
            for band in reversed(reliability.reliability.bands)
        ],
    }
    return render_to_string("similar_images/assessment.html", context)


def list_shown(assessment: Assessment, misses: Sequence[AssessedMiss]) -> set[str]:
    """Return the ids of the objects that the page shows."""
    indices = {index for miss in misses for index in (miss.index, miss.missed, *(found.index for found in miss.found))}
    return {assessment.described.images[index].object_id for index in indices}


def _has_names(assessment: Assessment) -> bool:
    return assessment.truth is not Truth.MARKS


def _show_setting(assessment: Assessment, assessed: AssessedSetting) -> dict[str, Any]:
    interval = assessed.interval
    return {
        "name": assessment_text.name_setting(assessed),
        "share": assessment_text.out_of_hundred(assessed.mean),
        "verdict": assessment_text.describe_verdict(assessment, assessed),
        "is_better": assessed is assessment.better,
        "change": assessed.setting.change,
        "low": round(CHART_WIDTH * interval.low, 1),
        "width": round(CHART_WIDTH * (interval.high - interval.low), 1),
        "mean": round(CHART_WIDTH * assessed.mean, 1),
        "interval": _("%(low)s to %(high)s")
        % {
            "low": assessment_text.out_of_hundred(interval.low),
            "high": assessment_text.out_of_hundred(interval.high),
        },
    }

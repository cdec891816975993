"""An assessment in words, as an editor or the owner of a shop would read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..sources.source import ImageSource
from .assessment import SHOWN, AssessedSetting, Assessment, SettingVerdict, Truth
from .confidence import MIN_UNITS, Interval

EDITS = {
    "resize": gettext_lazy("made smaller"),
    "JPEG": gettext_lazy("saved as JPEG"),
    "WebP": gettext_lazy("saved as WebP"),
    "crop": gettext_lazy("cropped"),
    "mirror": gettext_lazy("mirrored"),
    "turn": gettext_lazy("turned"),
    "gray": gettext_lazy("with less color"),
    "brightness": gettext_lazy("made brighter"),
    "contrast": gettext_lazy("with less contrast"),
    "hue": gettext_lazy("with other colors"),
    "blur": gettext_lazy("blurred"),
    "noise": gettext_lazy("with noise"),
    "border": gettext_lazy("with a border"),
    "text": gettext_lazy("with text on it"),
    "perspective": gettext_lazy("seen from the side"),
}
"""Words for what was done to a copy, by the name of the transform."""

_NAME_FIELDS = {"name", "title", "slug", "pk", "id"}


def name_label(source: ImageSource, label: str) -> str:
    """Return the name of a field, or of a path to one, as an editor knows it: "category" for `category__name`."""
    names: list[str] = []
    model: Any = source.model
    for part in label.split("__"):
        if names and part in _NAME_FIELDS:
            break
        try:
            field = model._meta.get_field(part)
        except FieldDoesNotExist:  # of an annotation or a transform
            return label
        names.append(str(getattr(field, "verbose_name", part)))
        model = field.related_model if field.is_relation and field.related_model else model
    return ": ".join(names)


def describe_score(assessment: Assessment, label: str) -> str:
    """Return the main figure in a sentence.

    Args:
        assessment: the assessment.
        label: name of the label.
    """
    hundredths = out_of_hundred(assessment.present.mean)
    if assessment.truth is Truth.FIELD:
        text = _("Of 100 similar items that come first, %(count)s have the same “%(label)s” as the image itself.")
    elif assessment.truth is Truth.MARKS:
        text = _("Of 100 items that editors have marked as similar to an image, %(count)s come first.")
    else:
        text = _("Of 100 edited copies of the site’s own images, %(count)s lead to their original first.")
    return text % {"count": hundredths, "label": label}


def describe_certainty(assessment: Assessment) -> str:
    """Return how sure the main figure is."""
    if not assessment.is_certain:
        text = _(
            "That is too few to tell: it rests on %(count)s independent searches, and below %(least)s chance decides."
        )
        return text % {"count": assessment.units, "least": MIN_UNITS}
    return _("How sure is that? With 95%% confidence, it is between %(low)s and %(high)s.") % {
        "low": out_of_hundred(assessment.present.interval.low),
        "high": out_of_hundred(assessment.present.interval.high),
    }


def describe_basis(assessment: Assessment, label: str) -> str:
    """Return what the figures rest on.

    Args:
        assessment: the assessment.
        label: name of the label.
    """
    numbers = {"images": len(assessment.described.images), "queries": assessment.queries, "shown": SHOWN}
    if assessment.truth is Truth.FIELD:
        text = _(
            "%(queries)s of %(images)s images were searched with, and the first %(shown)s results looked at. A result "
            "counts as right if it has the same “%(label)s”. Where fewer than %(shown)s others have it, all of them "
            "should come first."
        )
    elif assessment.truth is Truth.MARKS:
        text = _(
            "%(queries)s of %(images)s images were searched with, and the first %(shown)s results looked at. A result "
            "counts as right if editors have marked both as similar."
        )
    else:
        text = _(
            "The images have no labels and too few marks, so copies of them were made, edited in 15 ways, at up to 3 "
            "strengths, and %(queries)s searches made with them among %(images)s images. A search counts as right if "
            "the original comes first."
        )
    return text % {**numbers, "label": label}


def describe_limits(assessment: Assessment, label: str) -> list[str]:
    """Return what the figures can't tell, in sentences."""
    limits = []
    if assessment.truth is Truth.FIELD:
        text = _(
            "Items with the same “%(label)s” may look quite different, and others alike. Whether a customer finds a "
            "result fitting is not known."
        )
        limits.append(text % {"label": label})
    elif assessment.truth is Truth.MARKS:
        limits.append(
            _(
                "Images that nobody has marked count as wrong, even if they are similar. And editors mark mostly what "
                "they are shown, which speaks for the present setting."
            )
        )
    else:
        limits += [
            _(
                "Whether different items that come first are really similar is not known. To measure that, name a "
                "field whose value similar items share, by --label, or mark pairs of images as similar in the admin."
            ),
            ngettext(
                "Editors’ marks connect %(count)s group of images so far; from %(least)s on, they are used instead.",
                "Editors’ marks connect %(count)s groups of images so far; from %(least)s on, they are used instead.",
                assessment.marked_groups,
            )
            % {"count": assessment.marked_groups, "least": MIN_UNITS},
        ]
    limits.append(
        _(
            "Filters, hidden items and near-duplicates that pages show as one are not taken into account, nor that "
            "items marked as different are never shown together."
        )
    )
    return limits


def describe_chance(assessment: Assessment) -> str:
    """Return how many would be right at random; "" where that is next to none."""
    if assessment.chance is None:
        return ""
    return _("In a random order, it would be %(count)s.") % {"count": out_of_hundred(assessment.chance)}


def name_setting(assessed: AssessedSetting) -> str:
    """Return the name of a setting, as it stands in a table."""
    setting = assessed.setting
    if setting.rerank:
        return _("As now, and ranked again by what results have in common")
    if not setting.preset:
        return _("As now: %(ranking)s") % {"ranking": setting.title}
    return _("Ranking: %(ranking)s") % {"ranking": setting.preset}


def describe_verdict(assessment: Assessment, assessed: AssessedSetting) -> str:
    """Return what can be told of a setting, compared with the present one."""
    if assessed is assessment.present:
        return _("the present setting")
    verdict = assessed.judge(assessment.units)
    gain = _signed_range(assessed.gain_interval)
    if verdict is SettingVerdict.TOO_FEW:
        return _("too few to tell")
    if verdict is SettingVerdict.BETTER:
        return _("better: %(gain)s of 100") % {"gain": gain}
    if verdict is SettingVerdict.WORSE:
        return _("worse: %(gain)s of 100") % {"gain": gain}
    return _("no measurable difference: %(gain)s of 100") % {"gain": gain}


def describe_advice(assessment: Assessment) -> str:
    """Return which of the settings to take."""
    if len(assessment.settings) < 2:
        return _("There was no other setting to compare with.")
    if not assessment.is_certain:
        return _("Keep the present setting until there is more to tell by.")
    better = assessment.better
    if better is None:
        return _("Keep the present setting: none of the others is clearly better.")
    return _("Try %(change)s: of 100, %(count)s more are right.") % {
        "change": better.setting.change,
        "count": f"{100 * better.gain:.1f}",
    }


def answer_in_lines(assessment: Assessment, title: str, label: str) -> Iterator[str]:
    """Yield the answer in a few lines, for a terminal.

    Args:
        assessment: the assessment.
        title: what the images are of.
        label: name of the label.
    """
    score = [describe_score(assessment, label), describe_certainty(assessment), describe_chance(assessment)]
    yield f"{title}: {' '.join(filter(None, score))}"
    yield describe_basis(assessment, label)
    for assessed in assessment.settings:
        share = _("%(count)s of 100") % {"count": out_of_hundred(assessed.mean)}
        change = f" ({assessed.setting.change})" if assessed is not assessment.present else ""
        yield f"  {name_setting(assessed)}{change}: {share}, {describe_verdict(assessment, assessed)}"
    yield describe_advice(assessment)
    if assessment.groups:
        worst = ", ".join(
            f"{name_group(assessment, each.name)} ({out_of_hundred(each.mean)})" for each in assessment.groups
        )
        yield _("It fails most often for (right of 100): %(groups)s.") % {"groups": worst}
    yield _("What this can’t tell: %(limits)s") % {"limits": " ".join(describe_limits(assessment, label))}


def name_group(assessment: Assessment, name: str) -> str:
    """Return the name of a group: the label, or how copies were edited."""
    return str(EDITS[name]) if assessment.truth is Truth.COPIES else name


def out_of_hundred(share: float) -> int:
    """Return a share, 0 to 1, as a whole number of 100; only all of them are 100."""
    return 100 if share >= 1 else min(round(100 * share), 99)


def _signed_range(interval: Interval) -> str:
    low, high = (f"{100 * end:+.1f}".replace("-", "−") for end in interval)
    return _("%(low)s to %(high)s") % {"low": low, "high": high}

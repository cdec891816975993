"""An assessment of a site: how often its similar items are right, where they fail, and which setting is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from .compared_settings import ComparedSetting
from .confidence import MIN_UNITS, Interval, bootstrap_interval
from .description import DescribedSet
from .marked_labels import MARKS_LABEL
from .report import EvaluationResult
from .retrieval import METRICS, RANDOM, Retrieval
from .robustness import Robustness
from .transforms import TRANSFORMS

SHOWN = 5
"""Similar items of an image that are judged, as a page shows some."""

MIN_GROUP, MAX_GROUPS = 5, 5
"""Queries that a group has at least, to be named as one that fails, and groups that are named at most."""

_SHOWN_COLUMNS = [METRICS.index(f"precision@{SHOWN}"), METRICS.index(f"recall@{SHOWN}")]


class Truth(Enum):
    """The truth that results are held against: a field of the source, editors' marks, or copies made of its images."""

    FIELD = "field"
    MARKS = "marks"
    COPIES = "copies"


class SettingVerdict(Enum):
    """The verdict on a setting, compared with the present one."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference"
    TOO_FEW = "too few"


@dataclass(frozen=True)
class AssessedSetting:
    """A setting, the share of its first results that are right, 0 to 1, and what it gains over the present one.

    `gain` and `gain_interval` are 0 for the present setting itself.
    """

    setting: ComparedSetting
    mean: float
    interval: Interval
    gain: float
    gain_interval: Interval

    def judge(self, units: int) -> SettingVerdict:
        """Tell what can be told of the setting from so many independent queries."""
        if units < MIN_UNITS:
            return SettingVerdict.TOO_FEW
        if self.gain_interval.low > 0:
            return SettingVerdict.BETTER
        return SettingVerdict.WORSE if self.gain_interval.high < 0 else SettingVerdict.NO_DIFFERENCE


@dataclass(frozen=True)
class GroupScore:
    """The share of right results for one label, or one way of editing, 0 to 1, and the number of queries."""

    name: str
    mean: float
    count: int


@dataclass(frozen=True)
class Assessment:
    """The findings about a source.

    Attributes:
        described: the images.
        truth: what is known to be right.
        label: name of the label, "" for copies.
        queries: number of images, or of copies, that were searched with.
        units: number of these that do not depend on each other.
        settings: the settings, the present one first.
        chance: how often results at random would be right, 0 to 1; None for copies.
        groups: what fails most often, the worst first.
        marked_groups: groups of images that editors have marked as similar.
        retrieval: results of the present setting by label, or
        robustness: by copies.
    """

    described: DescribedSet
    truth: Truth
    label: str
    queries: int
    units: int
    settings: Sequence[AssessedSetting]
    chance: float | None
    groups: Sequence[GroupScore]
    marked_groups: int
    retrieval: Retrieval | None
    robustness: Robustness | None

    @property
    def present(self) -> AssessedSetting:
        """The present setting."""
        return self.settings[0]

    @property
    def is_certain(self) -> bool:
        """Tell whether there are enough queries to tell anything."""
        return self.units >= MIN_UNITS

    @property
    def better(self) -> AssessedSetting | None:
        """The setting that is best, of those that are better than the present one."""
        better = [each for each in self.settings[1:] if each.judge(self.units) is SettingVerdict.BETTER]
        return max(better, key=lambda each: each.mean, default=None)


def assess(result: EvaluationResult, settings: Sequence[ComparedSetting], marked_groups: int = 0) -> Assessment | None:
    """Assess a source by the results of its evaluation; None if nothing could be measured.

    Args:
        result: the results, of which the first label counts, or else the copies.
        settings: the settings, the present one first; those that were not evaluated are left out.
        marked_groups: number of groups of images that editors have marked as similar.
    """
    images = result.described.images
    for label, by_ranking in result.retrieval.items():
        retrieval = by_ranking[settings[0].title]
        labels = np.array([image.labels[label] for image in images])[retrieval.queries]
        units = np.unique(labels, return_inverse=True)[1] if label == MARKS_LABEL else retrieval.queries
        scores = {title: score_retrieval(each) for title, each in by_ranking.items()}
        return Assessment(
            described=result.described,
            truth=Truth.MARKS if label == MARKS_LABEL else Truth.FIELD,
            label=label,
            queries=len(retrieval.queries),
            units=len(np.unique(units)),
            settings=_assess_settings(settings, scores, units),
            chance=float(scores[RANDOM].mean()),
            groups=[] if label == MARKS_LABEL else _worst_groups(labels, scores[settings[0].title]),
            marked_groups=marked_groups,
            retrieval=retrieval,
            robustness=None,
        )
    if settings[0].title not in result.robustness:
        return None
    robustness = result.robustness[settings[0].title]
    scores = {title: each.values[..., 1].ravel() for title, each in result.robustness.items()}
    units = np.repeat(robustness.queries, robustness.rank[0].size)
    edits = np.broadcast_to(np.array([*TRANSFORMS])[:, None], robustness.rank.shape).ravel()
    return Assessment(
        described=result.described,
        truth=Truth.COPIES,
        label="",
        queries=len(units),
        units=len(robustness.queries),
        settings=_assess_settings(settings, scores, units),
        chance=None,
        groups=_worst_groups(edits, scores[settings[0].title]),
        marked_groups=marked_groups,
        retrieval=None,
        robustness=robustness,
    )


def score_retrieval(retrieval: Retrieval) -> NDArray[np.float64]:
    """Return how many of the first SHOWN results are right, as a share of how many could be, by query, (q,)."""
    scores: NDArray[np.float64] = retrieval.values[:, _SHOWN_COLUMNS].max(axis=1)
    return scores


def _assess_settings(
    settings: Sequence[ComparedSetting], scores: dict[str, NDArray[np.float64]], units: NDArray[np.integer]
) -> list[AssessedSetting]:
    evaluated = [setting for setting in settings if setting.title in scores]
    present = scores[settings[0].title]
    assessed = []
    for setting in evaluated:
        own, difference = scores[setting.title], scores[setting.title] - present
        gain = bootstrap_interval(difference, units, len(evaluated) - 1) if setting is not settings[0] else (0.0, 0.0)
        low, high = bootstrap_interval(own, units)
        interval = Interval(max(low, 0.0), min(high, 1.0))
        assessed.append(
            AssessedSetting(setting, float(own.mean()), interval, float(difference.mean()), Interval(*gain))
        )
    return assessed


def _worst_groups(names: NDArray[np.str_], scores: NDArray[np.float64]) -> list[GroupScore]:
    """Return the groups whose results are wrong most often, of those that are worse than the mean of all queries."""
    groups = [
        GroupScore(str(name), float(scores[names == name].mean()), int((names == name).sum()))
        for name in np.unique(names)
    ]
    worse = [group for group in groups if group.count >= MIN_GROUP and group.mean < scores.mean()]
    return sorted(worse, key=lambda group: group.mean)[:MAX_GROUPS]

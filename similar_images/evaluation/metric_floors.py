"""Floors for evaluation metrics, for scripts that must fail when a ranking gets worse."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from .retrieval import METRICS
from .robustness import COPY_METRICS

ALL_METRICS = (*METRICS, *COPY_METRICS)


@dataclass(frozen=True)
class MetricFloor:
    """A minimum for the mean of a ranking's metric, 0 to 1."""

    ranking: str
    metric: str
    minimum: float


def parse_floor(text: str, rankings: Collection[str]) -> MetricFloor:
    """Parse RANKING:METRIC:VALUE, e.g. "embedding:mAP:0.5".

    Raises:
        ValueError: the text has another form, or names an unknown ranking or metric; the message is meant for people.
    """
    match = re.fullmatch(r"(.+):([^:]+):(\d*\.?\d+|\d+\.)", text)
    if match is None:
        raise ValueError(f"{text!r} is not of the form embedding:mAP:0.5.")
    floor = MetricFloor(match[1], match[2], float(match[3]))
    for kind, value, choices in (("ranking", floor.ranking, rankings), ("metric", floor.metric, ALL_METRICS)):
        if value not in choices:
            raise ValueError(f"{text!r}: unknown {kind} {value}. Choices: {', '.join(choices)}.")
    return floor


def find_failures(floors: Iterable[MetricFloor], means: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a message for every floor that a mean, by ranking and metric, does not reach."""
    failures = []
    for floor in floors:
        value = means[floor.ranking].get(floor.metric)
        if value is None:
            failures.append(f"{floor.ranking} {floor.metric} was not measured on these images.")
        elif value < floor.minimum:
            failures.append(f"{floor.ranking} {floor.metric} is {value:.4f}, below the floor of {floor.minimum:g}.")
    return failures

"""Rankings that a command names, and the settings that are compared with the present one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.core.management.base import CommandError

from .. import conf, plugins, ranking_presets
from ..evaluation.compared_settings import ComparedSetting, select_preset
from ..evaluation.evaluator import reranked_title
from ..search.ranking import Ranking


@dataclass(frozen=True)
class SettingsToCompare:
    """Settings that are compared: the rankings by title, of which the first is the present one, and the settings."""

    rankings: Mapping[str, Ranking]
    settings: list[ComparedSetting]

    @property
    def present(self) -> str:
        """The title of the present ranking."""
        return next(iter(self.rankings))


def select_settings(asked: Mapping[str, Ranking], evaluated: Mapping[str, object]) -> SettingsToCompare:
    """Return the present setting, the same with neighbors, and either the rankings that were asked for or a preset.

    Args:
        asked: rankings that were asked for by title.
        evaluated: the methods that are evaluated by name; the first is the present ranking, where the setting's is of
            others.
    """
    configured = ranking_presets.resolve_preset(conf.get().ranking, plugins.enabled_methods())
    weights = {name: weight for name, weight in configured.items() if weight}
    if not weights.keys() <= evaluated.keys():
        weights = {next(iter(evaluated)): 1.0}
    present = title_of_ranking(weights)
    rankings: dict[str, Ranking] = {present: weights}
    settings = [ComparedSetting(present), ComparedSetting(reranked_title(present, "neighbors"), rerank="neighbors")]
    others = dict(asked)
    if not others and (preset := select_preset(weights, evaluated)):
        others = {preset: ranking_presets.resolve_preset(preset, evaluated)}
    for title, ranking in others.items():
        if title not in rankings:
            rankings[title] = ranking
            settings.append(ComparedSetting(title, preset=title))
    return SettingsToCompare(rankings, settings)


def title_of_ranking(weights: Ranking) -> str:
    """Return the title of a ranking: "embedding:0.93,color:0.07", or the name of its only method."""
    if len(weights) == 1:
        return next(iter(weights))
    return ",".join(f"{name}:{weight:g}" for name, weight in weights.items())


def parse_ranking_option(text: str, methods: Collection[str]) -> tuple[str, dict[str, float]]:
    """Return the title and the weights of a ranking; a preset has its name as a title, and those of the methods.

    Raises:
        CommandError: it is neither weights nor the name of a preset, or none of its methods is among these.
    """
    if text in ranking_presets.RANKING_PRESETS:
        try:
            return text, ranking_presets.resolve_preset(text, methods)
        except ValueError as error:
            raise CommandError(f"--ranking: {error}") from error
    pairs = [part.rpartition(":") for part in text.split(",")]
    try:
        weights = {name.strip(): float(weight) for name, _colon, weight in pairs}
    except ValueError:
        weights = {}
    if not conf.is_valid_ranking(weights) or len(weights) < len(pairs):
        presets = ", ".join(ranking_presets.RANKING_PRESETS)
        raise CommandError(f"--ranking {text!r} is neither of the form embedding:0.9,color:0.1 nor one of {presets}.")
    weights = {name: weight for name, weight in weights.items() if weight}
    return title_of_ranking(weights), weights

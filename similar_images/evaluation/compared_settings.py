"""Settings that are compared for a site: the present one, the same with neighbors, and a preset."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..ranking_presets import RANKING_PRESETS, missing_methods, resolve_preset
from ..search.ranking import Ranking

TRIED_PRESETS = ("best", "product", "photo", "logo")
"""Presets that may be better than the present ranking; the first whose methods are enabled is tried."""

MIN_DIFFERENCE = 0.03
"""Share of the weight that another ranking gives to other methods, from which on it is worth trying."""


@dataclass(frozen=True)
class ComparedSetting:
    """A setting that is compared with the present one.

    Attributes:
        title: title of its ranking among the results.
        preset: name of the preset, or the ranking; "" for the present ranking.
        rerank: what results are also ranked by, or "".
    """

    title: str
    preset: str = ""
    rerank: str = ""

    @property
    def change(self) -> str:
        """The code by which a site changes to it; "" for the present setting."""
        if self.rerank:
            return f'rerank="{self.rerank}"'
        if self.preset in RANKING_PRESETS:
            return f'SIMILAR_IMAGES = {{"RANKING": "{self.preset}"}}'
        pairs = [part.rpartition(":") for part in self.title.split(",")] if self.preset else []
        weights = ", ".join(f'"{name}": {weight}' for name, _colon, weight in pairs)
        return f'SIMILAR_IMAGES = {{"RANKING": {{{weights}}}}}' if weights else ""


def select_preset(present: Ranking, enabled: Collection[str]) -> str | None:
    """Return the name of a preset that is worth trying beside the present ranking, if there is one."""
    different = [name for name in TRIED_PRESETS if _is_worth_trying(name, present, enabled)]
    return next((name for name in different if not missing_methods(name, enabled)), next(iter(different), None))


def _is_worth_trying(preset: str, present: Ranking, enabled: Collection[str]) -> bool:
    if preset == "best" and missing_methods(preset, enabled):
        return False
    try:
        shares = [_shares(present), _shares(resolve_preset(preset, enabled))]
    except ValueError:
        return False
    methods = {name for weights in shares for name in weights}
    return sum(abs(shares[0].get(name, 0) - shares[1].get(name, 0)) for name in methods) / 2 >= MIN_DIFFERENCE


def _shares(weights: Ranking) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}

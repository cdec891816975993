"""Ranking presets: weights of the methods that suit a kind of images, by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from django.utils.translation import gettext as _

RANKING_PRESETS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "product": {"embedding": 0.85, "color": 0.1, "wavelet": 0.05},
        "photo": {"embedding": 0.95, "color": 0.05},
        "logo": {"embedding": 0.85, "wavelet": 0.1, "phash": 0.05},
        "best": {"embedding": 0.485, "embedding-lite2": 0.485, "color": 0.03},
        "copy": {"embedding": 0.5, "color": 0.2, "wavelet": 0.3},
    }
)

COPY_SIGNATURE_WEIGHT = 1.0
"""Weight of a method that `finds_copies` in a search for copies, beside those of the preset "copy"."""


def resolve_preset(ranking: Mapping[str, float] | str, enabled: Collection[str]) -> dict[str, float]:
    """Return the weights of a ranking; those of a preset are restricted to the enabled methods.

    Raises:
        ValueError: there is no such preset, or none of its methods is enabled; the message says so.
    """
    if not isinstance(ranking, str):
        return dict(ranking)
    if ranking not in RANKING_PRESETS:
        message = _("There is no ranking preset “%(name)s”. Choices: %(choices)s.")
        raise ValueError(message % {"name": ranking, "choices": ", ".join(RANKING_PRESETS)})
    weights = {name: weight for name, weight in RANKING_PRESETS[ranking].items() if name in enabled}
    if not weights:
        message = _("None of the methods of the ranking preset “%(name)s” is enabled: %(methods)s.")
        raise ValueError(message % {"name": ranking, "methods": ", ".join(RANKING_PRESETS[ranking])})
    return weights


def missing_methods(ranking: Mapping[str, float] | str, enabled: Collection[str]) -> list[str]:
    """Return the methods of a preset that are not enabled; none for a ranking that is no preset."""
    if not isinstance(ranking, str):
        return []
    return [name for name in RANKING_PRESETS.get(ranking, {}) if name not in enabled]

"""Rankings by name: weights of the methods that suit a kind of pictures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from django.utils.translation import gettext as _

RANKING_PRESETS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "product": {"embedding": 0.85, "color": 0.1, "wavelet": 0.05},
        "photo": {"embedding": 0.95, "color": 0.05},
        "logo": {"embedding": 0.85, "wavelet": 0.1, "phash": 0.05},
        "copy": {"embedding": 0.5, "color": 0.2, "wavelet": 0.3},
    }
)


def resolve_preset(ranking: Mapping[str, float] | str, enabled: Collection[str]) -> dict[str, float]:
    """The weights of a ranking; of a profile's, those of the methods that are enabled.

    Raises:
        ValueError: there is no such profile, or none of its methods is enabled; the message says so.
    """
    if not isinstance(ranking, str):
        return dict(ranking)
    if ranking not in RANKING_PRESETS:
        message = _("There is no profile “%(name)s”; there are: %(known)s.")
        raise ValueError(message % {"name": ranking, "known": ", ".join(RANKING_PRESETS)})
    found = {name: weight for name, weight in RANKING_PRESETS[ranking].items() if name in enabled}
    if not found:
        message = _("No method of the profile “%(name)s” is enabled: %(methods)s.")
        raise ValueError(message % {"name": ranking, "methods": ", ".join(RANKING_PRESETS[ranking])})
    return found


def fuse_scores(scores: Mapping[str, float], ranking: Mapping[str, float]) -> float:
    """The mean of the percents by method, weighed; by those methods only of which there is one."""
    known = [name for name in ranking if name in scores]
    return sum(ranking[name] * scores[name] for name in known) / sum(ranking[name] for name in known)


def missing_methods(ranking: Mapping[str, float] | str, enabled: Collection[str]) -> list[str]:
    """The methods of a profile that are not enabled."""
    return (
        [name for name in RANKING_PRESETS.get(ranking, {}) if name not in enabled] if isinstance(ranking, str) else []
    )

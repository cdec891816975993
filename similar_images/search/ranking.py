"""Rankings: how much each method weighs in a similarity, and the similarity that comes of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import lru_cache

from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.translation import gettext as _

from .. import conf, plugins, ranking_presets
from ..measures.base import ComparisonImage
from ..measures.signature import BySignature

Ranking = Mapping[str, float]
"""Weights by method; only their ratio counts."""


def resolve_weights(method: str | None = None, ranking: Ranking | str | None = None) -> dict[str, float]:
    """Return the weights by method that a caller asks for, without those of zero.

    Raises:
        ValueError: both are given, a method is not enabled, or a weight is out of range; the message says what works.
    """
    if method is not None and ranking is not None:
        raise ValueError(_("Choose either a method or a ranking, not both."))
    if method is None and ranking is None:
        return dict(_default_weights())
    weights = {method: 1.0} if method is not None else _named_weights(ranking or {})
    enabled = plugins.enabled_methods()
    for name in weights:
        if name not in enabled:
            raise ValueError(_unknown_method_message(name, enabled))
    if not conf.is_valid_ranking(weights):
        raise ValueError(_("Weights must be between 0 and 1,000,000, and at least one must be positive."))
    return {name: float(weight) for name, weight in weights.items() if weight}


def _unknown_method_message(name: str, enabled: Iterable[str]) -> str:
    message = _("Unknown method “%(name)s”. Choices: %(choices)s.") % {"name": name, "choices": ", ".join(enabled)}
    near = difflib.get_close_matches(name, enabled, 1)
    hint = _("Did you mean “%(name)s”?") % {"name": near[0]} if near else ""
    return f"{message} {hint}".strip()


@lru_cache(maxsize=1)
def _default_weights() -> Ranking:
    return resolve_weights(ranking=conf.get().ranking)


@receiver(setting_changed)
def _forget_default_weights(*, setting: str, **kwargs: object) -> None:
    if setting == "SIMILAR_IMAGES":
        _default_weights.cache_clear()


def _named_weights(ranking: Ranking | str) -> dict[str, float]:
    return ranking_presets.resolve_preset(ranking, plugins.enabled_methods())


def normalized_weights() -> dict[str, float]:
    """Return the weights of SIMILAR_IMAGES["RANKING"] as shares of 1."""
    weights = _default_weights()
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def fuse_scores(scores: Iterable[Mapping[str, float]], weights: Ranking) -> list[float]:
    """Return the weighted mean of each mapping of similarities by method, over the methods that it has.

    Args:
        scores: similarities in percent by method, one mapping a candidate; each has a method of `weights`.
        weights: weights by method.
    """
    fused = []
    for by_method in scores:
        names = [name for name in weights if name in by_method]
        total = sum(weights[name] for name in names)
        fused.append(sum(weights[name] * by_method[name] for name in names) / total)
    return fused


def image_similarity(a: ComparisonImage, b: ComparisonImage) -> float:
    """Return the similarity that a search shows for two images at hand, in percent; computes their signatures."""
    return fuse_scores([image_scores(a, b)], _default_weights())[0]


def image_scores(a: ComparisonImage, b: ComparisonImage) -> dict[str, float]:
    """Return the similarities of two images at hand by each method of the ranking; computes their signatures."""
    methods = plugins.enabled_methods()
    measures = {name: BySignature(methods[name]) for name in _default_weights()}
    return {name: measure.similarity(measure.compare(a, b)) for name, measure in measures.items()}


def text_methods() -> list[str]:
    """Return the names of the enabled methods that a text can be searched by."""
    return [name for name, method in plugins.enabled_methods().items() if method.takes_text]


def resolve_text_method(method: str | None = None, ranking: Ranking | str | None = None) -> str:
    """Return the name of the method by which a text is searched: `method`, or the first that takes text.

    Raises:
        ValueError: there is none, or not the one that is asked for; the message says what works.
    """
    names = text_methods()
    if not names:
        message = _("No method here understands text: set “text_file” and “tokenizer” of one in %(setting)s.")
        raise ValueError(message % {"setting": "SIMILAR_IMAGES['METHODS']"})
    if ranking is not None:
        raise ValueError(_("A text search uses one method, not a ranking."))
    if method is not None and method not in names:
        message = _("The method “%(name)s” does not understand text. Choices: %(choices)s.")
        raise ValueError(message % {"name": method, "choices": ", ".join(names)})
    return method or names[0]

"""The setting: its values, the measures that it names, and the callables by which it gives access."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from .. import access, conf, plugins, ranking_presets, registry
from .command import is_check_command

KEYS_HINT = "The keys, with their types and defaults, are the fields of similar_images.conf.Conf."


def check_setting(**kwargs: Any) -> list[CheckMessage]:
    """Check SIMILAR_IMAGES: its keys and values, sources, methods and ranking."""
    problems = conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {}))
    if problems:
        return [Error(problem, hint=KEYS_HINT, id="similar_images.E001") for problem in problems]
    messages: list[CheckMessage] = []
    for key in ("compare_cache", "widget_cache"):
        alias = getattr(conf.get(), key)
        if alias is not None and alias not in settings.CACHES:
            problem = f"SIMILAR_IMAGES['{key.upper()}'] is {alias!r}, which is not in the setting CACHES."
            messages.append(Error(problem, hint=f"Choices: {', '.join(settings.CACHES)}.", id="similar_images.E001"))
    try:
        registry.resolve_model_entries(conf.get().models)
    except ImproperlyConfigured as error:
        hint = 'Write "app_label.Model.field", e.g. "catalog.Product.photo".'
        messages.append(Error(str(error), hint=hint, id="similar_images.E002"))
    try:
        methods = plugins.enabled_methods()
        plugins.stored_methods()
    except ImproperlyConfigured as error:
        return [*messages, Error(str(error), hint=KEYS_HINT, id="similar_images.E003")]
    for key, method in zip(conf.get().methods, methods.values(), strict=True):
        for problem in method.check():
            messages.append(
                Error(f"SIMILAR_IMAGES['METHODS'][{key!r}]: {problem}", hint=KEYS_HINT, id="similar_images.E003")
            )
    return [*messages, *_check_ranking(conf.get().ranking, methods)]


def _check_ranking(ranking: Mapping[str, float] | str, methods: Collection[str]) -> list[CheckMessage]:
    """Report weights of methods that are not enabled: an error, unless a preset has other methods that are enabled."""
    if isinstance(ranking, str):
        if not (missing := ranking_presets.missing_methods(ranking, methods)):
            return []
        names = ", ".join(missing)
        problem = f"The preset {ranking!r} of SIMILAR_IMAGES['RANKING'] uses methods that are not enabled: {names}."
        if len(missing) == len(ranking_presets.RANKING_PRESETS[ranking]):
            hint = "Add at least one of them to SIMILAR_IMAGES['METHODS']."
            return [Error(problem, hint=hint, id="similar_images.E004")]
        hint = "Searches use its other methods alone. Add these to SIMILAR_IMAGES['METHODS'], and run index_images."
        return [checks.Warning(problem, hint=hint, id="similar_images.W006")]
    return [
        Error(
            f"SIMILAR_IMAGES['RANKING'] has a weight for {name!r}, which is not an enabled method.",
            hint=f"Add it to SIMILAR_IMAGES['METHODS'], or use only {', '.join(methods)}.",
            id="similar_images.E004",
        )
        for name in sorted(ranking.keys() - set(methods))
    ]


def check_measures(**kwargs: Any) -> list[CheckMessage]:
    """Check the measures of the setting; the command `check` also reports those that are not installed."""
    try:
        available = plugins.available_measures()
    except ImproperlyConfigured as error:
        if conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {})):
            return []  # reported by check_setting()
        return [Error(str(error), hint=KEYS_HINT, id="similar_images.E009")]
    messages: list[CheckMessage] = [
        Error(
            f"SIMILAR_IMAGES['COMPARE_MEASURES'] names {name!r}, which is not a measure.",
            hint=f"Choices: {', '.join(available)}.",
            id="similar_images.E009",
        )
        for name in conf.get().compare_measures
        if name not in available
    ]
    unusable = {name: problem for name, problems in plugins.missing_measures().items() for problem in problems}
    if unusable and is_check_command():
        messages.append(
            checks.Info(
                f"Optional comparison measures are not available: {', '.join(unusable)}.",
                hint=" ".join(f"{problem.rstrip('.')}." for problem in dict.fromkeys(unusable.values())),
                id="similar_images.I002",
            )
        )
    return messages


def check_access(**kwargs: Any) -> list[CheckMessage]:
    """Check that the callables by which the setting gives access can be imported."""
    if conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {})):
        return []  # reported by check_setting()
    rules = {action.upper(): getattr(conf.get(), action) for action in access.ACTIONS}
    rules = {key: rule for key, rule in rules.items() if rule not in conf.ACCESS_LEVELS}
    if conf.get().visitor is not None:
        rules["VISITOR"] = conf.get().visitor
    messages: list[CheckMessage] = []
    for key, rule in rules.items():
        try:
            access.load_callable(key, rule)
        except ImproperlyConfigured as error:
            hint = 'Write the dotted path of a function that takes a request, e.g. "shop.access.is_customer".'
            messages.append(Error(str(error), hint=hint, id="similar_images.E020"))
    return messages


def check_verifier(**kwargs: Any) -> list[CheckMessage]:
    """Check that the callable that ranks by `rerank="verifier"` can be imported."""
    if conf.find_problems(getattr(settings, "SIMILAR_IMAGES", {})):
        return []  # reported by check_setting()
    if (verify := conf.get().verifier) is None:
        return []
    try:
        access.load_callable("VERIFIER", verify)
    except ImproperlyConfigured as error:
        hint = 'Write the dotted path of a function that takes two arrays of pixels, e.g. "shop.verifier.same_product".'
        return [Error(str(error), hint=hint, id="similar_images.E024")]
    return []

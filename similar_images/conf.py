"""The setting SIMILAR_IMAGES: a dict of the keys below, in upper case, over these defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from .ranking_presets import RANKING_PRESETS


@dataclass(frozen=True, kw_only=True)
class Conf:
    models: list[str] | tuple[str, ...] | dict[str, Any] = ()
    """Sources, as "app.Model.field"; or a dict from these to the `visible` callable or its dotted path."""

    methods: dict[str, dict[str, Any]] = field(default_factory=lambda: {"embedding": {}, "color": {}})
    """Signatures to make of every picture: built-in name or dotted path → options; or any name → options with "class",
    which is one of these."""

    ranking: dict[str, float | int] | str = field(default_factory=lambda: {"embedding": 0.93, "color": 0.07})
    """Weights of the methods in a similarity, of which only the ratio counts; or a profile's name (see profiles.py)."""

    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Options of measures, and measures of your own: built-in name or dotted path → options; or any name → options with
    "class", which is one of these."""

    compare_measures: list[str] | tuple[str, ...] = (
        "alignment",
        "keypoints-rootsift",
        "ssim",
        "intersection",
        "emd-color",
        "embedding",
        "phash",
    )
    """Measures that the page and REST compare two pictures by, when no others are asked for."""

    compare_timeout: float | int = 5
    """Seconds after which one measure of two pictures is given up."""

    compare_cache: str = "default"
    """The alias of Django's cache that keeps the pictures which explain a comparison, for ten minutes."""

    limit: int = 12
    """Matches when a caller names no limit."""

    max_limit: int = 100
    """The most matches that a page or a REST call may ask for."""

    near_duplicate_threshold: float | int = 85
    """Similarity, in percent, from which two matches count as near copies, which come as one; none do above 100."""

    max_bytes: int = 50 * 2**20
    """Files above this size are not read."""

    max_pixels: int = 80_000_000
    """Pictures above this width × height are not decoded."""

    search_max_bytes: int = 10 * 2**20
    """The same bound as max_bytes, for a picture that a visitor searches with or compares."""

    search_max_pixels: int = 25_000_000
    """The same bound as max_pixels, for a picture that a visitor searches with or compares."""

    request_timeout: float | int = 10
    """Seconds after which a search by an uploaded picture, or a comparison of two, is given up."""

    hnsw_min_rows: int = 5_000
    """Signatures of a source from which on it is searched by an approximate index (HNSW)."""

    batch_size: int = 32
    """Pictures that one task takes."""

    claim_timeout: float | int = 300
    """Seconds after which a worker that took a picture and said nothing more is given up."""

    max_attempts: int = 5
    """Times that a picture which stops the worker, or fails in an unforeseen way, is tried."""

    queue: str | None = None
    """Celery queue of the tasks; None is the project's default queue."""


KEYS = {spec.name.upper(): spec for spec in fields(Conf)}
_TYPES: dict[str, tuple[type, ...]] = {
    "MODELS": (list, tuple, dict),
    "METHODS": (dict,),
    "RANKING": (dict, str),
    "REQUEST_TIMEOUT": (int, float),
    "NEAR_DUPLICATE_THRESHOLD": (int, float),
    "MEASURES": (dict,),
    "COMPARE_MEASURES": (list, tuple),
    "COMPARE_TIMEOUT": (int, float),
    "COMPARE_CACHE": (str,),
    "CLAIM_TIMEOUT": (int, float),
    "QUEUE": (str, type(None)),
}


def problems(setting: Any) -> list[str]:
    """Say in a sentence each what is wrong with a value of SIMILAR_IMAGES."""
    if not isinstance(setting, Mapping):
        return ["SIMILAR_IMAGES must be a dict."]
    found = [problem for key, value in setting.items() if (problem := _problem(key, value))]
    if not found and setting.get("LIMIT", Conf.limit) > setting.get("MAX_LIMIT", Conf.max_limit):
        found.append("SIMILAR_IMAGES['LIMIT'] is above SIMILAR_IMAGES['MAX_LIMIT'].")
    return found


def _problem(key: Any, value: Any) -> str | None:
    name = f"SIMILAR_IMAGES[{key!r}]"
    if key not in KEYS:
        return f"{name} is not a known key; known are {', '.join(sorted(KEYS))}."
    types = _TYPES.get(key, (int,))
    if not isinstance(value, types) or isinstance(value, bool):
        expected = " or ".join("None" if kind is type(None) else kind.__name__ for kind in types)
        return f"{name} must be {expected}, not {value!r}."
    if isinstance(value, (int, float)) and not 0 < value < math.inf:
        return f"{name} must be above 0, not {value!r}."
    if key == "METHODS" and not is_methods(value):
        return f"{name} must name at least one method, each with a dict of options, e.g. {{'embedding': {{}}}}."
    if key == "MEASURES" and not _are_named_options(value):
        return f"{name} must be a dict from names to dicts of options, e.g. {{'ssim': {{}}}}."
    if key == "COMPARE_MEASURES" and not _are_names(value):
        return f"{name} must name at least one measure, e.g. ['ssim']."
    if key == "RANKING" and isinstance(value, str):
        return None if value in RANKING_PRESETS else f"{name} names no profile; there are {', '.join(RANKING_PRESETS)}."
    if key == "RANKING" and not is_ranking(value):
        return (
            f"{name} must give at least one method a weight above 0, and none a negative one, or one above a million."
        )
    return None


def is_methods(methods: Any) -> bool:
    """Whether these are methods with their options, and at least one."""
    return bool(methods) and _are_named_options(methods)


def _are_named_options(entries: Any) -> bool:
    return all(isinstance(name, str) and isinstance(entries[name], dict) for name in entries)


def _are_names(names: Any) -> bool:
    return bool(names) and all(isinstance(name, str) for name in names)


HEAVIEST = 1e6
"""The greatest weight of a method in a ranking."""


def is_ranking(weights: Any) -> bool:
    """Whether these are weights: none negative or above HEAVIEST, and one above 0."""
    numbers = all(isinstance(weight, (int, float)) and 0 <= weight <= HEAVIEST for weight in weights.values())
    return numbers and any(weights.values()) and all(isinstance(name, str) for name in weights)


@lru_cache(maxsize=1)
def get() -> Conf:
    """The setting in force.

    Raises:
        ImproperlyConfigured: a key or value is wrong; the message names it.
    """
    setting = getattr(settings, "SIMILAR_IMAGES", {})
    if wrong := problems(setting):
        raise ImproperlyConfigured(" ".join(wrong))
    return Conf(**{key.lower(): value for key, value in setting.items()})


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "SIMILAR_IMAGES":
        get.cache_clear()

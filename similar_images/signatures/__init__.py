"""Signature methods: one file a family. `enabled()` gives those of the setting."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from .. import conf, plugins
from .base import Method
from .trim import TrimBorderMixin

BUILT_IN_METHODS = {
    "embedding": f"{__name__}.embedding.Embedding",
    "color": f"{__name__}.color.Color",
    "color-emd": f"{__name__}.color.ColorEmd",
    "palette": f"{__name__}.color.Palette",
    "tiny": f"{__name__}.layout.Tiny",
    "blocks": f"{__name__}.layout.Blocks",
    "wavelet": f"{__name__}.layout.Wavelet",
    "phash": f"{__name__}.hashes.PHash",
    "dhash": f"{__name__}.hashes.DHash",
    "ahash": f"{__name__}.hashes.AHash",
    "blockmean": f"{__name__}.hashes.BlockMean",
    "kaze": f"{__name__}.kaze.KazeMethod",
}


@lru_cache(maxsize=1)
def enabled_methods() -> Mapping[str, Method]:
    """The methods of SIMILAR_IMAGES["METHODS"], by the name they are stored under.

    Raises:
        ImproperlyConfigured: a method can't be imported or refuses its options; the message names it.
    """
    methods: dict[str, Method] = {}
    for key, options in conf.get().methods.items():
        method = load_method(key, options)
        if method.name in methods:
            raise ImproperlyConfigured(
                f"SIMILAR_IMAGES['METHODS'][{key!r}] is stored as {method.name!r}, as is another method: give it a key "
                f"of its own and the option 'class', e.g. {{'{method.name}2': {{'class': {key!r}}}}}."
            )
        methods[method.name] = method
    return MappingProxyType(methods)


def load_method(name: str, options: dict[str, Any]) -> Method:
    """A method by built-in name or dotted path; the option "class", where given, is that, and the name free to choose.

    With the option "trim" it sees pictures on a plain background trimmed (see background.py).

    Raises:
        ImproperlyConfigured: it can't be imported, is no Method, or refuses the options; or the name can't be used.
    """
    key = f"SIMILAR_IMAGES['METHODS'][{name!r}]"
    named = "class" in options
    target = options.get("class", name)
    trim = options.get("trim", False)
    method_config, options = (
        options,
        {option: value for option, value in options.items() if option not in ("class", "trim")},
    )
    if named:
        plugins.check_name(key, name)
    kind = plugins.load_class(key, target, Method, BUILT_IN_METHODS)
    if not isinstance(trim, bool):
        raise ImproperlyConfigured(f"{key}: trim must be True or False.")
    if trim:
        kind = type(kind.__name__, (TrimBorderMixin, kind), {})
    method = plugins.instantiate_class(key, kind, options)
    method.method_config = name, method_config
    if named:
        method.name = name
    return method


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "SIMILAR_IMAGES":
        enabled_methods.cache_clear()

"""Methods and measures that the setting names: built in, or classes of the project that uses the app."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from . import conf
from .measures import BUILT_IN_MEASURES
from .measures.base import Measure
from .measures.signature import BySignature, MissingMethod
from .signatures import BUILT_IN_METHODS
from .signatures.base import Method
from .signatures.trim import TrimBorderMixin

Plugin = TypeVar("Plugin")

NAME = re.compile("[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")


def load_class(key: str, target: Any, base: type[Plugin], built_in: Mapping[str, str]) -> type[Plugin]:
    """The class by built-in name or dotted path; `key` is what messages call the entry of the setting.

    Raises:
        ImproperlyConfigured: it can't be imported, or is no subclass of `base`.
    """
    try:
        kind = import_string(built_in.get(target, target))
    except (ImportError, AttributeError, TypeError) as error:
        known = ", ".join(built_in)
        word = base.__name__.lower()
        raise ImproperlyConfigured(f"{key}: neither a built-in {word} ({known}) nor importable: {error}.") from error
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise ImproperlyConfigured(f"{key} is not a subclass of {base.__module__}.{base.__name__}.")
    return kind


def instantiate_class(key: str, kind: type[Plugin], options: Mapping[str, Any]) -> Plugin:
    """An instance with these options.

    Raises:
        ImproperlyConfigured: the class refuses them.
    """
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"{key} can't be used: {error}.") from error


def check_name(key: str, name: str) -> None:
    """Refuse a name that could not be stored, or be written in an address.

    Raises:
        ImproperlyConfigured: it is such a name.
    """
    if not (len(name) <= 64 and NAME.fullmatch(name)):
        raise ImproperlyConfigured(f"{key}: a name has at most 64 letters and digits, with single - or _ between them.")


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


@lru_cache(maxsize=1)
def configured_versions() -> Mapping[str, str]:
    """Return the version of each enabled method, by name; computing it may read files."""
    return MappingProxyType({name: method.version for name, method in enabled_methods().items()})


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
        check_name(key, name)
    kind = load_class(key, target, Method, BUILT_IN_METHODS)
    if not isinstance(trim, bool):
        raise ImproperlyConfigured(f"{key}: trim must be True or False.")
    if trim:
        kind = type(kind.__name__, (TrimBorderMixin, kind), {})
    method = instantiate_class(key, kind, options)
    method.method_config = name, method_config
    if named:
        method.name = name
    return method


@lru_cache(maxsize=1)
def available_measures() -> Mapping[str, Measure]:
    """The built-in measures, those of SIMILAR_IMAGES["MEASURES"], and every signature method, by name.

    Raises:
        ImproperlyConfigured: a measure can't be imported or refuses its options; the message names it.
    """
    options = conf.get().measures
    names = [*BUILT_IN_MEASURES, *(name for name in options if name not in BUILT_IN_MEASURES)]
    measures = {measure.name: measure for measure in (load_measure(name, options.get(name, {})) for name in names)}
    measures |= {name: _by_method(name) for name in BUILT_IN_METHODS}
    measures |= {name: BySignature(method) for name, method in enabled_methods().items()}
    return MappingProxyType(measures)


def _by_method(name: str) -> Measure:
    try:
        return BySignature(load_method(name, {}))
    except ImproperlyConfigured as error:  # this installation lacks something for it
        return MissingMethod(name, str(error))


def select_measures(names: Iterable[str] | None = None) -> dict[str, Measure]:
    """The measures of these names; all of them, where none are given.

    Raises:
        ValueError: there is none of a name; the message says which there are.
    """
    known = available_measures()
    if names is None:
        return dict(known)
    for name in (names := list(names)):
        if name not in known:
            message = _("There is no measure “%(name)s”; there are: %(known)s.")
            raise ValueError(message % {"name": name, "known": ", ".join(known)})
    return {name: known[name] for name in names}


def load_measure(name: str, options: dict[str, Any]) -> Measure:
    """A measure by built-in name or dotted path; the option "class", where given, is that, and the name free to choose.

    Raises:
        ImproperlyConfigured: it can't be imported, is no Measure, or refuses the options.
    """
    key = f"SIMILAR_IMAGES['MEASURES'][{name!r}]"
    named = "class" in options
    kind = load_class(key, options.get("class", name), Measure, BUILT_IN_MEASURES)
    if named:
        check_name(key, name)
    measure = instantiate_class(key, kind, {option: value for option, value in options.items() if option != "class"})
    if named or name in BUILT_IN_MEASURES:
        measure.name = name
    return measure


@receiver(setting_changed)
def _forget_plugins(*, setting: str, **kwargs: Any) -> None:
    if setting == "SIMILAR_IMAGES":
        enabled_methods.cache_clear()
        configured_versions.cache_clear()
        available_measures.cache_clear()

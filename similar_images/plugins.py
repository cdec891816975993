"""Instances of the methods, measures and the backend that the setting names, built-in or classes of the project."""

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
from .backends import BUILT_IN_BACKENDS
from .backends.base import SearchBackend
from .encoders.store import resolve_encoder
from .measures import BUILT_IN_MEASURES
from .measures.base import Measure
from .measures.compact_keypoints import CompactKeypoints
from .measures.signature import BySignature, MissingMethod
from .signatures import BUILT_IN_METHODS
from .signatures.base import Method
from .signatures.embedding import Embedding
from .signatures.label_method import ImageNetLabels, LabelMethod
from .signatures.pixels import DecodedPixelsMixin
from .signatures.trim import TrimBorderMixin

Plugin = TypeVar("Plugin")

COMPACT_KEYPOINTS_CLASS = f"{CompactKeypoints.__module__}.{CompactKeypoints.__qualname__}"

IMAGENET_LABELS_CLASS = f"{ImageNetLabels.__module__}.{ImageNetLabels.__qualname__}"

PLUGIN_NAME = re.compile("[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")


def load_class(key: str, target: Any, base: type[Plugin], built_in: Mapping[str, str]) -> type[Plugin]:
    """Import a plugin's class.

    Args:
        key: the entry of the setting, for messages.
        target: a built-in name or a dotted path.
        base: the class that the plugin has to inherit from.
        built_in: dotted paths by built-in name.

    Raises:
        ImproperlyConfigured: it can't be imported, or is not a subclass of `base`.
    """
    try:
        plugin_class = import_string(built_in.get(target, target))
    except (ImportError, AttributeError, TypeError) as error:
        names = ", ".join(built_in)
        noun = base.__name__.lower()
        raise ImproperlyConfigured(f"{key}: neither a built-in {noun} ({names}) nor importable: {error}.") from error
    if not (isinstance(plugin_class, type) and issubclass(plugin_class, base)):
        raise ImproperlyConfigured(f"{key} is not a subclass of {base.__module__}.{base.__name__}.")
    return plugin_class


def instantiate_class(key: str, plugin_class: type[Plugin], options: Mapping[str, Any]) -> Plugin:
    """Instantiate a plugin with its options; `key` is the entry of the setting, for messages.

    Raises:
        ImproperlyConfigured: the class rejects the options.
    """
    try:
        return plugin_class(**options)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"{key} can't be used: {error}.") from error


def check_name(key: str, name: str) -> None:
    """Refuse a name that could not be stored or be part of a URL.

    Raises:
        ImproperlyConfigured: the name is invalid; `key` is the entry of the setting, for the message.
    """
    if not (len(name) <= 64 and PLUGIN_NAME.fullmatch(name)):
        raise ImproperlyConfigured(f"{key}: a name has at most 64 letters and digits, with single - or _ between them.")


@lru_cache(maxsize=1)
def enabled_methods() -> Mapping[str, Method]:
    """Return the methods of SIMILAR_IMAGES["METHODS"], by the name under which their signatures are stored.

    Raises:
        ImproperlyConfigured: a method can't be imported or rejects its options; the message names it.
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
def stored_methods() -> Mapping[str, Method]:
    """Return the enabled methods, and those by which nothing is searched: keypoints and labels, where they are kept.

    Raises:
        ImproperlyConfigured: as `enabled_methods`; a method has the name of the keypoints or labels; or the method of
            labels can't be used.
    """
    methods = dict(enabled_methods())
    kept: dict[str, Method] = {}
    if conf.get().store_keypoints:
        kept["STORE_KEYPOINTS"] = load_method(CompactKeypoints.name, {"class": COMPACT_KEYPOINTS_CLASS})
    if conf.get().store_labels:
        kept["STORE_LABELS"] = _load_label_method()
    for key, method in kept.items():
        if method.name in methods:
            raise ImproperlyConfigured(
                f"SIMILAR_IMAGES['METHODS'] has a method {method.name!r}, as which SIMILAR_IMAGES[{key!r}] keeps "
                f"{method.name}: give it another name."
            )
        methods[method.name] = method
    return MappingProxyType(methods)


def _load_label_method() -> Method:
    """Return the method of SIMILAR_IMAGES["STORE_LABELS"]: by default, with the network that `labels()` goes by."""
    chosen = conf.get().store_labels
    target, options = (chosen, {}) if isinstance(chosen, str) else (IMAGENET_LABELS_CLASS, _classifier_options())
    load_class("SIMILAR_IMAGES['STORE_LABELS']", target, LabelMethod, {})
    return load_method(LabelMethod.name, {**options, "class": target})


def _classifier_options() -> dict[str, Any]:
    """Return the options of the first enabled method whose network knows the classes of ImageNet; none without one."""
    for method in enabled_methods().values():
        if isinstance(method, Embedding) and method.classifies:
            return {key: value for key, value in method.method_config[1].items() if key not in ("class", "trim")}
    return {}


@lru_cache(maxsize=1)
def configured_versions() -> Mapping[str, str]:
    """Return the version of each enabled method, by name; computing it may read files."""
    return MappingProxyType({name: method.version for name, method in enabled_methods().items()})


def copy_methods() -> list[str]:
    """Return the names of the enabled methods that tell copies from look-alikes.

    Raises:
        ImproperlyConfigured: as `enabled_methods`.
    """
    return [name for name, method in enabled_methods().items() if method.finds_copies]


def load_method(name: str, options: dict[str, Any]) -> Method:
    """Instantiate a method of the setting.

    Args:
        name: a built-in name or a dotted path; any name if the options have "class".
        options: arguments of the class, and "class" (a built-in name or a dotted path), "trim" (remove plain borders
            of images first, see signatures/trim.py), and "encoder" (an added one, see encoders/store.py).

    Raises:
        ImproperlyConfigured: it can't be imported, is not a Method, or rejects the options; or the name is invalid.
    """
    key = f"SIMILAR_IMAGES['METHODS'][{name!r}]"
    has_own_name = "class" in options
    if has_own_name:
        check_name(key, name)
    method_class = load_class(key, options.get("class", name), Method, BUILT_IN_METHODS)
    trim = options.get("trim", False)
    if not isinstance(trim, bool):
        raise ImproperlyConfigured(f"{key}: trim must be True or False.")
    mixins = (DecodedPixelsMixin, TrimBorderMixin) if trim else (DecodedPixelsMixin,)
    method_class = type(method_class.__name__, (*mixins, method_class), {"__module__": method_class.__module__})
    arguments = {
        option: value for option, value in resolve_encoder(key, options).items() if option not in ("class", "trim")
    }
    method = instantiate_class(key, method_class, arguments)
    method.method_config = name, options
    if has_own_name:
        method.name = method.title = name
    return method


@lru_cache(maxsize=1)
def available_measures() -> Mapping[str, Measure]:
    """Return the built-in measures, those of SIMILAR_IMAGES["MEASURES"], and one for every method, by name.

    Raises:
        ImproperlyConfigured: a measure can't be imported or rejects its options; the message names it.
    """
    options = conf.get().measures
    names = [*BUILT_IN_MEASURES, *(name for name in options if name not in BUILT_IN_MEASURES)]
    measures = {measure.name: measure for measure in (load_measure(name, options.get(name, {})) for name in names)}
    measures |= {name: _load_signature_measure(name) for name in BUILT_IN_METHODS}
    measures |= {name: BySignature(method) for name, method in enabled_methods().items()}
    return MappingProxyType(measures)


def installed_measures() -> dict[str, Measure]:
    """Return the available measures by name, without those that lack a package or a feature.

    Raises:
        ImproperlyConfigured: as `available_measures`.
    """
    return {name: measure for name, measure in available_measures().items() if not measure.check()}


def missing_measures() -> dict[str, list[str]]:
    """Return what the measures lack that are not installed, by name, in sentences.

    Raises:
        ImproperlyConfigured: as `available_measures`.
    """
    return {name: problems for name, measure in available_measures().items() if (problems := measure.check())}


def _load_signature_measure(name: str) -> Measure:
    try:
        return BySignature(load_method(name, {}))
    except ImproperlyConfigured as error:  # an optional package or a model file is missing
        return MissingMethod(name, str(error))


def select_measures(names: Iterable[str] | None = None) -> dict[str, Measure]:
    """Return the measures of these names, or all of them if None.

    Raises:
        ValueError: there is no measure of a name; the message lists the names that there are.
    """
    available = available_measures()
    if names is None:
        return dict(available)
    for name in (names := list(names)):
        if name not in available:
            message = _("There is no measure “%(name)s”. Choices: %(choices)s.")
            raise ValueError(message % {"name": name, "choices": ", ".join(available)})
    return {name: available[name] for name in names}


def load_measure(name: str, options: dict[str, Any]) -> Measure:
    """Instantiate a measure of the setting.

    Args:
        name: a built-in name or a dotted path; any name if the options have "class".
        options: arguments of the class, and "class" (a built-in name or a dotted path).

    Raises:
        ImproperlyConfigured: it can't be imported, is not a Measure, or rejects the options; or the name is invalid.
    """
    key = f"SIMILAR_IMAGES['MEASURES'][{name!r}]"
    has_own_name = "class" in options
    measure_class = load_class(key, options.get("class", name), Measure, BUILT_IN_MEASURES)
    if has_own_name:
        check_name(key, name)
    arguments = {option: value for option, value in options.items() if option != "class"}
    measure = instantiate_class(key, measure_class, arguments)
    if has_own_name or name in BUILT_IN_MEASURES:
        measure.name = name
    return measure


@lru_cache(maxsize=1)
def search_backend() -> SearchBackend | None:
    """Return the backend of SIMILAR_IMAGES["SEARCH_BACKEND"]; None where there is none.

    Raises:
        ImproperlyConfigured: it can't be imported, is no SearchBackend, or rejects the options.
    """
    options = conf.get().search_backend
    if options is None:
        return None
    key = "SIMILAR_IMAGES['SEARCH_BACKEND']"
    backend_class = load_class(key, options["class"], SearchBackend, BUILT_IN_BACKENDS)
    return instantiate_class(key, backend_class, {name: value for name, value in options.items() if name != "class"})


@receiver(setting_changed)
def _clear_plugin_caches(*, setting: str, **kwargs: Any) -> None:
    if setting == "SIMILAR_IMAGES":
        enabled_methods.cache_clear()
        stored_methods.cache_clear()
        configured_versions.cache_clear()
        available_measures.cache_clear()
        search_backend.cache_clear()

"""Classes that the setting names: built in, or of the project that uses the app."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

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

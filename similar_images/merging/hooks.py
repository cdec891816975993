"""References that are no relations, such as those in rich text: callables of the project find them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models

from .. import conf
from ..sources.source import resolve_callable


@dataclass(frozen=True)
class FieldChange:
    """A new value of a field that refers to merged objects.

    Attributes:
        model: the model of the object that has the field.
        pk: its primary key.
        field: the field's name.
        value: the value in which the kept object stands in place of the others.
    """

    model: type[models.Model]
    pk: Any
    field: str
    value: Any


MergeHook = Callable[[type[models.Model], Mapping[str, str], str], Iterable[FieldChange]]
"""Takes the model of the merged objects, the key of the kept one by that of each other as texts, and the database."""


def find_field_changes(model: type[models.Model], replacements: Mapping[str, str], using: str) -> Iterator[FieldChange]:
    """Yield what the hooks of the setting MERGE_HOOKS find, one after the other."""
    for hook in conf.get().merge_hooks:
        yield from resolve_callable(hook)(model, replacements, using)

"""The name of the file that an object had when it was loaded or saved last, by which a save knows whether it changed.

Django keeps it nowhere. A field's descriptor sees it when an object is loaded, as that calls the constructor.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.fields.files import FileDescriptor

_UNKNOWN = object()


class NameKeeper:
    """Part of a descriptor that keeps the name which an object is loaded with, in the object's state."""

    field: models.FileField

    def __set__(self, instance: models.Model, value: Any) -> None:
        """Set the file, and keep its name where that is done by the constructor."""
        super().__set__(instance, value)  # type: ignore[misc]  # of the descriptor that this is a part of
        if instance._state.adding:
            keep_name(instance, self.field, value)


def keep_loaded_names(field: models.FileField) -> None:
    """Have the descriptor of a field keep names; one that is not Django's, or made of it, is left alone."""
    descriptor = vars(field.model).get(field.attname)
    if isinstance(descriptor, FileDescriptor) and not isinstance(descriptor, NameKeeper):
        kind = type(type(descriptor).__name__, (NameKeeper, type(descriptor)), {})
        keeper: Any = object.__new__(kind)
        vars(keeper).update(vars(descriptor))
        setattr(field.model, field.attname, keeper)


def keep_name(instance: models.Model, field: models.FileField, name: str | None) -> None:
    """Keep the name of the file that an object has in the database."""
    vars(instance._state)[_key(field)] = name


def forget_name(instance: models.Model, field: models.FileField) -> None:
    """Forget the name of an object that was made, not loaded, and may still be in the database."""
    vars(instance._state).pop(_key(field), None)


def has_kept_name(instance: models.Model, field: models.FileField) -> bool:
    """Tell whether an object's file is known to have the same name as when it was loaded or saved last."""
    known = vars(instance._state).get(_key(field), _UNKNOWN)
    return known is not _UNKNOWN and (known or "") == (getattr(instance, field.attname).name or "")


def _key(field: models.FileField) -> str:
    return f"similar_images_{field.attname}"

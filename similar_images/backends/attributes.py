"""Attributes: values of the fields of objects that a source's filters go by, as a backend keeps them."""

from __future__ import annotations

import datetime
import math
import sys
import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db import models

from ..sources.source import ImageSource, resolve_callable
from .base import Scalar

FIELD_CLASSES = (
    models.BooleanField,
    models.CharField,
    models.DateField,
    models.DecimalField,
    models.FloatField,
    models.ForeignKey,
    models.IntegerField,
    models.UUIDField,
)
"""Classes of fields whose values a backend compares as PostgreSQL does, or not as narrowly."""

MAX_TEXT = 255
"""Length of a text up to which a backend keeps it."""

MAX_EXACT_INTEGER = 2**53
"""Integers up to which a floating-point number has each."""

MAX_FLOAT = sys.float_info.max
"""The greatest number, which stands for infinity, too, and for what PostgreSQL sorts after it: JSON has neither."""


def filtered_fields(source: ImageSource) -> dict[str, models.Field[Any, Any]]:
    """Return the fields of a source's own table that its filters go by, by column.

    A filter that goes by anything else, such as a relation's fields, or by those of owners, is left to PostgreSQL.
    """
    if source.ownership is not None or not source.filters:
        return {}
    declared: Any = resolve_callable(source.filters)
    filters = getattr(declared, "base_filters", None)
    paths = [each.field_name for each in filters.values()] if filters is not None else list(declared)
    fields = {field.name: field for field in source.model._meta.local_concrete_fields}
    fields |= {field.attname: field for field in fields.values()}
    found = [fields[name] for path in paths if (name := str(path).partition("__")[0]) in fields]
    return {str(field.column): field for field in found if can_be_attribute(field)}


def can_be_attribute(field: models.Field[Any, Any]) -> bool:
    """Tell whether a backend compares the values of a field as PostgreSQL does: plain ones, by no collation."""
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    if not isinstance(target, FIELD_CLASSES) or hasattr(target, "from_db_value"):
        return False
    is_short = not isinstance(target, models.CharField) or (target.max_length or MAX_TEXT + 1) <= MAX_TEXT
    return is_short and not getattr(target, "db_collation", None)


def encode(value: Any) -> Scalar | None:
    """Return a value as a backend keeps it; None for NULL, and for what is of no type of those fields.

    Numbers and times keep their order, though two that are hardly apart may become the same.
    """
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | Decimal):
        if isinstance(value, int) and abs(value) <= MAX_EXACT_INTEGER:
            return value
        number = float(value)
        return MAX_FLOAT if math.isnan(number) else min(max(number, -MAX_FLOAT), MAX_FLOAT)
    if isinstance(value, datetime.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp()
    if isinstance(value, datetime.date):
        return value.toordinal()
    return str(value) if isinstance(value, uuid.UUID) else None


def encode_columns(columns: Iterable[str], values: Iterable[Any]) -> dict[str, Scalar]:
    """Return the attributes of an object, by column, without those that have no value."""
    encoded = ((column, encode(value)) for column, value in zip(columns, values, strict=True))
    return {column: value for column, value in encoded if value is not None}

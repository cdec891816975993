"""Conditions on objects that a search backend can look at, too: those of a search on attributes that it keeps.

What is pushed down leaves nothing out that may come back: of a queryset only what must hold in any case is taken, and
of that only what the backend compares as PostgreSQL does, or not as narrowly. PostgreSQL looks at everything again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Literal

from django.db import models
from django.db.models import lookups
from django.db.models.expressions import Col
from django.db.models.sql.query import Query
from django.db.models.sql.where import AND, WhereNode

from ..backends.attributes import encode
from ..backends.base import Condition
from ..models import IndexedImage
from ..sources.source import ImageSource

MAX_CHOICES = 100
"""Values of a condition, at most; one with more is left to PostgreSQL."""

OPERATORS: dict[type[Any], Literal["in", "<=", ">="]] = {
    lookups.Exact: "in",
    lookups.In: "in",
    lookups.GreaterThan: ">=",
    lookups.GreaterThanOrEqual: ">=",
    lookups.LessThan: "<=",
    lookups.LessThanOrEqual: "<=",
}
"""Operator by class of lookup: two values that differ for PostgreSQL may be the same in a backend."""


def pushed_conditions(
    source: ImageSource, records: models.QuerySet[IndexedImage], columns: Collection[str]
) -> list[Condition]:
    """Return the conditions on attributes that the objects of records all meet.

    Args:
        source: the source.
        records: the records that may come back.
        columns: those of the source's table whose values the backend keeps.
    """
    where = records.query.where
    if not columns or where.negated or where.connector != AND:
        return []
    queries = [query for child in where.children if isinstance(query := getattr(child, "rhs", None), Query)]
    return [
        condition
        for query in queries
        if query.model is source.model and not query.combinator
        for condition in _conditions_of(query.where, query, columns)
    ]


def _conditions_of(node: WhereNode, query: Query, columns: Collection[str]) -> Iterator[Condition]:
    if node.negated or node.connector != AND:
        return
    for child in node.children:
        if isinstance(child, WhereNode):
            yield from _conditions_of(child, query, columns)
        elif (condition := _translate(child, query, columns)) is not None:
            yield condition


def _translate(lookup: Any, query: Query, columns: Collection[str]) -> Condition | None:
    """Return a lookup of Django's own as a condition; None where it is no such, or on nothing that is kept."""
    operator = next((found for kind, found in OPERATORS.items() if isinstance(lookup, kind)), None)
    if operator is None or not type(lookup).__module__.startswith("django.db.models.") or _is_computed(lookup):
        return None
    lhs = lookup.lhs
    column = str(lhs.target.column) if isinstance(lhs, Col) and lhs.alias == query.base_table else ""
    if column not in columns:
        return None
    values = [*lookup.rhs] if isinstance(lookup, lookups.In) else [lookup.rhs]
    encoded = [value for each in values if (value := encode(each)) is not None]
    if not encoded or len(encoded) < len(values) or len(values) > MAX_CHOICES:
        return None
    if operator != "in" and isinstance(encoded[0], str):  # whose order is that of a collation
        return None
    return Condition(column, operator, encoded)


def _is_computed(lookup: Any) -> bool:
    """Tell whether the right side is no value, or no list of values."""
    return not lookup.rhs_is_direct_value() or (
        isinstance(lookup, lookups.In) and not isinstance(lookup.rhs, list | tuple | set | frozenset)
    )

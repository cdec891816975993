"""Rows that refer to objects, counted or listed in one query for each kind of reference."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.db import connections, models, router
from django.db.models import Count

from ..models import MergedRow, write_alias
from .references import ReferenceKind, content_type_ids, reference_kinds

RowFilter = Callable[[type[models.Model]], "models.QuerySet[Any] | None"]
"""Takes a model and returns the rows that count, None where none do."""


def count_uses(model: type[models.Model], items: Sequence[models.Model], countable: RowFilter) -> Counter[Any]:
    """Return the number of rows that refer to each object, by its primary key."""
    uses: Counter[Any] = Counter()
    for kind in _kinds_here(model) if items else ():
        if (rows := countable(kind.model)) is not None:
            of_kind = _select_rows(kind, rows, items)
            counts = of_kind.rows.values_list(of_kind.attname).annotate(count=Count("pk"))
            for value, count in counts:
                uses[of_kind.pks[str(value)]] += count
    return uses


def list_uses(model: type[models.Model], items: Sequence[models.Model]) -> dict[Any, list[MergedRow]]:
    """Return the rows that a merge would move if each of these objects were merged, by its primary key."""
    uses: dict[Any, list[MergedRow]] = defaultdict(list)
    for kind in _kinds_here(model) if items else ():
        fields: Any = getattr(kind.model._meta, "pk_fields", [kind.model._meta.pk])
        of_kind = _select_rows(kind, kind.model._base_manager.using(write_alias()), items)
        for value, *key in of_kind.rows.values_list(of_kind.attname, *(field.attname for field in fields)):
            columns = {str(field.column): str(part) for field, part in zip(fields, key, strict=True)}
            row = MergedRow(
                kind=MergedRow.Kind.MOVED,
                model=kind.model._meta.label,
                field=kind.field,
                key=columns,
                before={},
                after={},
            )
            uses[of_kind.pks[str(value)]].append(row)
    return uses


class _RowsOfKind(NamedTuple):
    """The rows of one kind of reference, the attribute that refers, and the objects' primary keys by its value."""

    rows: models.QuerySet[Any]
    attname: str
    pks: dict[str, Any]


def _kinds_here(model: type[models.Model]) -> list[ReferenceKind]:
    """Return the kinds of references in the database of the objects; those of views, or of no table, are none."""
    using = write_alias()
    kinds = [kind for kind in reference_kinds(model) if router.db_for_write(kind.model) == using]
    if all(kind.model._meta.managed for kind in kinds):
        return kinds
    tables = set(connections[using].introspection.table_names())
    return [kind for kind in kinds if kind.model._meta.managed or kind.model._meta.db_table in tables]


def _select_rows(kind: ReferenceKind, rows: models.QuerySet[Any], items: Sequence[models.Model]) -> _RowsOfKind:
    target: Any = next(field for field in kind.target._meta.local_concrete_fields if field.column == kind.target_column)
    pks = {str(getattr(item, target.attname)): item.pk for item in items}
    if kind.generic_key:
        attname = kind.generic_key.fk_field
        rows = rows.filter(**{f"{kind.generic_key.ct_field}__in": content_type_ids([kind.target])})
    else:
        field: Any = kind.model._meta.get_field(kind.field)
        attname = field.attname
    return _RowsOfKind(rows.order_by().filter(**{f"{attname}__in": list(pks)}), attname, pks)

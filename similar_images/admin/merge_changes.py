"""Lines that tell editors what a merge changes: rows by model, field and kind, with the names of some."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..merging.merge import MergePlan
from ..models import MergedRow, write_alias
from .duplicate_access import DuplicateAccess

MAX_NAMED_ROWS = 5
"""Rows of each kind that a list of changes names."""

LEFT = "left"
"""Kind of the rows that stay as they are."""

KIND_LABELS: dict[str, Promise] = {
    MergedRow.Kind.MOVED: _("now refers to the kept item"),
    MergedRow.Kind.CLEARED: _("refers to nothing"),
    MergedRow.Kind.DELETED: _("is deleted"),
    LEFT: _("stays as it is"),
}
"""Words for rows of a model, by kind of change."""

LINK_LABELS: dict[str, Promise] = {
    MergedRow.Kind.DELETED: _("no longer lists the removed item"),
    LEFT: _("goes on listing the other item"),
}
"""Words for the object whose many-to-many field a changed row belongs to, by kind of change."""


@dataclass(frozen=True)
class ChangeLine:
    """Changes of one kind in the rows of one model: how many, and the names of some."""

    kind: str
    kind_label: str
    model: str
    field: str
    count: int
    names: Sequence[str]


def describe_changes(access: DuplicateAccess, plan: MergePlan) -> list[ChangeLine]:
    """Return the changes of a plan by model, field and kind; the names are those of objects that the user may see."""
    left = [MergedRow(kind=LEFT, model=row.model._meta.label, field=row.field, key=row.key) for row in plan.left]
    # What becomes of the others is said beside them.
    changes = [row for row in plan.host_changes if not is_merged_object(plan, row)]
    return describe_rows(access, [[*changes, *([] if plan.is_removal else left)]])[0]


def is_merged_object(plan: MergePlan, row: MergedRow) -> bool:
    """Return whether a changed row is one of the objects that are removed, in one of its tables."""
    models_: set[Any] = {type(item)._meta.concrete_model for item in plan.others}
    families = {parent for model in models_ for parent in (model, *model._meta.get_parent_list())}
    keys = {str(item.pk) for item in plan.others}
    return (
        row.kind == MergedRow.Kind.DELETED
        and apps.get_model(row.model) in families
        and bool(keys.intersection(map(str, row.key.values())))
    )


def describe_rows(access: DuplicateAccess, lists: Sequence[Iterable[MergedRow]]) -> list[list[ChangeLine]]:
    """Return the lines of several lists of changed rows, in as many queries as they have models."""
    lines: list[dict[tuple[str, str, str], list[MergedRow]]] = []
    named: dict[str, dict[str, Any]] = defaultdict(dict)
    for rows in lists:
        by_line: dict[tuple[str, str, str], list[MergedRow]] = defaultdict(list)
        for row in rows:
            by_line[row.kind, row.model, row.field].append(row)
        lines.append(by_line)
        for (_kind, label, _field), of_line in by_line.items():
            named[label] |= {row_key(row): row for row in of_line[:MAX_NAMED_ROWS]}
    names = {label: _load_names(access, label, rows.values()) for label, rows in named.items()}
    return [[_describe_line(*key, rows, names[key[1]]) for key, rows in by_line.items()] for by_line in lines]


def row_key(row: MergedRow) -> str:
    """Return the primary key that a row has before its change, as one text."""
    return " ".join(str(value) for value in row.former_key.values())


def _describe_line(kind: str, label: str, field: str, rows: list[MergedRow], names: dict[str, str]) -> ChangeLine:
    model: Any = apps.get_model(label)
    owner: Any = model._meta.auto_created
    shown = [names[key] for row in rows[:MAX_NAMED_ROWS] if (key := row_key(row)) in names]
    labels = {**KIND_LABELS, **(LINK_LABELS if owner else {})}
    title, field_title = str((owner or model)._meta.verbose_name), _field_title(model, field)
    return ChangeLine(kind, str(labels[kind]), title, field_title, len(rows), list(dict.fromkeys(shown)))


def _field_title(model: Any, name: str) -> str:
    """Return the name of a field; of a row of a many-to-many field, that field's."""
    if model._meta.auto_created:
        fields: Any = model._meta.auto_created._meta.many_to_many
        return next((str(each.verbose_name) for each in fields if each.remote_field.through is model), "")
    return str(getattr(model._meta.get_field(name), "verbose_name", name)) if name else ""


def _load_names(access: DuplicateAccess, label: str, rows: Iterable[MergedRow]) -> dict[str, str]:
    """Return the names of rows that the user may see, by key; of a many-to-many field, of the objects that have it."""
    model: Any = apps.get_model(label)
    columns = {str(each.column): each.attname for each in model._meta.concrete_fields}
    keys: list[dict[str, Any]] = [{columns[name]: value for name, value in row.former_key.items()} for row in rows]
    condition = Q(*(Q(**key) for key in keys), _connector=Q.OR)
    found = model._base_manager.using(write_alias()).filter(condition)
    attnames = list(keys[0])
    owner = model._meta.auto_created
    if owner:
        link = next(field for field in model._meta.fields if field.remote_field and field.related_model is owner)
        found = found.select_related(link.name)
    named = {}
    for item in found:
        shown = getattr(item, link.name) if owner else item
        if access.can_view(shown):
            named[" ".join(str(getattr(item, name)) for name in attnames)] = str(shown)
    return named

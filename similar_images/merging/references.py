"""References to objects: every foreign key, one-to-one, many-to-many and generic foreign key of the project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models, router
from django.utils.translation import gettext as _

from .. import conf
from .rows import RowValues, Table


class MergeRefused(Exception):
    """A merge, or its undoing, is not possible; the message tells the editor why."""


@dataclass(frozen=True)
class ObjectRows:
    """The rows of the kept object and of the others in one table: of their model, of its parents or its children."""

    table: Table
    kept: RowValues
    others: Sequence[RowValues]

    def replacements(self, column: str) -> dict[str, str]:
        """Return what a reference to a column of the others becomes: the value of the kept one."""
        kept = self.kept[column]
        if kept is None:
            return {}
        return {value: kept for row in self.others if (value := row[column]) is not None and value != kept}


@dataclass(frozen=True)
class Reference:
    """A column by which rows refer to objects.

    Attributes:
        model: the model of the rows.
        field: the name of the field.
        column: its column.
        replacements: the value of the kept object, by that of each other one.
        also: columns that such rows have, with their values: the content type of a generic foreign key.
    """

    model: type[models.Model]
    field: str
    column: str
    replacements: Mapping[str, str]
    also: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The field as "app.Model.field"."""
        return f"{self.model._meta.label}.{self.field}"


@dataclass(frozen=True)
class ReferenceKind:
    """A field by which rows refer to objects of some model, whichever these are."""

    model: type[models.Model]
    field: str
    column: str
    target: type[models.Model]
    target_column: str
    generic_key: Any = None

    @property
    def is_ignored(self) -> bool:
        """True if the setting says that such rows belong to the object itself."""
        ignored = {label.lower() for label in conf.get().merge_ignore}
        label = self.model._meta.label_lower
        return bool({label, f"{label}.{self.field.lower()}"} & ignored)

    def between(self, rows: ObjectRows, content_types: Mapping[type[models.Model], Any]) -> Iterator[Reference]:
        """Yield the references to these objects."""
        replacements = rows.replacements(self.target_column)
        if not replacements:
            return
        if not self.generic_key:
            yield Reference(self.model, self.field, self.column, replacements, {})
            return
        type_column = _column(self.model, self.generic_key.ct_field)
        for model, pk in content_types.items():
            if model._meta.concrete_model is self.target:
                yield Reference(self.model, self.field, self.column, replacements, {type_column: pk})


def reference_kinds(model: type[models.Model]) -> list[ReferenceKind]:
    """Return every field by which rows refer to objects of a model, or of its parents."""
    targets = {model, *model._meta.get_parent_list()}
    related: Any = model._meta.get_fields(include_hidden=True)
    kinds = [
        ReferenceKind(
            field.model, field.name, str(field.column), field.target_field.model, str(field.target_field.column)
        )
        for relation in related
        if relation.auto_created and not relation.concrete and (relation.one_to_one or relation.one_to_many)
        for field in [relation.field]
        if isinstance(field, models.ForeignKey) and not field.remote_field.parent_link
    ]
    kinds += [
        ReferenceKind(key.model, key.name, _column(key.model, key.fk_field), target, _column(target, "pk"), key)
        for key in _generic_keys()
        for target in targets
    ]
    # Rows of our own follow their objects by themselves.
    return [kind for kind in kinds if kind.model._meta.app_label != "similar_images" and not kind.is_ignored]


def find_references(rows: Sequence[ObjectRows]) -> list[Reference]:
    """Return the references to the others of some objects."""
    by_model = {entry.table.model: entry for entry in rows}
    content_types = _content_types(by_model)
    kinds = {kind: None for model in by_model for kind in reference_kinds(model) if kind.target in by_model}
    return [reference for kind in kinds for reference in kind.between(by_model[kind.target], content_types)]


def load_object_rows(
    model: type[models.Model], kept: models.Model, others: Sequence[models.Model], using: str
) -> list[ObjectRows]:
    """Lock the rows of objects in the tables of their model, of its parents and of its children, in a fixed order.

    Raises:
        MergeRefused: an object is gone, or they have rows in different tables.
    """
    concrete: Any = model._meta.concrete_model
    entries = []
    for parent in sorted([concrete, *concrete._meta.get_parent_list()], key=lambda parent: parent._meta.label):
        column, attname = _column(parent, "pk"), parent._meta.pk.attname
        keys = [getattr(item, attname) for item in (kept, *others)]
        entries.append(_object_rows(Table(parent, using), column, keys))
    for child in sorted(_children(concrete), key=lambda child: child._meta.label):
        link: Any = child._meta.pk
        parent_rows = next(entry for entry in entries if entry.table.model is link.target_field.model)
        table = Table(child, using)
        target = link.target_field.column
        keys = [row[target] for row in (parent_rows.kept, *parent_rows.others)]
        found = table.lock(link.column, keys)
        if found and len(found) < len(keys):
            raise MergeRefused(
                _("Only some of these items are also a %(model)s: they can't be merged.")
                % {"model": child._meta.verbose_name}
            )
        if found:
            entries.append(_object_rows(table, link.column, keys, found))
    return entries


def refuse_other_databases(references: Sequence[Reference], using: str) -> None:
    """Refuse a merge where rows of another database refer to the objects: no transaction has both.

    Raises:
        MergeRefused: there are such rows.
    """
    for reference in references:
        alias = router.db_for_write(reference.model)
        if alias == using:
            continue
        rows = reference.model._base_manager.using(alias)
        field = reference.model._meta.get_field(reference.field)
        name = getattr(field, "fk_field", reference.field)
        found = rows.filter(**{f"{name}__in": list(reference.replacements)})
        if reference.also:
            found = found.filter(**{getattr(field, "ct_field", ""): next(iter(reference.also.values()))})
        if found.exists():
            raise MergeRefused(
                _("“%(model)s” in another database refers to these items, which can't be changed together with them.")
                % {"model": reference.model._meta.verbose_name}
            )


def _object_rows(table: Table, column: str, keys: Sequence[Any], found: list[RowValues] | None = None) -> ObjectRows:
    """Return the rows with these keys, of which the first is the kept object's."""
    found = table.lock(column, keys) if found is None else found
    by_key = {row[column]: row for row in found}
    missing = [key for key in keys if str(key) not in by_key]
    if missing:
        raise MergeRefused(_("An item of this group was deleted or merged in the meantime."))
    kept, *others = (by_key[str(key)] for key in keys)
    return ObjectRows(table, kept, others)


def content_type_ids(wanted: Sequence[type[models.Model]]) -> list[Any]:
    """Return the ids of the content types of models and of their proxies."""
    return list(_content_types(dict.fromkeys(wanted)).values())


def _children(model: type[models.Model]) -> Iterator[type[models.Model]]:
    """Yield the models that inherit from a model, with a table of their own whose key leads to it."""
    related: Any = model._meta.related_objects
    for relation in related:
        if relation.one_to_one and relation.parent_link and relation.related_model._meta.pk is relation.field:
            yield relation.related_model
            yield from _children(relation.related_model)


def _column(model: type[models.Model], name: str) -> str:
    field: Any = model._meta.pk if name == "pk" else model._meta.get_field(name)
    return str(field.column)


def _generic_keys() -> list[Any]:
    if not apps.is_installed("django.contrib.contenttypes"):
        return []
    from django.contrib.contenttypes.fields import GenericForeignKey

    models_ = apps.get_models(include_auto_created=True)
    keys = (field for model in models_ for field in model._meta.private_fields if isinstance(field, GenericForeignKey))
    return [key for key in keys if not key.model._meta.proxy and not getattr(key, "mti_inherited", False)]


def _content_types(by_model: Mapping[type[models.Model], Any]) -> dict[type[models.Model], Any]:
    """Return the id of the content type of each model and of its proxies; those that nothing refers to have none."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return {}
    from django.contrib.contenttypes.models import ContentType

    wanted = {
        (model._meta.app_label, model._meta.model_name): model
        for model in apps.get_models()
        if model._meta.concrete_model in by_model
    }
    labels = {app_label for app_label, _name in wanted}
    rows = ContentType.objects.filter(app_label__in=labels).values_list("app_label", "model", "pk")
    return {wanted[app_label, name]: pk for app_label, name, pk in rows if (app_label, name) in wanted}

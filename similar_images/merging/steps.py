"""The steps of a merge, each of which notes every row that it changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, models, router, transaction
from django.db.models.deletion import Collector, ProtectedError, RestrictedError
from django.utils.translation import gettext as _

from .. import registry
from ..models import IndexedImage, Mark, MergedRow, Signature, Source
from .deletion_rules import DeletionRule, find_deletion_rules
from .hooks import find_field_changes
from .references import MergeRefused, ObjectRows, Reference, find_references, refuse_other_databases
from .rows import RowKey, RowValues, Table, chunked


@dataclass(frozen=True)
class LeftRow:
    """A row that goes on referring to one of the others, as the database refuses that it refers to the kept one."""

    model: type[models.Model]
    field: str
    key: dict[str, str | None]
    is_generic: bool


@dataclass
class MergeSteps:
    """Changes rows of one database, and keeps a note of each.

    Attributes:
        using: the database.
        changes: what was changed, in its order.
        left: rows that could not be changed.
    """

    using: str
    changes: list[MergedRow] = field(default_factory=list)
    left: list[LeftRow] = field(default_factory=list)
    _tables: dict[type[models.Model], Table] = field(default_factory=dict)
    _kept: set[tuple[type[models.Model], RowKey]] = field(default_factory=set)
    _deleted: set[tuple[type[models.Model], RowKey]] = field(default_factory=set)

    def move_references(self, rows: Sequence[ObjectRows]) -> None:
        """Let all that refers to the others refer to the kept object, where the database takes it.

        The rows of the objects themselves are left, and those of a many-to-many field that link two of the objects:
        the kept one would be linked to itself.
        """
        references = find_references(rows)
        refuse_other_databases(references, self.using)
        own = {(entry.table.model, entry.table.key_of(row)) for entry in rows for row in (entry.kept, *entry.others)}
        linking = _linking_models([entry.table.model for entry in rows])
        columns: dict[type[models.Model], set[str]] = defaultdict(set)
        for reference in references:
            if reference.model in linking:
                columns[reference.model].add(reference.column)
        for reference in references:
            if router.db_for_write(reference.model) == self.using and self._table(reference.model).is_table:
                self._move(reference, own, columns[reference.model] - {reference.column})

    def _move(self, reference: Reference, own: set[tuple[Any, RowKey]], siblings: set[str]) -> None:
        table = self._table(reference.model)
        ends = {*reference.replacements, *reference.replacements.values()}
        by_value: dict[str, list[RowValues]] = defaultdict(list)
        for row in table.lock(reference.column, reference.replacements, reference.also):
            is_own = (reference.model, table.key_of(row)) in own
            if is_own or any(row[column] in ends for column in siblings):
                self._leave(reference, table, row)
            else:
                by_value[reference.replacements[str(row[reference.column])]].append(row)
        for value, rows in by_value.items():
            for chunk in chunked(rows):
                self._move_rows(reference, table, chunk, value)

    def _move_rows(self, reference: Reference, table: Table, rows: list[RowValues], value: str) -> None:
        """Change rows together; where the database refuses, one half after the other, down to single rows."""
        try:
            with transaction.atomic(using=self.using):
                table.update([table.key_of(row) for row in rows], {reference.column: value}, {})
        except IntegrityError:
            if len(rows) == 1:
                self._leave(reference, table, rows[0])
                return
            middle = len(rows) // 2
            self._move_rows(reference, table, rows[:middle], value)
            self._move_rows(reference, table, rows[middle:], value)
            return
        for row in rows:
            self._note_move(table, reference.field, row, {**row, reference.column: value}, [reference.column])
        if reference.column in table.key_columns:
            self._move_references_to_keys(table, rows, reference.column, value)

    def _move_references_to_keys(self, table: Table, rows: list[RowValues], column: str, value: str) -> None:
        """Follow rows whose key was changed, as that of a one-to-one field that is the primary key."""
        for row in rows:
            self.move_references([ObjectRows(table, {**row, column: value}, [row])])

    def change_fields(self, model: type[models.Model], rows: ObjectRows) -> None:
        """Change the fields of other objects that the project's hooks name."""
        replacements = rows.replacements(rows.table.key_columns[0])
        for change in find_field_changes(model, replacements, self.using):
            owner: Any = change.model._meta.get_field(change.field).model
            table, column = self._table(owner), str(owner._meta.get_field(change.field).column)
            key = table.as_key(change.pk)
            before = table.lock_keys([key])
            owner._base_manager.using(self.using).filter(pk=change.pk).update(**{change.field: change.value})
            for row, after in zip(before, table.lock_keys([key]), strict=True):
                if row != after:
                    self._note_move(table, change.field, row, after, [column])

    def remove(self, others: Sequence[models.Model], kept: models.Model) -> None:
        """Delete objects, and what Django deletes or empties with them; no file, and without signals.

        Handlers of `post_delete` delete files, and what they do can't be undone.

        Raises:
            MergeRefused: a row protects one of them, or the kept object would be deleted, too.
        """
        collector: Any = Collector(using=self.using, origin=others)  # type: ignore[arg-type]  # it only names them
        try:
            collector.collect(list(others))
            for left in self.left:
                if left.is_generic:  # no foreign key deletes it
                    collector.collect(self._load(left.model, [left.key]))
        except (ProtectedError, RestrictedError) as error:
            objects: Any = getattr(error, "protected_objects", ()) or getattr(error, "restricted_objects", ())
            names = sorted({str(item._meta.verbose_name) for item in objects})
            raise MergeRefused(
                _("The other items can't be removed, as “%(models)s” refers to them and can't refer to the kept one.")
                % {"models": "”, “".join(names)}
            ) from None
        doomed: dict[Any, list[Any]] = defaultdict(list)
        for queryset in collector.fast_deletes:
            doomed[queryset.model] += [item.pk for item in queryset]
        collector.sort()
        for deleted_model, instances in collector.data.items():
            doomed[deleted_model] += [item.pk for item in instances]
        families: set[Any] = {type(kept)._meta.concrete_model, *type(kept)._meta.get_parent_list()}
        for family in families:
            key = self._table(family).as_key(getattr(kept, family._meta.pk.attname))
            self._kept.add((family, tuple(map(str, key))))
        for (cleared, value), querysets in collector.field_updates.items():
            for items in querysets:
                self._clear(cleared, value, [item for item in items if item.pk not in doomed[type(item)]])
        self._remove_records({owner: pks for owner, pks in doomed.items() if pks})
        for deleted_model, pks in doomed.items():
            table = self._table(deleted_model)
            self._delete(table, table.lock_keys(map(table.as_key, pks)))

    def _clear(self, cleared: Any, value: Any, items: Iterable[Any]) -> None:
        table = self._table(cleared.model)
        final = value() if callable(value) else value
        for row in table.lock_keys([table.as_key(item.pk) for item in items]):
            table.update([table.key_of(row)], {cleared.column: getattr(final, "pk", final)}, {})
            (after,) = table.lock_keys([table.key_of(row)])
            self._note(MergedRow.Kind.CLEARED, table, cleared.name, row, after, [cleared.column])

    def _remove_records(self, doomed: dict[type[models.Model], list[Any]]) -> None:
        """Delete what is stored on the images of objects, which their trigger would delete without a note."""
        records: list[IndexedImage] = []
        marks: set[int] = set()
        for model, pks in doomed.items():
            for source in registry.get_sources_for_model(model):
                source_id = Source.objects.get_id(source)
                ids = [source.object_id(pk) for pk in pks]
                of_source = IndexedImage.primary.using(self.using).filter(source_id=source_id, object_id__in=ids)
                records += of_source.exclude(pk__in=[record.pk for record in records])
                between = models.Q(first_id__in=ids) | models.Q(second_id__in=ids)
                found = Mark.primary.using(self.using).filter(between, source_id=source_id)
                marks.update(found.values_list("pk", flat=True))
        signatures = Signature.primary.using(self.using).filter(record__in=[record.pk for record in records])
        for model, keys in (
            (Mark, sorted(marks)),
            (Signature, sorted(signatures.values_list("pk", flat=True))),
            (IndexedImage, sorted(record.pk for record in records)),
        ):
            table = self._table(model)
            self._delete(table, table.lock_keys([(key,) for key in keys]))

    def _delete(self, table: Table, rows: Sequence[RowValues]) -> None:
        """Delete rows, after all that the database would delete or empty with them by itself.

        Raises:
            MergeRefused: the kept object is among them, or rows that no model knows, which could not be restored.
        """
        model: Any = table.model._meta.concrete_model
        rows = [row for row in rows if (model, table.key_of(row)) not in self._deleted]
        keys = {(model, table.key_of(row)) for row in rows}
        if keys & self._kept:
            raise MergeRefused(_("The item to keep refers to one of the others, and would be deleted with it."))
        self._deleted |= keys
        for rule in find_deletion_rules(model, self.using) if rows else ():
            self._follow_rule(rule, rows)
        table.delete([table.key_of(row) for row in rows])
        for row in rows:
            self._note(MergedRow.Kind.DELETED, table, "", row, {}, table.columns)

    def _follow_rule(self, rule: DeletionRule, rows: Sequence[RowValues]) -> None:
        """Delete or empty the rows that refer to some that are about to be deleted."""
        targets = [tuple(row[column] for column in rule.target_columns) for row in rows]
        targets = [target for target in targets if None not in target]
        if rule.model is None:
            if any(rule.has_rows(chunk, self.using) for chunk in chunked(targets)):
                raise MergeRefused(
                    _("Rows of “%(table)s” would be lost, which can't be undone.") % {"table": rule.table}
                )
            return
        table = self._table(rule.model)
        found = table.lock_keys(targets, rule.columns)
        if rule.is_cascade:
            self._delete(table, found)
            return
        names = {str(each.column): each.name for each in rule.model._meta.local_concrete_fields}
        for row in found:
            key = table.key_of(row)
            if rule.is_default:
                table.reset([key], rule.columns)
            else:
                table.update([key], dict.fromkeys(rule.columns), {})
            (after,) = table.lock_keys([key])
            self._note(MergedRow.Kind.CLEARED, table, names[rule.columns[0]], row, after, rule.columns)

    def _leave(self, reference: Reference, table: Table, row: RowValues) -> None:
        key = dict(zip(table.key_columns, table.key_of(row), strict=True))
        self.left.append(LeftRow(reference.model, reference.field, key, bool(reference.also)))

    def _note_move(
        self, table: Table, field_name: str, row: RowValues, after: RowValues, columns: Sequence[str]
    ) -> None:
        self._note(MergedRow.Kind.MOVED, table, field_name, row, after, columns)

    def _note(
        self,
        kind: MergedRow.Kind,
        table: Table,
        field_name: str,
        row: RowValues,
        after: RowValues,
        columns: Sequence[str],
    ) -> None:
        final = after or row
        self.changes.append(
            MergedRow(
                kind=kind,
                model=table.model._meta.label,
                field=field_name,
                key={column: final[column] for column in table.key_columns},
                before={column: row[column] for column in columns},
                after={column: after[column] for column in columns} if after else {},
            )
        )

    def _load(self, model: type[models.Model], keys: Iterable[dict[str, str | None]]) -> list[Any]:
        """Return the objects with these keys, by column."""
        names = {str(each.column): each.attname for each in model._meta.concrete_fields}
        rows = model._base_manager.using(self.using)
        return [item for key in keys for item in rows.filter(**{names[name]: value for name, value in key.items()})]

    def _table(self, model: type[models.Model]) -> Table:
        if model not in self._tables:
            self._tables[model] = Table(model, self.using)
        return self._tables[model]


def _linking_models(of: Sequence[type[models.Model]]) -> set[type[models.Model]]:
    """Return the models of the rows of many-to-many fields between objects of these models."""
    fields: list[Any] = [each for model in of for each in model._meta.many_to_many]
    return {each.remote_field.through for each in fields if each.remote_field.model._meta.concrete_model in of}

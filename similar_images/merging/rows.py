"""Rows of a table as PostgreSQL writes them in text, which it reads back without loss, whatever the type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from django.db import connections, models

RowValues = dict[str, str | None]
"""The values of a row by column, as text."""

RowKey = tuple[Any, ...]
"""The values of a row's primary key."""

ROW_CHUNK = 500
"""Rows that one statement reads or writes."""


class Table:
    """The table of a model, without those of its parents."""

    def __init__(self, model: type[models.Model], using: str) -> None:
        """Read which columns the table has."""
        self.model = model
        self._connection: Any = connections[using]
        self._name = self._quote(model._meta.db_table)
        # Composite keys have several fields.
        self.key_columns = [str(field.column) for field in getattr(model._meta, "pk_fields", [model._meta.pk])]
        self.columns = [
            name
            for (name,) in self._execute(
                "SELECT attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
                "WHERE attrelid = to_regclass(%s) AND relkind IN ('r', 'p') "
                "AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
                [self._name],
            )
        ]

    @property
    def is_table(self) -> bool:
        """True unless the database has no such table, or it is a view."""
        return bool(self.columns)

    def key_of(self, row: Mapping[str, str | None]) -> RowKey:
        """Return the primary key of a row."""
        return tuple(row[column] for column in self.key_columns)

    def as_key(self, pk: Any) -> tuple[Any, ...]:
        """Return the primary key of an object as the database takes it."""
        key: Any = self.model._meta.pk
        value = key.get_db_prep_value(pk, self._connection)
        return tuple(value) if len(self.key_columns) > 1 else (value,)

    def lock(self, column: str, values: Iterable[Any], also: Mapping[str, Any] | None = None) -> list[RowValues]:
        """Lock and return the rows with one of these values, in the order of their keys.

        Args:
            column: a column.
            values: values or texts that the database takes for one.
            also: values that other columns must have.
        """
        conditions = "".join(f" AND {self._quote(name)} = %s" for name in also or {})
        columns = ", ".join(f"{self._quote(name)}::text" for name in self.columns)
        order = ", ".join(map(self._quote, self.key_columns))
        rows: list[RowValues] = []
        for chunk in chunked(values):
            is_wanted = f"{self._quote(column)} IN ({_placeholders(chunk)}){conditions}"
            found = self._execute(
                f"SELECT {columns} FROM {self._name} WHERE {is_wanted} ORDER BY {order} FOR UPDATE",
                [*chunk, *(also or {}).values()],
            )
            rows += [dict(zip(self.columns, row, strict=True)) for row in found]
        return rows

    def lock_keys(self, keys: Iterable[RowKey], columns: Sequence[str] = ()) -> list[RowValues]:
        """Lock and return the rows with these primary keys, or with these values of other columns."""
        selected = ", ".join(f"{self._quote(name)}::text" for name in self.columns)
        order = ", ".join(map(self._quote, self.key_columns))
        rows: list[RowValues] = []
        for chunk in chunked(keys):
            condition, parameters = self._key_condition(chunk, columns)
            found = self._execute(
                f"SELECT {selected} FROM {self._name} WHERE {condition} ORDER BY {order} FOR UPDATE", parameters
            )
            rows += [dict(zip(self.columns, row, strict=True)) for row in found]
        return rows

    def update(self, keys: Sequence[RowKey], values: Mapping[str, Any], present: Mapping[str, Any]) -> int:
        """Set columns of the rows with these keys, if others still have the values given; return the number of rows."""
        condition, parameters = self._key_condition(keys)
        assignments = ", ".join(f"{self._quote(name)} = %s" for name in values)
        unchanged = "".join(f" AND {self._quote(name)}::text IS NOT DISTINCT FROM %s::text" for name in present)
        return self._write(
            f"UPDATE {self._name} SET {assignments} WHERE {condition}{unchanged}",
            [*values.values(), *parameters, *present.values()],
        )

    def reset(self, keys: Sequence[RowKey], columns: Sequence[str]) -> None:
        """Set columns of the rows with these keys to the default that the database has for them."""
        condition, parameters = self._key_condition(keys)
        assignments = ", ".join(f"{self._quote(name)} = DEFAULT" for name in columns)
        self._write(f"UPDATE {self._name} SET {assignments} WHERE {condition}", parameters)

    def delete(self, keys: Iterable[RowKey]) -> None:
        """Delete the rows with these keys, with no signal and no cascade but the database's own."""
        for chunk in chunked(keys):
            condition, parameters = self._key_condition(chunk)
            self._write(f"DELETE FROM {self._name} WHERE {condition}", parameters)

    def insert(self, row: Mapping[str, str | None]) -> None:
        """Insert a row that was deleted; columns that are gone since are left out, and new ones have their default."""
        present = [name for name in self.columns if name in row]
        columns = ", ".join(map(self._quote, present))
        self._write(
            f"INSERT INTO {self._name} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({_placeholders(present)})",
            [row[name] for name in present],
        )

    def _key_condition(self, keys: Sequence[RowKey], columns: Sequence[str] = ()) -> tuple[str, list[Any]]:
        columns = columns or self.key_columns
        names = ", ".join(map(self._quote, columns))
        key = f"({_placeholders(columns)})"
        return f"({names}) IN ({', '.join([key] * len(keys))})", [value for key in keys for value in key]

    def _quote(self, name: str) -> str:
        return str(self._connection.ops.quote_name(name))

    def _execute(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def _write(self, sql: str, parameters: Sequence[Any]) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return int(cursor.rowcount)


def chunked(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Split values into lists of at most ROW_CHUNK."""
    remaining = iter(values)
    while chunk := list(islice(remaining, ROW_CHUNK)):
        yield chunk


def _placeholders(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))

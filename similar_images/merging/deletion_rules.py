"""Rules of PostgreSQL on rows that refer to deleted ones: `ON DELETE CASCADE`, `SET NULL`, `SET DEFAULT`.

Django knows them where `on_delete` says so (`DB_CASCADE`); those of a table that it does not manage, it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections, models

CASCADE = "c"
"""Code, in `pg_constraint`, of the rule by which rows are deleted; others set columns to NULL or their default."""

RULES_SQL = """
SELECT origin.relname, confdeltype::text,
    ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS part (number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place),
    ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS part (number, place)
        JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place)
FROM pg_constraint JOIN pg_class AS origin ON origin.oid = conrelid
WHERE contype = 'f' AND confrelid = to_regclass(%s) AND confdeltype IN ('c', 'n', 'd') AND conparentid = 0
ORDER BY origin.relname, conname
"""


@dataclass(frozen=True)
class DeletionRule:
    """A foreign key of the database with a rule for deletions.

    Attributes:
        table: the table of the rows that refer.
        columns: its columns that do.
        target_columns: the columns that they refer to.
        is_cascade: whether the rows are deleted; if not, their columns are set to NULL, or to their default.
        is_default: whether it is their default.
    """

    table: str
    columns: Sequence[str]
    target_columns: Sequence[str]
    is_cascade: bool
    is_default: bool

    @property
    def model(self) -> type[models.Model] | None:
        """The model of the rows that refer; None where the project has none with fields for these columns."""
        for model in apps.get_models(include_auto_created=True):
            columns = {field.column for field in model._meta.local_concrete_fields}
            if model._meta.db_table == self.table and not model._meta.proxy and columns.issuperset(self.columns):
                return model
        return None

    def has_rows(self, targets: Sequence[Sequence[Any]], using: str) -> bool:
        """Return whether a row refers to one of these, given by the values of the columns that are referred to."""
        connection = connections[using]
        columns = ", ".join(map(connection.ops.quote_name, self.columns))
        row = f"({', '.join(['%s'] * len(self.columns))})"
        name = connection.ops.quote_name(self.table)
        condition = f"({columns}) IN ({', '.join([row] * len(targets))})"
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT EXISTS (SELECT FROM {name} WHERE {condition})",  # noqa: S608 - names of the database
                [value for target in targets for value in target],
            )
            return bool(targets) and bool(cursor.fetchone()[0])


def find_deletion_rules(model: type[models.Model], using: str) -> list[DeletionRule]:
    """Return the rules by which the deletion of a row of a model's own table changes rows of others."""
    with connections[using].cursor() as cursor:
        cursor.execute(RULES_SQL, [connections[using].ops.quote_name(model._meta.db_table)])
        return [
            DeletionRule(table, columns, target_columns, code == CASCADE, code == "d")
            for table, code, columns, target_columns in cursor.fetchall()
        ]

"""Triggers of PostgreSQL on the tables of the sources: they keep the records in step with the objects.

A trigger runs in the statement that writes the object, whoever writes it: `save()`, `bulk_create()`, `update()`,
another program. So the two are written together or not at all, in autocommit as in a transaction. Signals come after
the statement has been committed, or not at all.

They are triggers of whole statements, which tell old from new rows: one of a column would keep the host's migrations
from altering that column, and one of rows would run a million times for a million rows. An error in them never reaches
the host's statement: they then leave a `ReindexRequest`, and if that fails, too, the work to the sweep.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from django.db import DatabaseError, OperationalError, connections, models, transaction
from django.db.models.functions import Cast

from ..sources.source import ImageSource

logger = logging.getLogger("similar_images")

NAME_PREFIX = "similar_images_"
"""The beginning of the names of all triggers and functions."""

FUNCTION = f"{NAME_PREFIX}set_files"
"""Function that records which file each object of a source has now; all triggers call it, and `outbox.set_files`."""

LOCK_TIMEOUT = "3s"
"""Time to wait for the lock on a source's table, which others wait behind; the next sweep tries again."""

_OF_TRIGGERS = f"^{NAME_PREFIX}(track|(insert|update|delete)_[0-9a-f]{{16}})$"
"""Names of their functions; a former version had one for all, `track`."""

_SQL = Path(__file__).with_suffix(".sql")
_TRIGGER_SQL = Path(__file__).with_name("trigger.sql")

DROP_FUNCTIONS = f"""\
DO $$
DECLARE
    of_trigger regprocedure;
BEGIN
    FOR of_trigger IN
        SELECT oid FROM pg_proc WHERE proname ~ '{_OF_TRIGGERS}' AND pronamespace = current_schema()::regnamespace
    LOOP
        EXECUTE 'DROP FUNCTION ' || of_trigger || ' CASCADE';
    END LOOP;
END
$$;
DROP FUNCTION IF EXISTS {FUNCTION}(bigint, boolean, text[], text[], boolean);
"""
"""Drops the functions, and with them all triggers."""


_refused: set[ImageSource] = set()
"""Sources whose tables have refused triggers to this process."""


@dataclass(frozen=True)
class Trigger:
    """A trigger of one event ("INSERT", "UPDATE" or "DELETE") on one table of a source.

    It calls a function of its own, of the same name, whose statements PostgreSQL plans once a connection.

    Attributes:
        source: the source.
        table: the table.
        event: the event.
        files: SQL for object ids and file names that the statement has changed, of `old_rows` and `new_rows`.
    """

    source: ImageSource
    table: str
    event: str
    files: str

    @property
    def name(self) -> str:
        """The name, which is another one for every definition."""
        definition = f"{self.table} {self.event} {self._define_function('')}".encode()
        return f"{NAME_PREFIX}{self.event.lower()}_{hashlib.sha256(definition).hexdigest()[:16]}"

    def create_sql(self, quote_name: Callable[[str], str]) -> list[str]:
        """Return the statements that create the function and the trigger."""
        tables = {"INSERT": ["NEW"], "UPDATE": ["OLD", "NEW"], "DELETE": ["OLD"]}[self.event]
        referencing = " ".join(f"{kind} TABLE AS {kind.lower()}_rows" for kind in tables)
        return [
            self._define_function(self.name),
            f"CREATE TRIGGER {self.name} AFTER {self.event} ON {quote_name(self.table)} REFERENCING {referencing} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {self.name}()",
        ]

    def _define_function(self, name: str) -> str:
        meta = self.source.model._meta
        return _TRIGGER_SQL.read_text(encoding="utf-8").format(
            name=name,
            files=self.files,
            app_label=_literal(meta.app_label),
            model=_literal(str(meta.model_name)),
            field=_literal(self.source.field_name),
            has_integer_key=str(self.source.has_integer_key).lower(),
        )


def source_triggers(source: ImageSource, using: str) -> list[Trigger]:
    """Return the triggers that a source needs.

    Of a model that inherits its field from another table, the objects come and go in their own table, and the names of
    files change in the other.
    """
    meta, owner = source.model._meta, source.field.model._meta
    quote_name = connections[using].ops.quote_name
    key, file_key, name = (quote_name(str(field.column)) for field in (meta.pk, owner.pk, source.field))
    deleted = f"SELECT {key}::text, '' FROM old_rows"
    if owner.db_table == meta.db_table:
        changed = f"SELECT {key}, {name} FROM new_rows EXCEPT SELECT {key}, {name} FROM old_rows"
        gone = f"SELECT {key} FROM old_rows EXCEPT SELECT {key} FROM new_rows"
        updated = (
            f"SELECT id::text, name FROM ({changed}) AS changed (id, name) "
            f"UNION ALL SELECT id::text, '' FROM ({gone}) AS gone (id)"
        )
        inserted = f"SELECT {key}::text, {name} FROM new_rows"
    else:
        changed = f"SELECT {file_key}, {name} FROM new_rows EXCEPT SELECT {file_key}, {name} FROM old_rows"
        keys = f"SELECT key FROM ({changed}) AS changed (key, name)"
        updated = _files_sql(source, owner.pk.name, keys, using)
        inserted = _files_sql(source, "pk", f"SELECT {key} FROM new_rows", using)
    return [
        Trigger(source, meta.db_table, "INSERT", inserted),
        Trigger(source, owner.db_table, "UPDATE", updated),
        Trigger(source, meta.db_table, "DELETE", deleted),
    ]


def _literal(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))


def _files_sql(source: ImageSource, key: str, keys: str, using: str) -> str:
    """Select object id and file name of those objects of a source of which a key is among some."""
    objects: models.QuerySet[Any] = models.QuerySet(source.model)
    rows = objects.order_by().values_list(Cast("pk", models.CharField()), source.field_name, key)
    sql, _parameters = rows.query.get_compiler(using).as_sql()
    return f"SELECT id, name FROM ({sql}) AS file (id, name, key) WHERE key IN ({keys})"


def missing_triggers(sources: Iterable[ImageSource], using: str) -> dict[ImageSource, list[Trigger]]:
    """Return the triggers that the database lacks, by source; sources that have all of theirs are left out."""
    existing = {trigger.name for trigger in _existing_triggers(using)}
    needed = {source: source_triggers(source, using) for source in sources}
    missing = {source: [t for t in triggers if t.name not in existing] for source, triggers in needed.items()}
    return {source: triggers for source, triggers in missing.items() if triggers}


class _ExistingTrigger(NamedTuple):
    """A trigger of ours in this schema: its name, and the name of its table, plain and quoted."""

    name: str
    table: str
    quoted_table: str


def _existing_triggers(using: str) -> list[_ExistingTrigger]:
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT tgname::text, relname::text, tgrelid::regclass::text FROM pg_trigger "
            "JOIN pg_proc ON pg_proc.oid = tgfoid JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE proname ~ %s AND pg_function_is_visible(tgfoid)",
            [_OF_TRIGGERS],
        )
        return [_ExistingTrigger(*row) for row in cursor.fetchall()]


def create_missing_triggers(sources: Iterable[ImageSource], using: str) -> None:
    """Create those triggers that the database lacks, and what they call.

    A table that can't have them, as it is another user's or a view, is logged, once a process: its changes are found
    by the sweep alone.
    """
    missing = missing_triggers([source for source in sources if source not in _refused], using)
    if not missing:
        return
    create_function(using)
    for source, triggers in missing.items():
        try:
            with transaction.atomic(using=using), connections[using].cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
                for trigger in triggers:
                    for statement in trigger.create_sql(connections[using].ops.quote_name):
                        cursor.execute(statement)
        except OperationalError as error:  # the table is locked for long
            logger.warning("The triggers of %s have to wait for the next sweep: %s", source.label, error)
        except DatabaseError as error:
            _refused.add(source)
            logger.warning("Changes of %s are found by the sweep alone, as it gets no trigger: %s", source.label, error)


def create_function(using: str) -> None:
    """Create the function that all triggers call, or replace that of a former version."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        # Two processes that replace the same function at a time would get an error.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [FUNCTION])
        cursor.execute(_SQL.read_text(encoding="utf-8"))


def drop_obsolete_triggers(sources: Collection[ImageSource], using: str) -> None:
    """Drop the triggers of former sources, and of former definitions of these where the present ones are in place."""
    needed = {trigger.name for source in sources for trigger in source_triggers(source, using)}
    waiting = {_plain_name(trigger.table) for each in missing_triggers(sources, using).values() for trigger in each}
    with connections[using].cursor() as cursor:
        for trigger in _existing_triggers(using):
            if trigger.name not in needed and trigger.table not in waiting:
                cursor.execute(f"DROP TRIGGER IF EXISTS {trigger.name} ON {trigger.quoted_table}")
        cursor.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE proname ~ %s AND pg_function_is_visible(oid) "
            "AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = pg_proc.oid)",
            [_OF_TRIGGERS],
        )
        for (function,) in cursor.fetchall():
            cursor.execute(f"DROP FUNCTION IF EXISTS {function}")


def _plain_name(table: str) -> str:
    """Return the name of a table without the schema that some write into it: `"shop"."product"`."""
    return table.rpartition('"."')[2].strip('"')

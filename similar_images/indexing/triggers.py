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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DatabaseError, OperationalError, connections, models, transaction
from django.db.models.functions import Cast

from ..sources.source import ImageSource

logger = logging.getLogger("similar_images")

NAME_PREFIX = "similar_images_"
"""The beginning of the names of all triggers and functions."""

FUNCTION = f"{NAME_PREFIX}set_files"
"""Function that records which file each object of a source has now; see `outbox.set_files`."""

LOCK_TIMEOUT = "3s"
"""Time to wait for the lock on a source's table, which others wait behind; the next sweep tries again."""

_TRIGGER_FUNCTION = f"{NAME_PREFIX}track"

_SQL = Path(__file__).with_suffix(".sql")

DROP_FUNCTIONS = f"""\
DROP FUNCTION IF EXISTS {_TRIGGER_FUNCTION}() CASCADE;
DROP FUNCTION IF EXISTS {FUNCTION}(bigint, boolean, text[], text[], boolean);
"""
"""Drops the functions, and with them all triggers."""


_refused: set[ImageSource] = set()
"""Sources whose tables have refused triggers to this process."""


@dataclass(frozen=True)
class Trigger:
    """A trigger of one event ("INSERT", "UPDATE" or "DELETE") on one table, with the arguments of the function."""

    table: str
    event: str
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name, which is another one for every definition."""
        definition = repr((self.table, self.event, self.arguments)).encode()
        return f"{NAME_PREFIX}{self.event.lower()}_{hashlib.sha256(definition).hexdigest()[:16]}"

    def create_sql(self, quote_name: Any) -> str:
        """Return the statement that creates the trigger."""
        tables = {"INSERT": ["NEW"], "UPDATE": ["OLD", "NEW"], "DELETE": ["OLD"]}[self.event]
        referencing = " ".join(f"{kind} TABLE AS {kind.lower()}_rows" for kind in tables)
        arguments = ", ".join("'{}'".format(argument.replace("'", "''")) for argument in self.arguments)
        return (
            f"CREATE TRIGGER {self.name} AFTER {self.event} ON {quote_name(self.table)} REFERENCING {referencing} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {_TRIGGER_FUNCTION}({arguments})"
        )


def source_triggers(source: ImageSource, using: str) -> list[Trigger]:
    """Return the triggers that a source needs.

    Of a model that inherits its field from another table, the objects come and go in their own table, and the names of
    files change in the other.
    """
    meta, owner = source.model._meta, source.field.model._meta
    key, file_key = (_column_of(options.pk) for options in (meta, owner))
    first = (meta.app_label, str(meta.model_name), source.field_name, str(source.has_integer_key).lower())
    if owner.db_table == meta.db_table:
        arguments = (*first, key, _column_of(source.field), "")
        return [Trigger(meta.db_table, event, arguments) for event in ("INSERT", "UPDATE", "DELETE")]
    of_objects = (*first, key, "", _files_sql(source, "pk", using))
    of_files = (*first, file_key, _column_of(source.field), _files_sql(source, owner.pk.name, using))
    return [
        Trigger(meta.db_table, "INSERT", of_objects),
        Trigger(meta.db_table, "DELETE", of_objects),
        Trigger(owner.db_table, "UPDATE", of_files),
    ]


def _column_of(field: Any) -> str:
    return str(field.column)


def _files_sql(source: ImageSource, key: str, using: str) -> str:
    """Select object id, file name and a key of all objects of a source."""
    objects: models.QuerySet[Any] = models.QuerySet(source.model)
    rows = objects.order_by().values_list(Cast("pk", models.CharField()), source.field_name, key)
    sql, _parameters = rows.query.get_compiler(using).as_sql()
    return str(sql)


def missing_triggers(sources: Iterable[ImageSource], using: str) -> dict[ImageSource, list[Trigger]]:
    """Return the triggers that the database lacks, by source; sources that have all of theirs are left out."""
    existing = {name for _table, name in _existing_triggers(using)}
    needed = {source: source_triggers(source, using) for source in sources}
    missing = {source: [t for t in triggers if t.name not in existing] for source, triggers in needed.items()}
    return {source: triggers for source, triggers in missing.items() if triggers}


def _existing_triggers(using: str) -> list[tuple[str, str]]:
    """Return the quoted table and the name of every trigger of ours in this schema."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname::text FROM pg_trigger WHERE tgfoid = to_regproc(%s)",
            [_TRIGGER_FUNCTION],
        )
        return list(cursor.fetchall())


def create_missing_triggers(sources: Iterable[ImageSource], using: str) -> None:
    """Create the functions and those triggers that the database lacks.

    A table that can't have them, as it is another user's or a view, is logged, once a process: its changes are found
    by the sweep alone.
    """
    missing = missing_triggers([source for source in sources if source not in _refused], using)
    if not missing:
        return
    create_functions(using)
    for source, triggers in missing.items():
        try:
            with transaction.atomic(using=using), connections[using].cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
                for trigger in triggers:
                    cursor.execute(trigger.create_sql(connections[using].ops.quote_name))
        except OperationalError as error:  # the table is locked for long
            logger.warning("The triggers of %s have to wait for the next sweep: %s", source.label, error)
        except DatabaseError as error:
            _refused.add(source)
            logger.warning("Changes of %s are found by the sweep alone, as it gets no trigger: %s", source.label, error)


def create_functions(using: str) -> None:
    """Create the functions, or replace those of a former version."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        # Two processes that replace the same function at a time would get an error.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [_TRIGGER_FUNCTION])
        cursor.execute(_SQL.read_text(encoding="utf-8"))


def drop_obsolete_triggers(sources: Iterable[ImageSource], using: str) -> None:
    """Drop the triggers of former sources, and of former definitions of these."""
    needed = {trigger.name for source in sources for trigger in source_triggers(source, using)}
    for table, name in _existing_triggers(using):
        if name not in needed:
            with connections[using].cursor() as cursor:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")

"""Triggers of PostgreSQL that note of which records a search backend has to be told.

They are there only while a version has a copy in a backend: projects without one pay nothing for them. Whatever writes
or deletes a signature runs them, in its own transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from django.db import connections, transaction

from ..models import MethodVersion, Signature, Source, write_alias
from ..sources.source import ImageSource
from .triggers import LOCK_TIMEOUT

SIGNATURE_FUNCTION = "similar_images_note_signatures"
ATTRIBUTE_FUNCTION = "similar_images_note_attributes"

NOTE_FUNCTIONS = Path(__file__).with_suffix(".sql")
"""File with the functions."""

DROP_NOTE_FUNCTIONS = "".join(
    f"DROP FUNCTION IF EXISTS {name}() CASCADE;\n" for name in (SIGNATURE_FUNCTION, ATTRIBUTE_FUNCTION)
)
"""Drops the functions, and with them all triggers."""


def await_writers() -> None:
    """Wait until whatever is writing signatures has ended, and create the triggers on them that are missing.

    Those who write later see what was committed before: that a version has a copy.

    Raises:
        OperationalError: somebody has been writing for longer than the `LOCK_TIMEOUT`; it may be called again.
    """
    table, using = Signature._meta.db_table, write_alias()
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
        # Two processes that replace the same function at a time would get an error.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [SIGNATURE_FUNCTION])
        cursor.execute(NOTE_FUNCTIONS.read_text(encoding="utf-8"))
        cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        for event, rows in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            cursor.execute(
                f"CREATE OR REPLACE TRIGGER {SIGNATURE_FUNCTION}_{event.lower()} AFTER {event} ON {table} "
                f"REFERENCING {rows} TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION {SIGNATURE_FUNCTION}()"
            )


def note_attributes(source: ImageSource, columns: Sequence[str]) -> None:
    """Have the triggers on a source's table note changes of these columns, and of no others.

    Raises:
        DatabaseError: the table is another user's, or has been locked for longer than the `LOCK_TIMEOUT`.
    """
    using, meta = write_alias(), source.model._meta
    quote = connections[using].ops.quote_name
    arguments = [meta.app_label, str(meta.model_name), source.field_name, str(meta.pk.column), *columns]
    texts = ", ".join("'{}'".format(argument.replace("'", "''")) for argument in arguments)
    row = hashlib.sha256(source.label.encode()).hexdigest()[:12]
    name = f"{ATTRIBUTE_FUNCTION}_{row}"
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
        if not columns:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {quote(meta.db_table)}")
            return
        cursor.execute(
            f"CREATE OR REPLACE TRIGGER {name} AFTER UPDATE ON {quote(meta.db_table)} "
            "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {ATTRIBUTE_FUNCTION}({texts})"
        )


def drop_unused_triggers() -> None:
    """Drop all triggers where no version has a copy in a backend."""
    using = write_alias()
    if Source.objects.has_table() and not MethodVersion.primary.filter(backend_cursor__isnull=False).exists():
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            cursor.execute(DROP_NOTE_FUNCTIONS)

"""Constraints of the database that refuse a change, in words for editors."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import Error, connections
from django.utils.translation import gettext as _

FOREIGN_KEY_VIOLATION, UNIQUE_VIOLATION, EXCLUSION_VIOLATION = "23503", "23505", "23P01"
"""SQLSTATE of what PostgreSQL refuses."""


def describe_violation(error: Error, using: str) -> str:
    """Return why the database has refused a change, in a sentence.

    Args:
        error: what was raised, by a transaction or savepoint that has been rolled back since.
        using: the database.
    """
    diagnosis: Any = getattr(error.__cause__, "diag", None)
    state, table = (getattr(diagnosis, name, None) for name in ("sqlstate", "table_name"))
    model = _model_name(table)
    if state == FOREIGN_KEY_VIOLATION:
        target = _model_name(_referenced_table(table, diagnosis.constraint_name, using))
        return _("“%(model)s” refers to “%(target)s”, which was deleted in the meantime.") % {
            "model": model,
            "target": target,
        }
    if state in (UNIQUE_VIOLATION, EXCLUSION_VIOLATION):
        return _("“%(model)s” can't be written, as another one has taken its place.") % {"model": model}
    return _("The database refuses this: %(reason)s") % {"reason": error}


def _model_name(table: str | None) -> str:
    """Return the name of the model of a table; that of the model with the field for many-to-many tables."""
    for model in apps.get_models(include_auto_created=True):
        if model._meta.db_table == table and not model._meta.proxy:
            owner: Any = model._meta.auto_created or model
            return str(owner._meta.verbose_name)
    return str(table)


def _referenced_table(table: str | None, constraint: str | None, using: str) -> str | None:
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT target.relname FROM pg_constraint JOIN pg_class AS target ON target.oid = confrelid "
            "JOIN pg_class AS origin ON origin.oid = conrelid WHERE conname = %s AND origin.relname = %s",
            [constraint, table],
        )
        row = cursor.fetchone()
    return row[0] if row else None

"""Every row of some tables, to compare a database with what it was."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connections

from similar_images.models import Merge, MergedRow, write_alias


def dump(*labels: str) -> dict[str, list[str]]:
    """Return every row of the tables of apps, as PostgreSQL writes it."""
    tables = {
        model._meta.db_table
        for label in labels
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
        if model not in (Merge, MergedRow)
    }
    connection = connections[write_alias()]
    with connection.cursor() as cursor:
        existing = tables.intersection(connection.introspection.table_names(cursor))
        return {table: _rows_as_text(cursor, table) for table in sorted(existing)}


def _rows_as_text(cursor: Any, table: str) -> list[str]:
    cursor.execute(f'SELECT t::text FROM "{table}" AS t ORDER BY 1')  # noqa: S608 - the name of a model's table
    return [row for (row,) in cursor.fetchall()]

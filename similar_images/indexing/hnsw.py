"""HNSW indexes: a partial one for every source and method that has enough signatures.

Smaller sources are searched exactly, which is fast enough and never misses a match. PostgreSQL keeps existing indexes
up to date; `sync_indexes` only builds and drops them. The planner decides when to use one: a search through a filter
that leaves few rows is still exact.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres.indexes import OpClass
from django.db import DatabaseError, connections
from django.db.backends.utils import CursorWrapper
from django.db.models import Q
from django.db.models.expressions import OrderBy, RawSQL
from django.db.models.functions import Collate
from django.db.models.indexes import IndexExpression
from pgvector.django import HnswIndex

from .. import conf, plugins, registry
from ..models import MethodVersion, Signature, Source, write_alias
from ..signatures import storage
from . import versions

logger = logging.getLogger("similar_images")

# What django.contrib.postgres does when it is installed: without it, OpClass gives a statement that is no valid SQL.
IndexExpression.register_wrappers(OrderBy, OpClass, Collate)

PREFIX = "similar_images_hnsw_"


def index_name(version: MethodVersion) -> str:
    """Return the name of a version's index, which is the same in every process."""
    digest = hashlib.sha256(f"{version.name} {version.version}".encode()).hexdigest()[:12]
    return f"{PREFIX}{version.source_id}_{digest}"


def required_indexes() -> list[MethodVersion]:
    """Return the versions that need an index: active or configured ones with at least HNSW_MIN_ROWS signatures."""
    current = Q(pk__in=[])
    for source in registry.get_sources():
        for name, method in versions.configured_methods(source).items():
            if name not in plugins.enabled_methods():
                continue  # nothing is searched by it
            of_method = Q(source=Source.objects.get_id(source), name=method.name)
            current |= of_method & (Q(version=method.version) | Q(is_active=True))
    min_rows = conf.get().hnsw_min_rows
    return [
        row
        for row in MethodVersion.primary.filter(current)
        if row.dimensions <= storage.MAX_INDEXED_DIMENSIONS[row.storage]
        and versions.signatures_of(row).order_by()[min_rows - 1 : min_rows].exists()
    ]


def existing_indexes() -> dict[str, bool]:
    """Return the indexes in the database: by name, True if complete, False if interrupted while being built."""
    return _read_indexes("indisvalid")


def index_sizes() -> dict[str, int]:
    """Return the size of every index in bytes, by its name."""
    return _read_indexes("pg_relation_size(indexrelid)")


def _read_indexes(expression: str) -> dict[str, Any]:
    """Return a figure of every index in the database, by its name."""
    with _connection().cursor() as cursor:
        cursor.execute(
            f"SELECT relname, {expression} FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "  # noqa: S608 - of the two callers above
            "WHERE indrelid = %s::regclass AND starts_with(relname, %s)",
            [Signature._meta.db_table, PREFIX],
        )
        return dict(cursor.fetchall())


def sync_indexes() -> list[str]:
    """Build the missing indexes and drop the unused ones, without blocking writes; return the names of both.

    Does nothing inside a transaction, or while another process is building.
    """
    connection = _connection()
    if connection.in_atomic_block:
        return []
    required = {index_name(version): version for version in required_indexes()}
    with connection.cursor() as cursor, _without_time_limit(connection, cursor):
        return [] if _is_building(cursor) else _replace_indexes(cursor, required)


def _is_building(cursor: CursorWrapper) -> bool:
    """Check that somebody is building an index; a lock of the session would get lost in a pool of connections."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_stat_progress_create_index "
        "WHERE datname = current_database() AND relid = %s::regclass)",
        [Signature._meta.db_table],
    )
    return bool(cursor.fetchone()[0])


@contextmanager
def _without_time_limit(connection: Any, cursor: CursorWrapper) -> Iterator[None]:
    """Lift the limit on the time of a statement, and restore it at the end.

    What a session sets would stay with a connection of others in a pool in transaction mode, where Django's cursors on
    the server are disabled: then the limit is left as it is.
    """
    if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        yield
        return
    cursor.execute("SELECT current_setting('statement_timeout'), set_config('statement_timeout', '0', false)")
    limit, _none = cursor.fetchone()
    try:
        yield
    finally:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [limit])


def _replace_indexes(cursor: CursorWrapper, required: dict[str, MethodVersion]) -> list[str]:
    """Drop all indexes but complete, required ones; then build those that are missing."""
    existing = existing_indexes()
    changed = [name for name, is_complete in existing.items() if name not in required or not is_complete]
    usable = [version.pk for name, version in required.items() if existing.get(name)]
    MethodVersion.primary.exclude(pk__in=usable).filter(has_index=True).update(has_index=False)
    for name in changed:
        cursor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')
    for name, version in required.items():
        if not existing.get(name):
            try:
                cursor.execute(index_sql(version))
            except DatabaseError:  # the others can still be built, and searches work without an index
                logger.exception("The index %s of %s could not be built.", name, version)
                continue
            changed.append(name)
        MethodVersion.primary.filter(pk=version.pk, has_index=False).update(has_index=True)
    return changed


def index_sql(version: MethodVersion) -> str:
    """Return the statement that builds a version's index concurrently.

    Its expression and condition are literally those of the searches, or the planner would not use it.
    """
    expression = RawSQL(storage.cast_sql(version, storage.column_name(version)), [])  # noqa: S611 - no user input
    index = HnswIndex(
        OpClass(expression, name=f"{version.storage}_{version.metric}_ops"),
        name=index_name(version),
        condition=Q(source=version.source_id, method=version.name, version=version.version),
    )
    return str(index.create_sql(Signature, _connection().schema_editor(), concurrently=True))


def _connection() -> Any:
    return connections[write_alias()]

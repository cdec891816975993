"""Approximate indexes: a partial HNSW index for every source and method that has enough signatures.

Sources with fewer are searched exactly, which is fast enough and never misses. Postgres keeps an index up to date
once it is there; `sync` only adds and drops. The planner decides by itself when to use one: a filter that leaves few
rows is still answered exactly.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections, router, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Q

from .. import conf, registry
from ..models import MethodVersion, Signature, Source
from ..signatures import storage
from ..signatures.base import VectorSpec
from . import versions

logger = logging.getLogger("similar_images")

PREFIX = "similar_images_hnsw_"
MAX_INDEXED_DIMENSIONS = {"halfvec": 4_000, "bit": 64_000, "sparsevec": 1_000_000_000}
"""Dimensions that HNSW holds; sparse ones may have 1,000 numbers that are not 0."""

LOCK = 5_117_344_026
"""Key of the advisory lock that keeps two processes from building at a time; any number nobody else uses."""


def index_name(version: MethodVersion) -> str:
    digest = hashlib.sha256(f"{version.name} {version.version}".encode()).hexdigest()[:12]
    return f"{PREFIX}{version.source_id}_{digest}"


def required_indexes() -> list[MethodVersion]:
    """The versions that there should be an index for: they serve or soon will, and have many signatures."""
    current = Q(pk__in=[])
    for source in registry.get_sources():
        for method in versions.configured_methods(source).values():
            of_method = Q(source=Source.objects.get_id(source), name=method.name)
            current |= of_method & (Q(version=method.version) | Q(is_active=True))
    at_least = conf.get().hnsw_min_rows
    return [
        row
        for row in MethodVersion.objects.filter(current)
        if row.dimensions <= MAX_INDEXED_DIMENSIONS[row.storage]
        and versions.signatures_of(row).order_by()[at_least - 1 : at_least].exists()
    ]


def existing_indexes() -> dict[str, bool]:
    """The indexes that there are, by name, and whether each is complete."""
    with _connection().cursor() as cursor:
        cursor.execute(
            "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "WHERE indrelid = %s::regclass AND starts_with(relname, %s)",
            [Signature._meta.db_table, PREFIX],
        )
        return dict(cursor.fetchall())


def sync_indexes() -> list[str]:
    """Build the indexes that are missing, drop those that nothing uses, and return the names of both.

    Nobody who writes waits for it. Does nothing inside a transaction, or while another process is at it.
    """
    connection = _connection()
    if connection.in_atomic_block:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return []
        try:
            cursor.execute("SET statement_timeout = 0")
            target, there = {index_name(version): version for version in required_indexes()}, existing_indexes()
            changed = [name for name, valid in there.items() if name not in target or not valid]
            usable = [version.pk for name, version in target.items() if there.get(name)]
            MethodVersion.objects.exclude(pk__in=usable).filter(has_index=True).update(has_index=False)
            for name in changed:  # one that is not valid was interrupted while it was built
                cursor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')
            for name, version in target.items():
                if not there.get(name):
                    try:
                        cursor.execute(index_sql(version))
                    except DatabaseError:  # others can be built, and the search goes on without
                        logger.exception("The index %s of %s could not be built.", name, version)
                        continue
                    changed.append(name)
                MethodVersion.objects.filter(pk=version.pk, has_index=False).update(has_index=True)
            return changed
        finally:
            cursor.execute("RESET statement_timeout")
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def index_sql(version: MethodVersion) -> str:
    """The statement that builds an index."""
    column = storage.cast_sql(version, storage.column_name(version))
    return (
        f'CREATE INDEX CONCURRENTLY "{index_name(version)}" ON {Signature._meta.db_table} USING hnsw '
        f"(({column}) {version.storage}_{version.metric}_ops) WHERE {version_condition(version.source_id, version)}"
    )


def version_condition(source_id: int, form: VectorSpec) -> str:
    """What the signatures of a version have in common, written out.

    The condition of a partial index has to be met at planning time: on a parameter, under a generic plan, the index
    would never be used.
    """
    return f"source_id = {source_id} AND method = {_quoted(form.name)} AND version = {_quoted(form.version)}"


SCAN_SETTINGS = {
    "hnsw.iterative_scan": "relaxed_order",  # in strict order, a scan that goes on loses what it came upon too late
    "hnsw.ef_search": "100",
    "random_page_cost": "1.1",  # or the planner would rather read all records than look up some thousand
    "max_parallel_workers_per_gather": "0",  # starting a process takes longer than most searches
}
"""Settings of the transaction that searches."""


@contextmanager
def search_cursor() -> Iterator[CursorWrapper]:
    """Let index scans of this block go on until enough rows have passed all filters."""
    alias = router.db_for_read(Signature)
    settings = ", ".join("set_config(%s, %s, true)" for _name in SCAN_SETTINGS)
    with transaction.atomic(using=alias, savepoint=False), connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {settings}", [text for setting in SCAN_SETTINGS.items() for text in setting])
        yield cursor


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _connection() -> Any:
    return connections[router.db_for_write(Signature)]

"""Approximate indexes: a partial HNSW index for every source and method that has enough signatures.

Sources with fewer are searched exactly, which is fast enough and never misses. Postgres keeps an index up to date
once it is there; `sync` only adds and drops. The planner decides by itself when to use one: a filter that leaves few
rows is still answered exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Count

from . import conf, registry, signatures, vectors
from .models import Signature, Source
from .registry import ImageSource
from .signatures.base import Method

PREFIX = "similar_images_hnsw_"
LOCK = 5_117_344_026
"""Key of the advisory lock that keeps two processes from building at a time; any number nobody else uses."""


def name_of(source: ImageSource, method: Method) -> str:
    digest = hashlib.sha256(f"{method.name} {method.version}".encode()).hexdigest()[:12]
    return f"{PREFIX}{Source.objects.id_of(source)}_{digest}"


def wanted() -> dict[str, tuple[ImageSource, Method]]:
    """The indexes that there should be, by name."""
    counts = {
        (source_id, method, version): count
        for source_id, method, version, count in Signature.objects.values_list("source_id", "method", "version")
        .annotate(count=Count("pk"))
        .order_by()
    }
    return {
        name_of(source, method): (source, method)
        for source in registry.sources()
        for method in signatures.enabled().values()
        if counts.get((Source.objects.id_of(source), method.name, method.version), 0) >= conf.get().index_from
    }


def existing() -> dict[str, bool]:
    """The indexes that there are, by name, and whether each is complete."""
    with _connection().cursor() as cursor:
        cursor.execute(
            "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "WHERE indrelid = %s::regclass AND starts_with(relname, %s)",
            [Signature._meta.db_table, PREFIX],
        )
        return dict(cursor.fetchall())


def sync() -> list[str]:
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
            target, there = wanted(), existing()
            changed = [name for name, valid in there.items() if name not in target or not valid]
            for name in changed:  # one that is not valid was interrupted while it was built
                cursor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')
            for name, (source, method) in target.items():
                if not there.get(name):
                    cursor.execute(definition(name, source, method))
                    changed.append(name)
            return changed
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def definition(name: str, source: ImageSource, method: Method) -> str:
    """The statement that builds an index.

    Its condition has to be literal: a partial index on a parameter is never used under a generic plan.
    """
    storage = vectors.STORAGES[method.storage]
    condition = {"source_id": Source.objects.id_of(source), "method": method.name, "version": method.version}
    literals = " AND ".join(f"{column} = {_literal(value)}" for column, value in condition.items())
    cast = f"{storage.column}::{method.storage}({method.dimensions})"
    return (
        f'CREATE INDEX CONCURRENTLY "{name}" ON {Signature._meta.db_table} '
        f"USING hnsw (({cast}) {method.storage}_{method.metric}_ops) WHERE {literals}"
    )


@contextmanager
def scanning(candidates: int) -> Iterator[None]:
    """Let index scans of this block go on until so many rows have passed all filters, in exact order of distance."""
    alias = router.db_for_read(Signature)
    with transaction.atomic(using=alias, savepoint=False), connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', %s, true)",
            [str(min(candidates, 1000))],
        )
        yield


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def _connection() -> Any:
    return connections[router.db_for_write(Signature)]

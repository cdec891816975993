"""The databases of the tests: one, or, by TEST_DATABASES, those of a host who has several or a pooler.

- `alias`: records and sources are in `catalog`; `default`, which has users and sessions, is SQLite.
- `replica`: a router sends all reads to a streaming replica.
- `pgbouncer`: a pool of connections in transaction mode.

It is also a pytest plugin, which lets each test use all of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext
from django.utils.connection import ConnectionProxy

VARIANT = os.environ.get("TEST_DATABASES", "")
ALIAS = "catalog" if VARIANT == "alias" else "default"
"""The database of the records and of the sources."""

HOST_APPS = {"admin", "auth", "contenttypes", "sessions"}
"""Apps whose tables are in `default`, where those of the records are not."""

WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "CREATE", "ALTER", "DROP")

connection: Any = ConnectionProxy(connections, ALIAS)
"""The connection to the database of the records."""

read_connection: Any = ConnectionProxy(connections, "replica" if VARIANT == "replica" else ALIAS)
"""The connection that searches read from."""


def database_settings(database: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return DATABASES and DATABASE_ROUTERS, given the database of the records."""
    if template := os.environ.get("TEST_TEMPLATE"):
        database = {**database, "TEST": {"TEMPLATE": template}}
    if VARIANT == "alias":
        sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        return {"default": sqlite, ALIAS: database}, ["tests.databases.CatalogRouter"]
    if VARIANT == "replica":
        options = {**database["OPTIONS"], "host": os.environ["REPLICA_HOST"]}
        replica = {**database, "OPTIONS": options, "TEST": {"MIRROR": "default"}}
        return {"default": database, "replica": replica}, ["tests.databases.ReplicaRouter"]
    if VARIANT == "pgbouncer":
        database = {**database, "DISABLE_SERVER_SIDE_CURSORS": True}
    return {"default": database}, []


def await_replica() -> None:
    """Wait until the replica, where there is one, has all that has been committed."""
    if VARIANT != "replica":
        return
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn()")
        (written,) = cursor.fetchone()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with connections["replica"].cursor() as cursor:
            cursor.execute("SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= %s", [written])
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise TimeoutError("The replica does not catch up.")


@contextmanager
def captured_queries() -> Iterator[list[str]]:
    """Collect the statements on all databases, without savepoints; they are there when the block has ended."""
    queries: list[str] = []
    with ExitStack() as stack:
        # A replica that sees a test's transaction has the log of the primary.
        captures = {id(c.queries_log): CaptureQueriesContext(c) for c in connections.all(initialized_only=True)}
        for capture in captures.values():
            stack.enter_context(capture)
        yield queries
    sql = [query["sql"] for capture in captures.values() for query in capture.captured_queries]
    queries += [each for each in sql if not each.startswith(("SAVEPOINT", "ROLLBACK TO", "RELEASE"))]


class CatalogRouter:
    """Keeps users and sessions in `default`, and everything else in the database of the records."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "default" if model._meta.app_label in HOST_APPS else ALIAS

    db_for_write = db_for_read

    def allow_relation(self, a: Any, b: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == "default") == (app_label in HOST_APPS)


class ReplicaRouter:
    """Reads from the replica and writes to `default`."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, a: Any, b: Any, **hints: Any) -> bool:
        return True


@pytest.fixture(autouse=True)
def _replica_in_transaction(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the replica's alias see the transaction that a test runs in, which the replica itself does not."""
    marker = request.node.get_closest_marker("django_db")
    is_committed = marker is None or marker.kwargs.get("transaction") or "transactional_db" in request.fixturenames
    if VARIANT != "replica" or is_committed:
        yield
        return
    request.getfixturevalue("django_db_setup")
    connections["replica"] = _read_only_view(connections["default"])
    yield
    del connections["replica"]


def _read_only_view(primary: Any) -> BaseDatabaseWrapper:
    """Return a connection that is the primary's in everything, but has the replica's alias and refuses to write."""

    def refuse_writes(execute: Any, sql: str, *args: Any) -> Any:
        assert not sql.lstrip("( ").startswith(WRITES), f"on a replica: {sql}"
        assert " FOR UPDATE" not in sql, f"on a replica: {sql}"
        return execute(sql, *args)

    class ReadOnlyView(type(primary)):  # type: ignore[misc]
        alias = property(lambda self: "replica")
        execute_wrappers = property(lambda self: [*vars(self)["execute_wrappers"], refuse_writes])

    view: BaseDatabaseWrapper = ReadOnlyView.__new__(ReadOnlyView)
    view.__dict__ = vars(primary)
    return view


def pytest_configure(config: pytest.Config) -> None:
    """Leave the test databases to the end of their server where a pool keeps connections to them open."""
    config.option.reuse_db |= VARIANT == "pgbouncer"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each test that uses a database use all of them."""
    for item in items:
        marker = item.get_closest_marker("django_db")
        if marker or {"db", "transactional_db"} & set(getattr(item, "fixturenames", ())):
            options = {"databases": "__all__", **(marker.kwargs if marker else {})}
            item.add_marker(pytest.mark.django_db(**options), append=False)

"""A pytest plugin: servers for the tests, and a summary of what they measured.

PostgreSQL and Valkey run unless DATABASE_URL and REDIS_URL name others, and what TEST_DATABASES asks for besides (see
databases.py).

It is loaded by `-p tests.servers`, before pytest-django reads the settings. Workers of pytest-xdist
inherit the addresses.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from project import services
from tests import postgres

_running = ExitStack()


def _start() -> None:
    wanted = {"DATABASE_URL": services.postgres, "REDIS_URL": services.valkey}
    if missing := [name for name in wanted if not os.environ.get(name)]:
        data = Path(_running.enter_context(tempfile.TemporaryDirectory(prefix="similar_images_")))
        data.chmod(0o755)
        for name in missing:
            os.environ[name] = _running.enter_context(wanted[name](data)).url
            if name == "DATABASE_URL":
                postgres.neglect_crashes(os.environ[name])
                _start_beside(os.environ[name], data)


def _start_beside(database_url: str, data: Path) -> None:
    """Start the replica or the pool of connections that the tests are to use."""
    variant = os.environ.get("TEST_DATABASES")
    if variant == "replica":
        server = _running.enter_context(postgres.replica(database_url, data / "replica"))
        postgres.wait_for_replay(database_url)
        os.environ["REPLICA_HOST"] = postgres.socket_folder(server.url)
    elif variant == "pgbouncer":
        os.environ["DATABASE_URL"] = _running.enter_context(postgres.pgbouncer(database_url, data / "pgbouncer")).url


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests recorded with `record_property("figure", …)`, also from other processes."""
    reports = [report for group in ("passed", "failed") for report in terminalreporter.getreports(group)]
    figures = [value for report in reports for name, value in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        for figure in dict.fromkeys(figures):
            terminalreporter.line(figure)


_start()
atexit.register(_running.close)

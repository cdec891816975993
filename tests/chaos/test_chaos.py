"""The short form of the chaos, with servers of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEED = 10


def test_chaos__nothing_is_lost_stale_leaked_or_stuck(record_property: Callable[[str, object], None]) -> None:
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "0.5", "--seed", str(SEED)]
    environment = {name: value for name, value in os.environ.items() if name not in ("TEST_DATABASES", "REPLICA_HOST")}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    for line in run.stdout.splitlines()[:9]:
        record_property("figure", f"chaos: {line}")
    assert run.returncode == 0, run.stdout + run.stderr

"""Searches, saves, indexing and REST in one run: `python -m benchmarks overview [--records N]`.

Each is measured by its own benchmark in a process of its own, on servers of its own. The last line is one line of JSON
with their main figures; null for what could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SERVERS = ("DATABASE_URL", "REDIS_URL", "DEMO_DATA")
"""Variables that name the servers of this process, which others would share."""


def run_part(name: str, *arguments: str) -> dict[str, Any]:
    """Run a benchmark, and return what it wrote; nothing where it failed."""
    environment = {key: value for key, value in os.environ.items() if key not in SERVERS}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        command = [sys.executable, "-m", "benchmarks", name, *arguments, "--json", str(file)]
        subprocess.run(command, env=environment, check=False)  # noqa: S603 - our own benchmarks, without a shell
        figures: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return figures


def main() -> None:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000, help="that are searched")
    options = parser.parse_args()
    parts = {
        "search": ("searches", "--records", str(options.records)),
        "save": ("saves",),
        "indexing": ("indexing",),
        "rest": ("rest", "--seconds", "0"),
    }
    figures = {part: run_part(*arguments).get(part) for part, arguments in parts.items()}
    print(json.dumps(figures))

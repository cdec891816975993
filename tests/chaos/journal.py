"""Journals: one file of JSON lines a process, which survives its death.

Every line is written by one write() to a file opened for appending: it is in the system's cache before the process
goes on, and nothing short of a crash of the machine takes it away.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """The journal of one role, continued by whichever process plays it next."""

    current: Journal | None = None
    """The journal of this process, for the storage; None in processes that write no files."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(self._file, b"\n")  # the line before may be torn

    def write(self, event: str, **values: Any) -> float:
        """Write an event down; return its time, which all processes of the machine share."""
        moment = time.monotonic()
        os.write(self._file, json.dumps({"event": event, "t": moment, **values}).encode() + b"\n")
        return moment


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a journal."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:  # empty, or torn by the death of its writer
                continue

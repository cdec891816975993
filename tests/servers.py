"""A pytest plugin: PostgreSQL and Valkey for the test run, unless DATABASE_URL and REDIS_URL name others.

It is loaded by `-p tests.servers`, before pytest-django reads the settings. Workers of pytest-xdist
inherit the addresses.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from project import services

_running = ExitStack()


def _start() -> None:
    wanted = {"DATABASE_URL": services.postgres, "REDIS_URL": services.valkey}
    if missing := [name for name in wanted if not os.environ.get(name)]:
        data = Path(_running.enter_context(tempfile.TemporaryDirectory(prefix="similar_images_")))
        data.chmod(0o755)
        for name in missing:
            os.environ[name] = _running.enter_context(wanted[name](data)).url


_start()
atexit.register(_running.close)

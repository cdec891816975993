"""A home-made CMS, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import VARIANT

FOLDER = Path(__file__).parent
EXAMPLE = ("models.py", "access.py", "apps.py", "views.py", "urls.py")


@pytest.mark.skipif(VARIANT != "", reason="the suite makes a database of its own")
def test_library(tmp_path: Path) -> None:
    env = {"LIBRARY_MEDIA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.contrib.library.settings"}
    command = [sys.executable, "-W", "ignore", "-m", "django", "test", "tests.contrib.library", "--pattern=suite.py"]
    done = subprocess.run(
        [*command, "--noinput"],
        cwd=FOLDER.parents[2],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_example__is_short() -> None:
    lines = [line for name in EXAMPLE for line in (FOLDER / name).read_text().splitlines() if line.strip()]
    assert len(lines) < 150

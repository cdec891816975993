"""A shop with Oscar, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import VARIANT

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(VARIANT != "", reason="the suite makes a database of its own")
@pytest.mark.skipif(not importlib.util.find_spec("oscar"), reason="NO OSCAR: django-oscar is not installed")
def test_oscar(tmp_path: Path) -> None:
    env = {"OSCAR_MEDIA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.contrib.oscar.settings"}
    command = [sys.executable, "-W", "ignore", "-m", "django", "test", "tests.contrib.oscar", "--pattern=suite.py"]
    done = subprocess.run(
        [*command, "--noinput"], cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr

"""A shop with Oscar, in processes of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browsers import needs_chromium
from tests.databases import VARIANT

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(VARIANT != "", reason="the suite makes a database of its own")
@pytest.mark.skipif(not importlib.util.find_spec("oscar"), reason="NO OSCAR: django-oscar is not installed")
@pytest.mark.parametrize(
    ("suite", "fork"), [("suite", ""), ("suite", "1"), pytest.param("browser_suite", "", marks=needs_chromium)]
)
def test_oscar(suite: str, fork: str, tmp_path: Path) -> None:
    env = {"DJANGO_SETTINGS_MODULE": "tests.contrib.oscar.settings", "OSCAR_MEDIA": str(tmp_path), "OSCAR_FORK": fork}
    command = [sys.executable, "-W", "ignore", "-m", "django", "test", "tests.contrib.oscar", f"--pattern={suite}.py"]
    command += ["-k", "Dashboard"] if fork else []
    done = subprocess.run(
        [*command, "--noinput"], cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr

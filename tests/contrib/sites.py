"""Sites with a content management system, whose suites Django's own runner runs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import coverage

ROOT = Path(__file__).parents[2]


def run_suites(site: str, media: Path, pattern: str, *options: str, **environment: str) -> None:
    """Run the suites of a site, whose files match a pattern.

    Args:
        site: name of the folder beside this module.
        media: folder of its uploads.
        pattern: names of the files.
        options: further options of Django's command `test`.
        environment: further variables, which its settings read.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    env = {"DJANGO_SETTINGS_MODULE": f"tests.contrib.{site}.settings", "SITE_MEDIA": str(media)}
    env |= {"SITE_DATABASE": f"test_{site}_{worker}"}
    measured = ["-m", "coverage", "run", "--parallel-mode"] if coverage.Coverage.current() else []
    command = [sys.executable, "-W", "ignore", *measured, "-m", "django", "test", f"tests.contrib.{site}", "--noinput"]
    done = subprocess.run(
        [*command, f"--pattern={pattern}", *options],
        cwd=ROOT,
        env={**os.environ, **env, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr

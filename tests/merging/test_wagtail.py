"""The hook that the how-to on merging documents, with the real Wagtail, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import VARIANT

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(VARIANT != "", reason="the suite makes a database of its own")
@pytest.mark.skipif(not importlib.util.find_spec("wagtail"), reason="NO MERGE IN WAGTAIL: wagtail is not installed")
def test_wagtail__streams_and_rich_texts_follow_a_merge(tmp_path: Path) -> None:
    env = {"THUMBNAIL_MEDIA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.merging.wagtail_host.settings"}
    command = [sys.executable, "-W", "ignore", "-m", "django", "test", "tests.merging.wagtail_host"]
    done = subprocess.run(
        [*command, "--pattern=suite.py", "--noinput"],
        cwd=ROOT,
        env={**os.environ, "THUMBNAIL_LIBRARY": "wagtail_renditions", **env},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr

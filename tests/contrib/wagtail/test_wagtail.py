"""Wagtail, with its own image model and with one of the site, in processes of their own."""

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
@pytest.mark.skipif(not importlib.util.find_spec("wagtail"), reason="NO WAGTAIL: wagtail is not installed")
@pytest.mark.parametrize("model", ["wagtailimages.Image", "site.CustomImage"])
def test_wagtail(model: str, tmp_path: Path) -> None:
    env = {"WAGTAIL_IMAGE_MODEL": model, "WAGTAIL_MEDIA": str(tmp_path)}
    env |= {"DJANGO_SETTINGS_MODULE": "tests.contrib.wagtail.settings"}
    command = [sys.executable, "-W", "ignore", "-m", "django", "test", "tests.contrib.wagtail", "--pattern=suite*.py"]
    done = subprocess.run(
        [*command, "--noinput"], cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr

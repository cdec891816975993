"""django CMS and django-filer, with its own image model and with one of the site, in processes of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import VARIANT

ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.skipif(VARIANT != "", reason="the suites make databases of their own"),
    pytest.mark.skipif(not importlib.util.find_spec("cms"), reason="NO DJANGO CMS: django-cms is not installed"),
]


def run_suites(media: Path, pattern: str, *options: str, model: str = "filer.Image") -> None:
    env = {"CMS_IMAGE_MODEL": model, "CMS_MEDIA": str(media)}
    env |= {"DJANGO_SETTINGS_MODULE": "tests.contrib.djangocms.settings"}
    command = [sys.executable, "-W", "ignore", "-m", "django", "test", "tests.contrib.djangocms", "--noinput"]
    done = subprocess.run(
        [*command, f"--pattern={pattern}", *options],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


def test_djangocms(tmp_path: Path) -> None:
    run_suites(tmp_path, "suite_*.py")


def test_djangocms__with_an_image_model_of_the_site(tmp_path: Path) -> None:
    run_suites(tmp_path, "suite_*.py", "--tag=models", model="site.CustomImage")

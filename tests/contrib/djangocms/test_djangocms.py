"""django CMS and django-filer, with its own image model and with one of the site, in processes of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.contrib.sites import run_suites
from tests.databases import VARIANT

pytestmark = [
    pytest.mark.skipif(VARIANT != "", reason="the suites make databases of their own"),
    pytest.mark.skipif(not importlib.util.find_spec("cms"), reason="NO DJANGO CMS: django-cms is not installed"),
]


def test_djangocms(tmp_path: Path) -> None:
    run_suites("djangocms", tmp_path, "suite_*.py")


def test_djangocms__with_an_image_model_of_the_site(tmp_path: Path) -> None:
    run_suites("djangocms", tmp_path, "suite_*.py", "--tag=models", CMS_IMAGE_MODEL="site.CustomImage")

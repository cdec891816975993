"""Wagtail, with its own image model and with one of the site, in processes of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.contrib.sites import run_suites
from tests.databases import VARIANT


@pytest.mark.skipif(VARIANT != "", reason="the suite makes a database of its own")
@pytest.mark.skipif(not importlib.util.find_spec("wagtail"), reason="NO WAGTAIL: wagtail is not installed")
@pytest.mark.parametrize("model", ["wagtailimages.Image", "site.CustomImage"])
def test_wagtail(model: str, tmp_path: Path) -> None:
    run_suites("wagtail", tmp_path, "suite*.py", WAGTAIL_IMAGE_MODEL=model)

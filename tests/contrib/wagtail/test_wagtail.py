"""Wagtail, with its own image model and with one of the site, in processes of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.contrib.sites import run_suites
from tests.databases import VARIANT

OF_MODELS = ["SourceTest", "PrivacyTest", "UploadTest", "PanelTest", "BrowserTest"]
"""The tests to which the image model makes a difference."""


@pytest.mark.skipif(VARIANT != "", reason="the suite makes a database of its own")
@pytest.mark.skipif(not importlib.util.find_spec("wagtail"), reason="NO WAGTAIL: wagtail is not installed")
@pytest.mark.parametrize(("model", "classes"), [("wagtailimages.Image", []), ("site.CustomImage", OF_MODELS)])
def test_wagtail(model: str, classes: list[str], tmp_path: Path) -> None:
    options = [option for name in classes for option in ("-k", name)]
    run_suites("wagtail", tmp_path, "suite*.py", *options, WAGTAIL_IMAGE_MODEL=model)

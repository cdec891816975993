"""A shop with Oscar, in processes of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.browsers import needs_chromium
from tests.contrib.sites import run_suites
from tests.databases import VARIANT


@pytest.mark.skipif(VARIANT != "", reason="the suite makes a database of its own")
@pytest.mark.skipif(not importlib.util.find_spec("oscar"), reason="NO OSCAR: django-oscar is not installed")
@pytest.mark.parametrize(
    ("suite", "fork"), [("suite", ""), ("suite", "1"), pytest.param("suite_browser", "", marks=needs_chromium)]
)
def test_oscar(suite: str, fork: str, tmp_path: Path) -> None:
    options = ["-k", "Dashboard"] if fork else []
    run_suites("oscar", tmp_path, f"{suite}.py", *options, OSCAR_FORK=fork)

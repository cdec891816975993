"""A home-made CMS, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contrib.sites import run_suites
from tests.databases import VARIANT

FOLDER = Path(__file__).parent
EXAMPLE = ("models.py", "access.py", "apps.py", "views.py", "urls.py")


@pytest.mark.skipif(VARIANT != "", reason="the suite makes a database of its own")
def test_library(tmp_path: Path) -> None:
    run_suites("library", tmp_path, "suite.py")


def test_example__is_short() -> None:
    lines = [line for name in EXAMPLE for line in (FOLDER / name).read_text().splitlines() if line.strip()]
    assert len(lines) < 150


def test_guide__shows_the_example() -> None:
    guide = (FOLDER.parents[2] / "docs/how-to/integrate-a-cms.md").read_text()
    names = [*EXAMPLE, "templates/library/edit.html", "templates/library/show.html"]
    assert all(f'\n--8<-- "tests/contrib/library/{name}"\n' in guide for name in names)

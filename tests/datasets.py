"""Labeled pictures that are no part of the project, on which some tests measure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATASETS = Path(os.environ.get("DATASETS") or Path(__file__).resolve().parents[2] / "shared" / "datasets")
PHOTOS = DATASETS / "copydetect" / "base"


def needs(folder: Path) -> pytest.MarkDecorator:
    reason = f"NOT MEASURED: no pictures in {folder}; the variable DATASETS names the folder of the sets"
    return pytest.mark.skipif(not folder.is_dir(), reason=reason)

"""The installed OpenCV: which features it has, and how many cores it uses.

Builds differ, and OpenCV 5 moved some features to the contrib modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _


def missing_feature(feature: str) -> str:
    """What to do where there is no such feature."""
    message = _(
        "This build of OpenCV has no %(feature)s: install opencv-contrib-python-headless, and no other "
        "opencv-python beside it"
    )
    return message % {"feature": feature}


@cache
def declares_feature(feature: str) -> bool:
    """Whether OpenCV's type declarations name a feature; a build without declarations gets the benefit of the doubt.

    Loading OpenCV would tell for sure, but takes long, and a web process that starts does not need it.
    """
    spec = find_spec("cv2")
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    if spec is not None and not any((folder / "__init__.pyi").is_file() for folder in folders):
        return True
    declarations = [folder / name for folder in folders for name in ("__init__.pyi", "xfeatures2d/__init__.pyi")]
    return any(f"class {feature}(" in file.read_text(encoding="utf-8") for file in declarations if file.is_file())


def get_creator(feature: str) -> Callable[..., Any] | None:
    """OpenCV's function that creates a feature's detector; None where this build has none."""
    import cv2

    name = f"{feature}_create"
    found: Callable[..., Any] | None = getattr(cv2, name, None) or getattr(
        getattr(cv2, "xfeatures2d", None), name, None
    )
    return found


@contextmanager
def single_core() -> Iterator[None]:
    """OpenCV uses one core meanwhile."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)

"""Features of the installed OpenCV, and the number of cores it uses.

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


def describe_missing_feature(feature: str) -> str:
    """Return a message that says how to install OpenCV with this feature."""
    message = _(
        "This build of OpenCV has no %(feature)s: install opencv-contrib-python-headless, and no other "
        "opencv-python package beside it"
    )
    return message % {"feature": feature}


@cache
def declares_feature(feature: str) -> bool:
    """Return whether OpenCV's type stubs name a class; True for a build without stubs.

    Reading the stubs spares a starting web process the slow import of OpenCV.
    """
    spec = find_spec("cv2")
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    if spec is not None and not any((folder / "__init__.pyi").is_file() for folder in folders):
        return True
    stubs = [folder / name for folder in folders for name in ("__init__.pyi", "xfeatures2d/__init__.pyi")]
    return any(f"class {feature}(" in stub.read_text(encoding="utf-8") for stub in stubs if stub.is_file())


def get_creator(feature: str) -> Callable[..., Any] | None:
    """Return OpenCV's factory of a feature detector, e.g. `cv2.KAZE_create`; None if this build has none."""
    import cv2

    name = f"{feature}_create"
    creator: Callable[..., Any] | None = getattr(cv2, name, None)
    return creator or getattr(getattr(cv2, "xfeatures2d", None), name, None)


@contextmanager
def single_core() -> Iterator[None]:
    """Limit OpenCV, and the linear algebra of NumPy, to one core within the block.

    Where images are compared on several threads, those of a library wait for each other busily, and take a quarter of
    the processor.
    """
    import cv2
    from threadpoolctl import threadpool_limits

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(threads)

"""Faults of storages and methods, and the passing of time, for tests of the write path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db.models import F
from PIL import Image

from similar_images.models import IndexedImage, ReindexRequest
from similar_images.signatures.base import Method
from tests import drawing
from tests.databases import connection
from tests.testapp.models import Picture

RED_PNG = drawing.encoded(Image.new("RGB", (20, 20), (255, 0, 0)))


class DownStorage(FileSystemStorage):
    """Storage that can't be reached."""

    def _open(self, name: str, mode: str = "rb") -> Any:
        raise ConnectionError("the storage is down")


def set_storage(monkeypatch: pytest.MonkeyPatch, storage: FileSystemStorage) -> None:
    """Replace the storage of `Picture.image`."""
    monkeypatch.setattr(Picture._meta.get_field("image"), "storage", storage)


def pass_time(**kwargs: float) -> None:
    """Shift all times of all records and requests into the past."""
    delta = timedelta(**kwargs)
    for record in IndexedImage.objects.all():
        for name in ("started_at", "retry_at", "requested_at"):
            if moment := getattr(record, name):
                setattr(record, name, moment - delta)
        record.save()
    ReindexRequest.objects.update(due_at=F("due_at") - delta)


def replace_result_for_red(
    monkeypatch: pytest.MonkeyPatch, method_class: type[Method], get_result: Callable[[], Any]
) -> None:
    """Replace what a method computes from images whose first pixel is pure red."""
    compute = method_class.compute

    def compute_or_replace(self: Method, pixels: Any) -> Any:
        return get_result() if tuple(pixels[0, 0]) == (255, 0, 0) else compute(self, pixels)

    monkeypatch.setattr(method_class, "compute", compute_or_replace)


@contextmanager
def triggers_off() -> Iterator[None]:
    """Write as a server does that applies another's changes: no trigger runs, and the app sees nothing of it."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            cursor.execute("RESET session_replication_role")


def make_raiser(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises an error whatever it is called with."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail

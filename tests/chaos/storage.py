"""Storages that overwrite, and that are slow, failing or full as the file `weather` says."""

from __future__ import annotations

import errno
import io
import os
import random
import signal
import time
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage

from .journal import Journal
from .pictures import read

SLOWEST = {"open": 0.5, "save": 1.5}
"""Seconds; several slow images together are still below CLAIM_TIMEOUT."""

QUICK = 0.02
"""Seconds that the storage takes at most in other weather."""

DEADLY_SHARE = 0.02
"""Share of saves after whose bytes the writer dies."""


class StorageDown(OSError):
    """The bad weather of this run, which is no fault of the app."""


def _weather() -> str:
    try:
        return (settings.CHAOS / "weather").read_text()
    except FileNotFoundError:
        return "fair"


def _brave(operation: str) -> None:
    weather = _weather()
    time.sleep(random.uniform(0, SLOWEST[operation] if weather == "slow" else QUICK))
    if weather == "failing" and random.random() < 0.5:
        raise StorageDown(errno.EIO, "The storage is down")


class _Overwriting(Storage):
    """Writes every save down in the journal of its process."""

    def _save(self, name: str, content: File) -> str:
        _brave("save")
        data = content.read()
        journal = Journal.current
        assert journal, "only writers write files"
        journal.write("write", file=name, content=read(data)[0])
        if _weather() == "full" and random.random() < 0.5:
            self._write_some(name, data[: len(data) // 2])
            raise StorageDown(errno.ENOSPC, "The storage is full")
        self._write(name, data)
        if random.random() < DEADLY_SHARE:
            journal.write("death", place="after the bytes")
            os.kill(os.getpid(), signal.SIGKILL)
        journal.write("written", file=name)
        _brave("open")
        return name

    def _write(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    def _write_some(self, name: str, data: bytes) -> None:
        """Leave behind what a full storage leaves."""


class Disk(_Overwriting, FileSystemStorage):
    """A folder, where a file is torn while it is being overwritten."""

    def __init__(self) -> None:
        super().__init__(allow_overwrite=True)

    def _open(self, name: str, mode: str = "rb") -> File:
        _brave("open")
        return super()._open(name, mode)

    def _write(self, name: str, data: bytes) -> None:
        FileSystemStorage._save(self, name, ContentFile(data))

    _write_some = _write


class Bucket(_Overwriting):
    """Like S3: no paths, a name is taken as it is, and a file is replaced as a whole."""

    def _path(self, name: str) -> Path:
        return Path(settings.MEDIA_ROOT) / name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _open(self, name: str, mode: str = "rb") -> File:
        _brave("open")
        return File(io.BytesIO(self._path(name).read_bytes()), name)

    def _write(self, name: str, data: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{uuid.uuid4().hex}")
        part.write_bytes(data)
        part.replace(path)

    def exists(self, name: str) -> bool:
        return self._path(name).exists()

    def url(self, name: str | None) -> str:
        return f"{settings.MEDIA_URL}{name}"

    def size(self, name: str) -> int:
        return self._path(name).stat().st_size

    def deconstruct(self) -> Any:
        return "tests.chaos.storage.Bucket", (), {}

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage
from django.db import models
from django.db.models.fields.files import FieldFile

from similar_images.imaging.decode import UnreadableImage
from similar_images.imaging.files import MissingFile, read_bounded, read_stored, sha256_of


class MemoryStorage(Storage):
    """A storage without file paths, like a bucket."""

    def __init__(self, **files: bytes) -> None:
        self.files = files

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        if name not in self.files:
            raise FileNotFoundError(name)
        return ContentFile(self.files[name], name)


def stored(storage: Storage, name: str) -> FieldFile:
    file = FieldFile(None, models.FileField(storage=storage), name)  # type: ignore[arg-type]  # no object is asked
    assert file.storage is storage
    return file


@pytest.fixture
def folder(tmp_path: Path) -> FileSystemStorage:
    (tmp_path / "media" / "inner").mkdir(parents=True)
    (tmp_path / "x").write_bytes(b"secret")
    return FileSystemStorage(tmp_path / "media")


def test_read_stored__returns_the_bytes(folder: FileSystemStorage) -> None:
    name = folder.save("inner/a.png", ContentFile(b"12345"))
    assert read_stored(stored(folder, name), max_bytes=5) == b"12345"


def test_read_stored__storage_without_paths() -> None:
    storage = MemoryStorage(picture=b"12345")
    assert read_stored(stored(storage, "picture"), max_bytes=5) == b"12345"
    with pytest.raises(MissingFile, match="missing from the storage"):
        read_stored(stored(storage, "other"), max_bytes=10**6)


@pytest.mark.parametrize(
    "name", ["gone.png", "inner", "", ".", "../x", "/etc/hostname", "inner/../../x", "a.png/b", "x" * 300]
)
def test_read_stored__missing_or_outside_the_storage(folder: FileSystemStorage, name: str) -> None:
    folder.save("a.png", ContentFile(b"12345"))
    with pytest.raises(MissingFile, match="missing from the storage"):
        read_stored(stored(folder, name), max_bytes=10)


def test_read_stored__closes_the_file(folder: FileSystemStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.save("a.png", ContentFile(b"12345"))
    opened = []
    original_open = folder.open
    monkeypatch.setattr(folder, "open", lambda *args: opened.append(original_open(*args)) or opened[-1])
    with pytest.raises(UnreadableImage):
        read_stored(stored(folder, "a.png"), max_bytes=4)
    assert opened[0].closed


def test_read_stored__passes_on_errors_of_an_unavailable_storage() -> None:
    class UnavailableStorage(MemoryStorage):
        def _open(self, name: str, mode: str = "rb") -> File[bytes]:
            raise ConnectionError("no route")

    with pytest.raises(ConnectionError):
        read_stored(stored(UnavailableStorage(), "a"), max_bytes=10)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "is empty"), (b"123456", "larger than 5\xa0bytes. Please choose a smaller one")],
    ids=["empty", "large"],
)
def test_read_bounded__refuses_empty_and_large_files(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        read_bounded(io.BytesIO(data), max_bytes=5)


def test_read_bounded__stops_reading_above_the_limit() -> None:
    file = io.BytesIO(bytes(1000))
    with pytest.raises(UnreadableImage):
        read_bounded(file, max_bytes=5)
    assert file.tell() == 6


def test_sha256_of() -> None:
    assert sha256_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

"""The pictures of an audit: those of a folder, described anew, or those of a source, as they are stored."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import conf
from ..imaging import decode
from ..imaging.files import read_bounded, read_stored, sha256_of
from ..imaging.formats import SUFFIXES
from ..imaging.threads import map_in_threads
from ..measures.base import reduce_to
from ..models import IndexedImage, Signature, Source
from ..registry import ImageSource
from ..signatures import storage
from ..signatures.base import Method
from ..signatures.hashes import Hash
from .candidates import MethodSignatures
from .scan_cache import ScanCache

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..signatures.base import Value

    Seen = Callable[["ScannedImage", Method], list[Value] | None]

SCAN_CACHE_NAME = "comparison.sqlite3"
"""A folder with a file of this name is what an audit wrote."""

HASHED_SIDE = 256
"""Pixels on the long side of a picture that is hashed in eight orientations: hashes look at no more."""


@dataclass(frozen=True)
class ImageFile:
    """A picture file: a name, a stamp that changes when the file does, and how to read its bytes."""

    name: str
    stamp: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class ScannedImage:
    """A picture of a collection; `width` and `height` are those of the file."""

    name: str
    sha256: str
    width: int
    height: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class StoredImage(ScannedImage):
    """A picture of a source: that of the object with this id."""

    object_id: str
    file_name: str

    @classmethod
    def of(cls, source: ImageSource, record: IndexedImage) -> StoredImage:
        """The picture of a record that is indexed."""
        name = f"{record.object_id}: {record.file_name}"
        size = record.width or 0, record.height or 0
        read = partial(read_stored, source.field.storage, record.file_name, max_bytes=conf.get().max_bytes)
        return cls(name, record.sha256, *size, read, record.object_id, record.file_name)


ExactDuplicate = tuple[ScannedImage, ScannedImage]
"""The first picture of some bytes, and another with the same."""


@dataclass(frozen=True)
class ImageCollection:
    """Pictures of different content, what each method saw in them, and those that are the same file as one of them.

    `twins`: each with the one of `pictures` that has the same bytes.
    """

    pictures: list[ScannedImage]
    twins: list[ExactDuplicate]
    looks: Mapping[str, MethodSignatures]

    @classmethod
    def of(cls, pictures: Iterable[ScannedImage], methods: Iterable[Method], seen: Seen) -> ImageCollection:
        """`seen` tells what a method saw in each orientation of a picture; None is nothing."""
        distinct, twins = split_exact_duplicates(pictures)
        looks = {
            method.name: MethodSignatures.of(method, [seen(picture, method) for picture in distinct])
            for method in methods
        }
        return cls(distinct, twins, looks)


def split_exact_duplicates(pictures: Iterable[ScannedImage]) -> tuple[list[ScannedImage], list[ExactDuplicate]]:
    """Pictures of different content, and those that are the same file as one of them, each with that one."""
    first: dict[str, ScannedImage] = {}
    twins = [
        (first[picture.sha256], picture)
        for picture in pictures
        if first.setdefault(picture.sha256, picture) is not picture
    ]
    return list(first.values()), twins


def list_image_files(folder: Path) -> list[ImageFile]:
    """The picture files in a folder and below it, by name; what audits wrote and links to folders are left out."""
    files = []
    for parent, folders, names in os.walk(folder):
        if SCAN_CACHE_NAME in names:
            folders.clear()
            continue
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in SUFFIXES and path.is_file():
                files.append(_file(folder, path))
    return sorted(files, key=lambda file: file.name)


def _file(folder: Path, path: Path) -> ImageFile:
    stat = path.stat()
    # Names need not be text: bytes that are none are told as they are.
    name = path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()
    return ImageFile(name, f"{stat.st_mtime_ns} {stat.st_size}", partial(_read, path))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return read_bounded(file, max_bytes=conf.get().max_bytes)


def describe_files(
    files: Iterable[ImageFile], methods: Sequence[Method], memory: ScanCache, jobs: int
) -> Iterator[tuple[ScannedImage | None, str]]:
    """Describe what memory does not hold already; give each picture, or the name of a file and why it gives none.

    Hashes are made of eight orientations: mirrored, and turned by right angles.
    """

    def work(file: ImageFile) -> tuple[ScannedImage | None, str]:
        try:
            return _described(file, methods, memory), ""
        except decode.INTERRUPTIONS:
            raise
        except Exception as error:  # whatever one file or its storage brings takes nothing from the others
            return None, f"{file.name}: {error}"

    return map_in_threads(work, files, jobs)


def _described(file: ImageFile, methods: Sequence[Method], memory: ScanCache) -> ScannedImage:
    sha256 = memory.digest(file.name, file.stamp)
    size = memory.size(sha256, methods) if sha256 else None
    if sha256 is None or size is None:
        data = file.read()
        sha256 = sha256_of(data)
        size = memory.size(sha256, methods)  # the same bytes may have another name
        if size is None:
            picture = decode.decode(data, max_pixels=conf.get().max_pixels)
            size = picture.width, picture.height
            memory.keep_picture(sha256, size, {method: _values(method, picture.pixels) for method in methods})
        memory.keep_file(file.name, file.stamp, sha256)
    return ScannedImage(file.name, sha256, *size, file.read)


def _values(method: Method, pixels: NDArray[np.uint8]) -> list[Value] | None:
    """None where the method sees next to nothing."""
    if isinstance(method, Hash):
        values = [method.compute(turned) for turned in _orientations(reduce_to(pixels, HASHED_SIDE))]
    else:
        values = [method.compute(pixels)]
    return None if method.has_low_detail(values[0]) else list(values)


def _orientations(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The picture upright, turned by 90, 180 and 270 degrees, and all that mirrored."""
    for sides in (pixels, pixels[:, ::-1]):
        for turns in range(4):
            yield np.ascontiguousarray(np.rot90(sides, turns))


def source_collection(source: ImageSource, methods: Sequence[Method]) -> tuple[ImageCollection, int]:
    """The indexed pictures of a source, whoever may see them, and how many objects lack signatures by these methods."""
    objects = source.with_file()
    known = {source.object_id(pk) for pk in objects.values_list("pk", flat=True).iterator()}
    records = IndexedImage.objects.for_source(source).indexed().order_by("pk")
    values = {method: _stored(source, method) for method in methods}
    pictures: list[ScannedImage] = []
    ids: dict[str, int] = {}
    for record in records.iterator():
        if record.object_id in known and all(record.pk in of_method for of_method in values.values()):
            pictures.append(StoredImage.of(source, record))
            ids.setdefault(record.sha256, record.pk)
    found = ImageCollection.of(pictures, methods, lambda picture, method: values[method][ids[picture.sha256]])
    return found, len(known) - len(pictures)


def _stored(source: ImageSource, method: Method) -> dict[int, list[Value] | None]:
    """The signatures of a source's records; None where they say next to nothing."""
    rows = Signature.objects.filter(
        source_id=Source.objects.get_id(source), method=method.name, version=method.version
    ).values_list("record_id", "low_detail", storage.column_name(method))
    return {record: None if low_detail else [storage.unpack(value)] for record, low_detail, value in rows.iterator()}

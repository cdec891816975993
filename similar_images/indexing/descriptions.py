"""Descriptions of images: read from the storage, decoded, and turned into the columns of their signatures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models.fields.files import FieldFile
from django.utils.translation import gettext as _

from .. import conf
from ..imaging import decode
from ..imaging.files import MissingFile, read_stored, sha256_of
from ..models import IndexedImage, Signature, Source, write_alias
from ..signatures import storage
from ..signatures.base import Method
from ..signatures.projection import ProjectedMethod
from ..sources.source import ImageSource
from . import versions

if TYPE_CHECKING:
    from ..signatures.base import Value

SignatureColumns = dict[tuple[str, str], dict[str, Any]]
"""Column values of signatures, by (method, version)."""


class StorageUnavailable(Exception):
    """The storage gave an error for a file that it may return later."""


@dataclass
class Description:
    """Width and height in pixels of an image file, and the signature columns computed from it."""

    width: int | None = None
    height: int | None = None
    columns: SignatureColumns = field(default_factory=dict)


@dataclass
class ReadFile:
    """The bytes of a file, and their SHA-256."""

    data: bytes
    sha256: str


@dataclass
class Job:
    """A record being indexed: the SHA-256 of the bytes read for it, empty if none, and the description to come."""

    record: IndexedImage
    sha256: str
    description: Future[Description]


class Describer:
    """Reads, decodes and describes images, on different threads; equal bytes of one source only once.

    Only the methods called on this object use the database, on the caller's thread.
    """

    def __init__(self) -> None:
        self._reading, self._decoding, self._describing = (
            ThreadPoolExecutor(threads, thread_name_prefix=f"similar_images_{stage}")
            for stage, threads in (("reading", 1), ("decoding", 2), ("describing", 1))  # two decoders, that none idles
        )
        self._descriptions: dict[tuple[str, int], Future[Description]] = {}
        self._get_methods = cache(_get_methods)

    def read(self, records: Iterable[IndexedImage]) -> list[Future[ReadFile]]:
        """Submit the files of records for reading."""
        records = list(records)
        files = _find_files(records)
        return [self._reading.submit(_read_file, record, files.get(record.pk)) for record in records]

    def start(self, record: IndexedImage, file: Future[ReadFile]) -> Job:
        """Submit the record's image for description, which was read before.

        Errors of the image or the storage are raised by the job's description instead.

        Raises:
            MemoryError, SoftTimeLimitExceeded: the process is to stop.
        """
        sha256 = ""
        try:
            sha256 = file.result().sha256
            key = sha256, record.source_id
            if key not in self._descriptions:
                self._descriptions[key] = self._submit(file.result(), self._get_methods(record.source_id))
            return Job(record, sha256, self._descriptions[key])
        except decode.INTERRUPTIONS:
            raise
        except Exception as error:
            failed: Future[Description] = Future()
            failed.set_exception(error)
            return Job(record, sha256, failed)

    def close(self) -> None:
        """Drop what has not been begun. What has is not waited for, as nobody knows how long it takes."""
        for executor in (self._reading, self._decoding, self._describing):
            executor.shutdown(wait=False, cancel_futures=True)

    def _submit(self, file: ReadFile, methods: list[Method]) -> Future[Description]:
        description = _load_description(file.sha256, methods)
        missing = [method for method in methods if (method.name, method.version) not in description.columns]
        image = self._decoding.submit(_decode, file.data, conf.get().max_pixels) if missing else None
        return self._describing.submit(_describe, description, image, missing)


def _get_methods(source_id: int) -> list[Method]:
    source = Source.objects.get(pk=source_id).image_source
    return versions.methods_to_compute(source) if source else []


def _find_files(records: Iterable[IndexedImage]) -> dict[int, FieldFile]:
    """Return the files of records by their keys, without those of objects that are gone."""
    by_source: dict[ImageSource, dict[str, IndexedImage]] = defaultdict(dict)
    for record in records:
        if source := record.source.image_source:
            by_source[source][record.object_id] = record
    found = {}
    for source, by_object in by_source.items():
        names = {object_id: record.file_name for object_id, record in by_object.items()}
        for object_id, file in source.get_files(names, using=write_alias()).items():
            found[by_object[object_id].pk] = file
    return found


def _read_file(record: IndexedImage, file: FieldFile | None) -> ReadFile:
    """Read the record's file, on a thread.

    Raises:
        UnreadableImage: there is no usable file.
        StorageUnavailable: the storage gave an error; the file may be readable later.
    """
    if record.source.image_source is None:
        raise decode.UnreadableImage(_("The image field is no longer registered."))
    try:
        if file is None:
            raise MissingFile(_("The file is missing from the storage."))
        data = read_stored(file, max_bytes=conf.get().max_bytes)
        return ReadFile(data, sha256_of(data))
    except (decode.UnreadableImage, *decode.INTERRUPTIONS):
        raise
    except Exception as error:
        raise StorageUnavailable(_("The storage gave an error: %(error)r.") % {"error": error}) from error
    finally:
        connections.close_all()  # of this thread, if the storage keeps its files in a database


def _decode(data: bytes, max_pixels: int) -> decode.Picture:
    return decode.decode(data, max_pixels=max_pixels)


def _load_description(sha256: str, methods: list[Method]) -> Description:
    """Return what is stored of the same bytes, for this or another record, by these methods."""
    description = Description()
    if not IndexedImage.primary.filter(sha256=sha256).exists():  # a quick answer for most images
        return description
    column_names = {(method.name, method.version): storage.column_name(method) for method in methods}
    current = storage.versions_condition(methods)
    rows = Signature.primary.filter(current, record__sha256=sha256).select_related("record")
    for signature in rows.order_by("method", "version").distinct("method", "version"):
        column = column_names[signature.method, signature.version]
        value = {column: getattr(signature, column), "low_detail": signature.low_detail}
        description.columns[signature.method, signature.version] = value
        description.width, description.height = signature.record.width, signature.record.height
    return description


def _describe(description: Description, decoded: Future[decode.Picture] | None, missing: list[Method]) -> Description:
    """Add the signatures that are missing from a description, and the size of its image."""
    if decoded:
        image = decoded.result()
        description.width, description.height = image.width, image.height
        compute = cache(lambda method: method.compute(image.pixels))
        for method in missing:
            value = method.project(compute(method.base)) if isinstance(method, ProjectedMethod) else compute(method)
            description.columns[method.name, method.version] = _pack_columns(method, value)
    return description


def _pack_columns(method: Method, value: Value) -> dict[str, Any]:
    return {storage.column_name(method): storage.pack(method, value), "low_detail": method.has_low_detail(value)}

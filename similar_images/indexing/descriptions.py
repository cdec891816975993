"""Descriptions of images: read from the storage, decoded, and turned into the columns of their signatures."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils.translation import gettext as _

from .. import conf
from ..imaging import decode
from ..imaging.files import read_stored, sha256_of
from ..models import IndexedImage, Signature, Source
from ..signatures import storage
from ..signatures.base import Method
from ..signatures.projection import ProjectedMethod
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
class Job:
    """A record being indexed: the SHA-256 of the bytes read for it, empty if none, and the description to come."""

    record: IndexedImage
    sha256: str
    description: Future[Description]


class Describer:
    """Reads the images of a batch and has them described by an executor, equal bytes of one source only once."""

    def __init__(self, executor: Executor) -> None:
        """Describe on threads of `executor`; they do not use the database."""
        self._executor = executor
        self._descriptions: dict[tuple[str, int], Future[Description]] = {}
        self._get_methods = cache(_get_methods)

    def start(self, record: IndexedImage) -> Job:
        """Read and decode the record's image and submit it for description.

        Errors of the image or the storage are raised by the job's description instead.

        Raises:
            MemoryError, SoftTimeLimitExceeded: the process is to stop.
        """
        sha256 = ""
        try:
            data = _read_file(record)
            sha256 = sha256_of(data)
            key = sha256, record.source_id
            if key not in self._descriptions:
                self._descriptions[key] = self._submit(data, sha256, self._get_methods(record.source_id))
            return Job(record, sha256, self._descriptions[key])
        except decode.INTERRUPTIONS:
            raise
        except Exception as error:
            failed: Future[Description] = Future()
            failed.set_exception(error)
            return Job(record, sha256, failed)

    def _submit(self, data: bytes, sha256: str, methods: list[Method]) -> Future[Description]:
        description = _load_description(sha256, methods)
        missing = [method for method in methods if (method.name, method.version) not in description.columns]
        image = decode.decode(data, max_pixels=conf.get().max_pixels) if missing else None
        return self._executor.submit(_describe, description, image, missing)


def _get_methods(source_id: int) -> list[Method]:
    source = Source.objects.get(pk=source_id).image_source
    return versions.methods_to_compute(source) if source else []


def _read_file(record: IndexedImage) -> bytes:
    """Read the record's file.

    Raises:
        UnreadableImage: there is no usable file.
        StorageUnavailable: the storage gave an error; the file may be readable later.
    """
    source = record.source.image_source
    if source is None:
        raise decode.UnreadableImage(_("The image field is no longer registered."))
    try:
        return read_stored(source.field.storage, record.file_name, max_bytes=conf.get().max_bytes)
    except (decode.UnreadableImage, *decode.INTERRUPTIONS):
        raise
    except Exception as error:
        raise StorageUnavailable(_("The storage gave an error: %(error)r.") % {"error": error}) from error


def _load_description(sha256: str, methods: list[Method]) -> Description:
    """Return what is stored of the same bytes, for this or another record, by these methods."""
    description = Description()
    if not IndexedImage.primary.filter(sha256=sha256).exists():  # a quick answer for most images
        return description
    column_names = {(method.name, method.version): storage.column_name(method) for method in methods}
    current = Q(pk__in=[])
    for name, version in column_names:
        current |= Q(method=name, version=version)
    rows = Signature.primary.filter(current, record__sha256=sha256).select_related("record")
    for signature in rows.order_by("method", "version").distinct("method", "version"):
        column = column_names[signature.method, signature.version]
        value = {column: getattr(signature, column), "low_detail": signature.low_detail}
        description.columns[signature.method, signature.version] = value
        description.width, description.height = signature.record.width, signature.record.height
    return description


def _describe(description: Description, image: decode.Picture | None, missing: list[Method]) -> Description:
    """Add the signatures that are missing from a description, and the size of its image."""
    if image:
        description.width, description.height = image.width, image.height
        compute = cache(lambda method: method.compute(image.pixels))
        for method in missing:
            value = method.project(compute(method.base)) if isinstance(method, ProjectedMethod) else compute(method)
            description.columns[method.name, method.version] = _pack_columns(method, value)
    return description


def _pack_columns(method: Method, value: Value) -> dict[str, Any]:
    return {storage.column_name(method): storage.pack(method, value), "low_detail": method.has_low_detail(value)}

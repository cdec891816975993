"""The image files of a folder, as a collection in which duplicates are found: each is described by signatures."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import conf
from ..imaging import decode
from ..imaging.files import read_bounded, sha256_of
from ..imaging.formats import accepted_suffixes
from ..imaging.threads import map_in_threads
from ..measures.base import reduce_to
from ..printable import make_printable
from ..signatures.base import Method
from ..signatures.hashes import Hash
from .candidates import MethodSignatures, find_neighbors
from .images import ExactDuplicate, ImageCollection, Neighbors, ScannedImage, split_exact_duplicates
from .scan_cache import ScanCache

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..signatures.base import Value

SCAN_CACHE_NAME = "comparison.sqlite3"
"""Name of the scan cache; a folder that contains it is a report, and not scanned."""

HASHED_SIDE = 256
"""Long side, in pixels, of the image that is hashed in eight orientations: hashes use no finer detail."""


@dataclass(frozen=True)
class ImageFile:
    """A file: its name, a stamp that changes with its content, and how to read its bytes."""

    name: str
    stamp: str
    read: Callable[[], bytes]


class FolderImages(ImageCollection):
    """The described images of a folder; their keys are indexes.

    Args:
        name: the folder's name.
        images: all images, as `describe_files` yields them.
        methods: methods that propose candidates.
        cache: holds the signatures of the images by these methods.
    """

    def __init__(self, name: str, images: Iterable[ScannedImage], methods: Iterable[Method], cache: ScanCache) -> None:
        self.name = name
        self._images, self._exact_duplicates = split_exact_duplicates(images)
        self.distinct_count = len(self._images)
        self.count = self.distinct_count + len(self._exact_duplicates)
        self._signatures = [
            MethodSignatures.from_values(method, [cache.get_signatures(image.sha256, method) for image in self._images])
            for method in methods
        ]

    def exact_duplicates(self) -> Iterable[ExactDuplicate]:
        """Return the files with the same bytes as another, each with the first one by name."""
        return self._exact_duplicates

    def neighbors(self, nearest: int) -> Iterator[tuple[int, Neighbors]]:
        """Compare the signatures of all images in memory."""
        return find_neighbors(self._signatures, nearest)

    def undescribed_images(self) -> list[ScannedImage]:
        """Return the images in which every method found too little detail."""
        described = np.any([by_method.is_described for by_method in self._signatures], axis=0)
        return [image for image, is_described in zip(self._images, described, strict=True) if not is_described]

    def load(self, keys: Iterable[int]) -> dict[int, ScannedImage]:
        """Return the images with these indexes."""
        return {key: self._images[key] for key in keys}


def list_image_files(folder: Path) -> list[ImageFile]:
    """List the image files in a folder and below it, by name, without reports and linked folders."""
    files, suffixes = [], accepted_suffixes()
    for parent, folders, names in os.walk(folder):
        if SCAN_CACHE_NAME in names:
            folders.clear()
            continue
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in suffixes and path.is_file():
                files.append(_image_file(folder, path))
    return sorted(files, key=lambda file: file.name)


def _image_file(folder: Path, path: Path) -> ImageFile:
    stat = path.stat()
    name = make_printable(path.relative_to(folder).as_posix())  # it may even hold bytes that are no text
    return ImageFile(name, f"{stat.st_mtime_ns} {stat.st_size}", partial(_read_path, path))


def _read_path(path: Path) -> bytes:
    with path.open("rb") as file:
        return read_bounded(file, max_bytes=conf.get().max_bytes)


def describe_files(
    files: Iterable[ImageFile], methods: Sequence[Method], cache: ScanCache, jobs: int
) -> Iterator[ScannedImage | str]:
    """Describe files that the cache does not hold; yield each image, or a message why a file gives none.

    Hashes are computed in eight orientations: mirrored, and turned by right angles.
    """
    return map_in_threads(lambda file: _try_describing(file, methods, cache), files, jobs)


def _try_describing(file: ImageFile, methods: Sequence[Method], cache: ScanCache) -> ScannedImage | str:
    try:
        return _describe_file(file, methods, cache)
    except (sqlite3.DatabaseError, *decode.INTERRUPTIONS):
        raise
    except Exception as error:  # one file that fails must not stop the scan
        return f"{file.name}: {error}"


def _describe_file(file: ImageFile, methods: Sequence[Method], cache: ScanCache) -> ScannedImage:
    sha256 = cache.get_sha256(file.name, file.stamp)
    size = cache.get_size(sha256, methods) if sha256 else None
    if sha256 is None or size is None:
        data = file.read()
        sha256 = sha256_of(data)
        size = cache.get_size(sha256, methods)  # the same bytes may have another name
        if size is None:
            decoded = decode.decode(data, max_pixels=conf.get().max_pixels)
            size = decoded.width, decoded.height
            cache.save_image(sha256, size, {method: _compute(method, decoded.pixels) for method in methods})
        cache.save_file(file.name, file.stamp, sha256)
    return ScannedImage(file.name, sha256, *size, file.read)


def _compute(method: Method, pixels: NDArray[np.uint8]) -> list[Value] | None:
    """Return the signature in each orientation; None where the method finds too little detail."""
    if isinstance(method, Hash):
        values = [method.compute(turned) for turned in _orientations(reduce_to(pixels, HASHED_SIDE))]
    else:
        values = [method.compute(pixels)]
    return None if method.has_low_detail(values[0]) else list(values)


def _orientations(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield the image upright, turned by 90, 180 and 270 degrees, and the same of its mirror image."""
    for flipped in (pixels, pixels[:, ::-1]):
        for turns in range(4):
            yield np.ascontiguousarray(np.rot90(flipped, turns))

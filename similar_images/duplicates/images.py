"""Images among which duplicates are looked for, wherever they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock

from django.utils.translation import gettext as _

from .. import conf
from ..imaging import decode
from ..imaging.files import sha256_of
from ..measures.base import LONG_SIDE, ComparisonImage

MAX_CACHED_IMAGES = 128
"""Decoded images held in memory; with the keypoints and other intermediate results, each takes some 2 MB."""

Neighbors = Mapping[int, Mapping[str, float]]
"""The images most similar to one: by their keys, the similarities by method, in percent."""


@dataclass(frozen=True)
class ScannedImage:
    """An image file; `width` and `height` are those of the file, in pixels, and `read` returns its bytes."""

    name: str
    sha256: str
    width: int
    height: int
    read: Callable[[], bytes]


ExactDuplicate = tuple[ScannedImage, ScannedImage]
"""The first image with some content, and another with the same bytes."""


class ImageCollection(ABC):
    """Images of which duplicates are to be found; each distinct content has an integer key.

    Attributes:
        name: title of the report.
        count: images, including exact duplicates.
        distinct_count: images of distinct content.
    """

    name: str
    count: int
    distinct_count: int

    @property
    def missing_message(self) -> str:
        """A message on images that should be in the collection and are not; empty if there are none."""
        return ""

    @abstractmethod
    def exact_duplicates(self) -> Iterable[ExactDuplicate]:
        """Return the files with the same bytes as another, each with the first one of these bytes."""

    @abstractmethod
    def neighbors(self, nearest: int) -> Iterator[tuple[int, Neighbors]]:
        """Yield the key of each distinct image, with at least the `nearest` most similar others by each method."""

    @abstractmethod
    def load(self, keys: Iterable[int]) -> Mapping[int, ScannedImage]:
        """Return images by their keys; those that were deleted meanwhile are missing."""

    def undescribed_images(self) -> Iterable[ScannedImage]:
        """Return the images in which every method found too little detail, so that none proposes them."""
        return ()

    def is_marked_unlike(self, a: ScannedImage, b: ScannedImage) -> bool:
        """Return whether a person marked the two as not similar."""
        return False

    def unlike_names(self, images: Iterable[ScannedImage]) -> set[tuple[str, str]]:
        """Return the names of those of the images that a person marked as not similar, pair by pair."""
        return set()


def split_exact_duplicates(images: Iterable[ScannedImage]) -> tuple[list[ScannedImage], list[ExactDuplicate]]:
    """Separate the first image of each distinct content from those with the same bytes as one of them."""
    first: dict[str, ScannedImage] = {}
    duplicates = [
        (first[image.sha256], image) for image in images if first.setdefault(image.sha256, image) is not image
    ]
    return list(first.values()), duplicates


class ImageCache:
    """The decoded images that were used last; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._images: OrderedDict[str, ComparisonImage] = OrderedDict()

    def load(self, image: ScannedImage) -> ComparisonImage:
        """Return the decoded image, from the cache or from its file.

        Raises:
            UnreadableImage: the file can't be decoded, or has changed since it was scanned.
        """
        with self._lock:
            if image.sha256 in self._images:
                self._images.move_to_end(image.sha256)
                return self._images[image.sha256]
        data = image.read()
        if sha256_of(data) != image.sha256:
            raise decode.UnreadableImage(_("The file has changed since it was scanned."))
        decoded = ComparisonImage.from_file(data, max_pixels=conf.get().max_pixels, long_side=LONG_SIDE)
        with self._lock:
            self._images[image.sha256] = decoded
            while len(self._images) > MAX_CACHED_IMAGES:
                self._images.popitem(last=False)
        return decoded

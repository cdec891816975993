"""Thumbnails of images in lists of matches, made by whichever thumbnail library the project has."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NamedTuple, Self, overload

from django.core.files.images import get_image_dimensions
from django.db.models import Prefetch, prefetch_related_objects
from django.db.models.fields.files import FieldFile

from .printable import make_printable

logger = logging.getLogger("similar_images")


@dataclass(frozen=True)
class Thumbnail:
    """A smaller rendition of an image.

    Attributes:
        url: its address.
        width: its width in pixels.
        height: its height in pixels.
        srcset: the same image in several widths, as the attribute of that name in HTML; empty where there is one.
    """

    url: str
    width: int
    height: int
    srcset: str = ""


ThumbnailCallable = Callable[[FieldFile], Thumbnail | None]
"""A callable that makes a thumbnail of an image file, or returns None where there is none."""


class Rendition(NamedTuple):
    """One file of a thumbnail, with its size in pixels."""

    url: str
    width: int
    height: int


def make_thumbnail(thumbnailer: ThumbnailCallable, file: FieldFile) -> Thumbnail | None:
    """Return the thumbnail of a file; None where there is no file, or where it can't be made, which is logged.

    A list of matches is then shown with the original image, whatever the storage or the library raised.
    """
    if not file:
        return None
    try:
        thumbnail = thumbnailer(file)
        if thumbnail is not None and not isinstance(thumbnail, Thumbnail):
            raise TypeError(f"the thumbnailer returned {thumbnail!r}, not a Thumbnail or None")
    except Exception as error:  # whatever a storage or a library raises
        _log_unless_interrupted(error, f"No thumbnail of {file.name}")
        return None
    return thumbnail


def prepare_thumbnails(thumbnailer: ThumbnailCallable, files: Iterable[FieldFile]) -> None:
    """Read ahead what a thumbnailer needs of several files, where it has a method `prepare` for that."""
    prepare: Callable[[Sequence[FieldFile]], None] | None = getattr(thumbnailer, "prepare", None)
    present = [file for file in files if file]
    if prepare is None or not present:
        return
    try:
        prepare(present)
    except Exception as error:  # each is then made for itself
        _log_unless_interrupted(error, "Thumbnails can't be prepared")


class ThumbnailBatch:
    """The thumbnails of several files; what they need is read when the first of them is asked for."""

    def __init__(self, thumbnailer: ThumbnailCallable, files: Sequence[FieldFile]) -> None:
        """Take the thumbnailer of a source, and the files."""
        self._thumbnailer = thumbnailer
        self._unprepared = files

    def make(self, file: FieldFile) -> Thumbnail | None:
        """Return the thumbnail of one of the files, or of another one; None where there is none."""
        if unprepared := self._unprepared:
            self._unprepared = ()
            prepare_thumbnails(self._thumbnailer, unprepared)
        return make_thumbnail(self._thumbnailer, file)


def _log_unless_interrupted(error: Exception, text: str) -> None:
    from .imaging.decode import INTERRUPTIONS  # with Celery, which who registers a source need not load

    if isinstance(error, INTERRUPTIONS):
        raise error
    logger.warning("%s", make_printable(f"{text}: {type(error).__name__}: {error}"))


@dataclass(frozen=True)
class LibraryThumbnailer(ABC):
    """A thumbnailer that has a library make thumbnails which fit into a box, for several pixel densities.

    Called with options alone, it returns a thumbnailer with these options.

    Attributes:
        width: width of the box in CSS pixels.
        height: height of the box; as the width where it is None.
        densities: device pixels in a CSS pixel, for each of which there is a file; the first is the `url`.
        format: file format such as "WEBP"; empty for the library's default.
        options: further options for the library, in its own words.
    """

    width: int = 320
    height: int | None = None
    densities: tuple[float, ...] = (1, 2)
    format: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @overload
    def __call__(self, file: FieldFile, /) -> Thumbnail | None: ...
    @overload
    def __call__(self, /, **options: Any) -> Self: ...
    def __call__(self, file: FieldFile | None = None, /, **options: Any) -> Thumbnail | Self | None:
        """Return the thumbnail of a file, or, without a file, this thumbnailer with other options."""
        if file is None:
            return replace(self, **options)
        renditions = {rendition.width: rendition for rendition in self.render(file)}  # small images are not enlarged
        if not renditions:
            return None
        first = next(iter(renditions.values()))
        srcset = ", ".join(f"{each.url} {each.width}w" for each in renditions.values()) if len(renditions) > 1 else ""
        return Thumbnail(first.url, first.width, first.height, srcset)

    @property
    def boxes(self) -> list[tuple[int, int]]:
        """Width and height of the box in device pixels, for each density."""
        height = self.height or self.width
        return [(round(self.width * density), round(height * density)) for density in self.densities]

    @abstractmethod
    def render(self, file: FieldFile) -> list[Rendition]:
        """Return the file's renditions, one for each box."""


class EasyThumbnails(LibraryThumbnailer):
    """Thumbnails by easy-thumbnails; `options` are those of its aliases, such as crop and quality."""

    def render(self, file: FieldFile) -> list[Rendition]:
        """Return the file's renditions, one for each box."""
        from easy_thumbnails.files import get_thumbnailer
        from easy_thumbnails.utils import is_storage_local

        thumbnailer = get_thumbnailer(file)
        if self.format:
            thumbnailer.thumbnail_extension = self.format.lower()
        made = [thumbnailer.get_thumbnail({"crop": False, **self.options, "size": box}) for box in self.boxes]
        # Reading the head of a local file takes less time than the library's query for its size.
        sizes = [get_image_dimensions(each) if is_storage_local(each.storage) else each.size for each in made]
        return [Rendition(each.url, *size) for each, size in zip(made, sizes, strict=True)]


class SorlThumbnail(LibraryThumbnailer):
    """Thumbnails by sorl-thumbnail; `options` are those of its `get_thumbnail`, such as crop and quality."""

    def render(self, file: FieldFile) -> list[Rendition]:
        """Return the file's renditions, one for each box."""
        from sorl.thumbnail import get_thumbnail

        options = {"upscale": False, **({"format": self.format.upper()} if self.format else {}), **self.options}
        made = [get_thumbnail(file, f"{width}x{height}", **options) for width, height in self.boxes]
        return [Rendition(each.url, each.width, each.height) for each in made if each.size]  # none of a broken file


class ImageKit(LibraryThumbnailer):
    """Thumbnails by django-imagekit; `options` are Pillow's for saving, such as quality."""

    def render(self, file: FieldFile) -> list[Rendition]:
        """Return the file's renditions, one for each box."""
        from imagekit import ImageSpec
        from imagekit.cachefiles import ImageCacheFile
        from imagekit.processors import ResizeToFit, Transpose

        renditions = []
        for width, height in self.boxes:
            spec = ImageSpec(file)
            spec.processors = [Transpose(Transpose.AUTO), ResizeToFit(width, height, upscale=False)]
            spec.format, spec.options = self.format.upper() or None, dict(self.options)
            with ImageCacheFile(spec) as made:
                made.generate()  # unless it is there
                renditions.append(Rendition(made.url, made.width, made.height))
        return renditions


class WagtailRenditions(LibraryThumbnailer):
    """Renditions of Wagtail's images: of the file of its image model, or of one that inherits from it.

    `options` may have a `filter` in Wagtail's words, such as "format-webp|webpquality-60", which follows the size.
    """

    @property
    def filters(self) -> list[str]:
        """Filter specifications of Wagtail, one for each box."""
        parts = [f"format-{self.format.lower()}"] if self.format else []
        parts += [self.options["filter"]] if self.options.get("filter") else []
        return ["|".join([f"max-{width}x{height}", *parts]) for width, height in self.boxes]

    def render(self, file: FieldFile) -> list[Rendition]:
        """Return the file's renditions, one for each box."""
        image: Any = file.instance
        return [Rendition(each.url, each.width, each.height) for each in image.get_renditions(*self.filters).values()]

    def prepare(self, files: Sequence[FieldFile]) -> None:
        """Read the renditions that are already there of all images, in one query for each model."""
        images_by_model: dict[Any, list[Any]] = defaultdict(list)
        for file in files:
            images_by_model[type(file.instance)].append(file.instance)
        for model, images in images_by_model.items():
            renditions = model.get_rendition_model()._default_manager.filter(filter_spec__in=self.filters)
            prefetch_related_objects(images, Prefetch("renditions", renditions, to_attr="prefetched_renditions"))


class DjangoPictures(LibraryThumbnailer):
    """Files that a PictureField of django-pictures made when the image was saved: the nearest width for each box.

    `options` may have the `ratio`, one of the field's aspect ratios. The first of the field's ratios and file types
    is used where none is named.
    """

    def render(self, file: FieldFile) -> list[Rendition]:
        """Return the file's renditions, one for each box."""
        source: Any = file
        ratios = source.aspect_ratios
        ratio = self.options.get("ratio", next(iter(ratios)))
        pictures = ratios[ratio][self.format.upper() or next(iter(ratios[ratio]))]
        if not pictures:  # the image is smaller than all of them
            return []
        proportion = Fraction(ratio) if ratio else Fraction(source.width, source.height)
        widths = [min(pictures, key=lambda width: (width < box, abs(width - box))) for box, _height in self.boxes]
        made = [pictures[width] for width in dict.fromkeys(widths)]
        # They are made by a task, which may be behind.
        made = [each for each in made if not hasattr(each, "name") or each.storage.exists(each.name)]
        return [Rendition(each.url, each.width, int(each.width / proportion)) for each in made]


easy_thumbnails = EasyThumbnails()
sorl_thumbnail = SorlThumbnail()
imagekit = ImageKit()
wagtail_renditions = WagtailRenditions()
django_pictures = DjangoPictures()

"""Comparisons for visitors: in bounded time, with previews and drawings that are cached for ten minutes.

A cached drawing shows the images of objects. So the cache holds with it whose they are, and it is served only to those
who may see these objects, and while they have the same files: never once one of them is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from django.core.files.uploadedfile import UploadedFile
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from .. import conf, permissions, registry
from ..imaging import timeouts
from ..sources.source import ImageSource
from ..visitor_files import ObjectFile, VisitorFile, entry_id, fetch_file, keep_files, load_upload
from .compare import Comparison, MeasureRow, compare_opened, open_for_comparison, open_or_blame

if TYPE_CHECKING:
    from ..measures.base import Measure
    from ..measures.verdict import Verdict
    from .compare import OpenedImage

UPLOAD_KEY = "upload"
"""Beginning of the key of an upload that is kept, before a colon and its token."""

PREVIEW_NAMES = ("a", "b")
"""Names of the previews of uploads."""


@dataclass(frozen=True)
class ComparisonInput:
    """One of the two images: a visitor's upload, or the file of an object that the visitor may see.

    An upload that is kept has a `token`, by which it can be compared again.
    """

    file: UploadedFile[bytes] | FieldFile
    source: ImageSource | None = None
    object: Any = None
    token: str = ""

    @property
    def title(self) -> str:
        """The object in words, or the name of the uploaded file."""
        return self.source.get_title(self._owner) if self.source else str(self.file.name or "")

    @property
    def key(self) -> str:
        """The key of the object's image, app_label.model.field:pk, or of an upload that is kept; else empty."""
        if self.source:
            return self.source.format_key(self.object)
        return f"{UPLOAD_KEY}:{self.token}" if self.token else ""

    @property
    def url(self) -> str:
        """The address of the object's own page; empty if it has none."""
        return self.source.get_url(self._owner) if self.source else ""

    @property
    def _owner(self) -> Any:
        """The object that the image belongs to."""
        return self.source.owner_of(self.object) if self.source else None


@dataclass(frozen=True)
class DisplayedImage:
    """One of two compared images: width and height of its file, and its address, empty if it could not be cached."""

    side: ComparisonInput
    width: int
    height: int
    image: str


@dataclass(frozen=True)
class Drawing:
    """A drawing that explains a measure's result, and its address."""

    measure: Measure
    name: str
    title: str
    url: str


@dataclass(frozen=True)
class RenderedComparison:
    """A comparison with its previews, its rows as they are shown to a visitor, and its drawings."""

    a: DisplayedImage
    b: DisplayedImage
    comparison: Comparison
    rows: list[MeasureRow]
    drawings: list[Drawing]

    @property
    def sides(self) -> tuple[DisplayedImage, DisplayedImage]:
        """Both images."""
        return self.a, self.b

    @property
    def verdict(self) -> Verdict:
        """The comparison's verdict."""
        return self.comparison.verdict

    @property
    def is_complete(self) -> bool:
        """True if every measure has a result, but for those that are not installed."""
        return self.comparison.is_complete


def upload_input(key: str, request: HttpRequest) -> ComparisonInput:
    """Return an upload that is kept, by its key.

    Raises:
        LookupError: it is not kept any more, or another user's.
    """
    token = key.partition(":")[2]
    upload = load_upload(token, request)
    if upload is None:
        raise LookupError(_("This image has expired. Please choose it again."))
    return ComparisonInput(upload, token=token)


def object_input(key: str, request: HttpRequest) -> ComparisonInput:
    """Return an object's image: app_label.model:pk, or app_label.model.field:pk if the model has several fields.

    Of an object that owns several images, it is the first one that the visitor may see.

    Raises:
        LookupError: there is none that the visitor may see; the message does not say whether it exists.
    """
    label, colon, pk = key.partition(":")
    if not colon or label.count(".") not in (1, 2):
        raise LookupError(_("Use the form app_label.model:pk or app_label.model.field:pk."))
    app_label, model, *field = label.split(".")
    try:
        source, item = registry.find_object(request, f"{app_label}.{model}", pk, *field)
    except (registry.UnknownField, registry.AmbiguousField) as error:
        names = {"fields": ", ".join(error.fields)}
        raise LookupError(_("Name one of the image fields: %(fields)s.") % names) from None
    except registry.NotRegistered:
        raise LookupError(_("There is no such object.")) from None
    images = source.images_of(item, source.visible_to(request)) if item is not None else []
    if not images:
        raise LookupError(_("There is no such object."))
    return ComparisonInput(getattr(images[0], source.field_name), source, images[0])


def run_comparison(
    a: ComparisonInput,
    b: ComparisonInput,
    measures: list[str],
    get_url: Callable[[str, str], str],
    request: HttpRequest,
) -> RenderedComparison:
    """Compare two images by measures of these names, and cache the previews of uploads and the drawings.

    Args:
        a: an image.
        b: another.
        measures: names of measures.
        get_url: returns the address of a cached image by token and name. Images that can't be cached are left out.
        request: that of the visitor; only staff read what is to be installed for a measure.

    Raises:
        Incomparable: one of the two can't be read.
        SearchTimeout: it took longer than SIMILAR_IMAGES["REQUEST_TIMEOUT"].
    """
    end = monotonic() + conf.get().request_timeout
    opened = open_input("a", a, end), open_input("b", b, end)
    comparison, files, drawings = timeouts.run_for_request(
        max(end - monotonic(), 0), _compare_and_draw, (a, b), opened, measures
    )
    token = _entry_of((a, b), opened, comparison)
    urls = {name: get_url(token, name) for name in keep_files(token, _as_visitor_files(files, (a, b)), request)}
    image_a, image_b = (
        DisplayedImage(
            side, image.width, image.height, side.file.url if isinstance(side.file, FieldFile) else urls.get(name, "")
        )
        for name, side, image in zip(PREVIEW_NAMES, (a, b), (comparison.a, comparison.b), strict=True)
    )
    cached_drawings = [Drawing(measure, name, title, urls[name]) for measure, name, title in drawings if name in urls]
    return RenderedComparison(image_a, image_b, comparison, _rows_for(request, comparison), cached_drawings)


def _rows_for(request: HttpRequest, comparison: Comparison) -> list[MeasureRow]:
    """Return the rows; those of measures that are not installed without what to install, but for staff."""
    rows = list(comparison.values())
    if permissions.is_staff(request):
        return rows
    message = _("Not available on this site.")
    return [replace(row, problem=message) if row.is_unavailable else row for row in rows]


def render_preview(upload: UploadedFile[bytes]) -> bytes:
    """Return an upload as a PNG file, reduced to what is compared of it.

    Raises:
        UnreadableImage: it is no image that can be read.
        SearchTimeout: that took longer than SIMILAR_IMAGES["REQUEST_TIMEOUT"].
    """
    from ..measures.drawing import canvas

    with timeouts.report_timeout():
        image, _digest = open_for_comparison(upload, timeout=conf.get().request_timeout)
    return canvas.encode_png(image.pixels)


def cached_image(token: str, name: str, request: HttpRequest) -> bytes | None:
    """Return a cached PNG file; None if it has expired, or shows an object's image that the visitor may not see."""
    file = fetch_file(token, name)
    if file is None:
        return None
    return file.data if all(_is_current(object_file, request) for object_file in file.object_files) else None


def _is_current(object_file: ObjectFile, request: HttpRequest) -> bool:
    """Check that the visitor may see the object, and that it still has this file."""
    key, file_name = object_file
    try:
        return object_input(key, request).file.name == file_name
    except LookupError:
        return False


def open_input(which: Literal["a", "b"], side: ComparisonInput, end: float) -> OpenedImage:
    """Open an upload on this thread, and a stored file, whose storage may be slow, on one that can be given up.

    Args:
        which: which of two images it is.
        side: the image.
        end: the time, by the monotonic clock, at which it is given up.

    Raises:
        Incomparable: it can't be read.
        SearchTimeout: there was no time.
    """
    with timeouts.report_timeout():
        seconds = max(end - monotonic(), 0)
        if side.object is None:
            return open_or_blame(which, side.file, timeout=seconds)
        return timeouts.run_for_request(seconds, open_or_blame, which, side.file, None, seconds, pool="stored_images")


def _compare_and_draw(
    sides: tuple[ComparisonInput, ComparisonInput], opened: tuple[OpenedImage, OpenedImage], measures: list[str]
) -> tuple[Comparison, dict[str, bytes], list[tuple[Measure, str, str]]]:
    """Return the comparison; PNG files of uploads and drawings by name; measure, name and title of each drawing."""
    from ..measures.drawing import canvas

    comparison = compare_opened(*opened, measures)
    inputs = dict(zip(PREVIEW_NAMES, zip(sides, (comparison.a, comparison.b), strict=True), strict=True))
    files = {name: canvas.encode_png(image.pixels) for name, (side, image) in inputs.items() if side.object is None}
    drawings = []
    for row in comparison.values():
        for name, title, file in comparison.pictures_of(row):
            files[name] = file
            drawings.append((row.measure, name, title))
    return comparison, files, drawings


def _entry_of(
    sides: tuple[ComparisonInput, ComparisonInput], opened: tuple[OpenedImage, OpenedImage], comparison: Comparison
) -> str:
    """Return the id under which the drawings are kept: the same images, measures and language have the same."""
    digests = [digest for _image, digest in opened]
    return entry_id("comparison", digests, _object_files(sides), list(comparison), get_language())


def _object_files(sides: tuple[ComparisonInput, ComparisonInput]) -> tuple[ObjectFile, ...]:
    return tuple((side.key, str(side.file.name)) for side in sides if side.object is not None)


def _as_visitor_files(
    files: Mapping[str, bytes], sides: tuple[ComparisonInput, ComparisonInput]
) -> dict[str, VisitorFile]:
    """Return the files with the objects that they show: previews show an upload alone, drawings show both sides."""
    shown = _object_files(sides)
    return {name: VisitorFile(data, () if name in PREVIEW_NAMES else shown) for name, data in files.items()}

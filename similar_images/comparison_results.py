"""Comparisons as visitors get them: in bounded time, with pictures that are kept for ten minutes to be looked at."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.files.uploadedfile import UploadedFile
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.utils.translation import gettext as _

from . import conf, registry
from .comparison import Comparison, MeasureRow, compare
from .imaging import timeouts
from .imaging.files import sha256_of
from .search.matches import get_object_url

if TYPE_CHECKING:
    from .measures.base import ComparisonImage, Measure
    from .measures.verdict import Verdict

CACHE_SECONDS = 600
"""Seconds for which the pictures of a comparison are kept."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComparisonInput:
    """One of two pictures: what a visitor uploads, or the file of an object which the visitor may see."""

    file: UploadedFile[bytes] | FieldFile
    source: registry.ImageSource | None = None
    object: Any = None

    @property
    def title(self) -> str:
        return str(self.object) if self.source else str(self.file.name or "")

    @property
    def key(self) -> str:
        """What an object's picture is called; empty of an upload."""
        return self.source.format_key(self.object) if self.source else ""

    @property
    def url(self) -> str:
        """The object's own page, empty where it has none."""
        return get_object_url(self.object)


@dataclass(frozen=True)
class DisplayedImage:
    """One of two pictures that were compared: width and height of its file, and where it is to be seen, if anywhere."""

    side: ComparisonInput
    width: int
    height: int
    image: str


@dataclass(frozen=True)
class Drawing:
    """A picture that explains a measure's reading, and its address."""

    measure: Measure
    name: str
    title: str
    url: str


@dataclass(frozen=True)
class RenderedComparison:
    """A comparison, with all that is to be seen of it."""

    a: DisplayedImage
    b: DisplayedImage
    comparison: Comparison
    drawings: list[Drawing]

    @property
    def sides(self) -> tuple[DisplayedImage, DisplayedImage]:
        return self.a, self.b

    @property
    def verdict(self) -> Verdict:
        return self.comparison.verdict

    @property
    def rows(self) -> list[MeasureRow]:
        return list(self.comparison.values())


def object_input(key: str, request: HttpRequest) -> ComparisonInput:
    """The picture of an object: app_label.model:pk, or app_label.model.field:pk where the model has several fields.

    Raises:
        LookupError: there is none that the visitor may see; the message does not say whether it exists.
    """
    label, colon, pk = key.partition(":")
    if not colon or label.count(".") not in (1, 2):
        raise LookupError(_("Name an object as app_label.model:pk or app_label.model.field:pk."))
    app_label, model, *field = label.split(".")
    try:
        source = registry.get_source(f"{app_label}.{model}", *field)
    except registry.NotRegistered:
        raise LookupError(_("There is no such object.")) from None
    item = source.get_visible(request, pk)
    if item is None:
        raise LookupError(_("There is no such object."))
    return ComparisonInput(getattr(item, source.field_name), source, item)


def run_comparison(
    a: ComparisonInput, b: ComparisonInput, measures: list[str], address: Callable[[str, str], str]
) -> RenderedComparison:
    """Compare two pictures by measures of these names, and keep the pictures that explain it.

    `address` gives the URL of a picture by token and name. Pictures that can't be kept are left out.

    Raises:
        Incomparable: one of the two can't be read.
        SearchTimeout: it took longer than SIMILAR_IMAGES["REQUEST_TIMEOUT"].
    """
    comparison, files, drawn = timeouts.run_for_request(conf.get().request_timeout, _compared, a, b, measures)
    token = secrets.token_urlsafe(32)
    kept = _kept(token, files)

    def shown(name: str, one: ComparisonInput, view: ComparisonImage) -> DisplayedImage:
        upload = address(token, name) if name in kept else ""
        return DisplayedImage(one, view.width, view.height, one.file.url if isinstance(one.file, FieldFile) else upload)

    drawings = [Drawing(measure, name, title, address(token, name)) for measure, name, title in drawn if name in kept]
    return RenderedComparison(shown("a", a, comparison.a), shown("b", b, comparison.b), comparison, drawings)


def cached_image(token: str, name: str) -> bytes | None:
    """A PNG file that is kept; None when it is no more."""
    file: bytes | None = _cache().get(_key(token, name))
    return file


def _compared(
    a: ComparisonInput, b: ComparisonInput, measures: list[str]
) -> tuple[Comparison, dict[str, bytes], list[tuple[Measure, str, str]]]:
    """The comparison; PNG files by name, of uploads and of what explains it; measure, name and title of the latter."""
    from .measures.drawing import canvas

    comparison = compare(a.file, b.file, measures=measures)
    pairs = {"a": (a, comparison.a), "b": (b, comparison.b)}
    files = {name: canvas.encode_png(view.pixels) for name, (one, view) in pairs.items() if one.object is None}
    drawn = []
    for row in comparison.values():
        for name, title, file in comparison.pictures_of(row):
            files[name] = file
            drawn.append((row.measure, name, title))
    return comparison, files, drawn


def _kept(token: str, files: Mapping[str, bytes]) -> set[str]:
    """Keep the files, and return the names of those that the cache took."""
    try:
        cache = _cache()
        cache.set_many({_key(token, name): file for name, file in files.items()}, CACHE_SECONDS)
        return {name for name in files if cache.has_key(_key(token, name))}
    except Exception:  # of whatever kind the cache's client raises when its server is down
        logger.exception("The pictures that explain a comparison could not be kept.")
        return set()


def _cache() -> BaseCache:
    return caches[conf.get().compare_cache]


def _key(token: str, name: str) -> str:
    return f"similar_images:{sha256_of(f'{token}/{name}'.encode())}"  # a key's length and letters are bounded

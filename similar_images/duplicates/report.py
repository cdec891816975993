"""Reports on duplicates: HTML pages that need no other file, a table of pairs, and images that explain verdicts."""

from __future__ import annotations

import base64
import csv
import io
import logging
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.template.loader import render_to_string
from django.utils import timezone
from PIL import Image

from .. import conf, plugins
from ..imaging import decode
from ..imaging.threads import map_in_threads
from ..measures.base import reduce_to
from ..measures.drawing import canvas
from ..measures.verdict import Verdict
from ..printable import JOINERS, make_printable
from .detection import FoundDuplicates
from .groups import PairGroup, group_copies
from .images import ImageCache, ScannedImage
from .source import find_shared_files
from .verification import VerifiedPair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..measures.base import Measure

logger = logging.getLogger(__name__)

MAX_LISTED_PROBLEMS = 20
"""Problems that a command prints; reports list all of them."""

PAIRS_PER_PAGE = 100
"""Pairs on a page, at most: with all its images in it, the page can still be sent by mail."""

MAX_LISTED_PLAIN = 50
"""Images that are too plain to tell apart that a page shows; the number is that of all."""

THUMBNAIL_SIZE = 176
"""Long side of a thumbnail, in pixels."""

DRAWING_SIZE = 640
"""Long side, in pixels, of a drawing in a page; its file has the full size."""

DRAWN_MEASURES: Mapping[str, str] = {
    "same-picture": "alignment",
    "edited-picture": "alignment",
    "contains": "alignment",
    "same-object": "keypoints-rootsift",
}
"""The measure whose drawing shows why a pair got its verdict, by kind of verdict."""


@dataclass(frozen=True)
class ReportImage:
    """An image in a section: its number there, the size of its file in bytes, and a thumbnail as a data URL.

    `shares_file_with` is the number of an image there whose object uses the same stored file; 0 if there is none.
    """

    number: int
    picture: ScannedImage
    bytes: int
    thumbnail: str
    shares_file_with: int = 0


def render_groups(results: Iterable[FoundDuplicates]) -> str:
    """Render one HTML page on several sources, with thumbnails of all copies and series."""
    sources = [
        {
            "duplicates": {"source": {"label": duplicates.collection.name}, "pictures": duplicates.collection.count},
            "copies": [_number_images(images) for images in duplicates.copies],
            "series": [_number_images(images) for images in duplicates.series],
            "plain": _number_images(duplicates.plain[:MAX_LISTED_PLAIN]),
            "plain_count": len(duplicates.plain),
            "left_out": duplicates.left_out,
            "is_complete": duplicates.is_complete,
        }
        for duplicates in results
    ]
    return render_to_string("similar_images/duplicates.html", {"sources": sources, "date": timezone.now()})


def write_report(folder: Path, duplicates: FoundDuplicates, problems: Sequence[str], jobs: int) -> Iterator[str]:
    """Write index.html and further pages, pairs.csv and pictures/; yield the name of each page that was written."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    _write_table(folder / "pairs.csv", duplicates.pairs)
    groups = group_copies(duplicates.pairs, duplicates.unlike_names)
    pages = list(_paginate(groups))
    names = ["index.html", *(f"page-{number}.html" for number in range(2, len(pages) + 1))]
    for stale in folder.glob("page-*.html"):
        if stale.name not in names:
            stale.unlink()
    kinds = Counter(pair.kind for pair in duplicates.pairs)
    context = {
        "summary": {
            "name": duplicates.collection.name,
            "pictures": duplicates.collection.count,
            "candidates": duplicates.candidates,
            "left_out": duplicates.left_out,
            "problems": problems,
        },
        "plain": _number_images(duplicates.plain[:MAX_LISTED_PLAIN]),
        "plain_count": len(duplicates.plain),
        "kinds": [(Verdict(kind).title, count) for kind, count in kinds.most_common()],
        "groups": sum(group[0].is_copy for group in groups),
        "names": names,
        "date": timezone.now(),
    }
    images = ImageCache()
    for name, page in zip(names, pages, strict=True):
        sections = list(map_in_threads(lambda part: _section(folder, *part, images), page, jobs))
        html = render_to_string("similar_images/audit_report.html", {**context, "sections": sections, "name": name})
        (folder / name).write_text(html, encoding="utf-8", errors="backslashreplace")
        yield name


def _paginate(groups: Iterable[PairGroup]) -> Iterator[list[tuple[PairGroup, bool]]]:
    """Yield the groups of each page, and whether each is continued from a page before; at least one page."""
    page: list[tuple[PairGroup, bool]] = []
    count = 0
    for group in groups:
        for start in range(0, len(group), PAIRS_PER_PAGE):
            part = group[start : start + PAIRS_PER_PAGE]
            if page and count + len(part) > PAIRS_PER_PAGE:
                yield page
                page, count = [], 0
            page.append((part, start > 0))
            count += len(part)
    yield page


def _section(folder: Path, pairs: PairGroup, is_continued: bool, images: ImageCache) -> dict[str, Any]:
    """Return the template's variables for a group: its images, and a row with the drawing of each pair."""
    scanned = {image.name: image for pair in pairs for image in (pair.a, pair.b)}
    members = dict(zip(scanned, _number_images(scanned.values()), strict=True))
    rows = []
    for pair in pairs:
        file = _save_drawing(folder, pair, images) if pair.kind in DRAWN_MEASURES else ""
        panel = _data_url(_encode_preview(folder / file)) if file else ""
        a, b = members[pair.a.name], members[pair.b.name]
        rows.append({"a": a, "b": b, "finding": pair, "panel": panel, "file": file})
    title = Verdict("same-picture" if pairs[0].is_copy else pairs[0].kind).title
    return {"title": title, "is_continued": is_continued, "members": list(members.values()), "rows": rows}


def _number_images(images: Iterable[ScannedImage]) -> list[ReportImage]:
    images = list(images)
    numbers = {image.name: number for number, image in enumerate(images, 1)}
    sharing = find_shared_files(images)
    return [_report_image(numbers[image.name], image, numbers.get(sharing.get(image.name, ""), 0)) for image in images]


def _report_image(number: int, image: ScannedImage, shares_file_with: int) -> ReportImage:
    """Return the image with a thumbnail of its file, or with none if that can't be read anymore."""
    try:
        data = image.read()
        pixels = decode.decode(data, max_pixels=conf.get().max_pixels).pixels
    except decode.INTERRUPTIONS:
        raise
    except Exception:  # the file was deleted meanwhile; its verdict stands
        return ReportImage(number, image, 0, "", shares_file_with)
    thumbnail = Image.fromarray(reduce_to(pixels, THUMBNAIL_SIZE))
    return ReportImage(number, image, len(data), _data_url(_encode_jpeg(thumbnail, 80)), shares_file_with)


def _save_drawing(folder: Path, pair: VerifiedPair, images: ImageCache) -> str:
    """Return the file of the drawing that explains a verdict, made unless it exists; "" where it can't be made."""
    name = f"pictures/{pair.a.sha256[:16]}-{pair.b.sha256[:16]}.png"
    if (folder / name).exists():
        return name
    try:
        drawing = _draw(plugins.available_measures()[DRAWN_MEASURES[pair.kind]], pair, images)
    except decode.INTERRUPTIONS:
        raise
    except Exception:  # the verdict stands without a drawing
        logger.exception("The verdict on %s and %s can't be drawn.", pair.a.name, pair.b.name)
        return ""
    (folder / name).write_bytes(canvas.encode_png(drawing))
    return name


def _draw(measure: Measure, pair: VerifiedPair, images: ImageCache) -> NDArray[np.uint8]:
    a, b = images.load(pair.a), images.load(pair.b)
    result = measure.measure(a, b)
    drawing, title = next(iter(measure.drawings.items()))
    return canvas.add_title(measure.draw(drawing, a, b, result), str(title), measure.caption(result))


def _encode_preview(path: Path) -> bytes:
    pixels = decode.decode(path.read_bytes(), max_pixels=conf.get().max_pixels).pixels
    return _encode_jpeg(Image.fromarray(reduce_to(pixels, DRAWING_SIZE)), 78)


def _encode_jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()


def _data_url(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _write_table(path: Path, pairs: Sequence[VerifiedPair]) -> None:
    methods = list(dict.fromkeys(name for pair in pairs for name in pair.similarities))
    # Spreadsheet programs recognize UTF-8 by this mark.
    with path.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace") as file:
        table = csv.writer(file, quoting=csv.QUOTE_ALL)  # also semicolons separate, in some countries
        sizes = ["a_width", "a_height", "b_width", "b_height"]
        table.writerow(["a", "b", "kind", "verdict", "similarity", *methods, *sizes])
        for pair in pairs:
            a, b = pair.a, pair.b
            by_method = [f"{pair.similarities[name]:.1f}" if name in pair.similarities else "" for name in methods]
            texts = map(_escape_formula, (a.name, b.name, pair.kind, pair.text))
            table.writerow([*texts, pair.similarity, *by_method, a.width, a.height, b.width, b.height])


def _escape_formula(text: str) -> str:
    """Quote a text that a spreadsheet program may take for a formula, once it has trimmed and normalized it.

    See https://owasp.org/www-community/attacks/CSV_Injection.
    """
    text = make_printable(text)
    start = unicodedata.normalize("NFKC", text).translate(dict.fromkeys(map(ord, JOINERS))).lstrip()[:1]
    return f"'{text}" if start in {"=", "+", "-", "@"} else text

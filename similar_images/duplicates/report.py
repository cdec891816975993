"""What an audit found, to read and to send: HTML pages that need no other file, a table, and the result pictures."""

from __future__ import annotations

import base64
import csv
import io
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.template.loader import render_to_string
from django.utils import timezone
from PIL import Image

from .. import conf, plugins
from ..imaging import decode
from ..imaging.threads import map_in_threads
from ..measures.base import reduce_to
from ..measures.drawing import canvas
from ..measures.verdict import Verdict
from .verification import ImageCache, VerifiedPair, group_pairs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..measures.base import Measure
    from .collection import ScannedImage

logger = logging.getLogger(__name__)

PAIRS_PER_PAGE = 100
"""Pairs on a page, at most: with all their pictures in it, it can still be sent by mail."""

THUMBNAIL = 176
PANEL = 640
"""Pixels on the long side of what is in a page."""

EXPLAINING: Mapping[str, str] = {"same-picture": "alignment", "same-object": "keypoints-rootsift"}
"""The measure whose picture shows what a kind of verdict rests on."""


@dataclass(frozen=True)
class Member:
    """A picture in a section: its number there, its file's size in bytes, and a thumbnail as an address with data."""

    number: int
    picture: ScannedImage
    bytes: int
    thumbnail: str


@dataclass(frozen=True)
class ReportRow:
    """A pair in a section: its members, and where there is one, the picture that explains it, here and as a file."""

    a: Member
    b: Member
    finding: VerifiedPair
    panel: str
    file: str


@dataclass(frozen=True)
class Section:
    """Pairs that belong together, or a part of them."""

    title: str
    is_continued: bool
    members: list[Member]
    rows: list[ReportRow]


@dataclass(frozen=True)
class Summary:
    """What an audit was of, and what became of it."""

    name: str
    pictures: int
    candidates: int
    problems: Sequence[str]


def write_report(folder: Path, summary: Summary, findings: Sequence[VerifiedPair], jobs: int) -> Iterator[str]:
    """Write index.html and further pages, pairs.csv and pictures/; give the name of each page that is written."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    _write_table(folder / "pairs.csv", findings)
    grouped = group_pairs(findings)
    chunks = list(_chunks(grouped))
    pages = list(_paged(chunks))
    names = ["index.html", *(f"page-{number}.html" for number in range(2, len(pages) + 1))]
    for stale in folder.glob("page-*.html"):
        if stale.name not in names:
            stale.unlink()
    kinds = Counter(finding.kind for finding in findings)
    shared = {
        "summary": summary,
        "kinds": [(Verdict(kind).title, count) for kind, count in kinds.most_common()],
        "groups": sum(group[0].is_copy for group in grouped),
        "names": names,
        "date": timezone.localtime(),
    }
    views = ImageCache()
    for name, page in zip(names, pages, strict=True):
        sections = list(map_in_threads(lambda chunk: _section(folder, *chunk, views), page, jobs))
        html = render_to_string("similar_images/audit_report.html", {**shared, "sections": sections, "name": name})
        (folder / name).write_text(html, encoding="utf-8", errors="backslashreplace")
        yield name


def _chunks(grouped: list[list[VerifiedPair]]) -> Iterator[tuple[list[VerifiedPair], bool]]:
    """The groups, those too large for a page in parts; and whether a part continues another."""
    for group in grouped:
        for start in range(0, len(group), PAIRS_PER_PAGE):
            yield group[start : start + PAIRS_PER_PAGE], start > 0


def _paged(chunks: list[tuple[list[VerifiedPair], bool]]) -> Iterator[list[tuple[list[VerifiedPair], bool]]]:
    """At least one page, even of nothing."""
    page: list[tuple[list[VerifiedPair], bool]] = []
    count = 0
    for chunk in chunks:
        if page and count + len(chunk[0]) > PAIRS_PER_PAGE:
            yield page
            page, count = [], 0
        page.append(chunk)
        count += len(chunk[0])
    yield page


def _section(folder: Path, findings: list[VerifiedPair], is_continued: bool, views: ImageCache) -> Section:
    members: dict[str, Member] = {}
    for finding in findings:
        for picture in (finding.a, finding.b):
            if picture.name not in members:
                members[picture.name] = report_member(len(members) + 1, picture)
    rows = []
    for finding in findings:
        file = _panel(folder, finding, views) if finding.kind in EXPLAINING else ""
        panel = _address(_small(folder / file)) if file else ""
        rows.append(ReportRow(members[finding.a.name], members[finding.b.name], finding, panel, file))
    title = Verdict("same-picture" if findings[0].is_copy else findings[0].kind).title
    return Section(title, is_continued, list(members.values()), rows)


def report_member(number: int, picture: ScannedImage) -> Member:
    """The picture with a thumbnail of its file, or none where that can't be read any more."""
    try:
        data = picture.read()
        pixels = decode.decode(data, max_pixels=conf.get().max_pixels).pixels
    except decode.INTERRUPTIONS:
        raise
    except Exception:  # a file that went meanwhile: the report is of what was there
        return Member(number, picture, 0, "")
    return Member(number, picture, len(data), _address(_jpeg(reduce_to(pixels, THUMBNAIL), 80)))


def _panel(folder: Path, finding: VerifiedPair, views: ImageCache) -> str:
    """The file, made where it is not there yet, of a picture that explains the verdict; "" where there is none."""
    name = f"pictures/{finding.a.sha256[:16]}-{finding.b.sha256[:16]}.png"
    if (folder / name).exists():
        return name
    try:
        picture = _explanation(plugins.available_measures()[EXPLAINING[finding.kind]], finding, views)
    except decode.INTERRUPTIONS:
        raise
    except Exception:  # the verdict stands without a picture
        logger.exception("What %s and %s have in common can't be drawn.", finding.a.name, finding.b.name)
        return ""
    (folder / name).write_bytes(canvas.encode_png(picture))
    return name


def _explanation(measure: Measure, finding: VerifiedPair, views: ImageCache) -> NDArray[np.uint8]:
    a, b = views.of(finding.a), views.of(finding.b)
    reading = measure.measure(a, b)
    drawing, title = next(iter(measure.drawings.items()))
    return canvas.add_title(measure.draw(drawing, a, b, reading), str(title), measure.caption(reading))


def _small(path: Path) -> bytes:
    with Image.open(path) as file:
        image = file.convert("RGB")
    image.thumbnail((PANEL, PANEL))
    return _encoded(image, 78)


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    return _encoded(Image.fromarray(pixels), quality)


def _encoded(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()


def _address(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _write_table(path: Path, findings: Sequence[VerifiedPair]) -> None:
    methods = list(dict.fromkeys(name for finding in findings for name in finding.similarities))
    # Spreadsheet programs take a file for UTF-8 by this mark.
    with path.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace") as file:
        table = csv.writer(file)
        sizes = ["a_width", "a_height", "b_width", "b_height"]
        table.writerow(["a", "b", "kind", "verdict", "similarity", *methods, *sizes])
        for found in findings:
            a, b = found.a, found.b
            said = [f"{found.similarities[name]:.1f}" if name in found.similarities else "" for name in methods]
            names = [_plain(a.name), _plain(b.name)]
            table.writerow(
                [*names, found.kind, found.text, found.similarity, *said, a.width, a.height, b.width, b.height]
            )


def _plain(text: str) -> str:
    """A name that no spreadsheet program takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text

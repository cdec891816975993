"""Two pictures at hand, compared: by every measure, with a verdict in words and pictures that explain it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from django.core.files.uploadedfile import UploadedFile
from django.db import models
from django.db.models.fields.files import FieldFile
from django.utils.translation import gettext as _

from . import conf, registry
from .imaging import decode, timeouts
from .imaging.files import MissingFile, Readable, read_bounded, read_stored, sha256_of
from .measures.base import ComparisonImage, Measure, MeasureResult, Unavailable
from .plugins import select_measures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .measures.verdict import Verdict

    Comparable = models.Model | FieldFile | Readable | bytes | str | Path | NDArray[np.uint8]

logger = logging.getLogger(__name__)


class Incomparable(decode.UnreadableImage):
    """One of two pictures can't be read: `which` of them, and the `reason`, for people."""

    def __init__(self, which: Literal["a", "b"], reason: str) -> None:
        self.which = which
        self.reason = reason
        first = _("The first picture can't be compared: %(reason)s")
        second = _("The second picture can't be compared: %(reason)s")
        super().__init__((first if which == "a" else second) % {"reason": reason})


@dataclass(frozen=True)
class MeasureRow:
    """What one measure says: its reading, or why there is none.

    `similarity` is 0 to 100 percent with one decimal; `seconds` are those of this call, in which what several
    measures need is counted for the first of them.
    """

    measure: Measure
    reading: MeasureResult | None
    similarity: float | None
    seconds: float
    problem: str = ""

    @property
    def value(self) -> float | None:
        """The reading in the measure's own unit."""
        return None if self.reading is None else self.reading.value


@dataclass(frozen=True)
class Comparison(Mapping[str, MeasureRow]):
    """What every measure says of two pictures, by name, and what it comes to."""

    a: ComparisonImage
    b: ComparisonImage
    rows: Mapping[str, MeasureRow]
    verdict: Verdict

    def __getitem__(self, name: str) -> MeasureRow:
        return self.rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def pictures(self) -> Iterator[tuple[str, str, bytes]]:
        """Name, title and PNG file of every picture that explains a measure's reading."""
        for row in self.rows.values():
            yield from self.pictures_of(row)

    def pictures_of(self, row: MeasureRow) -> Iterator[tuple[str, str, bytes]]:
        """The same of one measure: names begin with its own."""
        from .measures.drawing import canvas

        measure, reading = row.measure, row.reading
        if reading is None:
            return
        for name, title in measure.drawings.items():
            try:
                panel = measure.draw(name, self.a, self.b, reading)
                titled = canvas.add_title(panel, f"{title} ({measure.title})", measure.caption(reading))
            except Exception:  # a measure's own fault takes nothing from the others
                logger.exception("The measure %s failed to draw %s.", measure.name, name)
            else:
                yield f"{measure.name}-{name}", str(title), canvas.encode_png(titled)


def compare(
    a: Comparable, b: Comparable, *, measures: Iterable[str] | None = None, field: str | None = None
) -> Comparison:
    """Compare two pictures by every measure, or by those named.

    Args:
        a: a picture: an object of a registered model, the file of its image field, an open binary file, a path, bytes
            of a picture file, or an array of RGB pixels of shape (height, width, 3). What a visitor uploads is held to
            SIMILAR_IMAGES["SEARCH_MAX_BYTES"] and ["SEARCH_MAX_PIXELS"], all else to MAX_BYTES and MAX_PIXELS.
        b: another.
        measures: names of measures; all of them by default.
        field: the image field of objects, where their model has several.

    Returns:
        What each measure says, by name, and a verdict. A measure that can't be had, fails or takes longer than
        SIMILAR_IMAGES["COMPARE_TIMEOUT"] says so in its row; the others go on.

    Raises:
        Incomparable: one of the two is no picture that can be read.
        NotRegistered: an object's model or field is no source.
        ValueError: there is no measure of a name.
    """
    from .measures.verdict import judge_pair

    wanted = select_measures(measures)
    (one, digest_a), (other, digest_b) = _one_of_two("a", a, field), _one_of_two("b", b, field)
    rows = {name: _row(measure, one, other) for name, measure in wanted.items()}
    is_same_file = digest_a is not None and digest_a == digest_b
    return Comparison(one, other, rows, judge_pair(one, other, is_same_file=is_same_file))


def _one_of_two(which: Literal["a", "b"], picture: Comparable, field: str | None) -> tuple[ComparisonImage, str | None]:
    try:
        return open_for_comparison(picture, field)
    except decode.UnreadableImage as error:
        raise Incomparable(which, str(error)) from error


def open_for_comparison(picture: Comparable, field: str | None = None) -> tuple[ComparisonImage, str | None]:
    """A picture as measures see it, and the SHA-256 of its file where it comes from one.

    Raises:
        UnreadableImage: it is no picture that can be read.
        NotRegistered: the object's model or field is no source.
    """
    import numpy as np

    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise decode.UnreadableImage(_("Pixels must be an array of bytes of shape (height, width, 3)."))
        return ComparisonImage(picture), None
    settings = conf.get()
    bounds = settings.max_bytes, settings.max_pixels
    if isinstance(picture, UploadedFile):
        bounds = settings.search_max_bytes, settings.search_max_pixels
    data = _bytes(picture, field, bounds[0])
    return ComparisonImage.from_file(data, max_pixels=bounds[1]), sha256_of(data)


def _bytes(picture: Any, field: str | None, max_bytes: int) -> bytes:
    if isinstance(picture, models.Model):
        source = registry.get_source(picture.__class__, field)
        picture = getattr(picture, source.field_name)
    if isinstance(picture, FieldFile):
        if not picture.name:
            raise MissingFile(_("%(object)s has no picture.") % {"object": picture.instance})
        return read_stored(picture.storage, picture.name, max_bytes=max_bytes)
    if isinstance(picture, (str, Path)):
        with open(picture, "rb") as opened_file:
            return read_bounded(opened_file, max_bytes=max_bytes)
    if isinstance(picture, (bytes, bytearray, memoryview)):
        import io

        picture = io.BytesIO(picture)
    return read_bounded(picture, max_bytes=max_bytes)


def _row(measure: Measure, a: ComparisonImage, b: ComparisonImage) -> MeasureRow:
    started = time.perf_counter()
    reading, similarity, problem = None, None, " ".join(measure.check())
    if not problem:
        try:
            reading = timeouts.run_with_timeout(conf.get().compare_timeout, "measures", measure.measure, a, b)
            similarity = round(measure.similarity(reading), 1)
        except TimeoutError:
            problem = _("It took too long.")
        except Unavailable as error:
            problem = str(error)
        except Exception:  # a measure's own fault takes nothing from the others
            logger.exception("The measure %s failed.", measure.name)
            problem = _("It failed; the log says why.")
    return MeasureRow(measure, reading, similarity, time.perf_counter() - started, problem)

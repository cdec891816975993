"""Compare two images at hand: by every measure, with a verdict in words and drawings that explain it."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from django.core.files.uploadedfile import UploadedFile
from django.db import models
from django.db.models.fields.files import FieldFile
from django.utils.translation import gettext as _

from .. import conf, registry
from ..imaging import decode, timeouts
from ..imaging.files import MissingFile, Readable, read_bounded, read_stored, sha256_of
from ..measures.base import ComparisonImage, Measure, MeasureResult, Unavailable
from ..plugins import select_measures
from ..search.ranking import image_similarity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..measures.verdict import Verdict

    Comparable = models.Model | FieldFile | Readable | bytes | str | Path | NDArray[np.uint8]
    OpenedImage = tuple[ComparisonImage, str | None]

logger = logging.getLogger(__name__)


class Incomparable(decode.UnreadableImage):
    """One of two images can't be read: `which` of them, and the `reason`, for people."""

    def __init__(self, which: Literal["a", "b"], reason: str) -> None:
        self.which = which
        self.reason = reason
        first = _("The first image can't be compared: %(reason)s")
        second = _("The second image can't be compared: %(reason)s")
        super().__init__((first if which == "a" else second) % {"reason": reason})


@dataclass(frozen=True)
class MeasureRow:
    """The result of one measure, or the reason why there is none.

    Attributes:
        measure: the measure.
        result: None if there is a problem.
        similarity: 0 to 100 percent with one decimal.
        seconds: time of this call; what several measures share is counted for the first of them.
        problem: a sentence for people; empty if there is a result.
        is_unavailable: whether the problem is that the installation lacks what the measure needs.
    """

    measure: Measure
    result: MeasureResult | None
    similarity: float | None
    seconds: float
    problem: str = ""
    is_unavailable: bool = False

    @property
    def value(self) -> float | None:
        """The result in the measure's own unit."""
        return None if self.result is None else self.result.value


@dataclass(frozen=True)
class Comparison(Mapping[str, MeasureRow]):
    """The result of every measure for two images, by name, and the verdict."""

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

    @property
    def is_complete(self) -> bool:
        """True if every measure has a result, but for those that are not installed."""
        return all(row.is_unavailable or not row.problem for row in self.rows.values())

    def pictures(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield name, title and PNG file of every drawing that explains a result."""
        for row in self.rows.values():
            yield from self.pictures_of(row)

    def pictures_of(self, row: MeasureRow) -> Iterator[tuple[str, str, bytes]]:
        """Yield name, title and PNG file of one measure's drawings; names begin with its own."""
        from ..measures.drawing import canvas

        measure, result = row.measure, row.result
        if result is None:
            return
        for name, title in measure.drawings.items():
            try:
                panel = measure.draw(name, self.a, self.b, result)
                titled = canvas.add_title(panel, f"{title} ({measure.title})", measure.caption(result))
            except Exception:  # an error in one measure must not hide the others
                logger.exception("The measure %s failed to draw %s.", measure.name, name)
            else:
                yield f"{measure.name}-{name}", str(title), canvas.encode_png(titled)


def compare(
    a: Comparable, b: Comparable, *, measures: Iterable[str] | None = None, field: str | None = None
) -> Comparison:
    """Compare two images by every measure, or by those named.

    Args:
        a: an image: an object of a registered model, the file of its image field, an open binary file, a path, bytes
            of an image file, or an array of RGB pixels of shape (height, width, 3). Uploads of visitors are limited by
            SIMILAR_IMAGES["SEARCH_MAX_BYTES"] and ["SEARCH_MAX_PIXELS"], all else by MAX_BYTES and MAX_PIXELS.
        b: another.
        measures: names of measures; all of them by default.
        field: the image field of objects, if their model has several.

    Returns:
        The result of each measure, by name, and the verdict. A measure that is not installed, fails or takes longer
        than SIMILAR_IMAGES["COMPARE_TIMEOUT"] has a `problem` in its row; the others go on.

    Raises:
        Incomparable: one of the two is no image that can be read.
        NotRegistered: an object's model or field is no source.
        ValueError: there is no measure of a name.
    """
    select_measures(measures)  # unknown names are an error before any image is
    return compare_opened(open_or_blame("a", a, field), open_or_blame("b", b, field), measures)


def compare_opened(a: OpenedImage, b: OpenedImage, measures: Iterable[str] | None = None) -> Comparison:
    """Compare two images as `compare` does, which are open already.

    Raises:
        ValueError: there is no measure of a name.
    """
    from ..measures.verdict import judge_pair

    selected = select_measures(measures)
    (image_a, digest_a), (image_b, digest_b) = a, b
    rows = {name: _run_measure(measure, image_a, image_b) for name, measure in selected.items()}
    is_same_file = digest_a is not None and digest_a == digest_b
    similarity = partial(image_similarity, image_a, image_b)
    return Comparison(image_a, image_b, rows, judge_pair(image_a, image_b, similarity, is_same_file=is_same_file))


def open_or_blame(
    which: Literal["a", "b"], image: Comparable, field: str | None = None, timeout: float | None = None
) -> OpenedImage:
    """Open an image as `open_for_comparison` does.

    Raises:
        Incomparable: it is no image that can be read; the error says which of the two.
    """
    try:
        return open_for_comparison(image, field, timeout)
    except decode.UnreadableImage as error:
        raise Incomparable(which, str(error)) from error


def open_for_comparison(image: Comparable, field: str | None = None, timeout: float | None = None) -> OpenedImage:
    """Return an image ready to be compared, and the SHA-256 of its file if it comes from one.

    Args:
        image: as for `compare`.
        field: the image field of objects, if their model has several.
        timeout: seconds after which decoding is given up.

    Raises:
        DecoderUnavailable: there was no time.
        UnreadableImage: it is no image that can be read.
        NotRegistered: the object's model or field is no source.
    """
    import numpy as np

    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise decode.UnreadableImage(_("Pixels must be a uint8 array of shape (height, width, 3)."))
        return ComparisonImage(image), None
    settings = conf.get()
    max_bytes, max_pixels = settings.max_bytes, settings.max_pixels
    if isinstance(image, UploadedFile):
        max_bytes, max_pixels = settings.search_max_bytes, settings.search_max_pixels
    data = _read_bytes(image, field, max_bytes)
    return ComparisonImage.from_file(data, max_pixels=max_pixels, timeout=timeout), sha256_of(data)


def _read_bytes(image: Any, field: str | None, max_bytes: int) -> bytes:
    if isinstance(image, models.Model):
        source = registry.get_source(image.__class__, field)
        image = getattr(image, source.field_name)
    if isinstance(image, FieldFile):
        if not image.name:
            raise MissingFile(_("%(object)s has no image.") % {"object": image.instance})
        return read_stored(image, max_bytes=max_bytes)
    if isinstance(image, (str, Path)):
        with open(image, "rb") as opened_file:
            return read_bounded(opened_file, max_bytes=max_bytes)
    if isinstance(image, (bytes, bytearray, memoryview)):
        image = io.BytesIO(image)
    return read_bounded(image, max_bytes=max_bytes)


def _run_measure(measure: Measure, a: ComparisonImage, b: ComparisonImage) -> MeasureRow:
    started = time.perf_counter()
    result, similarity, problem = None, None, " ".join(measure.check())
    is_unavailable = bool(problem)
    if not problem:
        try:
            result = timeouts.run_with_timeout(conf.get().compare_timeout, "measures", measure.measure, a, b)
            similarity = round(measure.similarity(result), 1)
        except TimeoutError:
            problem = _("Timed out.")
        except Unavailable as error:
            problem, is_unavailable = str(error), True
        except Exception:  # an error in one measure must not stop the others
            logger.exception("The measure %s failed.", measure.name)
            problem = _("Failed; see the log for details.")
    return MeasureRow(measure, result, similarity, time.perf_counter() - started, problem, is_unavailable)

"""Candidates' images, read and compared with the query's in bounded time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from django.db import models
from django.db.models.fields.files import FieldFile

from ... import conf
from ...imaging import decode, timeouts
from ...imaging.files import read_stored
from ...printable import make_printable
from ...sources.source import ImageSource
from ..candidates import ScoredCandidate

if TYPE_CHECKING:
    from ...measures.base import ComparisonImage

logger = logging.getLogger(__name__)

PairResult = TypeVar("PairResult")


class PairResults(dict[int, PairResult], Generic[PairResult]):
    """Results of comparisons by record id; `is_complete` is False where time ran out, or a storage was down."""

    is_complete = True


def compare_candidates(
    source: ImageSource,
    query: models.Model | bytes,
    candidates: Iterable[ScoredCandidate],
    compare: Callable[[ComparisonImage, ComparisonImage, ScoredCandidate], PairResult],
    *,
    long_side: int,
    choose: Callable[[Callable[[], ComparisonImage | None]], Iterable[ScoredCandidate]] | None = None,
) -> PairResults[PairResult]:
    """Compare the query's image with that of each candidate; return the results by record id.

    Images that can't be read are left out, and so are those that SIMILAR_IMAGES["REQUEST_TIMEOUT"] leaves no time for,
    or that a storage does not give: then the results are not complete.

    Args:
        source: the source that the candidates are of.
        query: an object of it, or the bytes of an image.
        candidates: candidates, in the order in which they are compared.
        compare: compares the query's image with a candidate's.
        long_side: pixels on the long side that images are reduced to.
        choose: picks those of the candidates that are compared, given a function that reads the query's image.
    """
    results: PairResults[PairResult] = PairResults()
    unavailable: list[str] = []
    timeout = conf.get().request_timeout
    end = monotonic() + timeout
    candidates = list(candidates)
    files = source.get_files({each.candidate.object_id: each.candidate.file_name for each in candidates})

    def work() -> None:
        load_query = cache(lambda: _query_image(source, query, long_side, end, unavailable))
        for scored in choose(load_query) if choose else candidates:
            image = load_query()
            if image is None or monotonic() >= end:
                unavailable.append(scored.candidate.file_name)
                return
            file = files.get(scored.candidate.object_id)
            other = _stored_image(source, file, long_side, end, unavailable) if file else None
            if other is not None:
                results[scored.candidate.record_id] = compare(image, other, scored)

    try:
        timeouts.run_for_request(timeout, work, pool="image_pairs")
    except timeouts.SearchTimeout:
        unavailable.append("")
    compared = PairResults(results)  # the work may still go on
    compared.is_complete = not unavailable
    if unavailable:
        logger.warning("A search of %s had no time to compare all images that it found.", source.label)
    return compared


def _query_image(
    source: ImageSource, query: models.Model | bytes, long_side: int, end: float, unavailable: list[str]
) -> ComparisonImage | None:
    if isinstance(query, models.Model):
        return _stored_image(source, getattr(query, source.field_name), long_side, end, unavailable)
    return _decode_image(query, conf.get().search_max_pixels, long_side, end)


def _stored_image(
    source: ImageSource, file: FieldFile, long_side: int, end: float, unavailable: list[str]
) -> ComparisonImage | None:
    """Return a stored image; None where it can't be read, with its name in `unavailable` if that may change."""
    settings = conf.get()
    try:
        data = read_stored(file, max_bytes=settings.max_bytes)
        return _decode_image(data, settings.max_pixels, long_side, end)
    except decode.INTERRUPTIONS:
        raise
    except Exception as error:  # whatever one file or its storage raises, the search goes on without it
        logger.warning("%s", make_printable(f"{file.name} of {source.label} can't be compared: {error}"))
        if not isinstance(error, decode.UnreadableImage):
            unavailable.append(file.name or "")
        return None


def _decode_image(data: bytes, max_pixels: int, long_side: int, end: float) -> ComparisonImage:
    from ...measures.base import ComparisonImage

    return ComparisonImage.from_file(data, max_pixels=max_pixels, long_side=long_side, timeout=end - monotonic())

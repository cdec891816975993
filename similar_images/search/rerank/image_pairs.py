"""Candidates' images, read and compared with the query's in bounded time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from django.db import models

from ... import conf
from ...imaging import decode, timeouts
from ...imaging.files import read_stored
from ...printable import make_printable
from ...registry import ImageSource
from ..candidates import ScoredCandidate

if TYPE_CHECKING:
    from ...measures.base import ComparisonImage

logger = logging.getLogger(__name__)

PairResult = TypeVar("PairResult")


def compare_candidates(
    source: ImageSource,
    query: models.Model | bytes,
    candidates: Iterable[ScoredCandidate],
    compare: Callable[[ComparisonImage, ComparisonImage, ScoredCandidate], PairResult],
    *,
    long_side: int,
) -> dict[int, PairResult]:
    """Compare the query's image with that of each candidate; return the results by record id.

    Images that can't be read are left out, and so are those that SIMILAR_IMAGES["REQUEST_TIMEOUT"] leaves no time for.

    Args:
        source: the source that the candidates are of.
        query: an object of it, or the bytes of an image.
        candidates: candidates, in the order in which they are compared.
        compare: compares the query's image with a candidate's.
        long_side: pixels on the long side that images are reduced to.
    """
    results: dict[int, PairResult] = {}
    timeout = conf.get().request_timeout
    end = monotonic() + timeout

    def work() -> None:
        image = _query_image(source, query, long_side, end)
        for scored in candidates:
            if image is None or monotonic() >= end:
                return
            other = _stored_image(source, scored.candidate.file_name, long_side, end)
            if other is not None:
                results[scored.candidate.record_id] = compare(image, other, scored)

    try:
        timeouts.run_for_request(timeout, work, pool="image_pairs")
    except timeouts.SearchTimeout:
        logger.warning("A search of %s had no time to compare all images that it found.", source.label)
    return dict(results)


def _query_image(
    source: ImageSource, query: models.Model | bytes, long_side: int, end: float
) -> ComparisonImage | None:
    if isinstance(query, models.Model):
        return _stored_image(source, source.get_file_name(query), long_side, end)
    return _decode_image(query, conf.get().search_max_pixels, long_side, end)


def _stored_image(source: ImageSource, file_name: str, long_side: int, end: float) -> ComparisonImage | None:
    settings = conf.get()
    try:
        data = read_stored(source.field.storage, file_name, max_bytes=settings.max_bytes)
        return _decode_image(data, settings.max_pixels, long_side, end)
    except decode.INTERRUPTIONS:
        raise
    except Exception as error:  # whatever one file or its storage raises, the search goes on without it
        logger.warning("%s", make_printable(f"{file_name} of {source.label} can't be compared: {error}"))
        return None


def _decode_image(data: bytes, max_pixels: int, long_side: int, end: float) -> ComparisonImage:
    from ...measures.base import ComparisonImage

    return ComparisonImage.from_file(data, max_pixels=max_pixels, long_side=long_side, timeout=end - monotonic())

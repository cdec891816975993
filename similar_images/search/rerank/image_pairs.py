"""The pictures of what a search found, read and compared with the query's, in bounded time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from django.db import models

from ... import conf
from ...imaging import decode, timeouts
from ...registry import ImageSource
from .. import candidates as nearest

if TYPE_CHECKING:
    from ...measures.base import ComparisonImage

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


def compare_candidates(
    source: ImageSource,
    query: models.Model | bytes,
    candidates: Iterable[nearest.ScoredCandidate],
    compare: Callable[[ComparisonImage, ComparisonImage, nearest.ScoredCandidate], Result],
    *,
    long_side: int,
) -> dict[int, Result]:
    """What comparing the query's picture with that of each candidate tells, by the candidate's record.

    Pictures are read through the storage of the source, at most `long_side` pixels on the long side. What can't be
    read is left out, and so is what SIMILAR_IMAGES["REQUEST_TIMEOUT"] has no time left for.
    """
    results: dict[int, Result] = {}
    end = monotonic() + conf.get().request_timeout

    def work() -> None:
        view = _query(source, query, long_side)
        for one in candidates:
            if view is None or monotonic() >= end:
                return
            if (other := _stored(source, one.candidate.file_name, long_side)) is not None:
                results[one.candidate.record_id] = compare(view, other, one)

    try:
        timeouts.run_for_request(conf.get().request_timeout, work)
    except timeouts.SearchTimeout:
        logger.warning("A search of %s had no time to compare all pictures that it found.", source.label)
    return dict(results)


def _query(source: ImageSource, query: models.Model | bytes, long_side: int) -> ComparisonImage | None:
    if isinstance(query, models.Model):
        return _stored(source, source.get_file_name(query), long_side)
    return _view(query, conf.get().search_max_pixels, long_side)


def _stored(source: ImageSource, file_name: str, long_side: int) -> ComparisonImage | None:
    settings = conf.get()
    try:
        data = decode.read_stored(source.field.storage, file_name, max_bytes=settings.max_bytes)
        return _view(data, settings.max_pixels, long_side)
    except decode.INTERRUPTIONS:
        raise
    except Exception as error:  # whatever one file or its storage brings, the search goes on without
        logger.warning("%s of %s can't be compared: %s", file_name, source.label, error)
        return None


def _view(data: bytes, max_pixels: int, long_side: int) -> ComparisonImage:
    from ...measures.base import ComparisonImage

    return ComparisonImage.from_file(data, max_pixels=max_pixels, long_side=long_side)

"""The pictures of what a search found, read and compared with the query's, in bounded time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from django.db import models

from .. import bounded, conf, images
from ..registry import ImageSource
from . import nearest

if TYPE_CHECKING:
    from ..measures.base import View

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


def compared(
    source: ImageSource,
    query: models.Model | bytes,
    candidates: Iterable[nearest.Ranked],
    compare: Callable[[View, View, nearest.Ranked], Result],
    *,
    long_side: int,
) -> dict[int, Result]:
    """What comparing the query's picture with that of each candidate tells, by the candidate's record.

    Pictures are read through the storage of the source, at most `long_side` pixels on the long side. What can't be
    read is left out, and so is what SIMILAR_IMAGES["SEARCH_TIMEOUT"] has no time left for.
    """
    results: dict[int, Result] = {}
    end = monotonic() + conf.get().search_timeout

    def work() -> None:
        view = _query(source, query, long_side)
        for one in candidates:
            if view is None or monotonic() >= end:
                return
            if (other := _stored(source, one.candidate.file_name, long_side)) is not None:
                results[one.candidate.record_id] = compare(view, other, one)

    try:
        bounded.in_time(work)
    except bounded.SearchTimeout:
        logger.warning("A search of %s had no time to compare all pictures that it found.", source.label)
    return dict(results)


def _query(source: ImageSource, query: models.Model | bytes, long_side: int) -> View | None:
    if isinstance(query, models.Model):
        return _stored(source, source.file_name(query), long_side)
    return _view(query, conf.get().search_max_pixels, long_side)


def _stored(source: ImageSource, file_name: str, long_side: int) -> View | None:
    settings = conf.get()
    try:
        data = images.read(source.field.storage, file_name, max_bytes=settings.max_bytes)
        return _view(data, settings.max_pixels, long_side)
    except images.INTERRUPTIONS:
        raise
    except Exception as error:  # whatever one file or its storage brings, the search goes on without
        logger.warning("%s of %s can't be compared: %s", file_name, source.label, error)
        return None


def _view(data: bytes, max_pixels: int, long_side: int) -> View:
    from ..measures.base import View

    return View.of_file(data, max_pixels=max_pixels, long_side=long_side)

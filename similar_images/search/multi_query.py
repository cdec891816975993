"""What a search goes by, beyond one picture: several examples, what is not wanted, a part of a picture, a fallback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from typing import Any, Literal

from django.db import models
from django.utils.translation import gettext as _

from .. import conf
from ..imaging import decode
from ..imaging.timeouts import SearchTimeout
from ..models import IndexedImage, IndexedImageQuerySet
from ..registry import ImageSource
from . import candidates
from .candidates import Candidate, ScoredCandidate
from .query_vectors import QueryVector
from .ranking import Ranking

logger = logging.getLogger(__name__)

NEGATIVE_WEIGHT = 0.5
"""The share of the similarity to what is not wanted that is taken off."""

MULTI_QUERY_FACTOR, MULTI_QUERY_MAX = 4, 400
"""Candidates for so many times the matches, and for so many at most, where there are several examples: what is best by
all of them may be among the nearest of none."""

Fallback = Literal["newest"] | Callable[[ImageSource, "models.QuerySet[Any]", int], Iterable[models.Model]]
"""What comes where nothing is similar enough: the newest objects, or those that a callable says, which gets the source,
the objects that may come back, and how many are wanted."""


def score_examples(
    source: ImageSource,
    likes: list[list[QueryVector]],
    unlikes: list[list[QueryVector]],
    weights: Ranking,
    records: models.QuerySet[IndexedImage],
    limit: int,
) -> list[ScoredCandidate]:
    """As `nearest.scored`, by the signatures of several pictures: some that are looked for, and some that are not."""
    if len(likes) == 1 and not unlikes:
        return candidates.score(source, likes[0], weights, records, limit)
    every = [operand for example in (*likes, *unlikes) for operand in example]
    wide = max(limit, min(MULTI_QUERY_FACTOR * limit, MULTI_QUERY_MAX))
    rows = candidates.knn_rows(source, every, records, candidates.pool_sizes(every, weights, wide), limit)
    return candidates.sort_scored(rank_rows(likes, unlikes, weights, rows))


def rank_rows(
    likes: list[list[QueryVector]],
    unlikes: list[list[QueryVector]],
    weights: Ranking,
    rows: Sequence[Sequence[Any]],
    *,
    truly: bool = True,
) -> list[ScoredCandidate]:
    """The rows of a statement by the operands of all examples, in percent; by truer distances where there are any."""
    by_example: list[dict[int, ScoredCandidate]] = []
    start = 0
    for operands in (*likes, *unlikes):
        columns = [(start + n, operand.form.name) for n, operand in enumerate(operands)]
        found = [candidates.candidate_from_row(row, columns) for row in rows]
        found = candidates.refine_distances(operands, found) if truly else found
        by_example.append(
            {one.candidate.record_id: one for one in candidates.score_candidates(operands, found, weights)}
        )
        start += len(operands)
    best = []
    for record_id, *_rest in rows:
        wanted, unwanted = (
            [by_record[record_id] for by_record in group if record_id in by_record]
            for group in (by_example[: len(likes)], by_example[len(likes) :])
        )
        if wanted:
            best.append(combine_examples(wanted, unwanted))
    return best


def combine_examples(wanted: Sequence[ScoredCandidate], unwanted: Sequence[ScoredCandidate]) -> ScoredCandidate:
    """One candidate by all examples: the mean similarity to those that are wanted, less half of the greatest to one
    that is not; never below 0. The same by each method; distances are those to the wanted one that is nearest."""

    def less(likes: list[float], unlikes: list[float]) -> float:
        return max(sum(likes) / len(likes) - NEGATIVE_WEIGHT * max(unlikes, default=0), 0)

    scores = {
        name: less(*([one.scores[name] for one in group if name in one.scores] for group in (wanted, unwanted)))
        for name in {name: None for one in wanted for name in one.scores}
    }
    similarity = less([one.similarity for one in wanted], [one.similarity for one in unwanted])
    found_by = list(dict.fromkeys(name for one in wanted for name in one.candidate.found_by))
    return ScoredCandidate(similarity, candidates.sort_scored(wanted)[0].candidate._replace(found_by=found_by), scores)


def clean_box(box: Sequence[float]) -> decode.Box:
    """A box that is a part of a picture.

    Raises:
        ValueError: it is none.
    """
    try:
        x, y, width, height = (float(number) for number in box)
    except (TypeError, ValueError):
        raise ValueError(_("Write a box as left, top, width and height, in fractions of the picture.")) from None
    lies_within = all(isfinite(n) for n in (x, y, width, height)) and min(x, y) >= 0 and min(width, height) > 0
    if not lies_within or max(x + width, y + height) > 1.000_001:
        raise ValueError(_("A box must lie within the picture: left, top, width and height are fractions of it."))
    return x, y, width, height


def query_file(source: ImageSource, item: models.Model, visible: models.QuerySet[Any]) -> bytes:
    """The picture file of an object, held to the bounds of an upload; empty where it has none, or may not be seen.

    Raises:
        UnreadableImage: it is missing or too large.
        SearchTimeout: the storage does not give it.
    """
    name = source.get_file_name(item)
    if not name or not source.contains(visible, item):
        return b""
    try:
        return decode.read_stored(source.field.storage, name, max_bytes=conf.get().search_max_bytes)
    except (decode.UnreadableImage, *decode.INTERRUPTIONS):
        raise
    except Exception as error:  # whatever a storage raises where it is down
        logger.warning("%s of %s can't be read: %s", name, source.label, error)
        raise SearchTimeout(_("The picture can't be read now; try again later.")) from None


def fallback_results(
    source: ImageSource,
    fallback: Fallback,
    records: IndexedImageQuerySet,
    allowed: Sequence[models.QuerySet[Any]],
    excluded: Iterable[Any],
    limit: int,
) -> list[ScoredCandidate]:
    """What a caller wants to see where nothing is similar enough, of what may be seen, at 0 percent."""
    records = records.indexed()
    if fallback == "newest":
        found = list(records.order_by("-pk")[:limit])
    else:
        objects = source.as_filterable(allowed[-1]).exclude(pk__in=list(excluded))
        for others in allowed[:-1]:
            objects = objects.filter(pk__in=source.as_filterable(others).values("pk"))
        keys = [source.object_id(item.pk) for item in fallback(source, objects, limit)]
        places = {key: place for place, key in reversed(list(enumerate(keys)))}
        found = sorted(records.filter(object_id__in=keys), key=lambda record: places[record.object_id])[:limit]
    return [ScoredCandidate(0, Candidate(r.pk, r.object_id, r.file_name, {}, []), {}) for r in found]

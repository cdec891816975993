"""Diversity of the results: one match a group of objects (`distinct`), and variety (MMR)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import FieldError
from django.db import models

from ..registry import ImageSource
from .candidates import ScoredCandidate
from .near_duplicates import PairSimilarities
from .options import OptionError

MAX_DIVERSIFIED = 100
"""Results that are reordered for variety; those after them keep their ranks."""


def check_group_path(source: ImageSource, path: str) -> None:
    """Check that objects of the source can be grouped by a field path.

    Raises:
        OptionError: there is no such field.
    """
    try:
        source.objects.values(path)
    except FieldError as error:
        raise OptionError("distinct", f"distinct={path!r}: {error}") from None


def exclude_same_group(source: ImageSource, pks: list[Any], path: str) -> models.QuerySet[Any]:
    """Return the objects that have no value in common with these at the field path."""
    values = source.objects.filter(pk__in=pks, **{f"{path}__isnull": False}).values(path)
    return source.objects.exclude(**{f"{path}__in": values})


def exclude_groups(source: ImageSource, values: Iterable[Any], path: str) -> models.QuerySet[Any]:
    """Return the objects that have none of these values at the field path."""
    return source.objects.exclude(**{f"{path}__in": {value for value in values if value is not None}})


def group_values(source: ImageSource, path: str, results: list[ScoredCandidate]) -> dict[str, Any]:
    """Return the value at the field path of each result's object, by object id."""
    objects = source.objects.filter(pk__in=[scored.candidate.object_id for scored in results])
    return {source.object_id(pk): value for pk, value in objects.values_list("pk", path)}


def deduplicate(results: Iterable[ScoredCandidate], values: Mapping[str, Any]) -> list[ScoredCandidate]:
    """Return the best result of each value, by object id; those without a value all stay."""
    taken: set[Any] = set()
    kept = []
    for scored in results:
        value = values.get(scored.candidate.object_id)
        if value is None or value not in taken:
            taken.add(value)
            kept.append(scored)
    return kept


def diversify(
    results: list[ScoredCandidate], similarities: PairSimilarities, diversity: float
) -> list[ScoredCandidate]:
    """Reorder the first `MAX_DIVERSIFIED` results by maximal marginal relevance.

    Next comes whatever has the greatest (1 − diversity) × similarity to the query − diversity × similarity to the most
    similar result before it. Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering
    Documents and Producing Summaries", SIGIR 1998.
    """
    remaining = dict(enumerate(results[:MAX_DIVERSIFIED]))
    closest = dict.fromkeys(remaining, 0.0)
    ordered = []
    while remaining:
        index = max(remaining, key=lambda n: (1 - diversity) * remaining[n].similarity - diversity * closest[n])
        chosen = remaining.pop(index)
        ordered.append(chosen)
        for n, other in remaining.items():
            a, b = sorted((chosen.candidate.record_id, other.candidate.record_id))
            closest[n] = max(closest[n], similarities.get((a, b), 0))
    return ordered + results[MAX_DIVERSIFIED:]

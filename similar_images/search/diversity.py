"""Diversity of the results: one match a group of objects (`distinct`), and variety (MMR)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import FieldError
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import BaseExpression

from ..sources.source import ImageSource
from .candidates import ScoredCandidate
from .near_duplicates import PairSimilarities
from .options import OptionError

GROUP = "similar_images_group"
"""Name of the annotation by which objects are grouped."""

GroupPath = str | BaseExpression
"""A field path, or an expression, whose values are groups."""

MAX_DIVERSIFIED = 100
"""Results that are reordered for variety; those after them keep their ranks."""


def check_group_path(source: ImageSource, path: GroupPath) -> None:
    """Check that objects of the source can be grouped by a field path or an expression.

    Raises:
        OptionError: there is no such field.
    """
    try:
        _with_groups(source, path).values(GROUP)
    except FieldError as error:
        raise OptionError("distinct", f"distinct={path!r}: {error}") from None


def exclude_same_group(source: ImageSource, pks: list[Any], path: GroupPath) -> models.QuerySet[Any]:
    """Return the objects that have no value in common with these at the field path."""
    own = _with_groups(source, path).filter(pk__in=pks, **{f"{GROUP}__isnull": False}).values(GROUP)
    return _exclude(source, path, own)


def exclude_groups(source: ImageSource, values: Iterable[Any], path: GroupPath) -> models.QuerySet[Any]:
    """Return the objects that have none of these values at the field path."""
    return _exclude(source, path, {value for value in values if value is not None})


def group_values(source: ImageSource, path: GroupPath, results: list[ScoredCandidate]) -> dict[str, Any]:
    """Return the value at the field path of each result's object, by object id."""
    objects = _with_groups(source, path).filter(pk__in=[scored.candidate.object_id for scored in results])
    return {source.object_id(pk): value for pk, value in objects.values_list("pk", GROUP)}


def _with_groups(source: ImageSource, path: GroupPath) -> models.QuerySet[Any]:
    queryset: models.QuerySet[Any] = source.objects.annotate(**{GROUP: F(path) if isinstance(path, str) else path})
    return queryset


def _exclude(source: ImageSource, path: GroupPath, values: Any) -> models.QuerySet[Any]:
    if isinstance(path, str):  # of a relation to many, every value counts
        return source.objects.exclude(**{f"{path}__in": values})
    has_another = Q(**{f"{GROUP}__isnull": True}) | ~Q(**{f"{GROUP}__in": values})
    return _with_groups(source, path).filter(has_another)


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

"""From the signatures of a query to ranked records, in percent: nearest, blended, and only what is allowed."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from django.db import models
from django.db.models import OuterRef, Subquery, Value
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from . import conf, images, indexes, signatures, vectors, versions
from .models import IndexedImage, Signature, Source
from .registry import ImageSource
from .signatures.base import Form, Method

POOL = 100
"""Candidates that every method puts forward, at least; four times the limit where that is more."""

Result = TypeVar("Result")
Ranking = Mapping[str, float]


@dataclass(frozen=True)
class Operand:
    """The query's signature by one version of a method: a value, or where it is stored; and its distances' percent.

    `described` is what the method saw, rounded as if it were stored, of a picture that is not.
    """

    form: Form
    value: Value | Subquery
    similarity: Callable[[float], float]
    described: Any = None


class SearchTimeout(Exception):
    """A picture or text to search with could not be described, or two pictures not compared, in time."""


def described(data: bytes | str, source: ImageSource, names: Iterable[str]) -> list[Operand]:
    """The signatures of a picture that is not stored, or of a text."""
    forms = versions.serving(source)
    enabled = signatures.enabled()
    methods = []
    for name in names:
        form, method = forms[name], versions.method_of(forms[name])
        if method is None or (isinstance(data, str) and not method.takes_text):
            # The version still serves the pictures that it described; here the new one must do.
            form = method = enabled[name]
        methods.append((form, method))
    return in_time(_describe, data, methods)


def in_time(work: Callable[..., Result], *args: Any) -> Result:
    """Do what loads models in bounded time and on few threads.

    Raises:
        SearchTimeout: it took longer than SIMILAR_IMAGES["SEARCH_TIMEOUT"].
    """
    context = contextvars.copy_context()  # messages come in the caller's language
    future = _describers().submit(context.run, work, *args)
    try:
        return future.result(conf.get().search_timeout)
    except TimeoutError:
        future.cancel()
        raise SearchTimeout(_("This took too long; try again later, or with a smaller picture.")) from None


def _describe(data: bytes | str, methods: list[tuple[Form, Method]]) -> list[Operand]:
    if isinstance(data, str):
        return [
            Operand(form, _literal(vectors.pack(method, method.compute_text(data))), method.text_similarity)
            for form, method in methods
        ]
    picture = images.decode(data, max_pixels=conf.get().search_max_pixels)
    operands = []
    for form, method in methods:
        value = method.compute(picture.pixels)
        if not method.has_low_detail(value):
            packed = vectors.pack(method, value)
            operands.append(Operand(form, _literal(packed), form.similarity, vectors.unpack(packed)))
    return operands


def _literal(value: Any) -> Value:
    return Value(value if isinstance(value, str) else value.to_text())


@lru_cache(maxsize=1)
def _describers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="similar_images")


os.register_at_fork(after_in_child=_describers.cache_clear)  # threads do not live on in a forked process


def stored(source: ImageSource, item: models.Model, names: Iterable[str]) -> list[Operand]:
    """Where the signatures of the object's image are, by every method that described it.

    The version that serves goes before that of the setting, which a new picture may have alone.
    """
    own = Signature.objects.filter(
        record__source_id=Source.objects.id_of(source),
        record__object_id=source.object_id(item.pk),
        record__file_name=source.file_name(item),
    )
    found = set(own.filter(low_detail=False).values_list("method", "version"))
    forms = versions.serving(source)
    operands = []
    for name in names:
        for form in (forms[name], signatures.enabled()[name]):
            if (name, form.version) in found:
                value = own.filter(method=name, version=form.version).values(vectors.column(form))
                operands.append(Operand(form, Subquery(value[:1]), form.similarity))
                break
    return operands


Ranked = tuple[float, str, str, dict[str, float], dict[str, float]]
"""Similarity, object id, file name, scores and distances."""


def ranked(
    source: ImageSource,
    operands: list[Operand],
    weights: Ranking,
    allowed: Iterable[models.QuerySet[Any]],
    excluded: Iterable[Any],
    limit: int,
    min_similarity: float,
) -> list[Ranked]:
    """The objects of all these querysets that are nearest to the signatures, best first.

    Every method puts its nearest forward; all of them are then scored by every method, in one query. Where an
    approximate index gave up behind a filter that leaves little, what is left is searched exactly.
    """
    if not operands:
        return []
    pool = max(POOL, 4 * limit)
    records = of_objects(source, *allowed).exclude(object_id__in=[source.object_id(pk) for pk in excluded])
    with indexes.scanning(pool):
        found = candidates(source, operands, records, pool)
        short = [o for o in operands if len(found[o.form.name]) < pool and getattr(o.form, "has_index", True)]
        if short:
            found |= candidates(source, short, records, pool, exact=True)
        rows = scored(source, operands, set().union(*found.values()))
    refined = {operand.form.name: _refined(source, operand, [row[0] for row in rows]) for operand in operands}
    best: list[Ranked] = []
    for record_id, object_id, file_name, *told in rows:
        distances = {
            o.form.name: refined[o.form.name].get(record_id, d)
            for o, d in zip(operands, told, strict=True)
            if d is not None
        }
        scores = {o.form.name: o.similarity(distances[o.form.name]) for o in operands if o.form.name in distances}
        if not scores:  # the query's own signatures went meanwhile
            continue
        total = sum(weights[name] for name in scores)
        similarity = sum(weights[name] * score for name, score in scores.items()) / total
        if round(similarity, 1) >= min_similarity:
            best.append((similarity, object_id, file_name, scores, distances))
    # Far away, where percents end, distances still tell; at the same one, the oldest number comes first.
    best.sort(key=lambda row: (-row[0], sum(row[4].values()), len(row[1]), row[1]))
    return best[:limit]


def candidates(
    source: ImageSource,
    operands: list[Operand],
    records: models.QuerySet[IndexedImage],
    pool: int,
    *,
    exact: bool = False,
) -> dict[str, set[int]]:
    """The ids of the records nearest by each method, in one query."""
    nearest = []
    for operand in operands:
        distance = vectors.distance(operand.form, operand.value)
        order = distance + 0.0 if exact else distance  # no index is on a sum
        of_records = signatures_of(source, operand.form).filter(record__in=records).order_by(order)
        nearest.append(of_records.values_list("record_id", Value(operand.form.name))[:pool])
    found: dict[str, set[int]] = {operand.form.name: set() for operand in operands}
    for record_id, name in nearest[0].union(*nearest[1:], all=True):
        found[name].add(record_id)
    return found


def scored(source: ImageSource, operands: list[Operand], record_ids: Iterable[int]) -> list[tuple[Any, ...]]:
    """Record id, object id, file name and distances by all methods."""
    distances = {
        f"distance_{operand.form.name}": Subquery(
            signatures_of(source, operand.form)
            .filter(record=OuterRef("pk"))
            .values(distance=vectors.distance(operand.form, operand.value))
        )
        for operand in operands
    }
    rows = IndexedImage.objects.filter(pk__in=record_ids).annotate(**distances)
    return list(rows.values_list("pk", "object_id", "file_name", *distances))


def _refined(source: ImageSource, operand: Operand, record_ids: list[int]) -> dict[int, float]:
    """The truer distances of these records, by methods that have one."""
    method = versions.method_of(operand.form)
    if not method or not method.refines:
        return {}
    column = vectors.column(operand.form)
    values = dict(signatures_of(source, operand.form).filter(record__in=record_ids).values_list("record_id", column))
    query = operand.described
    if query is None:
        stored_value = Source.objects.values_list(operand.value)[:1].get()[0]
        if stored_value is None:  # gone meanwhile
            return {}
        query = vectors.unpack(stored_value)
    others = [vectors.unpack(value) for value in values.values()]
    return dict(zip(values, method.refine(query, others), strict=True))


def signatures_of(source: ImageSource, form: Form) -> models.QuerySet[Signature]:
    condition = {"source_id": Source.objects.id_of(source), "method": form.name, "version": form.version}
    literals = {column: indexes.Literal(value) for column, value in condition.items()}
    return Signature.objects.filter(**literals, low_detail=False)


def of_objects(source: ImageSource, *querysets: models.QuerySet[Any]) -> models.QuerySet[IndexedImage]:
    """The records of the objects of all these querysets, joined by a typed and indexed key where there is one."""
    records = IndexedImage.objects.of(source)
    for objects in (plain(source, queryset) for queryset in querysets):
        if source.has_integer_key:
            records = records.filter(object_key__in=objects.values("pk"))
        else:
            keys = objects.annotate(text_key=Cast("pk", models.CharField())).values("text_key")
            records = records.filter(object_id__in=keys)
    return records


def plain(source: ImageSource, objects: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """A queryset of whole objects that can be filtered: where a filter would change what is in it, it becomes one."""
    query = objects.query
    is_chosen = query.is_sliced or query.combinator or query.distinct_fields or query.where.contains_over_clause
    if is_chosen or not query.default_cols:
        objects = source.objects.filter(pk__in=objects.values("pk"))
    return objects.defer(None)

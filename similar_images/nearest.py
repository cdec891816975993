"""From the signatures of a query to ranked records, in percent: nearest, blended, and only what is allowed."""

from __future__ import annotations

import contextvars
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from . import conf, images, indexes, marks, signatures, statements, vectors, versions
from .models import IndexedImage, MethodVersion, Signature, Source
from .registry import ImageSource
from .signatures.base import Form, Method

if TYPE_CHECKING:
    from .measures.verdict import Verdict

POOL = 100
"""The most candidates that a method puts forward; four times the limit where that is more."""

SPARE, SWAY = 20, 1_000
"""By how many candidates are more than the limit: at least, and by the weight of other methods."""

Result = TypeVar("Result")
Ranking = Mapping[str, float]


@dataclass(frozen=True)
class Operand:
    """The query's signature by one version of a method: a value, or the record that has it; and its distances' percent.

    `described` is what the method saw, rounded as if it were stored, of a picture that is not. `object_id` is of the
    object that the record is of.
    """

    form: Form
    similarity: Callable[[float], float]
    literal: str = ""
    described: Any = None
    record_id: int = 0
    object_id: str = ""


class SearchTimeout(Exception):
    """A picture or text to search with could not be described, or two pictures not compared, in time."""


def described(
    data: bytes | str, source: ImageSource, names: Iterable[str], box: images.Box | None = None
) -> list[Operand]:
    """The signatures of a picture that is not stored, of a part of it, or of a text."""
    forms = versions.serving(source)
    enabled = signatures.enabled()
    methods = []
    for name in names:
        form, method = forms[name], versions.method_of(forms[name])
        if method is None or (isinstance(data, str) and not method.takes_text):
            # The version still serves the pictures that it described; here the new one must do.
            form = method = enabled[name]
        methods.append((form, method))
    return in_time(_describe, data, methods, box)


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


def _describe(data: bytes | str, methods: list[tuple[Form, Method]], box: images.Box | None) -> list[Operand]:
    if isinstance(data, str):
        return [
            Operand(form, method.text_similarity, literal(packed), vectors.unpack(packed))
            for form, method in methods
            for packed in [vectors.pack(method, method.compute_text(data))]
        ]
    picture = images.decode(data, max_pixels=conf.get().search_max_pixels)
    pixels = picture.pixels if box is None else images.part(picture.pixels, box)
    operands = []
    for form, method in methods:
        value = method.compute(pixels)
        if not method.has_low_detail(value):
            packed = vectors.pack(method, value)
            operands.append(Operand(form, form.similarity, literal(packed), vectors.unpack(packed)))
    return operands


def literal(value: Any) -> str:
    """What `vectors.pack` made, as Postgres reads it."""
    return value if isinstance(value, str) else str(value.to_text())


@lru_cache(maxsize=1)
def _describers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="similar_images")


os.register_at_fork(after_in_child=_describers.cache_clear)  # threads do not live on in a forked process


def stored(
    source: ImageSource, item: models.Model, names: Iterable[str], *allowed: models.QuerySet[Any]
) -> list[Operand]:
    """The signatures of the object's image, by every method that described it; none if it is not among the allowed.

    The version that serves goes before that of the setting, which a new picture may have alone.
    """
    if item.pk is None:
        return []
    object_id = source.object_id(item.pk)
    record = of_objects(source, *allowed).filter(object_id=object_id, file_name=source.file_name(item))
    try:
        forms: Iterable[Any] = MethodVersion.objects.raw(*statements.versions_of(record, names))
    except EmptyResultSet:  # a queryset that can hold nothing
        return []
    current = signatures.enabled()
    found = {
        form.name: Operand(form, form.similarity, record_id=form.record_id, object_id=object_id)
        for form in forms
        if form.is_serving or form.version == current[form.name].version
    }
    return [found[name] for name in names if name in found]


class Candidate(NamedTuple):
    """A record that methods put forward, which they were, and its distances by all methods that described it."""

    record_id: int
    object_id: str
    file_name: str
    distances: dict[str, float]
    found_by: Sequence[str] = ()


class Ranked(NamedTuple):
    """A candidate in percent, by all methods together and by each; a verdict where the pictures were compared; and how
    many near copies it stands for."""

    similarity: float
    candidate: Candidate
    scores: dict[str, float]
    verdict: Verdict | None = None
    folded: int = 0


def ranked(
    source: ImageSource,
    operands: list[Operand],
    weights: Ranking,
    allowed: Iterable[models.QuerySet[Any]],
    excluded: Iterable[Any],
    limit: int,
    min_similarity: float,
) -> list[Ranked]:
    """The objects of all these querysets that are nearest to the signatures, best first."""
    if not operands:
        return []
    best = scored(source, operands, weights, records_of(source, allowed, excluded, operands), limit)
    return at_least(min_similarity, best)[:limit]


def records_of(
    source: ImageSource,
    allowed: Iterable[models.QuerySet[Any]],
    excluded: Iterable[Any],
    operands: Iterable[Operand] = (),
) -> models.QuerySet[IndexedImage]:
    """The records that may come back: of the objects of all these querysets, but for those with these primary keys,
    and those that are marked as not alike with an object that is searched by."""
    records = of_objects(source, *allowed).exclude(object_id__in=[source.object_id(pk) for pk in excluded])
    queries = {operand.object_id for operand in operands if operand.object_id}
    return records.filter(marks.allowed(source, queries)) if queries else records


def scored(
    source: ImageSource,
    operands: list[Operand],
    weights: Ranking,
    records: models.QuerySet[IndexedImage],
    limit: int,
) -> list[Ranked]:
    """The candidates for so many matches, best first: at least SPARE more, if there are."""
    found = candidates(source, operands, records, pools(operands, weights, limit), limit)
    return blended(operands, refined(operands, found), weights)


def at_least(min_similarity: float, best: list[Ranked]) -> list[Ranked]:
    return [one for one in best if round(one.similarity, 1) >= min_similarity]


def pools(operands: list[Operand], weights: Ranking, limit: int) -> dict[str, int]:
    """How many candidates each method puts forward.

    The method of most weight, as many as are wanted and more, as other methods and truer distances change their order;
    those that count less, fewer by the square of their weight: what they alone find seldom comes to the front.
    """
    of = {operand.form.name: weights[operand.form.name] for operand in operands}
    most = max(of.values())
    refines = any(method.refines for o in operands if (method := versions.method_of(o.form)))
    sway = 1 if refines else 1 - most / sum(of.values())
    pool = min(max(POOL, 4 * limit), limit + max(SPARE, ceil(SWAY * sway)))
    return {name: ceil(pool * (weight / most) ** 2) for name, weight in of.items()}


def candidates(
    source: ImageSource,
    operands: list[Operand],
    records: models.QuerySet[IndexedImage],
    pools: Mapping[str, int],
    limit: int,
) -> list[Candidate]:
    """The records nearest by any method, with their distances by every one."""
    return read(operands, near(source, operands, records, pools, limit))


def read(operands: list[Operand], rows: Iterable[Sequence[Any]]) -> list[Candidate]:
    """The rows of a statement as candidates."""
    columns = [(number, operand.form.name) for number, operand in enumerate(operands)]
    return [candidate(row, columns) for row in rows]


def candidate(row: Sequence[Any], columns: Iterable[tuple[int, str]]) -> Candidate:
    """A row as one, with what some of the operands tell: the number of each, and the name of its method."""
    pk, object_id, file_name, found_by, *distances = row
    known = {name: distances[number] for number, name in columns if distances[number] is not None}
    return Candidate(pk, object_id, file_name, known, [name for number, name in columns if number in found_by])


def near(
    source: ImageSource,
    operands: list[Operand],
    records: models.QuerySet[IndexedImage],
    pools: Mapping[str, int],
    limit: int,
) -> list[tuple[Any, ...]]:
    """The rows of `statements.nearest`, in one query.

    Where an approximate index gave up behind a filter that leaves little, what is left is searched exactly, in another.
    """
    source_id = Source.objects.id_of(source)
    names = [operand.form.name for operand in operands]
    indexed = {o.form.name for o in operands if getattr(o.form, "has_index", True)}
    enough = {name: max(limit, pool) for name, pool in pools.items()}
    # Fewer save time only where there is an index, which for most searches need not go on then.
    first = {name: pool if name in indexed else enough[name] for name, pool in pools.items()}
    rows: list[tuple[Any, ...]]
    with indexes.scanning() as cursor:
        try:
            cursor.execute(*statements.nearest(source_id, operands, records, first))
            rows = cursor.fetchall()
            found_by = Counter(number for row in rows for number in row[3])
            short = {name for n, name in enumerate(names) if name in indexed and found_by[n] < first[name]}
            if short or (indexed and len(rows) < limit):
                cursor.execute(*statements.nearest(source_id, operands, records, enough, exactly=short))
                rows = cursor.fetchall()
        except EmptyResultSet:
            return []
    return rows


def refined(operands: list[Operand], found: list[Candidate]) -> list[Candidate]:
    """The candidates with truer distances, by methods that have one."""
    for operand in operands:
        truer = _truer(operand, [candidate.record_id for candidate in found])
        for candidate in found:
            if candidate.record_id in truer:
                candidate.distances[operand.form.name] = truer[candidate.record_id]
    return found


def _truer(operand: Operand, record_ids: list[int]) -> dict[int, float]:
    method = versions.method_of(operand.form)
    if not method or not method.refines:
        return {}
    rows = Signature.objects.filter(
        record__in=[*record_ids, operand.record_id],
        method=operand.form.name,
        version=operand.form.version,
        low_detail=False,
    )
    values = {pk: vectors.unpack(value) for pk, value in rows.values_list("record_id", vectors.column(operand.form))}
    query = values.pop(operand.record_id, operand.described)
    if query is None:  # gone meanwhile
        return {}
    return dict(zip(values, method.refine(query, list(values.values())), strict=True))


def blended(operands: list[Operand], found: list[Candidate], weights: Ranking) -> list[Ranked]:
    """The candidates in percent, best first.

    Far away, where percents end, distances still tell; at the same one, the oldest number comes first.
    """
    best = []
    by_method = [(o.form.name, o.similarity, weights[o.form.name]) for o in operands]
    for candidate in found:
        scores, similarity, total = {}, 0.0, 0.0
        for name, percent_of, weight in by_method:
            if name in candidate.distances:
                scores[name] = percent_of(candidate.distances[name])
                similarity += weight * scores[name]
                total += weight
        if scores:  # else the query's own signatures went meanwhile
            best.append(Ranked(similarity / total, candidate, scores))
    return in_order(best)


def in_order(found: Iterable[Ranked]) -> list[Ranked]:
    return sorted(found, key=_order)


def _order(one: Ranked) -> tuple[Any, ...]:
    object_id = one.candidate.object_id
    return -one.similarity, sum(one.candidate.distances.values()), len(object_id), object_id


def of_objects(source: ImageSource, *querysets: models.QuerySet[Any]) -> models.QuerySet[IndexedImage]:
    """The records of the objects of all these querysets, joined by a typed and indexed key where there is one."""
    return among(source, IndexedImage.objects.of(source), *querysets)


def among(
    source: ImageSource, records: models.QuerySet[IndexedImage], *querysets: models.QuerySet[Any]
) -> models.QuerySet[IndexedImage]:
    """Those of the records that are of the objects of all these querysets."""
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

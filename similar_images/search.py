"""The only reader of signatures: nearest, visible, blended, in percent."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Count, OuterRef, Subquery, Value
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.translation import gettext as _

from . import conf, images, indexes, registry, signatures, vectors, versions
from .models import IndexedImage, MethodVersion, Signature, Source
from .registry import ImageSource
from .signatures.base import Form, Method

POOL = 100
"""Candidates that every method puts forward, at least; four times the limit where that is more."""

TEXT_LENGTH = 300
"""The most characters of a text to search with."""

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
    """A picture or text to search with could not be described in time."""


@dataclass(frozen=True)
class Match:
    """One object that looks like the query.

    `similarity` is 0 to 100 percent with one decimal; `scores` the same by method; `distances` are raw, in each
    method's own metric, 0 for the same picture.
    """

    source: ImageSource
    object: Any
    similarity: float
    scores: dict[str, float]
    distances: dict[str, float]

    @property
    def image(self) -> FieldFile:
        file: FieldFile = getattr(self.object, self.source.field_name)
        return file

    @property
    def title(self) -> str:
        return str(self.object)

    @property
    def url(self) -> str:
        """The object's own page, empty where it has none."""
        get_absolute_url = getattr(self.object, "get_absolute_url", None)
        return get_absolute_url() if get_absolute_url else ""


def similar_to(
    query: models.Model | images.Readable | None = None,
    *,
    text: str | None = None,
    model: type[models.Model] | str | None = None,
    field: str | None = None,
    limit: int | None = None,
    min_similarity: float = 0,
    queryset: models.QuerySet[Any] | None = None,
    method: str | None = None,
    ranking: Ranking | None = None,
    exclude: Iterable[models.Model] = (),
    request: HttpRequest | None = None,
) -> list[Match]:
    """Find the objects that look most like an object, or like a picture in an open binary file, or that fit a text.

    Args:
        query: an object of a registered model; or a picture, with `model` saying where to look.
        text: what to look for in place of a query, in at most 300 characters, with `model` too. Ranked by one
            method that has a text encoder: the one of `method`, or the first.
        field: the image field, where the model has several.
        limit: how many matches at most; SIMILAR_IMAGES["LIMIT"] by default.
        min_similarity: matches below this percentage are left out.
        queryset: only its objects come back.
        method: rank by this method alone.
        ranking: weights by method, in place of SIMILAR_IMAGES["RANKING"].
        exclude: objects that must not come back; the query never does.
        request: decides, through the source's `visible`, what may come back; without one, what an
            anonymous visitor may see.

    Returns:
        Matches, best first. Empty when the query is not indexed yet, or not visible.

    Raises:
        NotRegistered: the model or field is not a source.
        UnreadableImage: the file is no picture that can be read.
        SearchTimeout: describing the picture took longer than SIMILAR_IMAGES["SEARCH_TIMEOUT"].
        ValueError: text, method, ranking or limit make no sense; the message says why.
    """
    if (query is None) == (text is None):
        raise ValueError("Say what to search by: similar_to(object), similar_to(file, model=…) or text=…, model=….")
    if isinstance(query, models.Model):
        source = registry.get(query.__class__, field)  # not type(): request.user is a lazy object of another
    elif model is None:
        raise ValueError("To search by a picture or text, say where: similar_to(file, model=Product).")
    else:
        source = registry.get(model, field)
    weights = weights_of(method, ranking) if text is None else {text_method(method, ranking): 1.0}
    limit = conf.get().limit if limit is None else limit
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}.")
    visible = source.visible_to(request)
    allowed = [visible] if queryset is None else [visible, queryset]
    excluded = [item.pk for item in exclude]
    if isinstance(query, models.Model):
        if query.pk is None or not _plain(source, visible).filter(pk=query.pk).exists():
            return []
        operands = _stored(source, query, weights)
        excluded.append(query.pk)
    elif query is not None:
        data = images.read_bounded(query, max_bytes=conf.get().search_max_bytes)
        operands = _described(data, source, weights)
    else:
        operands = _described(clean_text(text or ""), source, weights)
    ranked = _nearest(source, operands, weights, allowed, excluded, limit, min_similarity)
    return _matches(source, ranked, allowed[-1])


def similar_among(source: ImageSource, item: models.Model, objects: models.QuerySet[Any], *, limit: int) -> list[Match]:
    """The matches of an object among these objects, for callers that say themselves who may see what."""
    weights = weights_of()
    ranked = _nearest(source, _stored(source, item, weights), weights, [objects], [item.pk], limit, 0)
    return _matches(source, ranked, objects)


def weights_of(method: str | None = None, ranking: Ranking | None = None) -> dict[str, float]:
    """The weights by method that a caller asks for, without those of zero.

    Raises:
        ValueError: a method is not enabled, or the weights make no sense; the message says what would.
    """
    if method is not None and ranking is not None:
        raise ValueError(_("Give either a method or a ranking, not both."))
    weights = dict(ranking if ranking is not None else conf.get().ranking) if method is None else {method: 1.0}
    enabled = signatures.enabled()
    for name in weights:
        if name not in enabled:
            message = _("There is no method “%(name)s” here; there are: %(known)s.")
            raise ValueError(message % {"name": name, "known": ", ".join(enabled)})
    if not conf.is_ranking(weights):
        raise ValueError(_("A ranking must give at least one method a weight above 0, and none a negative one."))
    return {name: float(weight) for name, weight in weights.items() if weight}


def text_methods() -> list[str]:
    """The names of the methods that a text can be searched by."""
    return [name for name, method in signatures.enabled().items() if method.takes_text]


def text_method(method: str | None = None, ranking: Ranking | None = None) -> str:
    """The method by which a text is searched.

    Raises:
        ValueError: there is none, or not the one that is asked for; the message says what would.
    """
    known = text_methods()
    if not known:
        message = _("No method here understands text: set “text_file” and “tokenizer” of one in %(setting)s.")
        raise ValueError(message % {"setting": "SIMILAR_IMAGES['METHODS']"})
    if ranking is not None:
        raise ValueError(_("A search by text has no ranking; it goes by one method."))
    if method is not None and method not in known:
        message = _("The method “%(name)s” does not understand text; these do: %(known)s.")
        raise ValueError(message % {"name": method, "known": ", ".join(known)})
    return method or known[0]


def clean_text(text: str) -> str:
    """The text without space around it.

    Raises:
        ValueError: it is empty or longer than TEXT_LENGTH.
    """
    text = text.strip()
    if not text:
        raise ValueError(_("Write what to look for."))
    if len(text) > TEXT_LENGTH:
        raise ValueError(_("Write at most %(limit)d characters.") % {"limit": TEXT_LENGTH})
    return text


def visible_object(source: ImageSource, pk: str, request: HttpRequest | None) -> Any:
    """The object with this primary key, None where there is none that the visitor may see."""
    if "\0" in pk:  # Postgres has no such texts
        return None
    try:
        return _plain(source, source.visible_to(request)).filter(pk=pk).first()
    except (ValueError, ValidationError):  # no key of this model looks like that
        return None


def status_of(source: ImageSource, pk: Any) -> str:
    """Where the image of an object stands: a status of its record; "missing" where it has none."""
    record = IndexedImage.objects.of(source).filter(object_id=source.object_id(pk))
    return record.values_list("status", flat=True).first() or "missing"


def _described(data: bytes | str, source: ImageSource, names: Iterable[str]) -> list[Operand]:
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
        raise SearchTimeout(_("The search took too long; try again later, or with a smaller picture.")) from None


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


def _stored(source: ImageSource, item: models.Model, names: Iterable[str]) -> list[Operand]:
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


_Ranked = tuple[float, str, str, dict[str, float], dict[str, float]]
"""Similarity, object id, file name, scores and distances."""


def _nearest(
    source: ImageSource,
    operands: list[Operand],
    weights: Ranking,
    allowed: Iterable[models.QuerySet[Any]],
    excluded: Iterable[Any],
    limit: int,
    min_similarity: float,
) -> list[_Ranked]:
    """The objects of all these querysets that are nearest to the signatures, best first.

    Every method puts its nearest forward; all of them are then scored by every method, in one query. Where an
    approximate index gave up behind a filter that leaves little, what is left is searched exactly.
    """
    if not operands:
        return []
    pool = max(POOL, 4 * limit)
    records = _of_objects(source, *allowed).exclude(object_id__in=[source.object_id(pk) for pk in excluded])
    rows = _scored(source, operands, records, pool)
    if len(rows) < pool and any(isinstance(o.form, MethodVersion) and o.form.has_index for o in operands):
        rows = _scored(source, operands, records, pool, exact=True)
    refined = {operand.form.name: _refined(source, operand, [row[0] for row in rows]) for operand in operands}
    ranked: list[_Ranked] = []
    for record_id, object_id, file_name, *found in rows:
        distances = {
            o.form.name: refined[o.form.name].get(record_id, d)
            for o, d in zip(operands, found, strict=True)
            if d is not None
        }
        scores = {o.form.name: o.similarity(distances[o.form.name]) for o in operands if o.form.name in distances}
        total = sum(weights[name] for name in scores)
        similarity = sum(weights[name] * score for name, score in scores.items()) / total
        if round(similarity, 1) >= min_similarity:
            ranked.append((similarity, object_id, file_name, scores, distances))
    # Far away, where percents end, distances still tell; at the same one, the oldest number comes first.
    ranked.sort(key=lambda row: (-row[0], sum(row[4].values()), len(row[1]), row[1]))
    return ranked[:limit]


def _scored(
    source: ImageSource,
    operands: list[Operand],
    records: models.QuerySet[IndexedImage],
    pool: int,
    *,
    exact: bool = False,
) -> list[tuple[Any, ...]]:
    """Record id, object id, file name and distances of the records nearest by any method."""
    candidates = []
    for operand in operands:
        distance = vectors.distance(operand.form, operand.value)
        order = distance + 0.0 if exact else distance  # no index is on a sum
        of_records = _signatures(source, operand.form).filter(record__in=records)
        candidates.append(of_records.order_by(order).values("record_id")[:pool])
    distances = {
        f"distance_{operand.form.name}": Subquery(
            _signatures(source, operand.form)
            .filter(record=OuterRef("pk"))
            .values(distance=vectors.distance(operand.form, operand.value))
        )
        for operand in operands
    }
    rows = IndexedImage.objects.filter(pk__in=candidates[0].union(*candidates[1:])).annotate(**distances)
    with indexes.scanning(pool):
        return list(rows.values_list("pk", "object_id", "file_name", *distances))


def _refined(source: ImageSource, operand: Operand, record_ids: list[int]) -> dict[int, float]:
    """The truer distances of these records, by methods that have one."""
    method = versions.method_of(operand.form)
    if not method or not method.refines:
        return {}
    column = vectors.column(operand.form)
    values = dict(_signatures(source, operand.form).filter(record__in=record_ids).values_list("record_id", column))
    query = operand.described
    if query is None:
        query = vectors.unpack(Source.objects.values_list(operand.value)[:1].get()[0])
    others = [vectors.unpack(value) for value in values.values()]
    return dict(zip(values, method.refine(query, others), strict=True))


def _signatures(source: ImageSource, form: Form) -> models.QuerySet[Signature]:
    condition = {"source_id": Source.objects.id_of(source), "method": form.name, "version": form.version}
    literals = {column: indexes.Literal(value) for column, value in condition.items()}
    return Signature.objects.filter(**literals, low_detail=False)


def _of_objects(source: ImageSource, *querysets: models.QuerySet[Any]) -> models.QuerySet[IndexedImage]:
    """The records of the objects of all these querysets, joined by a typed and indexed key where there is one."""
    records = IndexedImage.objects.of(source)
    for objects in (_plain(source, queryset) for queryset in querysets):
        if source.has_integer_key:
            records = records.filter(object_key__in=objects.values("pk"))
        else:
            keys = objects.annotate(text_key=Cast("pk", models.CharField())).values("text_key")
            records = records.filter(object_id__in=keys)
    return records


def _plain(source: ImageSource, objects: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """A queryset of whole objects that can be filtered: slices, unions and `values()` become a condition."""
    if objects.query.is_sliced or objects.query.combinator or not objects.query.default_cols:
        objects = source.objects.filter(pk__in=objects.values("pk"))
    return objects.defer(None)


def _matches(source: ImageSource, ranked: list[_Ranked], objects: models.QuerySet[Any]) -> list[Match]:
    """Fetch the ranked objects from a queryset, with its select_related and annotations, in one query.

    An object whose file was changed past the hooks is left out until the sweep has seen it.
    """
    pks = [object_id for _similarity, object_id, *_rest in ranked]
    found = {source.object_id(item.pk): item for item in _plain(source, objects).filter(pk__in=pks)}
    return [
        Match(
            source=source,
            object=found[object_id],
            similarity=round(similarity, 1),
            scores={name: round(score, 1) for name, score in scores.items()},
            distances=distances,
        )
        for similarity, object_id, file_name, scores, distances in ranked
        if object_id in found and source.file_name(found[object_id]) == file_name
    ]


def status(request: HttpRequest) -> dict[str, Any]:
    """How many records of every source are in which state, and by which methods they are searched.

    Staff counts all records; other visitors those of the objects that they may see.
    """
    staff = getattr(getattr(request, "user", None), "is_staff", False)
    ranking = conf.get().ranking
    enabled = signatures.enabled()
    return {
        "sources": [
            {
                "source": source.label,
                "records": dict.fromkeys(IndexedImage.Status.values, 0)
                | dict(
                    (IndexedImage.objects.of(source) if staff else _of_objects(source, source.visible_to(request)))
                    .values_list("status")
                    .annotate(Count("pk"))
                ),
            }
            for source in registry.sources()
        ],
        "methods": [
            {
                "name": method.name,
                "version": method.version,
                "dimensions": method.dimensions,
                "metric": method.metric,
                "weight": ranking.get(method.name, 0),
            }
            for method in enabled.values()
        ],
        "indexes": [
            {
                "source": source.label,
                "method": form.name,
                "version": form.version,
                "next_version": "" if form.version == enabled[form.name].version else enabled[form.name].version,
                "search": "hnsw" if isinstance(form, MethodVersion) and form.has_index else "exact",
            }
            for source in registry.sources()
            for form in versions.serving(source).values()
        ],
    }

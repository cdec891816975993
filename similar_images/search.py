"""The only reader of signatures: nearest, visible, blended, in percent."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Count, OuterRef, Subquery, Value
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.translation import gettext as _

from . import conf, images, indexes, registry, signatures, vectors
from .models import IndexedImage, Signature, Source
from .registry import ImageSource
from .signatures.base import Method

POOL = 100
"""Candidates that every method puts forward, at least; four times the limit where that is more."""

Ranking = Mapping[str, float]
Operand = Value | Subquery
"""The query's signature by one method: a value, or where it is stored."""


class SearchTimeout(Exception):
    """A picture to search with could not be described in time."""


@dataclass(frozen=True)
class Match:
    """One object that looks like the query.

    `similarity` is 0 to 100 percent with one decimal; `scores` the same by method.
    """

    source: ImageSource
    object: Any
    similarity: float
    scores: dict[str, float]

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
    query: models.Model | images.Readable,
    *,
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
    """Find the objects that look most like an object, or like a picture in an open binary file.

    Args:
        query: an object of a registered model; or a picture, with `model` saying where to look.
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
        ValueError: method, ranking or limit make no sense; the message says why.
    """
    if isinstance(query, models.Model):
        source = registry.get(query.__class__, field)  # not type(): request.user is a lazy object of another
    elif model is None:
        raise ValueError("To search by a picture, say where: similar_to(file, model=Product).")
    else:
        source = registry.get(model, field)
    weights = weights_of(method, ranking)
    limit = conf.get().limit if limit is None else limit
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}.")
    visible = source.visible_to(request)
    allowed = [visible] if queryset is None else [visible, queryset]
    excluded = [item.pk for item in exclude]
    operands: Mapping[str, Operand]
    if isinstance(query, models.Model):
        if query.pk is None or not _plain(source, visible).filter(pk=query.pk).exists():
            return []
        operands = _stored(source, query, weights)
        excluded.append(query.pk)
    else:
        operands = _described(images.read_bounded(query, max_bytes=conf.get().search_max_bytes), list(weights))
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


def _described(data: bytes, names: list[str]) -> dict[str, Operand]:
    """The signatures of a picture that is not stored, in bounded time and on few threads."""
    context = contextvars.copy_context()  # messages come in the caller's language
    future = _describers().submit(context.run, _describe, data, names)
    try:
        return future.result(conf.get().search_timeout)
    except TimeoutError:
        future.cancel()
        raise SearchTimeout(_("The search took too long; try again later, or with a smaller picture.")) from None


def _describe(data: bytes, names: list[str]) -> dict[str, Operand]:
    picture = images.decode(data, max_pixels=conf.get().search_max_pixels)
    methods = signatures.enabled()
    return {name: _literal(vectors.pack(methods[name], methods[name].compute(picture.pixels))) for name in names}


def _literal(value: Any) -> Value:
    return Value(value if isinstance(value, str) else value.to_text())


@lru_cache(maxsize=1)
def _describers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="similar_images")


os.register_at_fork(after_in_child=_describers.cache_clear)  # threads do not live on in a forked process


def _stored(source: ImageSource, item: models.Model, names: Iterable[str]) -> dict[str, Operand]:
    """For every method that described the object's image, where its signature is."""
    own = Signature.objects.filter(
        record__source_id=Source.objects.id_of(source),
        record__object_id=source.object_id(item.pk),
        record__file_name=source.file_name(item),
    )
    enabled = signatures.enabled()
    found = set(own.values_list("method", "version"))
    return {
        name: Subquery(own.filter(method=name, version=version).values(vectors.column(enabled[name]))[:1])
        for name in names
        for method, version in found
        if (method, version) == (name, enabled[name].version)
    }


_Ranked = tuple[float, str, str, dict[str, float]]
"""Similarity, object id, file name and scores."""


def _nearest(
    source: ImageSource,
    operands: Mapping[str, Operand],
    weights: Ranking,
    allowed: Iterable[models.QuerySet[Any]],
    excluded: Iterable[Any],
    limit: int,
    min_similarity: float,
) -> list[_Ranked]:
    """The objects of all these querysets that are nearest to the signatures, best first, in one query.

    Every method puts its nearest forward; all of them are then scored by every method.
    """
    if not operands:
        return []
    pool = max(POOL, 4 * limit)
    methods = {name: signatures.enabled()[name] for name in operands}
    excluded = [source.object_id(pk) for pk in excluded]
    records = _of_objects(source, *allowed)
    candidates = [
        _signatures(source, method)
        .filter(record__in=records)
        .exclude(record__object_id__in=excluded)
        .order_by(vectors.distance(method, operands[name]))
        .values("record_id")[:pool]
        for name, method in methods.items()
    ]
    scored = IndexedImage.objects.filter(pk__in=candidates[0].union(*candidates[1:])).annotate(
        **{
            f"distance_{name}": Subquery(
                _signatures(source, method)
                .filter(record=OuterRef("pk"))
                .values(distance=vectors.distance(method, operands[name]))
            )
            for name, method in methods.items()
        }
    )
    with indexes.scanning(pool):
        rows = list(scored.values_list("object_id", "file_name", *(f"distance_{name}" for name in methods)))
    ranked: list[_Ranked] = []
    for object_id, file_name, *distances in rows:
        scores = {
            name: method.similarity(distance)
            for (name, method), distance in zip(methods.items(), distances, strict=True)
            if distance is not None
        }
        total = sum(weights[name] for name in scores)
        similarity = sum(weights[name] * score for name, score in scores.items()) / total
        if round(similarity, 1) >= min_similarity:
            ranked.append((similarity, object_id, file_name, scores))
    ranked.sort(key=lambda row: (-row[0], len(row[1]), row[1]))
    return ranked[:limit]


def _signatures(source: ImageSource, method: Method) -> models.QuerySet[Signature]:
    return Signature.objects.filter(source_id=Source.objects.id_of(source), method=method.name, version=method.version)


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
        )
        for similarity, object_id, file_name, scores in ranked
        if object_id in found and source.file_name(found[object_id]) == file_name
    ]


def status(request: HttpRequest) -> dict[str, Any]:
    """How many records of every source are in which state, and by which methods they are searched.

    Staff counts all records; other visitors those of the objects that they may see.
    """
    staff = getattr(getattr(request, "user", None), "is_staff", False)
    ranking = conf.get().ranking
    complete = indexes.existing()
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
            for method in signatures.enabled().values()
        ],
        "indexes": [
            {
                "source": source.label,
                "method": method.name,
                "search": "hnsw" if complete.get(indexes.name_of(source, method)) else "exact",
            }
            for source in registry.sources()
            for method in signatures.enabled().values()
        ],
    }

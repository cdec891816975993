"""Query vectors: the signatures of what is searched by, read from the database or computed for one search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models import Q

from .. import conf, plugins
from ..imaging import decode, timeouts
from ..indexing import versions
from ..models import IndexedImage, MethodVersion, Source
from ..signatures import storage
from ..signatures.base import Method, MethodSpec, similarities_on_curve
from ..sources import ImageSource
from . import sql

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSIONS = MethodVersion._meta.db_table


@dataclass(frozen=True)
class QueryVector:
    """The query's signature by one version of a method: a value, or the id of the record that has it.

    `similarities` maps distances to percent. `value` is the computed signature, rounded to what would be stored, and
    `literal` the same as Postgres reads it; both are empty for a stored one. `method` computes such signatures; None
    where it is no longer to be had.
    """

    spec: MethodSpec
    similarities: Callable[[Sequence[float]], list[float]]
    literal: str = ""
    value: Any = None
    record_id: int = 0
    method: Method | None = None


def stored_vector(spec: MethodSpec, record_id: int) -> QueryVector:
    """Return the query vector of a version that described a record."""
    is_configured = plugins.configured_versions().get(spec.name) == spec.version
    method = plugins.enabled_methods()[spec.name] if is_configured else versions.instantiate(spec)
    return QueryVector(spec, partial(similarities_on_curve, spec.curve), record_id=record_id, method=method)


def stored_queries(
    source: ImageSource, items: Sequence[models.Model], methods: Iterable[str], *allowed: models.QuerySet[Any]
) -> dict[models.Model, list[QueryVector]]:
    """Return the stored signatures by these methods of those of the objects that are indexed and among the allowed.

    The active version is preferred to that of the setting, which a new image may have alone.
    """
    saved = {source.object_id(item.pk): item for item in items if item.pk is not None}
    if not saved:
        return {}
    of_items = Q(
        *(Q(object_id=object_id, file_name=source.get_file_name(item)) for object_id, item in saved.items()),
        _connector=Q.OR,
    )
    is_current = sql.unrequested_condition(Source.objects.get_id(source))
    records = IndexedImage.objects.for_source(source).for_objects(source, *allowed).filter(is_current)
    try:
        statement = _versions_sql(records.filter(of_items), methods)
    except EmptyResultSet:  # a queryset that can hold nothing
        return {}
    configured = plugins.configured_versions()
    vectors: dict[str, dict[str, QueryVector]] = {object_id: {} for object_id in saved}
    for row in MethodVersion.objects.raw(*statement):
        if row.is_active or row.version == configured[row.name]:
            of_item: Any = vectors[row.object_id]  # type: ignore[attr-defined]  # a column of the statement
            of_item[row.name] = stored_vector(row, row.record_id)  # type: ignore[attr-defined]  # as above
    return {
        saved[object_id]: [by_method[name] for name in methods if name in by_method]
        for object_id, by_method in vectors.items()
        if by_method
    }


def _versions_sql(records: models.QuerySet[IndexedImage], methods: Iterable[str]) -> sql.Statement:
    """Select the versions of these methods that described records, the active ones last.

    Each with the id of the record as `record_id`, and that of its object as `object_id`.
    """
    record_sql, parameters = sql.subquery(records)
    statement = (
        f"SELECT version.*, record_id, (SELECT object_id FROM {sql.RECORDS} WHERE id = record_id) AS object_id "
        f"FROM {VERSIONS} version JOIN {sql.SIGNATURES} signature "
        "ON version.source_id = signature.source_id AND name = method AND version.version = signature.version "
        f"WHERE name = ANY(%s) AND NOT low_detail AND record_id IN ({record_sql}) ORDER BY is_active"
    )
    return statement, [list(methods), *parameters]


def describe_query(
    data: bytes | str, source: ImageSource, methods: Iterable[str], box: decode.Box | None = None
) -> list[QueryVector]:
    """Compute the signatures of an image that is not stored, of a part of it, or of a text.

    Raises:
        UnreadableImage: the bytes are no image that can be read.
        SearchTimeout: it took longer than SIMILAR_IMAGES["REQUEST_TIMEOUT"].
    """
    specs, enabled = versions.active_versions(source), plugins.enabled_methods()
    pairs: list[tuple[MethodSpec, Method]] = []
    for name in methods:
        spec, method = specs[name], versions.instantiate(specs[name])
        if method is None or (isinstance(data, str) and not method.takes_text):
            # The active version can no longer compute signatures: only images that have the configured one can match.
            spec = method = enabled[name]
        pairs.append((spec, method))
    settings = conf.get()
    if isinstance(data, str):
        return timeouts.run_for_request(settings.request_timeout, _describe_text, data, pairs)
    end = monotonic() + settings.request_timeout
    with timeouts.report_timeout():
        image = decode.decode(data, max_pixels=settings.search_max_pixels, timeout=settings.request_timeout)
    pixels = image.pixels if box is None else decode.crop(image.pixels, box)
    return timeouts.run_for_request(max(end - monotonic(), 0), _describe_pixels, pixels, pairs)


def _describe_text(text: str, methods: list[tuple[MethodSpec, Method]]) -> list[QueryVector]:
    vectors = []
    for spec, method in methods:
        packed = storage.pack(method, method.compute_text(text))
        similarities = partial(_text_similarities, method)
        vectors.append(QueryVector(spec, similarities, literal(packed), storage.unpack(packed), method=method))
    return vectors


def _text_similarities(method: Method, distances: Sequence[float]) -> list[float]:
    return [method.text_similarity(distance) for distance in distances]


def _describe_pixels(pixels: NDArray[np.uint8], methods: list[tuple[MethodSpec, Method]]) -> list[QueryVector]:
    vectors = []
    for spec, method in methods:
        value = method.compute(pixels)
        if not method.has_low_detail(value):
            packed = storage.pack(method, value)
            similarities = partial(similarities_on_curve, spec.curve)
            vectors.append(QueryVector(spec, similarities, literal(packed), storage.unpack(packed), method=method))
    return vectors


def literal(value: Any) -> str:
    """Return what `storage.pack` made, as Postgres reads it."""
    return value if isinstance(value, str) else str(value.to_text())

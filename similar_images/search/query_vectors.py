"""Query vectors: the signatures of what is searched by, read from the database or computed for one search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, models, router

from .. import conf, plugins
from ..imaging import decode, timeouts
from ..indexing import versions
from ..models import IndexedImage, MethodVersion, Signature, Source
from ..signatures import storage
from ..signatures.base import Method, MethodSpec, similarities_on_curve
from ..sources.source import ImageSource
from . import sql

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSIONS = MethodVersion._meta.db_table

STATE = f"{sql.GENERATION} || ' ' || version.id || ' ' || version.xmin::text"
"""A text that changes with the `GENERATION`, and with the columns of a version: each write gives it another `xmin`."""

SIGNED_BY = f"""
FROM {VERSIONS} version JOIN {sql.SIGNATURES} signature
ON version.source_id = signature.source_id AND name = method AND version.version = signature.version
WHERE name = ANY(%s) AND NOT low_detail
"""
"""Signatures by some methods, each with its version."""


@dataclass(frozen=True)
class QueryVector:
    """The query's signature by one version of a method: a value, or the id of the record that has it.

    `similarities` maps distances to percent. `value` is the computed signature, rounded to what would be stored, and
    `literal` the same as Postgres reads it; both are empty for a stored one. `method` computes such signatures; None
    where it is no longer to be had. `generation` is the `STATE` of all signatures and of the version when a stored one
    was read; empty where that can't be told.
    """

    spec: MethodSpec
    similarities: Callable[[Sequence[float]], list[float]]
    literal: str = ""
    value: Any = None
    record_id: int = 0
    method: Method | None = None
    generation: str = ""


def stored_vector(spec: MethodSpec, record_id: int, generation: str = "") -> QueryVector:
    """Return the query vector of a version that described a record."""
    is_configured = plugins.configured_versions().get(spec.name) == spec.version
    method = plugins.enabled_methods()[spec.name] if is_configured else versions.instantiate(spec)
    similarities = partial(similarities_on_curve, spec.curve)
    return QueryVector(spec, similarities, record_id=record_id, method=method, generation=generation)


def stored_queries(
    source: ImageSource, items: Sequence[models.Model], methods: Iterable[str], *allowed: models.QuerySet[Any]
) -> dict[models.Model, list[QueryVector]]:
    """Return the stored signatures by these methods of those of the objects that are indexed and among the allowed.

    The active version is preferred to that of the setting, which a new image may have alone.
    """
    saved = {source.object_id(item.pk): item for item in items if item.pk is not None}
    if not saved:
        return {}
    source_id = Source.objects.get_id(source)
    files = {object_id: source.get_file_name(item) for object_id, item in saved.items()}
    condition = sql.searchable_condition(source_id).also(sql.file_condition(files))
    try:
        statement = _versions_sql(IndexedImage.objects.filter(condition).for_objects(source, *allowed), methods)
    except EmptyResultSet:  # a queryset that can hold nothing
        return {}
    configured = plugins.configured_versions()
    vectors: dict[str, dict[str, QueryVector]] = {object_id: {} for object_id in saved}
    alias = router.db_for_read(Signature)
    with connections[alias].cursor() as cursor:
        cursor.execute(*statement)
        rows = cursor.fetchall()
    for object_id, record_id, generation, *columns in rows:
        row = _make_version(alias, *columns)
        if row.is_active or row.version == configured[row.name]:
            vectors[object_id][row.name] = stored_vector(row, record_id, generation or "")
    return {
        saved[object_id]: [by_method[name] for name in methods if name in by_method]
        for object_id, by_method in vectors.items()
        if by_method
    }


@lru_cache(maxsize=64)
def _make_version(alias: str, *columns: Any) -> MethodVersion:
    """Make a version of its columns; the same ones, which come with each search, are read once."""
    fields = MethodVersion._meta.concrete_fields
    names = [field.attname for field in fields]
    converters = [getattr(field, "from_db_value", None) for field in fields]
    values = [
        convert(value, None, connections[alias]) if convert else value
        for convert, value in zip(converters, columns, strict=True)
    ]
    return MethodVersion.from_db(alias, names, values)


def _versions_sql(records: models.QuerySet[IndexedImage], methods: Iterable[str]) -> sql.Statement:
    """Select the versions of these methods that described records, the active ones last.

    Each row: the ids of the object and of the record, the `STATE`, and the columns of the version.
    """
    record_sql, parameters = sql.subquery(records)
    columns = ", ".join(f"version.{field.column}" for field in MethodVersion._meta.concrete_fields)
    statement = (
        f"SELECT (SELECT object_id FROM {sql.RECORDS} WHERE id = record_id), record_id, {STATE}, {columns} "
        f"{SIGNED_BY} AND record_id IN ({record_sql}) ORDER BY is_active"
    )
    return statement, [list(methods), *parameters]


def describe_query(
    data: bytes | str,
    source: ImageSource,
    methods: Iterable[str],
    box: decode.Box | None = None,
    *,
    max_pixels: int | None = None,
    timeout: float | None = None,
) -> list[QueryVector]:
    """Compute the signatures of an image that is not stored, of a part of it, or of a text.

    Args:
        data: an image file, or a text.
        source: the source that is searched.
        methods: names of methods.
        box: the part of the image.
        max_pixels: maximum width × height; by default that of a visitor's image, SIMILAR_IMAGES["SEARCH_MAX_PIXELS"].
        timeout: seconds; by default SIMILAR_IMAGES["REQUEST_TIMEOUT"].

    Raises:
        UnreadableImage: the bytes are no image that can be read.
        SearchTimeout: it took longer than `timeout`.
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
    timeout = settings.request_timeout if timeout is None else timeout
    if isinstance(data, str):
        return timeouts.run_for_request(timeout, _describe_text, data, pairs)
    end = monotonic() + timeout
    with timeouts.report_timeout():
        image = decode.decode(data, max_pixels=max_pixels or settings.search_max_pixels, timeout=timeout)
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

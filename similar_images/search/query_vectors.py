"""The signatures of what is searched by: of a picture or a text that is described for it, or those that are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models

from .. import conf, plugins
from ..imaging import decode, timeouts
from ..indexing import versions
from ..models import IndexedImage, MethodVersion
from ..registry import ImageSource
from ..signatures import storage
from ..signatures.base import Method, MethodSpec
from . import sql


@dataclass(frozen=True)
class QueryVector:
    """The query's signature by one version of a method: a value, or the record that has it; and its distances' percent.

    `described` is what the method saw, rounded as if it were stored, of a picture that is not.
    """

    form: MethodSpec
    similarity: Callable[[float], float]
    literal: str = ""
    described: Any = None
    record_id: int = 0


def describe_query(
    data: bytes | str, source: ImageSource, names: Iterable[str], box: decode.Box | None = None
) -> list[QueryVector]:
    """The signatures of a picture that is not stored, of a part of it, or of a text."""
    forms = versions.active_versions(source)
    enabled = plugins.enabled_methods()
    methods = []
    for name in names:
        form, method = forms[name], versions.instantiate(forms[name])
        if method is None or (isinstance(data, str) and not method.takes_text):
            # The version still serves the pictures that it described; here the new one must do.
            form = method = enabled[name]
        methods.append((form, method))
    return timeouts.run_for_request(conf.get().request_timeout, _describe, data, methods, box)


def _describe(data: bytes | str, methods: list[tuple[MethodSpec, Method]], box: decode.Box | None) -> list[QueryVector]:
    if isinstance(data, str):
        return [
            QueryVector(form, method.text_similarity, literal(packed), storage.unpack(packed))
            for form, method in methods
            for packed in [storage.pack(method, method.compute_text(data))]
        ]
    picture = decode.decode(data, max_pixels=conf.get().search_max_pixels)
    pixels = picture.pixels if box is None else decode.crop(picture.pixels, box)
    operands = []
    for form, method in methods:
        value = method.compute(pixels)
        if not method.has_low_detail(value):
            packed = storage.pack(method, value)
            operands.append(QueryVector(form, form.similarity, literal(packed), storage.unpack(packed)))
    return operands


def literal(value: Any) -> str:
    """What `vectors.pack` made, as Postgres reads it."""
    return value if isinstance(value, str) else str(value.to_text())


def stored_query(
    source: ImageSource, item: models.Model, names: Iterable[str], *allowed: models.QuerySet[Any]
) -> list[QueryVector]:
    """The signatures of the object's image, by every method that described it; none if it is not among the allowed.

    The version that serves goes before that of the setting, which a new picture may have alone.
    """
    if item.pk is None:
        return []
    object_id = source.object_id(item.pk)
    record = (
        IndexedImage.objects.for_source(source)
        .for_objects(source, *allowed)
        .filter(object_id=object_id, file_name=source.get_file_name(item))
    )
    try:
        forms: Iterable[Any] = MethodVersion.objects.raw(*sql.versions_sql(record, names))
    except EmptyResultSet:  # a queryset that can hold nothing
        return []
    current = plugins.enabled_methods()
    found = {
        form.name: QueryVector(form, form.similarity, record_id=form.record_id)
        for form in forms
        if form.is_active or form.version == current[form.name].version
    }
    return [found[name] for name in names if name in found]

"""The signatures of what is searched by: of a picture or a text that is described for it, or those that are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models

from .. import bounded, conf, images, signatures, vectors, versions
from ..models import IndexedImage, MethodVersion
from ..registry import ImageSource
from ..signatures.base import Form, Method
from . import statements


@dataclass(frozen=True)
class Operand:
    """The query's signature by one version of a method: a value, or the record that has it; and its distances' percent.

    `described` is what the method saw, rounded as if it were stored, of a picture that is not.
    """

    form: Form
    similarity: Callable[[float], float]
    literal: str = ""
    described: Any = None
    record_id: int = 0


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
    return bounded.in_time(_describe, data, methods, box)


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


def stored(
    source: ImageSource, item: models.Model, names: Iterable[str], *allowed: models.QuerySet[Any]
) -> list[Operand]:
    """The signatures of the object's image, by every method that described it; none if it is not among the allowed.

    The version that serves goes before that of the setting, which a new picture may have alone.
    """
    if item.pk is None:
        return []
    object_id = source.object_id(item.pk)
    record = (
        IndexedImage.objects.of(source)
        .among(source, *allowed)
        .filter(object_id=object_id, file_name=source.file_name(item))
    )
    try:
        forms: Iterable[Any] = MethodVersion.objects.raw(*statements.versions_of(record, names))
    except EmptyResultSet:  # a queryset that can hold nothing
        return []
    current = signatures.enabled()
    found = {
        form.name: Operand(form, form.similarity, record_id=form.record_id)
        for form in forms
        if form.is_serving or form.version == current[form.name].version
    }
    return [found[name] for name in names if name in found]

"""All that is stored about one object: records, signatures, marks and requests, as an answer to a request for access.

Versions and projections of methods belong to a whole source, and hold the data of no single object.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Model, Q

from .models import IndexedImage, Mark, ReindexRequest, Signature, Source
from .signatures import storage


def describe_object(models: Collection[tuple[str, str]], object_id: str) -> list[dict[str, Any]]:
    """Return what is stored about an object's images, also by sources that are no longer registered.

    It is read from the database that is written to, where what was deleted a moment ago is gone.

    Args:
        models: app label and lowercase name of the object's model, and of those that it inherits from.
        object_id: the object's primary key, as `ImageSource.object_id` returns it.
    """
    sources = [row for row in Source.objects.order_by("pk") if (row.app_label, row.model) in models]
    images = [_describe_image(source, object_id) for source in sources]
    return [image for image in images if image["record"] or image["requests"]]


def describe_marks_by(user_id: Any) -> list[dict[str, Any]]:
    """Return the marks that a user has made."""
    marks = Mark.primary.filter(marked_by_id=user_id).select_related("source").prefetch_related("marked_by")
    return [
        {"source": str(mark.source), "first_object_id": mark.first_id, "second_object_id": mark.second_id}
        | _describe_verdict(mark)
        for mark in marks.order_by("pk")
    ]


def _describe_image(source: Source, object_id: str) -> dict[str, Any]:
    record = IndexedImage.primary.filter(source=source, object_id=object_id).first()
    signatures = Signature.primary.filter(record=record).order_by("method", "version")
    requests = ReindexRequest.primary.filter(source=source, object_id=object_id).order_by("pk")
    involving = Q(first_id=object_id) | Q(second_id=object_id)
    marks = Mark.primary.filter(involving, source=source).prefetch_related("marked_by")
    return {
        "source": str(source),
        "is_registered": source.image_source is not None,
        "record": record and _field_values(record, exclude=("id", "source")),
        "requests": [_field_values(request, exclude=("id", "source", "object_id")) for request in requests],
        "signatures": [_describe_signature(signature) for signature in signatures],
        "marks": [
            {"other_object_id": mark.second_id if mark.first_id == object_id else mark.first_id}
            | _describe_verdict(mark)
            for mark in marks.order_by("pk")
        ],
    }


def _describe_signature(signature: Signature) -> dict[str, Any]:
    values = (signature.dense, signature.bits, signature.sparse)
    (value,) = (value for value in values if value is not None)
    return _field_values(signature, exclude=("id", "source", "record", "dense", "bits", "sparse")) | {
        "value": _readable(value)
    }


def _describe_verdict(mark: Mark) -> dict[str, Any]:
    return {
        "is_alike": mark.is_alike,
        "marked_by": mark.marked_by and mark.marked_by.get_username(),
        "marked_at": mark.marked_at,
    }


def _readable(value: Any) -> Any:
    """Convert a signature to what JSON can hold: a list of numbers, a text of bits, or a dict of numbers by index."""
    if isinstance(value, str):
        return value
    unpacked = storage.unpack(value)
    return unpacked if isinstance(unpacked, dict) else unpacked.tolist()


def _field_values(row: Model, exclude: Collection[str]) -> dict[str, Any]:
    return {field.name: getattr(row, field.attname) for field in row._meta.concrete_fields if field.name not in exclude}

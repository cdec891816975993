"""All that is stored about one object, from records to merges, as an answer to a request for access.

Versions and projections of methods belong to a whole source, and hold the data of no single object.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from django.db.models import Model, Q

from ..models import (
    DuplicateImage,
    IndexedImage,
    MapPoint,
    Mark,
    Merge,
    MergedRow,
    PairVerdict,
    ReindexRequest,
    Signature,
    Source,
    write_alias,
)
from ..signatures import storage
from ..stored_labels import labels_of_records


def describe_object(models: Collection[tuple[str, str]], object_id: str) -> list[dict[str, Any]]:
    """Return what is stored about an object's images, also by sources that are no longer registered.

    It is read from the database that is written to, where what was deleted a moment ago is gone.

    Args:
        models: app label and lowercase name of the object's model, and of those that it inherits from.
        object_id: the object's primary key, as `ImageSource.object_id` returns it.
    """
    sources = [row for row in Source.objects.order_by("pk") if (row.app_label, row.model) in models]
    images = [_describe_image(source, object_id) for source in sources]
    return [image for image in images if any(image[kind] for kind in ("record", "requests", "groups", "merges"))]


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
    of_file = Q(file_name=record.file_name) if record else Q(pk__in=[])
    requests = ReindexRequest.primary.filter(Q(source=source, object_id=object_id) | of_file).order_by("pk")
    involving = Q(first_id=object_id) | Q(second_id=object_id)
    marks = Mark.primary.filter(involving, source=source).prefetch_related("marked_by")
    return {
        "source": str(source),
        "is_registered": source.image_source is not None,
        "record": record and _field_values(record, exclude=("id", "source")),
        "requests": [_field_values(request, exclude=("id", "source", "object_id")) for request in requests],
        "signatures": [_describe_signature(signature) for signature in signatures],
        "labels": _describe_labels(record),
        "map_point": _describe_point(record),
        "marks": [
            {"other_object_id": mark.second_id if mark.first_id == object_id else mark.first_id}
            | _describe_verdict(mark)
            for mark in marks.order_by("pk")
        ],
        "verdicts": _describe_verdicts(source, record.sha256 if record else ""),
        "groups": _describe_groups(source, object_id),
        "merges": _describe_merges(source, object_id),
    }


def _describe_verdicts(source: Source, sha256: str) -> list[dict[str, Any]]:
    """Describe what was found when an image's file was compared with others."""
    verdicts = PairVerdict.objects.using(write_alias()).filter(Q(first=sha256) | Q(second=sha256), source=source)
    return [_field_values(verdict, exclude=("id", "source")) for verdict in verdicts.order_by("pk")] if sha256 else []


def _describe_labels(record: IndexedImage | None) -> list[dict[str, Any]]:
    """Describe what the image shows, where the names of the classes are known."""
    labels = labels_of_records([record] if record else [], write_alias())
    return [asdict(label) for kept in labels.values() for label in kept]


def _describe_point(record: IndexedImage | None) -> dict[str, Any] | None:
    """Describe the place of an image on the map, with its thumbnail as Base64."""
    point = MapPoint.objects.using(write_alias()).filter(record=record).first()
    if point is None:
        return None
    tile = b64encode(point.tile).decode() if point.tile is not None else None
    return _field_values(point, exclude=("record", "map", "tile")) | {"tile": tile}


def _describe_groups(source: Source, object_id: str) -> list[dict[str, Any]]:
    images = DuplicateImage.objects.using(write_alias()).filter(source=source, object_id=object_id)
    return [
        {"kind": image.group.kind, "status": image.group.status}
        | _field_values(image, exclude=("id", "source", "group", "object_id", "object_key"))
        for image in images.select_related("group").order_by("pk")
    ]


def _describe_merges(source: Source, object_id: str) -> list[dict[str, Any]]:
    """Describe the merges of an object, each with the rows that were changed, of which some are of other objects."""
    merges = Merge.objects.using(write_alias()).filter(source=source)
    involving = merges.filter(Q(kept_id=object_id) | Q(merged_ids__contains=[object_id]))
    return [
        _field_values(merge, exclude=("id", "source", "group", "merged_by"))
        | {
            "merged_by": merge.merged_by and merge.merged_by.get_username(),
            "rows": [_field_values(row, exclude=("id", "merge")) for row in _rows_of_merge(merge)],
        }
        for merge in involving.prefetch_related("merged_by").order_by("pk")
    ]


def _rows_of_merge(merge: Merge) -> Any:
    return MergedRow.objects.using(write_alias()).filter(merge=merge).order_by("pk")


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

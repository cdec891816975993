"""The stored signatures of a source, to evaluate on and to learn from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from .. import conf
from ..imaging.files import read_stored
from ..models import IndexedImage, Signature, Source
from ..signatures import storage
from ..signatures.base import Method
from ..signatures.distances import SignatureArray
from ..sources.source import ImageSource
from .description import DescribedSet
from .labeled_images import LabeledImage, sample_indices

if TYPE_CHECKING:
    from ..signatures.base import Value


def describe_source(
    source: ImageSource, label: str | None, methods: dict[str, Method], limit: int | None
) -> tuple[DescribedSet, dict[str, int]]:
    """Load the indexed images of a source that have a signature of the current version of every method.

    Args:
        source: the source.
        label: a field, or a path to one (`category__name`), whose value labels the image; of several values the
            first, sorted.
        methods: the methods by name.
        limit: maximum number of images.

    Returns:
        The images, and how many of the selected ones lack a signature, by method.

    Raises:
        FieldError: the label field does not exist.
    """
    objects = source.with_file()
    labels = read_field_labels(source, label) if label else {}
    records = IndexedImage.objects.for_source(source).indexed().order_by("pk")
    object_ids = {source.object_id(pk) for pk in objects.values_list("pk", flat=True)}
    rows = [row for row in records.values_list("pk", "object_id", "file_name") if row[1] in object_ids]
    rows = [rows[index] for index in sample_indices(len(rows), limit)]
    record_ids = [pk for pk, *_rest in rows] if limit else None
    values = {name: _read_values(source, method, record_ids) for name, method in methods.items()}
    missing = {name: sum(pk not in by_record for pk, *_rest in rows) for name, by_record in values.items()}
    rows = [row for row in rows if all(row[0] in by_record for by_record in values.values())]
    files = source.get_files({object_id: name for _pk, object_id, name in rows})
    rows = [row for row in rows if row[1] in files]
    images = [
        LabeledImage(
            f"{object_id}: {name}",
            partial(read_stored, files[object_id], max_bytes=conf.get().max_bytes),
            {label: labels.get(object_id, "")} if label else {},
            object_id,
        )
        for _pk, object_id, name in rows
    ]
    signatures = {
        name: SignatureArray(methods[name], [values[name][pk] for pk, *_rest in rows]) for name in values if rows
    }
    return DescribedSet(images, signatures, {}, {}), missing


def read_field_labels(source: ImageSource, field: str) -> dict[str, str]:
    """Return the value of a field, or of a path to one, by object id; "" for null, of several values the first.

    Raises:
        FieldError: the field does not exist.
    """
    labels: dict[str, str] = {}
    for pk, value in source.with_file().order_by(field).values_list("pk", field):
        labels.setdefault(source.object_id(pk), "" if value is None else str(value))
    return labels


def searchable_signatures(source: ImageSource, method: Method) -> QuerySet[Signature]:
    """Return the stored signatures of the method's version that searches of the source use."""
    return Signature.objects.filter(
        source_id=Source.objects.get_id(source), method=method.name, version=method.version, low_detail=False
    )


def _read_values(source: ImageSource, method: Method, record_ids: list[int] | None) -> dict[int, Value]:
    rows = searchable_signatures(source, method).values_list("record_id", storage.column_name(method))
    if record_ids is not None:
        rows = rows.filter(record__in=record_ids)
    return {record_id: storage.unpack(value) for record_id, value in rows.iterator()}

"""What is stored of a source, to evaluate on: the only file here that knows Django's models."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .. import conf
from ..imaging.files import read_stored
from ..models import IndexedImage, Signature, Source
from ..registry import ImageSource
from ..signatures import storage as vectors
from ..signatures.base import Method
from ..signatures.distances import SignatureArray
from .description import DescribedSet
from .labeled_images import Item, sample_indices

if TYPE_CHECKING:
    from ..signatures.base import Value


def describe_source(
    source: ImageSource, label: str | None, methods: dict[str, Method], limit: int | None
) -> tuple[DescribedSet, dict[str, int]]:
    """The indexed pictures of a source that have a signature by the current version of all these methods.

    `label`: a field, or a path to one (`category__name`), whose value is the picture's label; of several values
    the first, sorted. `limit`: how many pictures at most.

    Returns:
        The pictures, and how many of the chosen ones lack a signature, by method.

    Raises:
        FieldError: there is no such field.
    """
    objects = source.with_file()
    labels: dict[str, str] = {}
    if label:
        for pk, value in objects.order_by(label).values_list("pk", label):
            labels.setdefault(source.object_id(pk), "" if value is None else str(value))
    records = IndexedImage.objects.for_source(source).indexed().order_by("pk")
    known = {source.object_id(pk) for pk in objects.values_list("pk", flat=True)}
    rows = [row for row in records.values_list("pk", "object_id", "file_name") if row[1] in known]
    rows = [rows[place] for place in sample_indices(len(rows), limit)]
    chosen = [pk for pk, *_rest in rows] if limit else None
    values = {name: _values(source, method, chosen) for name, method in methods.items()}
    missing = {name: sum(pk not in found for pk, *_rest in rows) for name, found in values.items()}
    rows = [row for row in rows if all(row[0] in found for found in values.values())]
    storage, max_bytes = source.field.storage, conf.get().max_bytes
    items = [
        Item(
            f"{object_id}: {name}",
            partial(read_stored, storage, name, max_bytes=max_bytes),
            {label: labels.get(object_id, "")} if label else {},
        )
        for _pk, object_id, name in rows
    ]
    signatures = {
        name: SignatureArray(methods[name], [values[name][pk] for pk, *_rest in rows]) for name in values if rows
    }
    return DescribedSet(items, signatures, {}, {}), missing


def _values(source: ImageSource, method: Method, records: list[int] | None) -> dict[int, Value]:
    """The signatures of these records, or of all, that searches go by."""
    stored = Signature.objects.filter(
        source_id=Source.objects.get_id(source), method=method.name, version=method.version, low_detail=False
    ).values_list("record_id", vectors.column_name(method))
    if records is not None:
        stored = stored.filter(record__in=records)
    return {record: vectors.unpack(value) for record, value in stored.iterator()}

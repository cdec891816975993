"""Samples of the stored signatures of a source, from which something is learned of all of them."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from django.db.models import F, Func, IntegerField, QuerySet
from django.db.models.functions import Mod

from ..models import IndexedImage, Signature, Source
from ..signatures import storage
from ..signatures.base import VectorSpec
from ..sources.source import ImageSource

if TYPE_CHECKING:
    from ..signatures.base import Value

MAX_INTEGER = 2**31 - 1
"""Bits of an integer of PostgreSQL without its sign."""

MIN_DESCRIBED = 0.9
"""Share of a source's images that are to be described first: a library that is being indexed tells too little."""


def signatures_by(source: ImageSource, method: VectorSpec) -> QuerySet[Signature]:
    """Return the stored signatures of a source by a version of a method, but for those of too little detail."""
    return Signature.primary.filter(
        source_id=Source.objects.get_id(source), method=method.name, version=method.version, low_detail=False
    )


def is_described(source: ImageSource, method: VectorSpec, images: int) -> bool:
    """Check that the method has described so many images of a source, and nearly all that can be."""
    if not signatures_by(source, method).order_by()[max(images, 1) - 1 : max(images, 1)].exists():
        return False
    records = IndexedImage.primary.for_source(source).exclude(status=IndexedImage.Status.FAILED)
    return signatures_by(source, method).count() >= MIN_DESCRIBED * records.count()


def read_sample(source: ImageSource, method: VectorSpec, most: int) -> dict[int, Value]:
    """Return the signatures of at most so many images of a source, by their records' ids.

    They are the same ones by every method, and as long as the source is the same.
    """
    signatures = signatures_by(source, method)
    share = max(1, ceil(signatures.count() / most))
    number: Any = Func(F("record_id"), function="hashint8", output_field=IntegerField())
    drawn = signatures.annotate(draw=Mod(number.bitand(MAX_INTEGER), share)).filter(draw=0).order_by("record_id")
    rows = drawn.values_list("record_id", storage.quick_column(method))[:most]
    return {record_id: storage.unpack(value) for record_id, value in rows}

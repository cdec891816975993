"""The stored signatures of a source as vectors to lay out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from django.db.models import CharField, Q
from django.db.models.functions import MD5, Cast
from numpy.typing import NDArray

from ..indexing.versions import active_versions
from ..models import MethodVersion, Signature, Source
from ..search.ranking import normalized_weights
from ..signatures import storage
from ..signatures.base import MethodSpec
from ..sources.source import ImageSource
from .layout import Vectors
from .state import MAX_MAPPED


@dataclass(frozen=True)
class MappedImages:
    """Images of a source with a signature of one version: ids of records, SHA-256 of files, and vectors, in one order.

    `count` is the number of all that have one, where these are a sample.
    """

    record_ids: NDArray[np.int64]
    digests: list[str]
    vectors: Vectors
    count: int


def choose_method(source: ImageSource) -> MethodSpec | None:
    """Return the version by which a source is laid out: that of the weightiest method that stores whole vectors.

    None where the ranking has no such method.
    """
    active = active_versions(source, MethodVersion.primary.all())
    weights = normalized_weights()
    names = [name for name in weights if name in active and active[name].storage != "sparsevec"]
    return active[max(names, key=weights.__getitem__)] if names else None


def read_vectors(source: ImageSource, spec: MethodSpec) -> MappedImages:
    """Read the signatures of a version of the indexed images of a source, or of a sample of them."""
    of_version = Q(source_id=Source.objects.get_id(source), method=spec.name, version=spec.version)
    signatures = Signature.primary.filter(of_version, record__sha256__gt="")
    count = signatures.count()
    if count > MAX_MAPPED:
        signatures = signatures.order_by(MD5(Cast("record_id", CharField())), "pk")[:MAX_MAPPED]
    rows = signatures.values_list("record_id", "record__sha256", storage.column_name(spec))
    ids, digests, vectors = [], [], np.empty((min(count, MAX_MAPPED), spec.dimensions), np.float32)
    for number, (record_id, digest, value) in enumerate(rows[: len(vectors)].iterator()):
        ids.append(record_id)
        digests.append(digest)
        vectors[number] = storage.unpack(value)
    vectors = vectors[: len(ids)]
    if spec.metric == "cosine":
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return MappedImages(np.array(ids, np.int64), digests, vectors, count)

"""How signatures are stored, compared and indexed by pgvector, for every storage and metric a method may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Field, Func
from django.db.models.functions import Cast
from pgvector import Bit, HalfVector, SparseVector
from pgvector.django import (
    BitField,
    CosineDistance,
    HalfVectorField,
    HammingDistance,
    JaccardDistance,
    L1Distance,
    SparseVectorField,
)

from .signatures.base import Method


class BitsField(BitField):
    """A string of bits of any length."""

    def db_type(self, connection: Any) -> str:
        return "varbit"


@dataclass(frozen=True)
class Storage:
    """One of pgvector's types: the column of Signature for it, and how a value of a method gets there."""

    column: str
    field: Callable[[int], Field[Any, Any]]
    pack: Callable[[Any, int], Any]
    distances: dict[str, type[Func]]


STORAGES = {
    "halfvec": Storage(
        "dense",
        lambda dimensions: HalfVectorField(dimensions=dimensions),
        lambda value, dimensions: HalfVector(value),
        {"cosine": CosineDistance, "l1": L1Distance},
    ),
    "bit": Storage(
        "bits",
        lambda dimensions: BitField(length=dimensions),
        lambda value, dimensions: Bit(value).to_text(),
        {"hamming": HammingDistance, "jaccard": JaccardDistance},
    ),
    "sparsevec": Storage(
        "sparse",
        lambda dimensions: SparseVectorField(dimensions=dimensions),
        SparseVector,
        {"cosine": CosineDistance, "l1": L1Distance},
    ),
}


def column(method: Method) -> str:
    """The column of Signature that holds this method's values."""
    return STORAGES[method.storage].column


def pack(method: Method, value: Any) -> Any:
    """What `compute()` returned, as the value of that column."""
    return STORAGES[method.storage].pack(value, method.dimensions)


def typed(method: Method, expression: Any = None) -> Cast:
    """The column, or another expression, as pgvector's type of this method's length: what indexes are made on."""
    storage = STORAGES[method.storage]
    return Cast(F(storage.column) if expression is None else expression, storage.field(method.dimensions))


def distance(method: Method, operand: Any) -> Func:
    """The method's distance from the column to an expression."""
    return STORAGES[method.storage].distances[method.metric](typed(method), typed(method, operand))

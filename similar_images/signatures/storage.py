"""How signatures are stored, compared and indexed by pgvector, for every storage and metric a method may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pgvector import Bit, HalfVector, SparseVector
from pgvector.django import BitField

from .base import VectorSpec


class BitsField(BitField):
    """A string of bits of any length."""

    def db_type(self, connection: Any) -> str:
        return "varbit"


@dataclass(frozen=True)
class VectorType:
    """One of pgvector's types: the column of Signature for it, how a value gets there, and its operators by metric."""

    column: str
    pack: Callable[[Any, int], Any]
    distances: dict[str, str]


MAX_HALF = 65_504
"""The largest number that pgvector keeps in half precision."""

VECTOR_TYPES = {
    "halfvec": VectorType(
        "dense",
        lambda value, dimensions: HalfVector(value),
        {"cosine": "<=>", "l1": "<+>"},
    ),
    "bit": VectorType(
        "bits",
        lambda value, dimensions: Bit(value).to_text(),
        {"hamming": "<~>", "jaccard": "<%%>"},
    ),
    "sparsevec": VectorType(
        "sparse",
        SparseVector,
        {"cosine": "<=>", "l1": "<+>"},
    ),
}


def column_name(method: VectorSpec) -> str:
    """The column of Signature that holds this method's values."""
    return VECTOR_TYPES[method.storage].column


def pack(method: VectorSpec, value: Any) -> Any:
    """What `compute()` returned, as the value of that column.

    Raises:
        ValueError: it is not what the method promises: so many numbers, none of them infinite or NaN.
    """
    import numpy as np

    if method.storage == "sparsevec":
        places, numbers = np.array(list(value), int), np.array(list(value.values()), float)
        fits = len(places) == 0 or (places.min() >= 0 and places.max() < method.dimensions)
    else:
        numbers = np.asarray(value)
        fits = numbers.shape == (method.dimensions,)
    if not fits:
        raise ValueError(f"The method {method.name} gave no signature of {method.dimensions} values.")
    if not (np.abs(numbers.astype(float)) <= MAX_HALF).all():
        raise ValueError(f"The method {method.name} gave a signature with an infinite value, or NaN.")
    kept = np.half if method.storage == "halfvec" else np.single
    if method.metric == "cosine" and not numbers.astype(kept).any():
        raise ValueError(f"The method {method.name} gave a signature of zeros, which has no direction to compare.")
    return VECTOR_TYPES[method.storage].pack(value, method.dimensions)


def unpack(value: Any) -> Any:
    """The value of such a column, as `compute()` returns it: an array, or a dict of the numbers by place."""
    import numpy as np

    if isinstance(value, str):
        return np.array([bit == "1" for bit in value])
    if isinstance(value, SparseVector):
        return dict(zip(value.indices(), value.values(), strict=True))
    return np.array(value if isinstance(value, list) else value.to_list(), np.float32)


def cast_sql(method: VectorSpec, expression: str) -> str:
    """An SQL expression as pgvector's type of this method's length: what indexes are made on."""
    return f"({expression})::{method.storage}({method.dimensions})"


def distance_sql(method: VectorSpec, left: str, right: str) -> str:
    """The method's distance between two SQL expressions, for statements with parameters."""
    operator = VECTOR_TYPES[method.storage].distances[method.metric]
    return f"({cast_sql(method, left)} {operator} {cast_sql(method, right)})"

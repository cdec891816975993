"""Columns, values and distances of pgvector for every storage and metric of a method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import BinaryField, F, Func, Q
from django.db.models.expressions import Combinable
from pgvector import Bit, HalfVector, SparseVector
from pgvector.django import BitField

from .base import VectorSpec


class BitsField(BitField):
    """Bit string of any length."""

    def db_type(self, connection: Any) -> str:
        """Return the column type."""
        return "varbit"


@dataclass(frozen=True)
class VectorType:
    """A vector type of pgvector.

    Attributes:
        column: field of the model Signature for its values.
        pack: converts a value and its dimensions to that of the column.
        distances: operator by metric.
    """

    column: str
    pack: Callable[[Any, int], Any]
    distances: dict[str, str]


MAX_INDEXED_DIMENSIONS = {"halfvec": 4_000, "bit": 64_000, "sparsevec": 1_000_000_000}
"""Most dimensions that HNSW supports; sparse vectors also have at most 1,000 non-zero elements."""

BINARY_HEADER = 4
"""Bytes of a halfvec in binary before its numbers: how many they are, and two that are not used."""

MAX_HALF = 65_504
"""Largest number of a halfvec."""

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
    """Return the column of Signature that holds this method's values."""
    return VECTOR_TYPES[method.storage].column


def pack(method: VectorSpec, value: Any) -> Any:
    """Convert a result of `compute()` to a value of that column.

    Raises:
        ValueError: wrong shape (expected `(dimensions,)`, or indices below it), a number that is NaN or above MAX_HALF
            in absolute value, or nothing but zeros under cosine.
    """
    import numpy as np

    if method.storage == "sparsevec":
        indices, numbers = np.array(list(value), int), np.array(list(value.values()), float)
        fits = len(indices) == 0 or (indices.min() >= 0 and indices.max() < method.dimensions)
    else:
        numbers = np.asarray(value)
        fits = numbers.shape == (method.dimensions,)
    if not fits:
        raise ValueError(f"The method {method.name} gave no signature of {method.dimensions} values.")
    if not (np.abs(numbers.astype(float)) <= MAX_HALF).all():
        raise ValueError(f"The method {method.name} gave a signature with an infinite value, or NaN.")
    stored_type = np.half if method.storage == "halfvec" else np.single
    if method.metric == "cosine":
        squares = np.square(numbers.astype(stored_type), dtype=np.single)  # as pgvector computes the length
        if squares.sum() < np.finfo(np.single).tiny:
            raise ValueError(f"The method {method.name} gave a signature of zeros, which has no direction to compare.")
    return VECTOR_TYPES[method.storage].pack(value, method.dimensions)


def versions_condition(methods: Iterable[VectorSpec]) -> Q:
    """Return the condition on signatures that they are by one of these versions of methods."""
    return reduce(or_, (Q(method=method.name, version=method.version) for method in methods), Q(pk__in=[]))


def quick_columns() -> list[Combinable]:
    """Return what to read where a signature may be in any column: all, of which one is not None, for `unpack`."""
    return [_quick(storage) for storage in VECTOR_TYPES]


def quick_column(method: VectorSpec) -> Combinable:
    """Return what to read in place of a method's column: the same values for `unpack`, in a tenth of the time."""
    return _quick(method.storage)


def _quick(storage: str) -> Combinable:
    column = F(VECTOR_TYPES[storage].column)
    if storage == "halfvec":  # numbers in binary, whose text takes long to read
        return Func(column, function="halfvec_send", output_field=BinaryField())
    return column


def unpack(value: Any) -> Any:
    """Convert a value of such a column to that of `compute()`: an array, or a dict of numbers by index."""
    import numpy as np

    if isinstance(value, (bytes, memoryview)):
        return np.frombuffer(value, ">f2", offset=BINARY_HEADER).astype(np.float32)
    if isinstance(value, str):
        return np.frombuffer(value.encode(), np.uint8) == ord("1")
    if isinstance(value, SparseVector):
        return dict(zip(value.indices(), value.values(), strict=True))
    return np.array(value if isinstance(value, list) else value.to_list(), np.float32)


def unpack_all(method: VectorSpec, values: Sequence[Any]) -> Any:
    """Convert values of `quick_column` to those of `compute()`: an array of (count, dimensions), or a list of dicts."""
    import numpy as np

    if method.storage != "halfvec":
        return [unpack(value) for value in values]
    rows = np.frombuffer(b"".join(values), ">f2").reshape(len(values), -1)
    return rows[:, BINARY_HEADER // 2 :].astype(np.half)


def cast_sql(method: VectorSpec, expression: str) -> str:
    """Cast an SQL expression to pgvector's type with this method's dimensions: the expression that is indexed."""
    return f"({expression})::{method.storage}({method.dimensions})"


def distance_sql(method: VectorSpec, left: str, right: str) -> str:
    """Return SQL for the method's distance between two expressions, for statements with parameters (`%` is doubled)."""
    operator = VECTOR_TYPES[method.storage].distances[method.metric]
    return f"({cast_sql(method, left)} {operator} {cast_sql(method, right)})"

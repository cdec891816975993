"""The contract of search backends: they keep a copy of the vectors of some versions, and find the nearest ones.

It decides nothing. PostgreSQL is told which records are near, looks which of them may come back, and computes their
distances from the signatures that it has. So a copy that lags behind can miss an image, but never show a wrong one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

Scalar = bool | int | float | str
"""Value of an attribute."""


class BackendError(Exception):
    """A backend does not answer, or not as it should; the text says why."""


class Hit(NamedTuple):
    """A record that is near to a query, and its distance by the metric of the collection."""

    record_id: int
    distance: float


class Condition(NamedTuple):
    """A condition on an attribute: equal to one of the values ("in"), or at most, or at least, the only one."""

    attribute: str
    operator: Literal["in", "<=", ">="]
    values: Sequence[Scalar]


@dataclass(frozen=True)
class Collection:
    """The copy of the vectors of one version: its name, their length, and how they are compared."""

    name: str
    dimensions: int
    metric: str


@dataclass(frozen=True)
class StoredVector:
    """A record in a collection: its vector (float32, of the collection's length), and attributes of its object."""

    record_id: int
    vector: Vector
    attributes: Mapping[str, Scalar] = field(default_factory=dict)


class SearchBackend(ABC):
    """A server that finds the nearest vectors. Its options are the arguments of the constructor.

    All methods raise `BackendError` where the server does not answer; each may be called again after that.
    """

    metrics: frozenset[str] = frozenset()
    """Metrics of methods (see `Method.metric`) whose nearest vectors it finds."""

    max_hits: int = 10_000
    """Hits of a query, at most."""

    @abstractmethod
    def create(self, collection: Collection) -> None:
        """Create a collection without entries, in place of one that may be there."""

    @abstractmethod
    def drop(self, collection: Collection) -> None:
        """Delete a collection, if it is there."""

    @abstractmethod
    def write(self, collection: Collection, entries: Sequence[StoredVector], gone: Sequence[int] = ()) -> None:
        """Add entries or replace those of the same records, and delete those of the records `gone`, if any."""

    @abstractmethod
    def find_nearest(
        self, collection: Collection, queries: Sequence[Vector], limit: int, conditions: Sequence[Condition] = ()
    ) -> list[list[Hit]]:
        """Return the hits of each query that meet all conditions, the nearest first.

        An entry without an attribute meets no condition on it.
        """

    @abstractmethod
    def count(self, collection: Collection) -> int | None:
        """Return the number of entries of a collection; None where there is no such collection."""

    @abstractmethod
    def finish(self, collection: Collection) -> None:
        """Make what was written quick to search, where it is not at once; called when a copy was filled."""

    def check(self) -> list[str]:
        """Return one message for each problem of the configuration, without asking the server."""
        return []

"""What every signature method is: how it is called, stored, computed and told in percent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from django.utils.functional import Promise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Value = NDArray[np.float32] | NDArray[np.bool_] | dict[int, float]

StorageType = Literal["halfvec", "bit", "sparsevec"]
Metric = Literal["cosine", "l1", "hamming", "jaccard"]


Curve = Sequence[Sequence[float]]
"""(distance, similarity) points, from (0, 100) down to 0 percent."""


def similarity_from_distance(curve: Curve, distance: float) -> float:
    """Map a distance to a similarity, linearly between the points of a curve; never rises with distance."""
    right = bisect_right(curve, distance, key=lambda point: point[0])
    if right == 0:
        return 100.0
    if right == len(curve):
        return curve[-1][1]
    (d0, s0), (d1, s1) = curve[right - 1], curve[right]
    return s0 + (s1 - s0) * (distance - d0) / (d1 - d0)


def similarities_on_curve(curve: Curve, distances: Iterable[float]) -> list[float]:
    """Return the similarity in percent of each distance on a curve."""
    return [similarity_from_distance(curve, distance) for distance in distances]


def distance_from_similarity(curve: Curve, similarity: float) -> float:
    """The largest distance that still is so similar, in percent: `percent` the other way round."""
    return similarity_from_distance([(-s, d) for d, s in curve], -similarity)


class VectorSpec(Protocol):
    """How the signatures of one version of a method are stored and compared."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def storage(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def dimensions(self) -> int: ...


class MethodSpec(VectorSpec, Protocol):
    """Everything that a search needs of a method, without `compute()`.

    Implemented by `Method` and by the rows of `MethodVersion`.
    """

    @property
    def curve(self) -> Curve: ...


class Method(ABC):
    """One way to describe a picture by a vector of fixed length.

    A class attribute says what the method is; constructor arguments are its options.
    Creating a method is cheap: heavy libraries and models load on the first `compute()`.
    """

    name: str
    """Stored with every signature, and what `method=` and `ranking=` call it."""

    title: str | Promise = ""
    """Name that visitors read; `name` where there is none."""

    storage: ClassVar[StorageType] = "halfvec"
    """pgvector's type for a signature."""

    metric: ClassVar[Metric]
    """pgvector's distance between two signatures: cosine (0 to 2), l1 (0 and up), or for bits hamming
    (0 to `dimensions`) or jaccard (0 to 1)."""

    method_config: tuple[str, dict[str, Any]] = ("", {})
    """Key and options in the setting that the method was made from."""

    curve: Curve
    """(distance, similarity) points, from (0, 100) down to 0 percent, measured on photos."""

    refines: ClassVar[bool] = False
    """Whether the best candidates are ranked by `refine()`, a distance that no index can tell, on the same scale."""

    takes_text: bool = False
    """Whether `compute_text()` describes words so that they are near the pictures they fit."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Names algorithm, model and options, at most 64 characters; signatures of two versions never meet."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """Length of a signature; to be indexed, at most 4,000 as halfvec and 64,000 as bit."""

    @abstractmethod
    def compute(self, pixels: NDArray[np.uint8]) -> Value:
        """Describe an upright RGB picture of shape (height, width, 3).

        Returns, by `storage`: halfvec, `dimensions` finite numbers; bit, as many booleans; sparsevec, the numbers
        that are not 0 by their place, from 0 (at most 1,000 to be indexed).
        """

    def refine(self, query: Value, candidates: Sequence[Value]) -> list[float]:
        """Truer distances of the candidates that the stored ones put forward; only where `refines`."""
        raise TypeError(f"{self.name} has no truer distance.")

    def has_low_detail(self, value: Value) -> bool:
        """Whether this result of `compute()` says next to nothing, as of a blank picture: it is not searched by."""
        return False

    def similarity(self, distance: float) -> float:
        """Map a distance to percent."""
        return similarity_from_distance(self.curve, distance)

    def compute_text(self, text: str) -> Value:
        """Describe words as `compute()` does a picture; only where `takes_text`."""
        raise TypeError(f"{self.name} can't describe words.")

    def text_similarity(self, distance: float) -> float:
        """As `similarity`, for a distance between words and a picture."""
        return self.similarity(distance)

    def check(self) -> list[str]:
        """What keeps this method from working, in a sentence each: for `manage.py check`, so it may take its time."""
        return []

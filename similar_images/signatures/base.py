"""Base class of signature methods, and the curve that maps their distances to percent."""

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
"""(distance, similarity in percent) points, from (0, 100) down to 0 percent."""


def similarity_from_distance(curve: Curve, distance: float) -> float:
    """Interpolate the similarity, 0 to 100 percent, linearly between the points of a curve."""
    return similarities_on_curve(curve, [distance])[0]


def similarities_on_curve(curve: Curve, distances: Iterable[float]) -> list[float]:
    """Return the similarity in percent of each distance on a curve."""
    known = [distance for distance, _similarity in curve]
    similarities = []
    for distance in distances:
        right = bisect_right(known, distance)
        if right == 0:
            similarities.append(100.0)
        elif right == len(known):
            similarities.append(curve[-1][1])
        else:
            (d0, s0), (d1, s1) = curve[right - 1], curve[right]
            similarities.append(s0 + (s1 - s0) * (distance - d0) / (d1 - d0))
    return similarities


def distance_from_similarity(curve: Curve, similarity: float) -> float:
    """Return the largest distance of at least this similarity in percent: the inverse of `similarity_from_distance`."""
    return similarity_from_distance([(-s, d) for d, s in curve], -similarity)


class VectorSpec(Protocol):
    """Storage and comparison of the signatures of one version of a method; see `Method` for the properties."""

    @property
    def name(self) -> str:
        """Name that the signatures are stored under."""

    @property
    def version(self) -> str:
        """Name of algorithm, model and options."""

    @property
    def storage(self) -> str:
        """Vector type of pgvector."""

    @property
    def metric(self) -> str:
        """Distance of pgvector."""

    @property
    def dimensions(self) -> int:
        """Length of a signature."""


class MethodSpec(VectorSpec, Protocol):
    """Everything that a search needs of a method, without `compute()`.

    Implemented by `Method` and by the rows of `MethodVersion`.
    """

    @property
    def curve(self) -> Curve:
        """Calibration curve."""


class Method(ABC):
    """One way to describe an image by a vector of fixed length, its signature.

    Class attributes say what the method is; the arguments of the constructor are its options.
    Creating a method is cheap: heavy libraries and models load on the first `compute()`.
    """

    name: str
    """Name that signatures are stored under, and that `method=` and `ranking=` take."""

    title: str | Promise = ""
    """Name that visitors read; `name` where there is none."""

    storage: ClassVar[StorageType] = "halfvec"
    """Vector type of pgvector that a signature is stored as."""

    metric: ClassVar[Metric]
    """Distance of pgvector between two signatures: cosine (0 to 2), l1 (0 and up), or for bits hamming
    (0 to `dimensions`) or jaccard (0 to 1)."""

    method_config: tuple[str, dict[str, Any]] = ("", {})
    """Key and options in the setting that the method was made from."""

    curve: Curve
    """(distance, similarity) points, from (0, 100) down to 0 percent, measured on photos."""

    refines: ClassVar[bool] = False
    """Re-rank candidates by `refine()`, an exact distance that can't be indexed, in the unit of the stored one."""

    takes_text: bool = False
    """Describe texts by `compute_text()`, close to the images that they fit."""

    gains_by_centering: bool = False
    """Take the mean of a source's signatures off each of them, where that is known to find more similar images."""

    finds_copies: bool = False
    """Tell copies of an image from look-alikes: searches for copies find candidates by it, whatever its name."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Name of algorithm, model and options, at most 64 characters; two versions are never compared."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """Length of a signature; to be indexed, at most 4,000 as halfvec and 64,000 as bit."""

    @abstractmethod
    def compute(self, pixels: NDArray[np.uint8]) -> Value:
        """Describe an upright RGB image, uint8 (height, width, 3).

        Returns:
            By `storage`: halfvec, `dimensions` finite numbers; bit, as many booleans; sparsevec, the non-zero numbers
            by their index, from 0 (at most 1,000 to be indexed).
        """

    def refine(self, query: Value, candidates: Sequence[Value]) -> list[float]:
        """Return the exact distances from the query to the candidates; only if `refines`.

        Raises:
            TypeError: the method has no exact distance.
        """
        raise TypeError(f"{self.name} has no exact distance to refine by.")

    def has_low_detail(self, value: Value) -> bool:
        """Return whether a signature says next to nothing, like that of a blank image; it is never searched by."""
        return False

    def similarity(self, distance: float) -> float:
        """Map a distance to percent."""
        return similarity_from_distance(self.curve, distance)

    def compute_text(self, text: str) -> Value:
        """Describe a text like `compute()` describes an image; only if `takes_text`.

        Raises:
            TypeError: the method can't describe texts.
        """
        raise TypeError(f"{self.name} can't describe texts.")

    def text_similarity(self, distance: float) -> float:
        """Map a distance between a text and an image to percent."""
        return self.similarity(distance)

    def check(self) -> list[str]:
        """Return one message per configuration problem, for `manage.py check`. May be slow, as it may open files."""
        return []

"""Pairs of pictures that may be copies, found by their signatures: no picture is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..signatures.base import Method
from ..signatures.distances import BLOCK, SignatureArray, similarities_from_distances

if TYPE_CHECKING:
    from ..signatures.base import Value

# The best of eight orientations is near by chance, too: among 2,000 photos, hashes put 5,368 pairs forward at 50
# percent, and 687 at 80, with all the copies that neither embedding nor color found.
MIN_ORIENTED_SIMILARITY = 80.0

IndexPair = tuple[int, int]
"""The places of two pictures, the smaller first."""


@dataclass(frozen=True)
class MethodSignatures:
    """What one method saw in every picture of a collection.

    `orientations`: as many values for each picture, upright first; more than one where a picture was described also
    as mirrored and turned. `seen`: whether it saw anything, (pictures,); others are nobody's candidates by this method.
    """

    method: Method
    orientations: Sequence[SignatureArray]
    seen: NDArray[np.bool_]

    @classmethod
    def of(cls, method: Method, values: Sequence[Sequence[Value] | None]) -> MethodSignatures:
        """Of the values of each picture, as many for every one; None where there are none."""
        count = next((len(own) for own in values if own is not None), 1)
        nothing: Value = {} if method.storage == "sparsevec" else np.zeros(method.dimensions, np.float32)
        filled = [own if own is not None else [nothing] * count for own in values]
        orientations = [SignatureArray(method, [own[place] for own in filled]) for place in range(count)]
        return cls(method, orientations, np.array([own is not None for own in values], bool))

    def upright(self, place: int) -> Value:
        """What was seen in the picture at a place, rounded as it is stored."""
        values = self.orientations[0]
        return values.sparse[place] if self.method.storage == "sparsevec" else values.dense[place]

    def similarities(self) -> Iterator[NDArray[np.float64]]:
        """Of all pictures to all, in percent: (up to BLOCK, pictures) at a time, of the orientation that fits best."""
        upright = self.orientations[0]
        parts = zip(*(upright.distances(turned) for turned in self.orientations), strict=True)
        for start, blocks in zip(range(0, upright.count, BLOCK), parts, strict=True):
            percents = similarities_from_distances(self.method, np.minimum.reduce(blocks))
            percents[:, ~self.seen] = 0
            percents[~self.seen[start : start + BLOCK]] = 0
            yield percents


def find_candidate_pairs(
    looks: Mapping[str, MethodSignatures], *, threshold: float, nearest: int
) -> dict[IndexPair, dict[str, float]]:
    """The pairs that some method finds at least `threshold` percent alike, with the similarities by every method.

    Where a method saw pictures in several orientations, they must be alike by at least LEAST_TURNED.

    Every picture puts at most `nearest` others forward by each method, the likest first: memory and what is to be
    proven grow with the number of pictures, not with its square. All similarities are computed, in blocks.
    """
    found: dict[IndexPair, dict[str, float]] = {}
    for number, blocks in enumerate(zip(*(look.similarities() for look in looks.values()), strict=True)):
        places = number * BLOCK + np.arange(len(blocks[0]))
        for block in blocks:
            block[np.arange(len(block)), places] = -1  # a picture is not its own copy
        for look, block in zip(looks.values(), blocks, strict=True):
            least = threshold if len(look.orientations) == 1 else max(threshold, MIN_ORIENTED_SIMILARITY)
            likest = np.argsort(-block, axis=1, kind="stable")[:, :nearest]
            rows, ranks = np.nonzero(np.take_along_axis(block, likest, axis=1) >= least)
            for row, other in zip(rows.tolist(), likest[rows, ranks].tolist(), strict=True):
                a, b = sorted((int(places[row]), other))
                told = {name: float(every[row, other]) for name, every in zip(looks, blocks, strict=True)}
                before = found.get((a, b), told)
                found[a, b] = {name: max(value, before[name]) for name, value in told.items()}
    return dict(sorted(found.items()))

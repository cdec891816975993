"""Candidate pairs: images that may be copies, proposed by their signatures without reading a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..signatures.base import Method
from ..signatures.distances import BLOCK, SignatureArray, similarities_from_distances
from .graphs import connected_components
from .images import ImageCollection, Neighbors, ScannedImage

if TYPE_CHECKING:
    from ..signatures.base import Value

CANDIDATE_THRESHOLD = 50.0
"""Similarity in percent by any method from which two images are compared."""

NEAREST = 3
"""Neighbors that each method proposes for an image."""

MAX_PAIRS_PER_IMAGE = 1.0
"""Pairs that are compared per image, on the average, at most: those that a method rates highest. Of 10,000 images with
500 planted copies, 494 copies were among all 30,777 pairs; of one half of them, the first 10,000 pairs have 240 of 246,
as many as by a logistic regression on the similarities that was fitted on the other half."""

MIN_PAIRS = 2_000
"""Pairs that are compared, however few the images are."""

BATCH_SIZE = 100
"""Pairs that are loaded and compared at a time."""

MIN_ORIENTED_SIMILARITY = 80.0
"""Similarity in percent from which a mirrored or turned image counts. The best of eight orientations is near by chance:
among 2,000 photos, hashes proposed 5,368 pairs at 50%, and 687 at 80% with all the copies that only hashes found."""

NO_SIMILARITY = -1.0
"""Stands where a method did not describe both images, and where an image meets itself."""


class CandidatePair(NamedTuple):
    """Two images, in the order of their keys, and their similarities by method, in percent."""

    a: ScannedImage
    b: ScannedImage
    similarities: Mapping[str, float]


class ProposedPair(NamedTuple):
    """The keys of two images, the smaller one first, and their similarities by method, in percent."""

    a: int
    b: int
    similarities: Mapping[str, float]


@dataclass(frozen=True)
class Proposals:
    """The pairs that are to be compared, and the number of those that are not, as others are more promising."""

    pairs: list[ProposedPair]
    left_out: int


def propose_pairs(
    collection: ImageCollection,
    *,
    threshold: float,
    nearest: int,
    is_exhaustive: bool = False,
    advance: Callable[[int], Any] = lambda done: None,
) -> Proposals:
    """Propose pairs of similar images; those of the same picture come one after the other.

    Every image is paired with at most `nearest` others by each method, if these are at least `threshold` percent
    similar, so the work of verification grows with the number of images, not with its square. Unless `is_exhaustive`,
    those of more than MAX_PAIRS_PER_IMAGE are left out that are least similar by the method that rates them highest.

    Args:
        collection: the images.
        threshold: minimum similarity by any method, in percent.
        nearest: pairs that each method proposes for an image, at most.
        is_exhaustive: whether to propose all of these.
        advance: called with the number of images that were looked at, now and then.
    """
    proposed: dict[tuple[int, int], Mapping[str, float]] = {}
    for done, (key, neighbors) in enumerate(collection.neighbors(nearest), 1):
        for neighbor in select_neighbors(neighbors, threshold, nearest):
            proposed.setdefault((min(key, neighbor), max(key, neighbor)), neighbors[neighbor])
        advance(done)
    pairs = [ProposedPair(*keys, similarities) for keys, similarities in sorted(proposed.items())]
    most = len(pairs) if is_exhaustive else max(MIN_PAIRS, int(MAX_PAIRS_PER_IMAGE * collection.distinct_count))
    kept = sorted(pairs, key=lambda pair: -max(pair.similarities.values()))[:most]
    return Proposals(_sort_by_component(kept), len(pairs) - len(kept))


def load_pairs(collection: ImageCollection, pairs: Sequence[ProposedPair]) -> list[CandidatePair]:
    """Load the images of pairs; without those that were deleted meanwhile, or are marked as not similar."""
    images = collection.load({key for pair in pairs for key in pair[:2]})
    loaded = [
        CandidatePair(images[a], images[b], similarities) for a, b, similarities in pairs if a in images and b in images
    ]
    return [pair for pair in loaded if not collection.is_marked_unlike(pair.a, pair.b)]


def _sort_by_component(pairs: Sequence[ProposedPair]) -> list[ProposedPair]:
    """Sort pairs so that those with common images come together, whose decoded images are still in memory then."""
    components = connected_components(sorted((pair.a, pair.b) for pair in pairs))
    number_of = {key: number for number, keys in enumerate(components) for key in keys}
    return sorted(pairs, key=lambda pair: (number_of[pair.a], pair.a, pair.b))


def select_neighbors(neighbors: Neighbors, threshold: float, nearest: int) -> set[int]:
    """Return the keys of the `nearest` neighbors by each method that are at least `threshold` percent similar."""
    selected: set[int] = set()
    for name in {name: None for similarities in neighbors.values() for name in similarities}:
        similar = [key for key in neighbors if neighbors[key].get(name, NO_SIMILARITY) >= threshold]
        selected.update(sorted(similar, key=lambda key: (-neighbors[key][name], key))[:nearest])
    return selected


@dataclass(frozen=True)
class MethodSignatures:
    """The signatures of n images by one method.

    `orientations`: n signatures each, upright first; several where images were also described mirrored and turned.
    `is_described`: bool (n,), False where the method saw too little detail: such an image has no neighbors.
    """

    method: Method
    orientations: Sequence[SignatureArray]
    is_described: NDArray[np.bool_]

    @classmethod
    def from_values(cls, method: Method, values: Sequence[Sequence[Value] | None]) -> MethodSignatures:
        """Build from the signatures of each image in every orientation; None where it has none."""
        count = next((len(signatures) for signatures in values if signatures is not None), 1)
        empty: Value = {} if method.storage == "sparsevec" else np.zeros(method.dimensions, np.float32)
        filled = [signatures if signatures is not None else [empty] * count for signatures in values]
        orientations = [SignatureArray(method, [row[index] for row in filled]) for index in range(count)]
        return cls(method, orientations, np.array([signatures is not None for signatures in values], bool))

    def similarity_blocks(self) -> Iterator[NDArray[np.float64]]:
        """Yield the similarities of all images to all, in percent: (up to BLOCK, n) at a time.

        Another orientation than the upright one counts from MIN_ORIENTED_SIMILARITY.
        """
        upright = self.orientations[0]
        distances = zip(*(upright.distances(turned) for turned in self.orientations), strict=True)
        for start, (block, *turned) in zip(range(0, upright.count, BLOCK), distances, strict=True):
            similarities = similarities_from_distances(self.method, block)
            if turned:
                oriented = similarities_from_distances(self.method, np.minimum.reduce(turned))
                similarities = np.where(
                    oriented >= MIN_ORIENTED_SIMILARITY, np.maximum(similarities, oriented), similarities
                )
            similarities[:, ~self.is_described] = NO_SIMILARITY
            similarities[~self.is_described[start : start + BLOCK]] = NO_SIMILARITY
            rows = np.arange(len(similarities))
            similarities[rows, start + rows] = NO_SIMILARITY
            yield similarities


def find_neighbors(signatures: Iterable[MethodSignatures], nearest: int) -> Iterator[tuple[int, Neighbors]]:
    """Yield the index of each image, and its `nearest` neighbors by each method, by an exact search in memory."""
    signatures = list(signatures)
    names = [by_method.method.name for by_method in signatures]
    index = 0
    for blocks in zip(*(by_method.similarity_blocks() for by_method in signatures), strict=True):
        nearest_by_method = [np.argsort(-block, axis=1, kind="stable")[:, :nearest] for block in blocks]
        for row in range(len(blocks[0])):
            keys = sorted({int(key) for ranked in nearest_by_method for key in ranked[row]})
            similarities = {
                key: {
                    name: float(block[row, key])
                    for name, block in zip(names, blocks, strict=True)
                    if block[row, key] != NO_SIMILARITY
                }
                for key in keys
            }
            yield index, {key: by_method for key, by_method in similarities.items() if by_method}
            index += 1

"""The pipeline that finds duplicates: candidate pairs, verification, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from ..measures.verdict import VerdictKind
from .candidates import CANDIDATE_THRESHOLD, NEAREST, batch_candidates
from .groups import group_connected, group_members
from .images import ImageCache, ImageCollection, ScannedImage
from .scan_cache import ScanCache
from .verification import VerifiedPair, verify_exact_duplicates, verify_pairs


@dataclass(frozen=True)
class FoundDuplicates:
    """The pairs that were found in a collection, the number of pairs compared, and messages on those that failed."""

    collection: ImageCollection
    candidates: int
    pairs: list[VerifiedPair]
    problems: list[str]

    @property
    def is_complete(self) -> bool:
        """True if no image was left out, and no pair could not be compared."""
        return not (self.problems or self.collection.missing_message)

    @property
    def copies(self) -> list[list[ScannedImage]]:
        """The copies of each picture, largest groups first."""
        return [group_members(group) for group in group_connected(pair for pair in self.pairs if pair.is_copy)]

    @property
    def series(self) -> list[list[ScannedImage]]:
        """The shots of each series, largest series first."""
        return [group_members(group) for group in group_connected(pair for pair in self.pairs if pair.is_series)]


def find_duplicates(
    collection: ImageCollection,
    *,
    kinds: Collection[VerdictKind],
    jobs: int,
    threshold: float = CANDIDATE_THRESHOLD,
    nearest: int = NEAREST,
    cache: ScanCache | None = None,
    advance: Callable[[int], Any] = lambda count: None,
) -> FoundDuplicates:
    """Find the pairs of a collection that have a verdict of these kinds.

    In memory are the pairs that were found, the keys of those that were compared, a batch of candidates, and at most
    MAX_CACHED_IMAGES decoded images.

    Args:
        collection: the images, of a folder or a source.
        kinds: kinds of verdicts to return.
        jobs: threads that compare images.
        threshold: minimum similarity of candidates by any method, in percent.
        nearest: candidates that each method proposes for an image, at most.
        cache: verdicts of a former run; new ones are added.
        advance: called with the number of images that were done, to move a progress bar; with 0 after each pair.
    """
    pairs = [
        pair
        for pair in verify_exact_duplicates(collection.exact_duplicates())
        if pair.kind in kinds and not collection.is_marked_unlike(pair.a, pair.b)
    ]
    candidates, problems = 0, []
    images = ImageCache()
    for count, batch in batch_candidates(collection, threshold=threshold, nearest=nearest):
        candidates += len(batch)
        for result in verify_pairs(batch, images, cache, jobs):
            if isinstance(result, str):
                problems.append(result)
            elif result.kind in kinds:
                pairs.append(result)
            advance(0)
        advance(count)
    return FoundDuplicates(collection, candidates, pairs, problems)

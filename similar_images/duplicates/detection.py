"""The pipeline that finds duplicates: candidate pairs, verification, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from django.utils.functional import cached_property

from ..measures.verdict import VerdictKind
from .candidates import BATCH_SIZE, CANDIDATE_THRESHOLD, NEAREST, load_pairs, propose_pairs
from .groups import group_connected, group_members, group_series
from .images import ImageCache, ImageCollection, ScannedImage
from .verdict_store import VerdictStore
from .verification import VerifiedPair, verify_exact_duplicates, verify_pairs

Stage = Literal["candidates", "pairs"]
"""Candidates are looked for among all images; then pairs of them are compared."""

STAGES: dict[str, str] = {"candidates": "images", "pairs": "pairs"}
"""Units of the progress of each stage, in the plural."""

Report = Callable[[Stage, int, int], Any]
"""Called with a stage, and how many of how many images or pairs are done."""


@dataclass(frozen=True)
class FoundDuplicates:
    """The result of a search.

    Attributes:
        collection: the images.
        candidates: the number of pairs that were compared, now or in a former run.
        pairs: the pairs that were found.
        problems: messages on the pairs that could not be compared.
        plain: images that are too plain to be told from others; none of them is in a pair but of identical files.
        left_out: the number of less promising pairs that were not compared.
    """

    collection: ImageCollection
    candidates: int
    pairs: list[VerifiedPair]
    problems: list[str]
    plain: list[ScannedImage] = field(default_factory=list)
    left_out: int = 0

    @property
    def is_complete(self) -> bool:
        """True if no image was left out, and no pair could not be compared."""
        return not (self.problems or self.collection.missing_message)

    @property
    def copies(self) -> list[list[ScannedImage]]:
        """The copies of each picture, largest groups first."""
        copies = (pair for pair in self.pairs if pair.is_copy)
        return [group_members(group) for group in group_connected(copies, self.unlike_names)]

    @property
    def series(self) -> list[list[ScannedImage]]:
        """The shots of each series, largest series first; of the copies of one shot, the largest."""
        return [group_members(group) for group in group_series(self.pairs, self.unlike_names)]

    @cached_property
    def unlike_names(self) -> set[tuple[str, str]]:
        """The names of images that a person marked as not similar, pair by pair: no group has both."""
        return self.collection.unlike_names(image for pair in self.pairs for image in (pair.a, pair.b))


def find_duplicates(
    collection: ImageCollection,
    *,
    kinds: Collection[VerdictKind],
    jobs: int,
    threshold: float = CANDIDATE_THRESHOLD,
    nearest: int = NEAREST,
    is_exhaustive: bool = False,
    verdicts: VerdictStore | None = None,
    report: Report = lambda stage, done, total: None,
) -> FoundDuplicates:
    """Find the pairs of a collection that have a verdict of these kinds.

    In memory are the pairs that were found, the keys of those to compare, and at most MAX_CACHED_IMAGES decoded images.

    Args:
        collection: the images, of a folder or a source.
        kinds: kinds of verdicts to return.
        jobs: threads that compare images.
        threshold: minimum similarity of candidates by any method, in percent.
        nearest: candidates that each method proposes for an image, at most.
        is_exhaustive: whether to compare candidates, too, that by their signatures are neither copies nor a series.
        verdicts: those of former runs; new ones are added.
        report: told of the progress.
    """
    pairs = [pair for pair in verify_exact_duplicates(collection.exact_duplicates()) if pair.kind in kinds]
    pairs = [pair for pair in pairs if not collection.is_marked_unlike(pair.a, pair.b)]
    proposals = propose_pairs(
        collection,
        threshold=threshold,
        nearest=nearest,
        is_exhaustive=is_exhaustive,
        advance=partial(_report_stage, report, "candidates", collection.distinct_count),
    )
    plain = {image.name: image for image in collection.undescribed_images()}
    compared, problems, images, total = 0, [], ImageCache(), len(proposals.pairs)
    for start in range(0, total, BATCH_SIZE):
        batch = load_pairs(collection, proposals.pairs[start : start + BATCH_SIZE])
        compared += len(batch)
        results = verify_pairs(batch, images, verdicts, jobs, looks_first=not is_exhaustive)
        for done, result in enumerate(results, start + 1):
            if isinstance(result, str):
                problems.append(result)
            else:
                plain |= {image.name: image for image in result.plain_images}
                if result.kind in kinds:
                    pairs.append(result)
            report("pairs", done, total)
        report("pairs", min(total, start + BATCH_SIZE), total)
    return FoundDuplicates(collection, compared, pairs, problems, list(plain.values()), proposals.left_out)


def _report_stage(report: Report, stage: Stage, total: int, done: int) -> None:
    report(stage, done, total)

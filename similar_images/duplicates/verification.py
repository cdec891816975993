"""Verify candidate pairs: read both images, compare them, and give a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from .. import conf, plugins
from ..imaging import decode
from ..imaging.threads import map_in_threads
from ..measures.base import ComparisonImage
from ..measures.geometry.matching_part import find_matching_part
from ..measures.geometry.registration import Registration, register
from ..measures.verdict import Verdict, VerdictKind
from ..ranking_presets import resolve_preset
from ..search.ranking import fuse_scores
from ..search.rerank import copies
from ..search.resemblance import MAX_COLOR_DIFFERENCE
from .candidates import CandidatePair
from .images import ExactDuplicate, ImageCache, ScannedImage
from .scan_cache import ScanCache

MIN_SERIES_OVERLAP = 0.6
"""Share of either image that lies on the other, where both were taken from much the same place."""

MIN_GROUP_AGREEMENT = 0.95
"""Share of the windows with something in them that match, in copies and shots of a series that are grouped: with less,
another thing may stand before the same background. Chosen on half of 120 pairs of things before one background."""

MIN_EQUIVALENT_AGREEMENT = 0.99
"""The same share in images that differ in size and encoding alone: a line of text leaves less."""

EQUIVALENT_CHANGES = frozenset({"resized", "re-encoded"})
"""Changes that leave all of an image there."""


@dataclass(frozen=True)
class VerifiedPair:
    """Two images and the verdict on them.

    Attributes:
        a: an image.
        b: another.
        kind: kind of the verdict.
        text: the verdict in a sentence.
        similarities: by method, in percent; empty for files with the same bytes.
        is_series: whether both show the same object from much the same place, but are no copies.
        changes: how one was edited to make the other, as in Verdict.
        agreement: the share of the windows with something in them that match, 0 to 1.
    """

    a: ScannedImage
    b: ScannedImage
    kind: VerdictKind
    text: str
    similarities: Mapping[str, float]
    is_series: bool = False
    changes: Sequence[str] = ()
    agreement: float = 1.0

    @property
    def similarity(self) -> float:
        """The similarity by the method that rates them highest, in percent with one decimal."""
        return round(max(self.similarities.values(), default=100.0), 1)

    @property
    def is_copy(self) -> bool:
        """True if both are the same picture, edited lightly or not at all."""
        return self.kind == "same-file" or (self.kind == "same-picture" and self.agreement >= MIN_GROUP_AGREEMENT)

    @property
    def is_equivalent(self) -> bool:
        """True if nothing but the size and the encoding differs."""
        is_whole = self.agreement >= MIN_EQUIVALENT_AGREEMENT and EQUIVALENT_CHANGES.issuperset(self.changes)
        return self.kind == "same-file" or (self.kind == "same-picture" and is_whole)


def verify_exact_duplicates(duplicates: Iterable[ExactDuplicate]) -> Iterator[VerifiedPair]:
    """Yield the verdict on files with the same bytes, which needs no comparison."""
    verdict = Verdict("same-file")
    return (VerifiedPair(a, b, verdict.kind, verdict.text, {}) for a, b in duplicates)


def verify_pairs(
    pairs: Iterable[CandidatePair], images: ImageCache, cache: ScanCache | None, jobs: int
) -> Iterator[VerifiedPair | str]:
    """Yield for each pair the verdict, taken from the cache where it is there; or a message why there is none."""
    return map_in_threads(partial(_verify_pair, images, cache), pairs, jobs)


def is_series(registration: Registration | None) -> bool:
    """Return whether two images of the same object show all of it from much the same place."""
    if registration is None or registration.agreement < MIN_GROUP_AGREEMENT:
        return False
    return min(registration.overlap_a, registration.overlap_b) >= MIN_SERIES_OVERLAP


def is_recolored(a: ComparisonImage, b: ComparisonImage, registration: Registration) -> bool:
    """Return whether what two images share has other colors, by more than brightness, contrast or saturation edits.

    Registration leaves out the quarter of the pixels that differ most, which may be covered by a text, and with them a
    small thing in another color before much the same ground. Where the structure matches, nothing is covered.
    """
    return find_matching_part(a, b, registration).color_residual > MAX_COLOR_DIFFERENCE


def _verify_pair(images: ImageCache, cache: ScanCache | None, pair: CandidatePair) -> VerifiedPair | str:
    a, b, similarities = pair
    verdict: Any = cache.get_verdict(a.sha256, b.sha256) if cache else None
    if not _is_verdict(verdict):
        try:
            verdict = _compare_pair(images, pair)
        except decode.INTERRUPTIONS:
            raise
        except Exception as error:  # one pair that fails must not stop the scan
            return f"{a.name}, {b.name}: {error}"
        if cache:
            cache.save_verdict(a.sha256, b.sha256, verdict)
    return VerifiedPair(a, b, similarities=similarities, **verdict)


def _is_verdict(cached: Any) -> bool:
    """Tell whether a cached value is what `_compare_pair` returns, in this version."""
    fields = {"kind": str, "text": str, "is_series": bool, "changes": list, "agreement": float}
    is_complete = isinstance(cached, dict) and {name: type(value) for name, value in cached.items()} == fields
    return is_complete and cached["kind"] in get_args(VerdictKind)


def _compare_pair(images: ImageCache, pair: CandidatePair) -> dict[str, Any]:
    """Return the part of a VerifiedPair that is cached."""
    a, b = images.load(pair.a), images.load(pair.b)
    verdict, agreement = copies.copy_verdict(a, b, _fused_similarity(pair.similarities))
    registration, series = register(a, b), False
    if registration is not None and verdict.kind in ("same-picture", "same-object"):
        if is_recolored(a, b, registration):
            verdict = Verdict("same-object")
        else:
            series = verdict.kind == "same-object" and is_series(registration)
    return {
        "kind": verdict.kind,
        "text": verdict.text,
        "is_series": series,
        "changes": list(verdict.changes),
        "agreement": agreement,
    }


def _fused_similarity(similarities: Mapping[str, float]) -> float | None:
    """Return the similarity that a search shows, in percent; None where a method of its ranking is missing."""
    weights = resolve_preset(conf.get().ranking, plugins.enabled_methods())
    return fuse_scores([similarities], weights)[0] if weights.keys() <= similarities.keys() else None

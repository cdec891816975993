"""Verify candidate pairs: read both images, compare them, and give a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from .. import conf, plugins
from ..imaging import decode
from ..imaging.threads import map_in_threads
from ..measures.geometry.registration import Registration, register
from ..measures.verdict import Verdict, VerdictKind
from ..ranking_presets import resolve_preset
from ..search.ranking import fuse_scores
from ..search.rerank import copies
from .candidates import CandidatePair
from .images import ExactDuplicate, ImageCache, ScannedImage
from .scan_cache import ScanCache

MIN_SERIES_OVERLAP = 0.6
"""Share of either image that lies on the other, where both were taken from much the same place."""


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
    """

    a: ScannedImage
    b: ScannedImage
    kind: VerdictKind
    text: str
    similarities: Mapping[str, float]
    is_series: bool = False

    @property
    def similarity(self) -> float:
        """The similarity by the method that rates them highest, in percent with one decimal."""
        return round(max(self.similarities.values(), default=100.0), 1)

    @property
    def is_copy(self) -> bool:
        """True if both are the same picture, edited or not."""
        return self.kind in ("same-file", "same-picture")


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
    """Return whether two images of the same object show it from much the same place."""
    return registration is not None and min(registration.overlap_a, registration.overlap_b) >= MIN_SERIES_OVERLAP


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
    fields = {"kind": str, "text": str, "is_series": bool}
    is_complete = isinstance(cached, dict) and {name: type(value) for name, value in cached.items()} == fields
    return is_complete and cached["kind"] in get_args(VerdictKind)


def _compare_pair(images: ImageCache, pair: CandidatePair) -> dict[str, Any]:
    """Return the part of a VerifiedPair that is cached: `kind`, `text` and `is_series`."""
    a, b = images.load(pair.a), images.load(pair.b)
    verdict, _agreement = copies.copy_verdict(a, b, _fused_similarity(pair.similarities))
    series = verdict.kind == "same-object" and is_series(register(a, b))
    return {"kind": verdict.kind, "text": verdict.text, "is_series": series}


def _fused_similarity(similarities: Mapping[str, float]) -> float | None:
    """Return the similarity that a search shows, in percent; None where a method of its ranking is missing."""
    weights = resolve_preset(conf.get().ranking, plugins.enabled_methods())
    return fuse_scores([similarities], weights)[0] if weights.keys() <= similarities.keys() else None

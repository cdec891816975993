"""Verify candidate pairs: read both images, compare them, and give a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

from .. import conf, plugins
from ..imaging import decode
from ..imaging.threads import map_in_threads
from ..measures.geometry.matching_part import find_matching_part
from ..measures.geometry.registration import Registration, register
from ..measures.verdict import COPY_KINDS, Verdict, VerdictKind, judge_pair
from ..ranking_presets import resolve_preset
from ..search.ranking import fuse_scores, image_similarity
from ..search.resemblance import MAX_COLOR_DIFFERENCE, SAME_DESIGN
from .candidates import CandidatePair
from .first_look import may_be_duplicates
from .images import ExactDuplicate, ImageCache, ScannedImage
from .plain import is_plain
from .verdict_store import VERDICT_VERSION, StoredVerdict, VerdictStore

MIN_SERIES_OVERLAP = 0.6
"""Share of either image that lies on the other, where both were taken from much the same place."""

MIN_SERIES_AGREEMENT = 0.7
"""Share of the windows with something in them that match, in shots of a series."""

MAX_SERIES_RESIDUAL = 16.0
"""Color residual of the matching part that shots of a series may have: between two of them, small things have moved."""

MIN_GROUP_AGREEMENT = 0.95
"""Share of the windows with something in them that match, in copies that are grouped: with less,
another thing may stand before the same background. Chosen on half of 120 pairs of things before one background."""

MIN_EQUIVALENT_AGREEMENT = 0.99
"""The same share in images that differ in size and encoding alone: a line of text leaves less."""

EQUIVALENT_CHANGES = frozenset({"resized", "re-encoded"})
"""Changes that leave all of an image there."""

UNCOMPARED = {"kind": "unrelated", "text": "", "is_series": False, "changes": [], "agreement": 0.0}
"""The verdict on a pair that is not compared: an image is too plain, or a first look found nothing in common."""


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
        plain: which of the two is too plain to be told from others: "a", "b", both, or none. Such pairs are unrelated.
    """

    a: ScannedImage
    b: ScannedImage
    kind: VerdictKind
    text: str
    similarities: Mapping[str, float]
    is_series: bool = False
    changes: Sequence[str] = ()
    agreement: float = 1.0
    plain: Sequence[str] = ()

    def between(self, a: ScannedImage, b: ScannedImage) -> VerifiedPair:
        """Return the same verdict on two other images, such as copies of these."""
        return replace(self, a=a, b=b)

    @property
    def plain_images(self) -> list[ScannedImage]:
        """Those of the two that are too plain."""
        return [getattr(self, side) for side in self.plain]

    @property
    def similarity(self) -> float:
        """The similarity by the method that rates them highest, in percent with one decimal."""
        return round(max(self.similarities.values(), default=100.0), 1)

    @property
    def is_copy(self) -> bool:
        """True if both are the same picture, edited lightly or not at all."""
        is_whole = self.kind in ("same-picture", "edited-picture") and self.agreement >= MIN_GROUP_AGREEMENT
        return self.kind == "same-file" or is_whole

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
    pairs: Sequence[CandidatePair],
    images: ImageCache,
    verdicts: VerdictStore | None,
    jobs: int,
    *,
    looks_first: bool = False,
) -> Iterator[VerifiedPair | str]:
    """Yield for each pair the verdict, taken from the store where it is there; or a message why there is none.

    The store is used in the caller's thread alone. With `looks_first`, pairs that a first look finds to have nothing in
    common are unrelated, and not compared.
    """
    stored = verdicts.get_verdicts([(pair.a.sha256, pair.b.sha256) for pair in pairs]) if verdicts else {}
    known = {
        shas: verdict
        for shas, verdict in stored.items()
        if _is_verdict(verdict) and (looks_first or verdict["is_compared"])
    }
    verify = partial(_verify_pair, images, known, looks_first)
    for pair, verdict in zip(pairs, map_in_threads(verify, pairs, jobs), strict=True):
        if isinstance(verdict, str):
            yield verdict
            continue
        shas = pair.a.sha256, pair.b.sha256
        if verdicts and shas not in known:
            verdicts.save_verdict(*shas, verdict)
        fields = {name: value for name, value in verdict.items() if name not in ("version", "is_compared")}
        fields["is_series"] = verdict["is_series"] and has_same_content(pair.similarities)
        yield VerifiedPair(pair.a, pair.b, similarities=pair.similarities, **fields)


def has_same_content(similarities: Mapping[str, float]) -> bool:
    """Return whether two images show the same thing by their content, whatever they have in common around it.

    Of different things before one background, most of the windows match, too.
    """
    return similarities.get("embedding", 0.0) >= SAME_DESIGN


def is_series(registration: Registration | None) -> bool:
    """Return whether two images of the same object show all of it from much the same place."""
    if registration is None or registration.agreement < MIN_SERIES_AGREEMENT:
        return False
    return min(registration.overlap_a, registration.overlap_b) >= MIN_SERIES_OVERLAP


def _verify_pair(
    images: ImageCache, known: Mapping[tuple[str, str], StoredVerdict], looks_first: bool, pair: CandidatePair
) -> StoredVerdict | str:
    if (verdict := known.get((pair.a.sha256, pair.b.sha256))) is not None:
        return verdict
    try:
        a, b = images.load(pair.a), images.load(pair.b)
        plain = [side for side, image in (("a", a), ("b", b)) if is_plain(image)]
        is_compared = bool(plain) or not looks_first or may_be_duplicates(a, b)
        verdict = UNCOMPARED if plain or not is_compared else _compare_pair(images, pair)
    except decode.INTERRUPTIONS:
        raise
    except Exception as error:  # one pair that fails must not stop the scan
        return f"{pair.a.name}, {pair.b.name}: {error}"
    return {**verdict, "plain": plain, "is_compared": is_compared, "version": VERDICT_VERSION}


def _is_verdict(stored: Any) -> bool:
    """Tell whether a stored value is what `_verify_pair` returns, in this version."""
    fields = {
        "kind": str,
        "text": str,
        "is_series": bool,
        "changes": list,
        "agreement": float,
        "plain": list,
        "is_compared": bool,
        "version": int,
    }
    is_complete = isinstance(stored, dict) and {name: type(value) for name, value in stored.items()} == fields
    return is_complete and stored["kind"] in get_args(VerdictKind) and stored["version"] == VERDICT_VERSION


def _compare_pair(images: ImageCache, pair: CandidatePair) -> dict[str, Any]:
    """Return the part of a VerifiedPair that is cached.

    Where the colors of the matching part differ by more than brightness, contrast or saturation edits, the two are no
    copies: a shop has things in several colors, photographed in one pose.
    """
    a, b = images.load(pair.a), images.load(pair.b)
    fused = _fused_similarity(pair.similarities)
    verdict = judge_pair(a, b, lambda: image_similarity(a, b) if fused is None else fused)
    registration, series = register(a, b), False
    agreement = registration.agreement if registration else 0.0
    if registration is not None and verdict.kind in (*COPY_KINDS, "same-object"):
        residual = find_matching_part(a, b, registration).color_residual
        series = verdict.kind == "same-object" and residual <= MAX_SERIES_RESIDUAL and is_series(registration)
        if residual > MAX_COLOR_DIFFERENCE:
            verdict = Verdict("same-object", probability=verdict.probability)
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

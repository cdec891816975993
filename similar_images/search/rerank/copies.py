"""Search for the same picture, whatever was done to it: by signatures, and proven by comparing the pictures."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from typing import TYPE_CHECKING

from django.db import models

from ... import ranking_presets
from ...imaging import decode
from ...models import IndexedImage
from ...registry import ImageSource
from .. import candidates, ranking
from ..query_vectors import QueryVector
from . import image_pairs

if TYPE_CHECKING:
    from ...measures.base import ComparisonImage
    from ...measures.verdict import Verdict

COPY_THRESHOLD = 70.0
"""Where a search for copies ends by default, in percent: between what is proven and what is not."""

MAX_VERIFIED = 16
"""Pictures that are read and compared, at most: some 0.1 s each."""

COPY_CANDIDATES = 60
"""Found by signatures, from which those are chosen."""

COPY_RANGE, SAME_OBJECT_RANGE, UNVERIFIED_RANGE = (90.0, 100.0), (60.0, 69.0), (0.0, 59.0)
"""The percents of a proven copy, of another picture that shows the same thing, and of all else."""

MAX_COPY_RESIDUAL = 3.0
"""Difference in color, in steps of 255, that editing the whole may leave in a copy: a variant leaves more."""

HASH_WEIGHTS = dict.fromkeys(("phash", "dhash", "ahash", "blockmean"), 0.1)
"""What hashes weigh, where they are enabled, beside the profile."""


def copy_weights(enabled: Collection[str]) -> dict[str, float]:
    """The weights by which candidates are found: the profile "copy", and hashes; else SIMILAR_IMAGES["RANKING"]."""
    known = {**ranking_presets.RANKING_PRESETS["copy"], **HASH_WEIGHTS}
    found = {name: weight for name, weight in known.items() if name in enabled}
    return found or ranking.resolve_weights()


def verify_copies(
    source: ImageSource,
    query: models.Model | bytes | str,
    operands: list[QueryVector],
    found: list[candidates.ScoredCandidate],
) -> list[candidates.ScoredCandidate]:
    """What was found, with a verdict on what was looked at, and in percent by how surely it is the same picture.

    The same file is known by its digest, and not read.
    """
    from ...measures.base import LONG_SIDE

    if isinstance(query, str) or not found:
        return found
    same = _same_file(query, operands, found)
    chosen = [one for one in select_for_verification(found, MAX_VERIFIED) if one.candidate.record_id not in same]
    told = image_pairs.compare_candidates(source, query, chosen, compare, long_side=LONG_SIDE)
    ranked = []
    for one in found:
        record_id = one.candidate.record_id
        verdict, agreement = same_file() if record_id in same else told.get(record_id, (None, 0.0))
        ranked.append(one._replace(similarity=copy_similarity(verdict, agreement, one.similarity), verdict=verdict))
    return sorted(ranked, key=lambda one: -one.similarity)


def select_for_verification(found: list[candidates.ScoredCandidate], count: int) -> list[candidates.ScoredCandidate]:
    """The likest in turns, by all methods together and by each alone: an edit may leave some of them little to see."""

    def by(name: str) -> list[candidates.ScoredCandidate]:
        return sorted(found, key=lambda one: -one.scores.get(name, 0.0))

    orders = [found, *(by(name) for name in dict.fromkeys(name for one in found for name in one.scores))]
    turns = chain.from_iterable(zip(*orders, strict=True))
    return list({one.candidate.record_id: one for one in turns}.values())[:count]


def compare(a: ComparisonImage, b: ComparisonImage, one: candidates.ScoredCandidate) -> tuple[Verdict, float]:
    """`verdict_on` the query's picture and that of a candidate."""
    return copy_verdict(a, b, one.similarity)


def copy_verdict(a: ComparisonImage, b: ComparisonImage, similarity: float) -> tuple[Verdict, float]:
    """The verdict on two pictures that a search finds so much alike, in percent; and how well they agree where one lies
    on the other, 0 to 1.

    It is stricter than that on two pictures at hand: among many, variants of a thing are photographed in one way.
    """
    from ...measures import verdict
    from ...measures.geometry import registration

    found = registration.register(a, b)
    if found is not None and found.is_same_picture and found.unexplained > MAX_COPY_RESIDUAL:
        return verdict.Verdict("same-object"), found.agreement
    return verdict.judge_pair(a, b, similarity=similarity), found.agreement if found else 0.0


def same_file() -> tuple[Verdict, float]:
    from ...measures.verdict import Verdict

    return Verdict("same-file"), 1.0


def copy_similarity(verdict: Verdict | None, agreement: float, similarity: float) -> float:
    """How surely it is the same picture, in percent, of what is proven by `agreement`, else of the signatures' own.

    It rises with either; a copy has at least 90, the same thing in another picture 60 to 69, and all else less.
    """
    if verdict is None or verdict.kind in ("alike", "unrelated"):
        (low, high), share = UNVERIFIED_RANGE, similarity / 100
    elif verdict.kind == "same-object":
        (low, high), share = SAME_OBJECT_RANGE, similarity / 100
    else:
        from ...measures.geometry.registration import MIN_AGREEMENT

        (low, high), share = COPY_RANGE, (agreement - MIN_AGREEMENT) / (1 - MIN_AGREEMENT)
    return low + (high - low) * min(1.0, max(0.0, share))


def _same_file(
    query: models.Model | bytes, operands: list[QueryVector], found: list[candidates.ScoredCandidate]
) -> set[int]:
    """The records of what has the very bytes of the query."""
    ids = [one.candidate.record_id for one in found]
    of_query = operands[0].record_id
    digests = dict(IndexedImage.objects.filter(pk__in=[*ids, of_query]).values_list("pk", "sha256"))
    digest = decode.sha256_of(query) if isinstance(query, bytes) else digests.get(of_query)
    return {pk for pk in ids if digest and digests.get(pk) == digest}

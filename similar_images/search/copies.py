"""Search for the same picture, whatever was done to it: by signatures, and proven by comparing the pictures."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from typing import TYPE_CHECKING

from django.db import models

from .. import images, profiles
from ..models import IndexedImage
from ..registry import ImageSource
from . import looking, nearest, rankings
from .queries import Operand

if TYPE_CHECKING:
    from ..measures.base import View
    from ..measures.verdict import Verdict

MIN_SIMILARITY = 70.0
"""Where a search for copies ends by default, in percent: between what is proven and what is not."""

LOOKED_AT = 16
"""Pictures that are read and compared, at most: some 0.1 s each."""

POOL = 60
"""Found by signatures, from which those are chosen."""

PROVEN, SAME_THING, OPEN = (90.0, 100.0), (60.0, 69.0), (0.0, 59.0)
"""The percents of a proven copy, of another picture that shows the same thing, and of all else."""

EXPLAINED = 3.0
"""Difference in color, in steps of 255, that editing the whole may leave in a copy: a variant leaves more."""

HASHES = dict.fromkeys(("phash", "dhash", "ahash", "blockmean"), 0.1)
"""What hashes weigh, where they are enabled, beside the profile."""


def weights(enabled: Collection[str]) -> dict[str, float]:
    """The weights by which candidates are found: the profile "copy", and hashes; else SIMILAR_IMAGES["RANKING"]."""
    known = {**profiles.PROFILES["copy"], **HASHES}
    found = {name: weight for name, weight in known.items() if name in enabled}
    return found or rankings.weights_of()


def judged(
    source: ImageSource, query: models.Model | bytes | str, operands: list[Operand], found: list[nearest.Ranked]
) -> list[nearest.Ranked]:
    """What was found, with a verdict on what was looked at, and in percent by how surely it is the same picture.

    The same file is known by its digest, and not read.
    """
    from ..measures.base import LONG_SIDE

    if isinstance(query, str) or not found:
        return found
    same = _same_file(query, operands, found)
    chosen = [one for one in worth_a_look(found, LOOKED_AT) if one.candidate.record_id not in same]
    told = looking.compared(source, query, chosen, compare, long_side=LONG_SIDE)
    ranked = []
    for one in found:
        record_id = one.candidate.record_id
        verdict, agreement = same_file() if record_id in same else told.get(record_id, (None, 0.0))
        ranked.append(one._replace(similarity=similarity_of(verdict, agreement, one.similarity), verdict=verdict))
    return sorted(ranked, key=lambda one: -one.similarity)


def worth_a_look(found: list[nearest.Ranked], count: int) -> list[nearest.Ranked]:
    """The likest in turns, by all methods together and by each alone: an edit may leave some of them little to see."""

    def by(name: str) -> list[nearest.Ranked]:
        return sorted(found, key=lambda one: -one.scores.get(name, 0.0))

    orders = [found, *(by(name) for name in dict.fromkeys(name for one in found for name in one.scores))]
    turns = chain.from_iterable(zip(*orders, strict=True))
    return list({one.candidate.record_id: one for one in turns}.values())[:count]


def compare(a: View, b: View, one: nearest.Ranked) -> tuple[Verdict, float]:
    """`verdict_on` the query's picture and that of a candidate."""
    return verdict_on(a, b, one.similarity)


def verdict_on(a: View, b: View, similarity: float) -> tuple[Verdict, float]:
    """The verdict on two pictures that a search finds so much alike, in percent; and how well they agree where one lies
    on the other, 0 to 1.

    It is stricter than that on two pictures at hand: among many, variants of a thing are photographed in one way.
    """
    from ..measures import alignment, verdict

    found = alignment.align(a, b)
    if found is not None and found.is_same_picture and found.unexplained > EXPLAINED:
        return verdict.Verdict("same-object"), found.agreement
    return verdict.judge(a, b, similarity=similarity), found.agreement if found else 0.0


def same_file() -> tuple[Verdict, float]:
    from ..measures.verdict import Verdict

    return Verdict("same-file"), 1.0


def similarity_of(verdict: Verdict | None, agreement: float, similarity: float) -> float:
    """How surely it is the same picture, in percent, of what is proven by `agreement`, else of the signatures' own.

    It rises with either; a copy has at least 90, the same thing in another picture 60 to 69, and all else less.
    """
    if verdict is None or verdict.kind in ("alike", "unrelated"):
        (low, high), share = OPEN, similarity / 100
    elif verdict.kind == "same-object":
        (low, high), share = SAME_THING, similarity / 100
    else:
        from ..measures.alignment import SAME_PICTURE

        (low, high), share = PROVEN, (agreement - SAME_PICTURE) / (1 - SAME_PICTURE)
    return low + (high - low) * min(1.0, max(0.0, share))


def _same_file(query: models.Model | bytes, operands: list[Operand], found: list[nearest.Ranked]) -> set[int]:
    """The records of what has the very bytes of the query."""
    ids = [one.candidate.record_id for one in found]
    of_query = operands[0].record_id
    digests = dict(IndexedImage.objects.filter(pk__in=[*ids, of_query]).values_list("pk", "sha256"))
    digest = images.digest(query) if isinstance(query, bytes) else digests.get(of_query)
    return {pk for pk in ids if digest and digests.get(pk) == digest}

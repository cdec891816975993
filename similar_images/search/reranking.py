"""The best matches ranked again by what keypoints prove: the same thing comes before what merely looks like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from ..registry import ImageSource
from . import looking, nearest
from .queries import Operand

if TYPE_CHECKING:
    from ..measures.base import View
    from ..measures.points import Points

BEST = 100
"""Matches that are ranked again, at most."""

SIDE, POINTS = 320, 300
"""Pixels on the long side of the pictures in which points are looked for, and how many of these are taken."""

CHANCE, SURE = 9, 30
"""Points that one geometry explains: up to this many by chance, and so many only in pictures of the same thing."""

LIFT = 0.9
"""Share of what a similarity lacks to 100 percent that is made up where the same thing is sure: copies stay ahead."""


def lifted(
    source: ImageSource, query: models.Model | bytes | str, operands: list[Operand], found: list[nearest.Ranked]
) -> list[nearest.Ranked]:
    """What was found, in a new order, with the similarity lifted where keypoints prove the same thing.

    What can't be read, or SIMILAR_IMAGES["SEARCH_TIMEOUT"] has no time left for, keeps its similarity.
    """
    if isinstance(query, str):
        return found
    counts = looking.compared(source, query, found[:BEST], _compare, long_side=SIDE)
    ranked = [
        one._replace(similarity=similarity_of(one.similarity, counts.get(one.candidate.record_id, 0))) for one in found
    ]
    return sorted(ranked, key=lambda one: -one.similarity)


def _compare(a: View, b: View, one: nearest.Ranked) -> int:
    return proven(keypoints(a), keypoints(b))


def keypoints(view: View) -> Points:
    """The RootSIFT points of a picture that is reduced to SIDE."""
    from ..measures import points

    return points.of(view, "rootsift", POINTS)


def proven(a: Points, b: Points) -> int:
    """How many points of two pictures one geometry explains: by Lowe's ratio and MAGSAC++."""
    from ..measures import points

    return int(points.prove(a, b, points.by_ratio(a, b, 0.8)).proven.sum())


def similarity_of(similarity: float, proven: int) -> float:
    """A similarity in percent, lifted by so many proven points."""
    share = min(1.0, max(0.0, (proven - CHANCE) / (SURE - CHANCE)))
    return similarity + (100 - similarity) * LIFT * share

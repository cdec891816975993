"""The best matches ranked again by what keypoints prove: the same thing comes before what merely looks like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from . import looking, nearest
from .registry import ImageSource

if TYPE_CHECKING:
    from .measures.base import View

BEST = 100
"""Matches that are ranked again, at most."""

SIDE, POINTS = 320, 300
"""Pixels on the long side of the pictures in which points are looked for, and how many of these are taken."""

CHANCE, SURE = 9, 30
"""Points that one geometry explains: up to this many by chance, and so many only in pictures of the same thing."""

LIFT = 0.9
"""Share of what a similarity lacks to 100 percent that is made up where the same thing is sure: copies stay ahead."""


def lifted(
    source: ImageSource, query: models.Model | bytes | str, operands: list[nearest.Operand], found: list[nearest.Ranked]
) -> list[nearest.Ranked]:
    """What was found, in a new order, with the similarity lifted where keypoints prove the same thing.

    What can't be read, or SIMILAR_IMAGES["SEARCH_TIMEOUT"] has no time left for, keeps its similarity.
    """
    if isinstance(query, str):
        return found
    proven = looking.compared(source, query, found[:BEST], lambda a, b, one: points(a, b), long_side=SIDE)
    ranked = [
        one._replace(similarity=similarity_of(one.similarity, proven.get(one.candidate.record_id, 0))) for one in found
    ]
    return sorted(ranked, key=lambda one: -one.similarity)


def points(a: View, b: View) -> int:
    """How many keypoints of two pictures one geometry explains: RootSIFT, Lowe's ratio and MAGSAC++."""
    from .measures import points as keypoints

    of_a, of_b = (keypoints.of(view, "rootsift", POINTS) for view in (a, b))
    return int(keypoints.prove(of_a, of_b, keypoints.by_ratio(of_a, of_b, 0.8)).proven.sum())


def similarity_of(similarity: float, proven: int) -> float:
    """A similarity in percent, lifted by so many proven points."""
    share = min(1.0, max(0.0, (proven - CHANCE) / (SURE - CHANCE)))
    return similarity + (100 - similarity) * LIFT * share

"""Groups of verified pairs: all copies of one picture, or all shots of a series."""

from __future__ import annotations

from collections.abc import Iterable

from .graphs import connected_components
from .images import ScannedImage
from .verification import VerifiedPair

PairGroup = list[VerifiedPair]
"""Pairs that are connected by common images."""


def group_connected(pairs: Iterable[VerifiedPair]) -> list[PairGroup]:
    """Group pairs that share an image, directly or through others; most pairs first, each group by similarity."""
    pairs = list(pairs)
    components = connected_components((pair.a.name, pair.b.name) for pair in pairs)
    group_of = {name: number for number, names in enumerate(components) for name in names}
    groups: list[PairGroup] = [[] for _ in components]
    for pair in sorted(pairs, key=lambda pair: -pair.similarity):
        groups[group_of[pair.a.name]].append(pair)
    return sorted(groups, key=lambda group: (-len(group), -group[0].similarity))


def group_copies(pairs: Iterable[VerifiedPair]) -> list[PairGroup]:
    """Group the copies of each picture, largest groups first; pairs that are no copies follow, each by itself."""
    pairs = list(pairs)
    single = sorted((pair for pair in pairs if not pair.is_copy), key=lambda pair: -pair.similarity)
    return [*group_connected(pair for pair in pairs if pair.is_copy), *([pair] for pair in single)]


def group_members(group: PairGroup) -> list[ScannedImage]:
    """Return the distinct images of a group, those of the most similar pairs first."""
    return list({image.name: image for pair in group for image in (pair.a, pair.b)}.values())

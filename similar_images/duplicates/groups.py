"""Groups of verified pairs: all copies of one picture, or all shots of a series."""

from __future__ import annotations

from collections.abc import Iterable

from .graphs import connected_components
from .images import ScannedImage
from .verification import VerifiedPair

PairGroup = list[VerifiedPair]
"""Pairs that are connected by common images."""


def group_connected(pairs: Iterable[VerifiedPair], unlike: Iterable[tuple[str, str]] = ()) -> list[PairGroup]:
    """Group pairs that share an image, directly or through others; most pairs first, each group by similarity.

    No group has two images of `unlike`, which are pairs of names: of the pairs that would connect them, the weakest
    are left out.
    """
    ranked = sorted(pairs, key=_by_strength)
    components = connected_components(((pair.a.name, pair.b.name) for pair in ranked), unlike)
    group_of = {name: number for number, names in enumerate(components) for name in names}
    groups: list[PairGroup] = [[] for _ in components]
    for pair in ranked:
        if group_of[pair.a.name] == group_of[pair.b.name]:
            groups[group_of[pair.a.name]].append(pair)
    return sorted(filter(None, groups), key=lambda group: (-len(group), -group[0].similarity))


def group_copies(pairs: Iterable[VerifiedPair], unlike: Iterable[tuple[str, str]] = ()) -> list[PairGroup]:
    """Group the copies of each picture, largest groups first; pairs that are no copies follow, each by itself."""
    pairs = list(pairs)
    single = sorted((pair for pair in pairs if not pair.is_copy), key=lambda pair: -pair.similarity)
    copies = (pair for pair in pairs if pair.is_copy)
    return [*group_connected(copies, unlike), *([pair] for pair in single)]


def group_series(pairs: Iterable[VerifiedPair], unlike: Iterable[tuple[str, str]] = ()) -> list[PairGroup]:
    """Group the shots of each series, as `group_connected` does; of the copies of one shot, only the first is there.

    So no two images are in a group of copies and in a series.
    """
    pairs, unlike = list(pairs), list(unlike)
    shot: dict[str, ScannedImage] = {}
    for group in group_connected((pair for pair in pairs if pair.is_copy), unlike):
        members = group_members(group)
        first = min(members, key=lambda image: (-image.width * image.height, image.name))
        shot |= {image.name: first for image in members}
    series: dict[frozenset[str], VerifiedPair] = {}
    for pair in sorted((pair for pair in pairs if pair.is_series), key=_by_strength):
        a, b = (shot.get(image.name, image) for image in (pair.a, pair.b))
        if a.name != b.name:
            series.setdefault(frozenset((a.name, b.name)), pair.between(a, b))
    return group_connected(series.values(), unlike)


def group_members(group: PairGroup) -> list[ScannedImage]:
    """Return the distinct images of a group, those of the most similar pairs first."""
    return list({image.name: image for pair in group for image in (pair.a, pair.b)}.values())


def _by_strength(pair: VerifiedPair) -> tuple[float, str, str]:
    return -pair.similarity, pair.a.name, pair.b.name

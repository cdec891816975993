"""Groups of verified pairs."""

from __future__ import annotations

from typing import Any

from similar_images.duplicates.groups import group_connected, group_copies, group_members
from similar_images.duplicates.images import ScannedImage
from similar_images.duplicates.verification import VerifiedPair

IMAGES = {name: ScannedImage(name, name, 1, 1, bytes) for name in "abcdefgh"}


def pair(a: str, b: str, kind: Any = "same-picture", similarity: float = 90) -> VerifiedPair:
    return VerifiedPair(IMAGES[a], IMAGES[b], kind, "", {"mean": similarity})


def test_groups__hold_all_copies_of_a_picture() -> None:
    chain = [pair("a", "b"), pair("c", "d"), pair("b", "d", similarity=95)]
    single, alike, more_alike = pair("e", "f"), pair("a", "g", "alike", 50), pair("g", "h", "alike", 60)
    assert group_copies([alike, single, more_alike, *chain]) == [
        [chain[2], *chain[:2]],
        [single],
        [more_alike],
        [alike],
    ]


def test_members__come_once_those_of_the_most_similar_pairs_first() -> None:
    (group,) = group_connected([pair("a", "b", similarity=70), pair("c", "b", similarity=80)])
    assert [image.name for image in group_members(group)] == ["c", "b", "a"]

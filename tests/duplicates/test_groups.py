"""Groups of verified pairs."""

from __future__ import annotations

from typing import Any

from similar_images.duplicates.groups import group_connected, group_copies, group_members, group_series
from similar_images.duplicates.images import ScannedImage
from similar_images.duplicates.verification import VerifiedPair

IMAGES = {name: ScannedImage(name, name, 1, 1, bytes) for name in "abcdefgh"}


def pair(
    a: str, b: str, kind: Any = "same-picture", similarity: float = 90, *, is_series: bool = False
) -> VerifiedPair:
    return VerifiedPair(IMAGES[a], IMAGES[b], kind, "", {"mean": similarity}, is_series)


def names(groups: list[list[VerifiedPair]]) -> list[set[str]]:
    return [{image.name for image in group_members(group)} for group in groups]


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


def test_unlike_images__are_in_no_group_together_whatever_connects_them() -> None:
    """The weakest of the pairs that would connect them is left out, in whatever order they come."""
    chain = [pair("a", "b", similarity=95), pair("b", "c", similarity=85), pair("c", "d", similarity=90)]
    for pairs in (chain, chain[::-1]):
        assert names(group_connected(pairs, [("a", "d")])) == [{"a", "b"}, {"c", "d"}]
        assert names(group_copies(pairs, [("c", "a")])) == [{"a", "b"}, {"c", "d"}]
    assert names(group_connected([*chain, pair("a", "e")], [("a", "c"), ("e", "b")])) == [{"a", "b"}, {"c", "d"}]
    assert names(group_connected(chain, [("a", "x"), ("x", "y")])) == [{"a", "b", "c", "d"}]


def test_series__have_one_image_of_each_group_of_copies() -> None:
    copies = [pair("a", "b"), pair("b", "c")]
    shots = [pair("a", "d", "same-object", is_series=True), pair("c", "e", "same-object", is_series=True)]
    assert names(group_series([*copies, *shots])) == [{"a", "d", "e"}]
    assert group_series([*copies, pair("a", "c", "same-object", is_series=True)]) == []
    assert names(group_series(shots)) == [{"a", "d"}, {"c", "e"}]

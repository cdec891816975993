"""Candidate pairs are read, compared, and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from similar_images.duplicates.candidates import CandidatePair
from similar_images.duplicates.images import ImageCache, ScannedImage
from similar_images.duplicates.scan_cache import ScanCache
from similar_images.duplicates.verification import VerifiedPair, verify_pairs
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.imaging.files import sha256_of
from tests.drawing import encoded, textured

PANORAMA = textured(1, (640, 240))


def scanned(name: str, image: Image.Image) -> ScannedImage:
    data = encoded(image)
    return ScannedImage(name, sha256_of(data), *image.size, lambda: data)


def verify(pair: CandidatePair, cache: ScanCache | None = None) -> VerifiedPair | str:
    (result,) = verify_pairs([pair], ImageCache(), cache, 1)
    return result


@pytest.mark.parametrize("shift", [100, 160])
def test_overlapping_crops__are_edited_copies(shift: int) -> None:
    """Of one picture, by some of 320 pixels apart."""
    a, b = (scanned(str(left), PANORAMA.crop((left, 0, left + 320, 240))) for left in (0, shift))
    result = verify(CandidatePair(a, b, {"embedding": 90.0, "color": 90.0}))
    assert isinstance(result, VerifiedPair)
    assert (result.kind, set(result.changes), result.is_series) == ("edited-picture", {"cropped", "extended"}, False)


@pytest.mark.parametrize(("similarity", "kind"), [(69.9, "unrelated"), (70.0, "alike")])
def test_other_images__are_alike_by_the_similarity_of_a_search(similarity: float, kind: str) -> None:
    a, b = scanned("a", textured(1)), scanned("b", textured(2))
    result = verify(CandidatePair(a, b, {"phash": 99.0, "embedding": similarity, "color": similarity}))
    assert isinstance(result, VerifiedPair)
    assert result.kind == kind
    assert result.similarity == 99.0


def test_cached_verdict__needs_no_file(tmp_path: Path) -> None:
    cache = ScanCache(tmp_path / "cache.sqlite3")
    pair = CandidatePair(scanned("a", textured(1)), scanned("b", textured(1).resize((160, 120))), {"embedding": 95.0})
    before = verify(pair, cache)
    assert isinstance(before, VerifiedPair)
    assert before.kind == "same-picture"
    unreadable = CandidatePair(*(ScannedImage(i.name, i.sha256, 1, 1, bytes) for i in pair[:2]), {"embedding": 95.0})
    after = verify(unreadable, cache)
    assert isinstance(after, VerifiedPair)
    assert (after.kind, after.text, after.is_series) == (before.kind, before.text, False)
    assert verify(unreadable) == "a, b: The file has changed since it was scanned."
    cache.close()


def recolor(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Give a part another hue, and leave all else."""
    part = np.array(image.crop(box).convert("HSV"))
    part[..., 0] += 85
    changed = image.copy()
    changed.paste(Image.fromarray(part, "HSV").convert("RGB"), box[:2])
    return changed


@pytest.mark.parametrize("box", [(110, 80, 210, 160), (0, 0, 320, 240)])
def test_variant_in_another_color__is_neither_a_copy_nor_a_shot_of_a_series(box: Any) -> None:
    """Be it an eighth of the image, before the same ground, or all of it."""
    image = textured(1)
    result = verify(CandidatePair(scanned("a", image), scanned("b", recolor(image, box)), {"color": 90.0}))
    assert isinstance(result, VerifiedPair)
    assert (result.kind, result.is_series) == ("same-object", False)


@pytest.mark.parametrize(
    ("name", "strength", "is_equivalent"),
    [
        ("JPEG", 50, True),
        ("resize", 0.5, True),
        ("crop", 0.75, False),
        ("gray", 1, False),
        ("brightness", 0.08, False),
        ("contrast", 0.6, False),
        ("text", 0.04, False),
        ("border", 0.08, False),
    ],
)
def test_copies__are_edited_lightly_and_equivalent_if_all_of_it_is_there(
    name: str, strength: float, is_equivalent: bool
) -> None:
    image = textured(1)
    edited = Image.fromarray(np.ascontiguousarray(TRANSFORMS[name].change(np.array(image), strength), np.uint8))
    result = verify(CandidatePair(scanned("a", image), scanned("b", edited), {"color": 90.0}))
    assert isinstance(result, VerifiedPair)
    assert result.is_copy
    assert result.is_equivalent == is_equivalent


@pytest.mark.parametrize("side", [120, 200])
def test_things_before_the_same_background__are_neither_copies_nor_a_series(side: int) -> None:
    """The smaller one counts as an edit of two images at hand, but is in no group."""
    things = [textured(1) for _thing in range(2)]
    for seed, image in enumerate(things):
        image.paste(textured(10 + seed).resize((side, side)), (20, 20))
    result = verify(CandidatePair(scanned("a", things[0]), scanned("b", things[1]), {"color": 90.0}))
    assert isinstance(result, VerifiedPair)
    assert (result.is_copy, result.is_series) == (False, False)

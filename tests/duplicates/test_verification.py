"""Candidate pairs are read, compared, and judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from similar_images.duplicates.candidates import CandidatePair
from similar_images.duplicates.images import ImageCache, ScannedImage
from similar_images.duplicates.scan_cache import ScanCache
from similar_images.duplicates.verification import VerifiedPair, verify_pairs
from similar_images.imaging.files import sha256_of
from tests.drawing import encoded, textured

PANORAMA = textured(1, (640, 240))


def scanned(name: str, image: Image.Image) -> ScannedImage:
    data = encoded(image)
    return ScannedImage(name, sha256_of(data), *image.size, lambda: data)


def verify(pair: CandidatePair, cache: ScanCache | None = None) -> VerifiedPair | str:
    (result,) = verify_pairs([pair], ImageCache(), cache, 1)
    return result


@pytest.mark.parametrize(("shift", "is_series"), [(100, True), (120, True), (136, False), (160, False)])
def test_series__overlap_by_at_least_60_percent(shift: int, is_series: bool) -> None:
    """Two shots of one scene, the camera panned by some of 320 pixels."""
    a, b = (scanned(str(left), PANORAMA.crop((left, 0, left + 320, 240))) for left in (0, shift))
    result = verify(CandidatePair(a, b, {"embedding": 90.0, "color": 90.0}))
    assert isinstance(result, VerifiedPair)
    assert (result.kind, result.is_series) == ("same-object", is_series)


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

"""A first look at two images, before they are compared."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from similar_images.duplicates.candidates import CandidatePair
from similar_images.duplicates.first_look import _correlate, may_be_duplicates
from similar_images.duplicates.images import ImageCache, ScannedImage
from similar_images.duplicates.scan_cache import ScanCache
from similar_images.duplicates.verification import VerifiedPair, verify_pairs
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.imaging.files import sha256_of
from similar_images.measures.base import ComparisonImage
from tests.drawing import encoded, textured


def image(picture: Image.Image) -> ComparisonImage:
    return ComparisonImage(np.array(picture.convert("RGB")))


@pytest.mark.parametrize(
    ("name", "strength"), [("JPEG", 20), ("crop", 0.5), ("mirror", 2), ("turn", 5), ("gray", 1), ("text", 0.08)]
)
def test_copies__may_be_duplicates(name: str, strength: float) -> None:
    pixels = np.array(textured(1))
    edited = np.ascontiguousarray(TRANSFORMS[name].change(pixels, strength), np.uint8)
    assert may_be_duplicates(ComparisonImage(pixels), ComparisonImage(edited))


def test_other_images__may_not_unless_they_have_too_little_detail_to_tell() -> None:
    assert not may_be_duplicates(image(textured(1)), image(textured(2)))
    assert may_be_duplicates(image(textured(1)), image(Image.new("RGB", (320, 240), "red")))


def test_second_look__leaves_out_other_images_of_one_brightness() -> None:
    """Thumbnails of two photos may correlate, where both have the same light, though nothing in them is the same."""
    light = np.linspace(0, 150, 240)[:, None, None]
    a, b = (ComparisonImage(np.uint8(np.array(textured(seed).convert("RGB")) * 0.4 + light)) for seed in (1, 2))
    assert _correlate(a, b)
    assert not may_be_duplicates(a, b)


def test_pair_that_was_only_looked_at__is_compared_where_all_verdicts_count() -> None:
    data = [encoded(textured(seed)) for seed in (1, 2)]
    images = [ScannedImage(sha256_of(each), sha256_of(each), 320, 240, partial(bytes, each)) for each in data]
    pair = CandidatePair(*images, {"embedding": 95.0, "color": 95.0})
    cache = ScanCache(Path(":memory:"))
    kinds = []
    for looks_first in (True, False, True):
        (result,) = verify_pairs([pair], ImageCache(), cache, 1, looks_first=looks_first)
        assert isinstance(result, VerifiedPair)
        kinds.append(result.kind)
    assert kinds == ["unrelated", "alike", "alike"]
    cache.close()

"""Compact keypoints: what a signature holds, and what two of them have in common."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from similar_images.measures.base import ComparisonImage, reduce_to
from similar_images.measures.compact_keypoints import (
    COMPACT_POINTS,
    COMPACT_SIDE,
    MIN_COMMON_KEYPOINTS,
    CompactKeypoints,
    count_common_keypoints,
    unpack_keypoints,
    unpack_poses,
)
from similar_images.measures.geometry.keypoint_detection import extract_keypoints
from similar_images.signatures import storage
from tests.drawing import textured

METHOD = CompactKeypoints()

EDITS = {
    "smaller": lambda image: image.resize((200, 150)),
    "turned": lambda image: image.rotate(30, expand=True),
    "mirrored": ImageOps.mirror,
    "negative": ImageOps.invert,
    "mirrored negative": lambda image: ImageOps.invert(ImageOps.mirror(image)),
    "cropped": lambda image: image.crop((80, 60, 320, 240)),
}


def describe(image: Image.Image) -> Any:
    return METHOD.compute(np.array(image.convert("RGB")))


def test_signature__takes_less_than_8_kb() -> None:
    assert METHOD.dimensions / 8 < 8_000
    value = describe(textured(1))
    assert value.shape == (METHOD.dimensions,)
    assert value.dtype == bool
    assert np.array_equal(storage.unpack(storage.pack(METHOD, value)), value)


def test_signature__holds_coordinates_and_descriptors() -> None:
    """To an eighth of a pixel, and half of the bits of a descriptor are set, or fewer where numbers are equal."""
    pixels = np.array(textured(1, (800, 600)))
    image = ComparisonImage(reduce_to(pixels, COMPACT_SIDE))
    exact = extract_keypoints(image, "rootsift", COMPACT_POINTS)
    value = METHOD.compute(pixels)
    keypoints, mirrored = unpack_keypoints(value), unpack_poses(value).poses[2]
    assert np.allclose(mirrored.coordinates[:, 0], COMPACT_SIDE - 1 - keypoints.coordinates[:, 0])
    assert len(keypoints) == len(exact) > 100
    assert np.abs(keypoints.coordinates - exact.coordinates).max() <= 1 / 16 + 1e-4
    above = exact.descriptors > np.median(exact.descriptors, axis=1, keepdims=True)
    assert np.array_equal(keypoints.descriptors, above)


@pytest.mark.parametrize("edit", EDITS)
def test_copies__have_keypoints_in_common(edit: str) -> None:
    image = textured(1)
    original, copy = describe(image), describe(EDITS[edit](image))
    assert count_common_keypoints(unpack_poses(original), unpack_keypoints(copy)) >= 3 * MIN_COMMON_KEYPOINTS
    assert count_common_keypoints(unpack_poses(copy), unpack_keypoints(original)) >= 3 * MIN_COMMON_KEYPOINTS


def test_other_images__have_none() -> None:
    values = [describe(textured(seed)) for seed in range(6)]
    counts = [count_common_keypoints(unpack_poses(a), unpack_keypoints(b)) for a, b in combinations(values, 2)]
    assert counts == [0] * 15


@pytest.mark.parametrize("size", [(1, 1), (20, 3000), (320, 240)])
def test_plain_images__say_next_to_nothing(size: tuple[int, int]) -> None:
    value = describe(Image.new("RGB", size, "white"))
    assert METHOD.has_low_detail(value)
    assert len(unpack_keypoints(value)) == 0
    assert count_common_keypoints(unpack_poses(value), unpack_keypoints(describe(textured(1)))) == 0
    assert count_common_keypoints(unpack_poses(describe(textured(1))), unpack_keypoints(value)) == 0
    assert not METHOD.has_low_detail(describe(textured(1)))

"""The fine detail of a copy: softened, sharpened, noisy, or as it was."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from benchmarks.edits import EDITS, Pixels
from similar_images.measures.base import ComparisonImage, reduce_to
from similar_images.measures.geometry.detail_change import name_detail_change
from similar_images.measures.geometry.homography import scale_matrix
from similar_images.measures.geometry.shared_frame import share_frame

PHOTOS = {name: reduce_to(np.ascontiguousarray(getattr(data, name)()), 480) for name in ("coffee", "chelsea")}


def name_change(a: Pixels, b: Pixels, *, is_retouched: bool = False) -> str | None:
    first, second = ComparisonImage(a), ComparisonImage(b)
    frame = share_frame(first, second, scale_matrix(b.shape, a.shape))
    assert frame is not None
    return name_detail_change(frame, is_retouched=is_retouched)


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize(
    ("edit", "strength", "change"),
    [
        ("blur", 1, "softened"),
        ("blur", 2, "softened"),
        ("sharpen", 2, "sharpened"),
        ("noise", 2, "noisy"),
        ("JPEG", 0, None),
        ("WebP", 1, None),
        ("resize", 1, None),
        ("thumbnail", 1, None),
        ("contrast", 2, None),
        ("duotone", 1, None),
        ("negative", 0, None),
        ("brightness", 0, None),
    ],
)
def test_detail__is_judged_whatever_else_was_edited(photo: str, edit: str, strength: int, change: str | None) -> None:
    assert name_change(PHOTOS[photo], EDITS[edit](PHOTOS[photo], [])[strength]) == change


@pytest.mark.parametrize("photo", PHOTOS)
def test_words_over_it__are_no_noise(photo: str) -> None:
    assert name_change(PHOTOS[photo], EDITS["text"](PHOTOS[photo], [])[2], is_retouched=True) is None


def test_plain_images__have_no_detail() -> None:
    gray = np.full((200, 300, 3), 90, np.uint8)
    assert name_change(gray, gray + 20) is None

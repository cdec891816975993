"""Decoded images in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from similar_images.duplicates import images
from similar_images.duplicates.images import ImageCache, ScannedImage, split_exact_duplicates
from similar_images.imaging import decode
from similar_images.imaging.files import sha256_of
from tests import drawing


def test_image_cache__holds_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_CACHED_IMAGES", 2)
    reads: list[int] = []
    files = {seed: drawing.encoded(drawing.scene(seed)) for seed in (1, 2, 3)}

    def scanned() -> Iterator[ScannedImage]:
        for seed in (1, 2, 1, 3, 2):

            def read(seed: int = seed) -> bytes:
                reads.append(seed)
                return files[seed]

            yield ScannedImage(str(seed), sha256_of(files[seed]), 160, 120, read)

    cache = ImageCache()
    assert [cache.load(image).width for image in scanned()] == [160] * 5
    assert reads == [1, 2, 3, 2]
    with pytest.raises(decode.UnreadableImage, match="changed"):
        cache.load(ScannedImage("4", "0" * 64, 160, 120, lambda: files[1]))


def test_exact_duplicates__belong_to_the_first_of_their_content() -> None:
    a, b, c, d = (ScannedImage(name, sha, 1, 1, bytes) for name, sha in zip("abcd", "xyxx", strict=True))
    assert split_exact_duplicates([a, b, c, d]) == ([a, b], [(a, c), (a, d)])

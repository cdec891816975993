from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from similar_images.imaging import opencv
from similar_images.signatures.kaze import KazeMethod
from tests.datasets import PHOTOS, needs

from .contract import MethodContract, distance, draw, stored

PHOTO_NAMES = ["chelsea", "coffee", "astronaut", "rocket"]


class TestKaze(MethodContract):
    @pytest.fixture
    def method(self) -> KazeMethod:
        return KazeMethod()


def photo(name: str) -> NDArray[np.uint8]:
    return getattr(skimage.data, name)()


def similarity(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    method = KazeMethod()
    return method.similarity(distance(method, stored(method.compute(a)), stored(method.compute(b))))


@pytest.mark.parametrize("name", PHOTO_NAMES)
def test_compute__is_the_strongest_descriptors_of_opencv(name: str) -> None:
    pixels = photo(name)
    scale = 160 / max(pixels.shape[:2])
    size = [round(side * scale) for side in pixels.shape[1::-1]]
    gray = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    module = cv2 if hasattr(cv2, "KAZE_create") else cv2.xfeatures2d
    points, descriptors = module.KAZE_create(nOctaves=2).detectAndCompute(gray, None)
    strongest = np.argsort([-point.response for point in points], kind="stable")[:32]
    expected = np.zeros((32, 64), np.float32)
    expected[: len(strongest)] = descriptors[strongest]
    np.testing.assert_allclose(KazeMethod().compute(pixels).reshape(32, 64), expected, atol=1e-6)


def test_compute__pads_with_zeros() -> None:
    pixels = np.full((120, 160, 3), 255, np.uint8)
    cv2.circle(pixels, (80, 60), 10, (90, 30, 10), -1)
    rows = KazeMethod().compute(pixels).reshape(32, 64)
    lengths = np.linalg.norm(rows, axis=1)
    points = int((lengths > 0).sum())
    assert 0 < points < 32
    np.testing.assert_allclose(lengths, [1] * points + [0] * (32 - points), atol=1e-5)


@given(level=st.integers(0, 255), height=st.integers(1, 400), width=st.integers(1, 400))
@settings(deadline=None, max_examples=30)
def test_compute__blank_images_are_equal(level: int, height: int, width: int) -> None:
    blank = KazeMethod().compute(np.full((height, width, 3), level, np.uint8))
    assert (blank == KazeMethod().compute(np.zeros((60, 80, 3), np.uint8))).all()
    assert (blank < 0).all()


@pytest.mark.parametrize("name", PHOTO_NAMES)
def test_compute__blank_image_is_farther_than_any_other(name: str) -> None:
    method = KazeMethod()
    signature = stored(method.compute(photo(name)))
    blank = stored(method.compute(np.zeros((60, 80, 3), np.uint8)))
    others = [stored(method.compute(photo(other))) for other in PHOTO_NAMES if other != name]
    others.append(stored(method.compute(draw(40, 50))))
    assert distance(method, signature, blank) > 1
    assert method.similarity(distance(method, signature, blank)) == 0
    assert all(distance(method, signature, other) <= 1 for other in others)


@given(
    sides=st.lists(st.integers(1, 200), min_size=4, max_size=4),
    seeds=st.lists(st.integers(0, 99), min_size=2, max_size=2),
)
@settings(deadline=None, max_examples=40)
def test_distance__is_symmetric_and_large_from_blank_images(sides: list[int], seeds: list[int]) -> None:
    method = KazeMethod()
    a = stored(method.compute(draw(sides[0], sides[1], seeds[0])))
    b = stored(method.compute(draw(sides[2], sides[3], seeds[1])))
    assert distance(method, a, b) == pytest.approx(distance(method, b, a), abs=1e-6)
    assert distance(method, a, a) == pytest.approx(0, abs=1e-6)
    if (a < 0).all() == (b < 0).all():
        assert distance(method, a, b) <= 1 + 1e-6
    else:
        assert distance(method, a, b) >= 1 - 1e-6


def test_compute__does_not_depend_on_threads() -> None:
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        single_threaded = KazeMethod().compute(photo("coffee"))
    finally:
        cv2.setNumThreads(threads)
    assert (single_threaded == KazeMethod().compute(photo("coffee"))).all()


@pytest.mark.parametrize("name", PHOTO_NAMES)
def test_compute__rotated_photo_is_closer_than_others(name: str) -> None:
    turned = np.ascontiguousarray(np.rot90(photo(name)))
    assert similarity(photo(name), turned) > max(
        similarity(turned, photo(other)) for other in PHOTO_NAMES if other != name
    )


def test_init__refuses_a_build_without_kaze(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opencv, "declares_feature", lambda feature: feature != "KAZE")
    with pytest.raises(ValueError, match="no KAZE: install opencv-contrib"):
        KazeMethod()


def test_compute__refuses_a_build_without_kaze(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "KAZE_create", raising=False)
    monkeypatch.delattr(cv2, "xfeatures2d")
    with pytest.raises(RuntimeError, match="no KAZE: install opencv-contrib"):
        KazeMethod().compute(draw(50, 60))


def encoded(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    return cv2.imdecode(file, cv2.IMREAD_COLOR_RGB)


@needs(PHOTOS)
def test_curve__is_calibrated_like_those_of_other_methods() -> None:
    files = sorted(PHOTOS.glob("*.jpg"))
    assert len(files) == 300
    photos = [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files]
    halves = [cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for photo in photos]
    method = KazeMethod()
    originals, copies, smaller = (
        np.array([stored(method.compute(pixels)) for pixels in pictures])
        for pictures in (photos, map(encoded, photos), map(encoded, halves))
    )

    def median_similarity(copies: NDArray[np.float32]) -> float:
        pairs = zip(originals, copies, strict=True)
        return float(np.median([method.similarity(distance(method, a, b)) for a, b in pairs]))

    assert median_similarity(copies) >= 94
    assert median_similarity(smaller) >= 87
    unit = originals / np.linalg.norm(originals, axis=1, keepdims=True)
    distances = 1 - (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    random = np.array([method.similarity(d) for d in distances])
    assert np.median(random) == pytest.approx(2, abs=1)
    assert np.quantile(random, 0.99) == pytest.approx(30, abs=5)
    assert (random >= 70).mean() <= 1.2e-4

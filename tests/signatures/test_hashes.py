from __future__ import annotations

import cv2
import imagehash
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from similar_images.signatures.hashes import AHash, BlockMean, DHash, Hash, PHash
from tests.datasets import PHOTOS, needs

from .contract import MethodContract, distance, draw

METHODS: list[Hash] = [PHash(), DHash(), AHash(), BlockMean()]

each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
seeds = st.integers(0, 2**32 - 1)


class TestHash(MethodContract):
    @pytest.fixture(params=METHODS, ids=lambda method: method.name)
    def method(self, request: pytest.FixtureRequest) -> Hash:
        return request.param


def gray_noise(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Noise without color: shape (height, width, 3)."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 1), np.uint8)
    return np.repeat(noise, 3, axis=2)


@given(seeds)
@settings(deadline=None)
def test_dhash_and_ahash__are_those_of_imagehash(seed: int) -> None:
    nine, eight = (
        gray_noise(8, 9, seed),
        gray_noise(8, 8, seed),
    )  # so small that it does not matter how they are resized
    assert (DHash().compute(nine) == imagehash.dhash(Image.fromarray(nine)).hash.ravel()).all()
    differ = AHash().compute(eight) != imagehash.average_hash(Image.fromarray(eight)).hash.ravel()
    levels = eight[..., 0].ravel()
    assert (np.abs(levels[differ] - levels.mean()) <= 0.5).all()  # OpenCV rounds the mean


@given(seeds)
@settings(deadline=None)
def test_phash__is_that_of_imagehash_except_near_the_threshold(seed: int) -> None:
    pixels = gray_noise(32, 32, seed)
    bits, expected = PHash().compute(pixels), imagehash.phash(Image.fromarray(pixels)).hash.ravel()
    low = cv2.dct(pixels[..., 0].astype(np.float32))[:8, :8]
    first = np.array([2**0.5, 1, 1, 1, 1, 1, 1, 1])  # ImageHash's transform is not normalized
    median = np.median(low * np.outer(first, first))
    low[0, 0] = 0  # the brightness, which OpenCV leaves out
    is_clear = np.abs(low) > max(abs(low.mean()), abs(median)) + 0.01
    assert is_clear.sum() > 30
    assert (bits == expected)[is_clear.ravel()].all()
    assert (bits == (low > low.mean()).ravel())[is_clear.ravel()].all()


@given(seeds, st.sampled_from([(32, PHash(), cv2.img_hash.pHash), (8, AHash(), cv2.img_hash.averageHash)]))
@settings(deadline=None)
def test_phash_and_ahash__are_those_of_opencv(seed: int, case: tuple) -> None:
    side, method, function = case
    pixels = gray_noise(side, side, seed)
    assert (method.compute(pixels) == np.unpackbits(function(pixels).ravel(), bitorder="little")).all()


@given(seeds)
@settings(deadline=None)
def test_blockmean__is_that_of_opencv_and_of_its_definition(seed: int) -> None:
    pixels = gray_noise(16, 16, seed).repeat(16, axis=0).repeat(16, axis=1)
    bits = BlockMean().compute(pixels)
    assert (bits == np.unpackbits(cv2.img_hash.blockMeanHash(pixels, mode=0).ravel(), bitorder="little")).all()
    blocks = pixels[::16, ::16, 0]
    assert (bits == (blocks >= blocks.mean()).ravel()).all()


@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut", "rocket"])
def test_compute__photos_are_close_to_those_of_imagehash(name: str) -> None:
    """Close only: ImageHash resizes by Lanczos, and its pHash compares with the median."""
    pixels = getattr(skimage.data, name)()
    picture = Image.fromarray(pixels)
    for method, theirs in [
        (DHash(), imagehash.dhash(picture)),
        (AHash(), imagehash.average_hash(picture)),
        (PHash(), imagehash.phash(picture)),
    ]:
        assert distance(method, method.compute(pixels), theirs.hash.ravel()) <= 11


@each_method
@given(a=seeds, b=seeds, sides=st.tuples(st.integers(1, 90), st.integers(1, 90)))
@settings(deadline=None)
def test_distance__is_symmetric_and_in_range(method: Hash, a: int, b: int, sides: tuple[int, int]) -> None:
    first, second = method.compute(gray_noise(*sides, a)), method.compute(draw(*sides, b))
    assert distance(method, first, first) == 0
    assert distance(method, first, second) == distance(method, second, first) <= method.dimensions


@each_method
@given(levels=st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)), side=st.integers(1, 300))
@settings(deadline=None)
def test_compute__images_of_a_single_color_have_one_hash(method: Hash, levels: tuple[int, int, int], side: int) -> None:
    bits = method.compute(np.full((side, 60, 3), levels, np.uint8))
    assert (bits == (method.name == "blockmean")).all()


@each_method
@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut", "rocket"])
def test_similarity__photo_and_image_of_a_single_color(method: Hash, name: str) -> None:
    photo = method.compute(getattr(skimage.data, name)())
    plain = method.compute(np.full((60, 80, 3), 255, np.uint8))
    assert method.similarity(distance(method, photo, plain)) < 40


@each_method
def test_compute__size_hardly_matters(method: Hash) -> None:
    photo = skimage.data.chelsea()
    large = cv2.resize(photo, (2000, 1500), interpolation=cv2.INTER_CUBIC)
    assert method.similarity(distance(method, method.compute(photo), method.compute(large))) > 90


def encoded(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(file, cv2.IMREAD_COLOR_RGB)


def halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def photos() -> list[NDArray[np.uint8]]:
    files = sorted(PHOTOS.glob("*.jpg"))
    assert len(files) == 300
    return [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files]


@needs(PHOTOS)
@each_method
def test_compute__jpeg_at_quality_50_changes_few_bits(
    method: Hash, photos: list[NDArray[np.uint8]], record_property: pytest.RecordProperty
) -> None:
    changed = [distance(method, method.compute(p), method.compute(encoded(p, 50))) for p in photos]
    share = np.mean(np.array(changed) <= method.dimensions // 8)
    bits = np.quantile(changed, 0.95)
    record_property("figure", f"{method.name}: JPEG quality 50 changes at most {bits:.0f} bits of 95% of 300 photos")
    assert share >= 0.95


@needs(PHOTOS)
@each_method
def test_curve__is_calibrated_like_those_of_other_methods(method: Hash, photos: list[NDArray[np.uint8]]) -> None:
    originals = np.array([method.compute(photo) for photo in photos])
    copies = [method.compute(encoded(photo, 60)) for photo in photos]
    smaller = [method.compute(encoded(halved(photo), 60)) for photo in photos]

    def median_similarity(copies: list[NDArray[np.bool_]]) -> float:
        pairs = zip(originals, copies, strict=True)
        return float(np.median([method.similarity(distance(method, a, b)) for a, b in pairs]))

    assert median_similarity(copies) >= 95
    assert median_similarity(smaller) >= 88
    distances = np.concatenate([(a != originals[:i]).sum(axis=1) for i, a in enumerate(originals)])
    random = np.array([method.similarity(d) for d in distances])
    assert np.median(random) == pytest.approx(2, abs=1)
    assert np.quantile(random, 0.99) == pytest.approx(30, abs=5)
    assert (random > 70).mean() <= 1.2e-4

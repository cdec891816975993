from __future__ import annotations

import cv2
import numpy as np
import pytest
import pywt
import skimage.data
from numpy.typing import NDArray

from similar_images.signatures.base import Method
from similar_images.signatures.layout import BLANK_INDEX, Blocks, Tiny, Wavelet, haar_transform

from .contract import MethodContract, distance, draw

PHOTOS = {name: getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}


class TestTiny(MethodContract):
    @pytest.fixture
    def method(self) -> Tiny:
        return Tiny()


class TestBlocks(MethodContract):
    @pytest.fixture
    def method(self) -> Blocks:
        return Blocks()


class TestWavelet(MethodContract):
    @pytest.fixture
    def method(self) -> Wavelet:
        return Wavelet()


def similarity(method: Method, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return method.similarity(distance(method, method.compute(a), method.compute(b)))


def jpeg(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(file, cv2.IMREAD_COLOR_RGB)


def area_shares(length: int, parts: int) -> NDArray[np.float64]:
    """Share of each part of a line that each of its pixels covers, (parts, length)."""
    edges = np.arange(parts + 1)[:, None] * length / parts
    covered = np.clip(edges - np.arange(length), 0, 1)
    return (covered[1:] - covered[:-1]) * parts / length


def test_tiny__averages_sixteenths_of_the_image() -> None:
    pixels = draw(200, 300)
    cells = pixels.reshape(4, 50, 4, 75, 3).mean(axis=(1, 3))
    red, green, blue = np.moveaxis(cells, 2, 0)
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    expected = np.stack([light, 0.492 * (blue - light) + 128, 0.877 * (red - light) + 128], axis=2)
    np.testing.assert_allclose(Tiny().compute(pixels), expected.ravel() / 255, atol=1.6 / 255)


@pytest.mark.parametrize("grid", [1, 3, 8, 63])
@pytest.mark.parametrize("size", [(160, 240), (301, 407), (5, 900), (3, 2)], ids=str)
def test_blocks__are_sums_of_gray_by_area(grid: int, size: tuple[int, int]) -> None:
    pixels = draw(*size)
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    expected = area_shares(size[0], grid) @ gray @ area_shares(size[1], grid).T / 255 / grid**2
    np.testing.assert_allclose(Blocks(grid).compute(pixels), expected.ravel(), rtol=1e-4)


def test_blocks__of_whole_pixels_equal_the_integral_image() -> None:
    pixels = draw(160, 240)
    corners = cv2.integral(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))[::20, ::30]
    sums = np.diff(np.diff(corners, axis=0), axis=1)
    np.testing.assert_allclose(Blocks().compute(pixels), sums.ravel() / (160 * 240 * 255), rtol=1e-5)


def test_blocks__distance_is_the_mean_difference_for_every_grid() -> None:
    black, gray = np.zeros((50, 70, 3), np.uint8), np.full((90, 30, 3), 51, np.uint8)
    for grid in (1, 4, 10):
        method = Blocks(grid)
        assert distance(method, method.compute(black), method.compute(gray)) == pytest.approx(0.2)


def test_haar_transform__is_that_of_pywavelets() -> None:
    channel = draw(128, 128)[..., 0]
    np.testing.assert_allclose(haar_transform(channel), pywt.fswavedecn(channel, "haar").coeffs, atol=0.01)


def largest_signs(pixels: NDArray[np.uint8], count: int) -> dict[tuple[int, int, int], float]:
    """Sign of the largest coefficients of each channel but the average, by channel, row and column."""
    yuv = cv2.cvtColor(cv2.resize(pixels, (128, 128), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2YUV)
    signs = {}
    for channel in range(3):
        values = pywt.fswavedecn(yuv[..., channel].astype(float), "haar").coeffs
        values[0, 0] = 0
        for position in np.argsort(-np.abs(values), axis=None)[:count]:
            row, column = divmod(int(position), 128)
            signs[channel, row, column] = np.sign(values[row, column])
    return signs


WEIGHTS = {0: [0.83, 1.01, 0.52, 0.47, 0.30], 1: [0.81, 0.445, 0.335, 0.23, 0.205]}


@pytest.mark.parametrize("other", ["coffee", "astronaut", "rocket", "chelsea"])
def test_wavelet__inner_product_is_the_score_of_the_paper(other: str) -> None:
    method = Wavelet(coefficients=40, shape=2, color=0.5)
    a, b = (largest_signs(PHOTOS[name], 40) for name in ("chelsea", other))
    score = sum(
        WEIGHTS[min(channel, 1)][min(max(row, column), 5) - 1] * (0.5 if channel else 2)
        for channel, row, column in a.keys() & b.keys()
        if a[channel, row, column] == b[channel, row, column]
    )
    x, y = (method.compute(PHOTOS[name]) for name in ("chelsea", other))
    assert len(x) == len(y) == 120
    assert sum(x[index] * y[index] for index in x.keys() & y.keys()) == pytest.approx(score)
    assert score > 0


def test_wavelet__negative_shares_no_coefficient() -> None:
    gray = np.repeat(PHOTOS["chelsea"][..., :1], 3, axis=2)
    method = Wavelet()
    assert not method.compute(gray).keys() & method.compute(255 - gray).keys()
    assert similarity(method, gray, 255 - gray) == 0


@pytest.mark.parametrize("photo", PHOTOS.values(), ids=PHOTOS)
def test_wavelet__survives_resizing_and_jpeg(photo: NDArray[np.uint8]) -> None:
    method = Wavelet()
    assert similarity(method, photo, jpeg(photo, 60)) > 95
    assert similarity(method, photo, jpeg(cv2.resize(photo, (200, 150), interpolation=cv2.INTER_AREA), 60)) > 88
    assert similarity(method, photo, cv2.resize(photo, (900, 700), interpolation=cv2.INTER_CUBIC)) > 88
    others = [similarity(method, photo, other) for other in PHOTOS.values() if other is not photo]
    assert max(others) < 40


def test_wavelet__weights_change_the_order() -> None:
    photo = PHOTOS["chelsea"]
    gray = np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert similarity(Wavelet(color=0), photo, gray) > 95
    assert similarity(Wavelet(shape=0), photo, gray) == 0
    assert similarity(Wavelet(color=0.2), photo, gray) > similarity(Wavelet(), photo, gray)


@pytest.mark.parametrize("level", [0, 77, 255])
def test_wavelet__blank_image_has_an_index_of_its_own(level: int) -> None:
    signature = Wavelet().compute(np.full((301, 407, 3), level, np.uint8))
    assert signature == {BLANK_INDEX: 1}
    assert Wavelet().dimensions - 1 == BLANK_INDEX
    assert not any(BLANK_INDEX in Wavelet().compute(photo) for photo in PHOTOS.values())


def test_wavelet__leaves_out_coefficients_of_0() -> None:
    halves = np.zeros((100, 100, 3), np.uint8)
    halves[:, 50:] = 255
    assert Wavelet().compute(halves) == {2 * 1 + 1: pytest.approx(0.83**0.5)}  # dark to light: negative


@pytest.mark.parametrize(
    ("method", "other"),
    [
        (Blocks(), Blocks(grid=4)),
        (Wavelet(), Wavelet(coefficients=40)),
        (Wavelet(), Wavelet(shape=2)),
        (Wavelet(), Wavelet(color=2)),
    ],
)
def test_version__depends_on_options(method: Method, other: Method) -> None:
    assert method.version != other.version


@pytest.mark.parametrize(
    ("method_class", "options", "message"),
    [
        (Blocks, {"grid": 0}, "grid"),
        (Blocks, {"grid": 64}, "grid"),
        (Wavelet, {"coefficients": 0}, "coefficients"),
        (Wavelet, {"coefficients": 334}, "coefficients"),
        (Wavelet, {"color": -1}, "color"),
        (Wavelet, {"shape": float("nan")}, "shape"),
        (Wavelet, {"shape": 0, "color": 0}, "shape"),
    ],
)
def test_init__refuses_wrong_options(method_class: type[Method], options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method_class(**options)

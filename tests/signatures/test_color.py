from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from similar_images.signatures.base import Method
from similar_images.signatures.color import Color, ColorEmd
from similar_images.signatures.palette import Palette

from .contract import MethodContract, distance, draw


class TestColor(MethodContract):
    @pytest.fixture
    def method(self) -> Color:
        return Color()


class TestColorEmd(MethodContract):
    @pytest.fixture
    def method(self) -> ColorEmd:
        return ColorEmd()


BY_COLOR = pytest.mark.parametrize("method_class", [Color, ColorEmd, Palette])


def product(color: tuple[int, int, int], background: int = 255, margin: int = 60) -> NDArray[np.uint8]:
    pixels = np.full((80 + 2 * margin, 80 + 2 * margin, 3), background, np.uint8)
    pixels[margin:-margin, margin:-margin] = color
    return pixels


def saturated_color(hue: int) -> NDArray[np.uint8]:
    """A saturated color of a hue from 0 to 179."""
    return cv2.cvtColor(np.full((20, 20, 3), (hue, 230, 200), np.uint8), cv2.COLOR_HSV2RGB)


def similarity(a: NDArray[np.uint8], b: NDArray[np.uint8], method: Method | None = None) -> float:
    method = method or Color()
    return method.similarity(distance(method, method.compute(a), method.compute(b)))


def test_color__intersection_is_one_less_half_the_distance() -> None:
    method = Color()
    a, b = method.compute(skimage.data.chelsea()), method.compute(skimage.data.coffee())
    assert a.min() >= 0
    assert a.sum() == pytest.approx(1)
    assert cv2.compareHist(a, b, cv2.HISTCMP_INTERSECT) == pytest.approx(1 - distance(method, a, b) / 2, abs=1e-6)


def test_color__small_patches_count() -> None:
    """A twentieth of the image has another color: the distance is 2 / (1 + sqrt(19)), not 2 / 20."""
    uniform = saturated_color(15)
    patched = uniform.copy()
    patched[0] = saturated_color(105)[0]
    method = Color()
    measured = distance(method, method.compute(uniform), method.compute(patched))
    assert measured == pytest.approx(2 / (1 + np.sqrt(19)), abs=0.02)


@pytest.mark.parametrize(
    ("axis", "end", "centers", "steps"),
    [
        (0, 180, np.arange(60) * 3 + 1.5, np.arange(-1, 9) * 30 - 15),
        (1, 256, np.linspace(0, 255, 32), np.arange(-1, 7) * 51),
        (2, 256, np.linspace(0, 255, 32), np.arange(-1, 7) * 51),
    ],
    ids=["hue", "saturation", "value"],
)
def test_count_colors__shares_the_counts_of_opencv_among_neighbors(
    axis: int, end: int, centers: NDArray[np.float64], steps: NDArray[np.float64]
) -> None:
    pixels = draw(100, 140) // 2
    shares = Color().compute(pixels).reshape(6, 6, 6) ** 2  # the square roots are stored, scaled
    shares /= shares.sum()
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [axis], None, [len(centers)], [0, end]).ravel() / (100 * 140)
    expected = [counts @ np.interp(centers, steps[k - 1 : k + 2], [0, 1, 0]) for k in range(1, len(steps) - 1)]
    if axis == 0:  # the hue before the first is the last one, the hue after the last is the first
        expected = [expected[1] + expected[7], *expected[2:6], expected[6] + expected[0]]
    other_axes = tuple({0, 1, 2} - {axis})
    np.testing.assert_allclose(shares.sum(axis=other_axes), expected, atol=1e-5)


@BY_COLOR
def test_compute__ignores_a_white_background(method_class: type[Method]) -> None:
    red, blue = product((200, 30, 30)), product((30, 30, 200))
    assert similarity(red, blue, method_class()) < 2
    assert similarity(red, product((200, 30, 30), margin=80), method_class()) > 99


@BY_COLOR
def test_white_tolerance(method_class: type[Color | ColorEmd | Palette]) -> None:
    near, far = (product((200, 30, 30), background=245, margin=margin) for margin in (20, 80))
    assert similarity(near, far, method_class(white_tolerance=12)) > 99
    assert similarity(near, far, method_class(white_tolerance=5)) < 60
    assert method_class(white_tolerance=5).version != method_class().version


def test_color__white_image_counts_its_white() -> None:
    signature = Color().compute(np.full((50, 40, 3), 255, np.uint8)).reshape(6, 6, 6)
    assert signature.sum() == pytest.approx(1)
    assert signature[:, 0, 5].sum() == pytest.approx(1)


def test_color__hue_is_circular() -> None:
    method = Color()
    red, pink, orange, cyan = (method.compute(saturated_color(hue)) for hue in (2, 177, 7, 92))
    assert distance(method, red, pink) < distance(method, red, orange) < 0.5
    assert distance(method, red, cyan) == pytest.approx(2, abs=0.01)


def test_compute__size_hardly_matters() -> None:
    photo = skimage.data.chelsea()
    assert similarity(photo, cv2.resize(photo, (2000, 1500), interpolation=cv2.INTER_LINEAR)) > 90


def levels(pixels: NDArray[np.uint8], channel: int) -> NDArray[np.int64]:
    """Saturation (1) or value (2) of the pixels that are not white, in steps of 4."""
    colored = pixels[(pixels < 255 - 12).any(axis=2)]
    return cv2.cvtColor(colored[None], cv2.COLOR_RGB2HSV)[0, :, channel].astype(int) // 4


def circular_emd(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """In shares of the circle: the cumulative histograms differ least with their median difference added."""
    difference = np.cumsum(a - b)
    return float(np.abs(difference - np.median(difference)).mean())


def hues(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Histogram of 60 hues, weighted by chroma."""
    hue, saturation, value = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV).reshape(-1, 3).astype(int).T
    histogram = np.histogram(hue, 60, (0, 180), weights=saturation * value)[0]
    return histogram / histogram.sum()


SAMPLES = [
    draw(120, 160),
    draw(90, 200, seed=1) // 3,
    product((40, 90, 160)),
    saturated_color(20),
    saturated_color(170),
]
SAMPLES += [cv2.resize(getattr(skimage.data, name)(), (200, 150)) for name in ("chelsea", "coffee", "astronaut")]
SAMPLE_PAIRS = [(a, b) for i, a in enumerate(SAMPLES) for b in SAMPLES[:i]]


@pytest.mark.parametrize(("channel", "part"), [(1, slice(60, 124)), (2, slice(124, 188))], ids=["saturation", "value"])
def test_color_emd__is_the_wasserstein_distance_of_each_channel(channel: int, part: slice) -> None:
    method = ColorEmd()
    for a, b in SAMPLE_PAIRS:
        measured = 3 * np.abs(method.compute(a)[part] - method.compute(b)[part]).sum()
        assert measured == pytest.approx(wasserstein_distance(levels(a, channel), levels(b, channel)) / 64, abs=1e-6)


def test_color_emd__of_hues_is_one_to_two_times_the_circular_one() -> None:
    method = ColorEmd()
    for a, b in SAMPLE_PAIRS:
        if a is SAMPLES[2] or b is SAMPLES[2]:  # its background is white
            continue
        measured = 3 * np.abs(method.compute(a)[:60] - method.compute(b)[:60]).sum()
        exact = 2 * circular_emd(hues(a), hues(b))
        assert exact - 1e-6 <= measured <= 2 * exact + 1e-6


def test_color_emd__grows_with_the_distance_around_the_circle() -> None:
    method = ColorEmd()
    start = method.compute(saturated_color(4))
    costs = {
        bins: distance(method, start, method.compute(saturated_color((4 + 3 * bins) % 180))) for bins in range(-30, 31)
    }
    assert 0 < costs[1] < costs[6] / 4
    assert all(costs[bins] < costs[bins + 1] for bins in range(30))
    assert all(costs[bins] == pytest.approx(costs[-bins], abs=0.01) for bins in range(31))  # 4 - 6 wraps around
    assert costs[10] == pytest.approx(4 / 6 * 5 / 6 / 3, abs=0.01)


def test_color_emd__gray_is_equally_far_from_every_hue() -> None:
    method = ColorEmd()
    gray = method.compute(np.full((20, 20, 3), 90, np.uint8))[:60]
    assert not gray.any()
    np.testing.assert_allclose(
        [3 * np.abs(method.compute(saturated_color(hue))[:60]).sum() for hue in (2, 92)], 0.5, atol=0.001
    )


@pytest.mark.parametrize("name", ["coffee", "chelsea", "astronaut", "rocket"])
def test_compute__recolored_copy_ranks_below_a_resized_one(name: str) -> None:
    photo = getattr(skimage.data, name)()
    small = cv2.resize(photo, (300, 200), interpolation=cv2.INTER_AREA)
    recolored = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    recolored[..., 0] = (recolored[..., 0] + 60) % 180
    recolored = cv2.cvtColor(recolored, cv2.COLOR_HSV2RGB)
    for method_class in (Color, ColorEmd, Palette):
        assert similarity(photo, small, method_class()) > similarity(photo, recolored, method_class()) + 5

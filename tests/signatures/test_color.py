from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from similar_images.signatures.base import Method
from similar_images.signatures.color import Color, ColorEmd
from similar_images.signatures.palette import Palette, extract_palette, palette_distance

from .contract import MethodContract, distance, draw


class TestColor(MethodContract):
    @pytest.fixture
    def method(self) -> Color:
        return Color()


class TestColorEmd(MethodContract):
    @pytest.fixture
    def method(self) -> ColorEmd:
        return ColorEmd()


class TestPalette(MethodContract):
    @pytest.fixture
    def method(self) -> Palette:
        return Palette()


BY_COLOR = pytest.mark.parametrize("kind", [Color, ColorEmd, Palette])


def product(color: tuple[int, int, int], background: int = 255, margin: int = 60) -> NDArray[np.uint8]:
    pixels = np.full((80 + 2 * margin, 80 + 2 * margin, 3), background, np.uint8)
    pixels[margin:-margin, margin:-margin] = color
    return pixels


def of_hue(hue: int) -> NDArray[np.uint8]:
    """A saturated color of a hue from 0 to 179."""
    return cv2.cvtColor(np.full((20, 20, 3), (hue, 230, 200), np.uint8), cv2.COLOR_HSV2RGB)


def similarity(a: NDArray[np.uint8], b: NDArray[np.uint8], method: Method | None = None) -> float:
    method = method or Color()
    return method.similarity(distance(method, method.compute(a), method.compute(b)))


def test_intersection_is_one_less_half_the_distance() -> None:
    method = Color()
    a, b = method.compute(skimage.data.chelsea()), method.compute(skimage.data.coffee())
    assert a.min() >= 0
    assert a.sum() == pytest.approx(1)
    assert cv2.compareHist(a, b, cv2.HISTCMP_INTERSECT) == pytest.approx(1 - distance(method, a, b) / 2, abs=1e-6)


def test_small_patches_of_color_count() -> None:
    """A twentieth of the picture has another color: that is 2 / (1 + sqrt(19)), not 2 / 20."""
    plain = of_hue(15)
    patched = plain.copy()
    patched[0] = of_hue(105)[0]
    method = Color()
    told = distance(method, method.compute(plain), method.compute(patched))
    assert told == pytest.approx(2 / (1 + np.sqrt(19)), abs=0.02)


@pytest.mark.parametrize(
    ("axis", "end", "centers", "steps"),
    [
        (0, 180, np.arange(60) * 3 + 1.5, np.arange(-1, 9) * 30 - 15),
        (1, 256, np.linspace(0, 255, 32), np.arange(-1, 7) * 51),
        (2, 256, np.linspace(0, 255, 32), np.arange(-1, 7) * 51),
    ],
    ids=["hue", "saturation", "value"],
)
def test_shares_what_opencv_counts_among_neighbors(
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
    others = tuple({0, 1, 2} - {axis})
    np.testing.assert_allclose(shares.sum(axis=others), expected, atol=1e-5)


@BY_COLOR
def test_white_does_not_make_two_products_alike(kind: type[Method]) -> None:
    red, blue = product((200, 30, 30)), product((30, 30, 200))
    assert similarity(red, blue, kind()) < 2
    assert similarity(red, product((200, 30, 30), margin=80), kind()) > 99


@BY_COLOR
def test_tolerance_says_what_is_white(kind: type[Color | ColorEmd | Palette]) -> None:
    near, far = (product((200, 30, 30), background=245, margin=margin) for margin in (20, 80))
    assert similarity(near, far, kind(white_tolerance=12)) > 99
    assert similarity(near, far, kind(white_tolerance=5)) < 60
    assert kind(white_tolerance=5).version != kind().version


def test_a_picture_of_white_counts_its_white() -> None:
    signature = Color().compute(np.full((50, 40, 3), 255, np.uint8)).reshape(6, 6, 6)
    assert signature.sum() == pytest.approx(1)
    assert signature[:, 0, 5].sum() == pytest.approx(1)


def test_hue_is_a_circle() -> None:
    method = Color()
    red, pink, orange, cyan = (method.compute(of_hue(hue)) for hue in (2, 177, 7, 92))
    assert distance(method, red, pink) < distance(method, red, orange) < 0.5
    assert distance(method, red, cyan) == pytest.approx(2, abs=0.01)


def test_size_hardly_matters() -> None:
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


COLORED = [draw(120, 160), draw(90, 200, seed=1) // 3, product((40, 90, 160)), of_hue(20), of_hue(170)]
COLORED += [cv2.resize(getattr(skimage.data, name)(), (200, 150)) for name in ("chelsea", "coffee", "astronaut")]
PAIRS = [(a, b) for i, a in enumerate(COLORED) for b in COLORED[:i]]


@pytest.mark.parametrize(("channel", "part"), [(1, slice(60, 124)), (2, slice(124, 188))], ids=["saturation", "value"])
def test_emd_is_the_wasserstein_distance_of_each_channel(channel: int, part: slice) -> None:
    method = ColorEmd()
    for a, b in PAIRS:
        told = 3 * np.abs(method.compute(a)[part] - method.compute(b)[part]).sum()
        assert told == pytest.approx(wasserstein_distance(levels(a, channel), levels(b, channel)) / 64, abs=1e-6)


def test_emd_of_hues_is_one_to_two_times_the_circular_one() -> None:
    method = ColorEmd()
    for a, b in PAIRS:
        if a is COLORED[2] or b is COLORED[2]:  # that has white around it
            continue
        told = 3 * np.abs(method.compute(a)[:60] - method.compute(b)[:60]).sum()
        true = 2 * circular_emd(hues(a), hues(b))
        assert true - 1e-6 <= told <= 2 * true + 1e-6


def test_a_hue_costs_by_how_far_around_the_circle_it_moves() -> None:
    method = ColorEmd()
    start = method.compute(of_hue(4))
    costs = {bins: distance(method, start, method.compute(of_hue((4 + 3 * bins) % 180))) for bins in range(-30, 31)}
    assert 0 < costs[1] < costs[6] / 4
    assert all(costs[bins] < costs[bins + 1] for bins in range(30))
    assert all(costs[bins] == pytest.approx(costs[-bins], abs=0.01) for bins in range(31))  # 4 - 6 wraps around
    assert costs[10] == pytest.approx(4 / 6 * 5 / 6 / 3, abs=0.01)


def test_gray_has_no_hue_and_is_as_far_from_every_hue() -> None:
    method = ColorEmd()
    gray = method.compute(np.full((20, 20, 3), 90, np.uint8))[:60]
    assert not gray.any()
    np.testing.assert_allclose([3 * np.abs(method.compute(of_hue(hue))[:60]).sum() for hue in (2, 92)], 0.5, atol=0.001)


def test_palette_finds_the_colors_and_their_shares() -> None:
    pixels = np.zeros((300, 500, 3), np.uint8)
    pixels[:, 200:350], pixels[:, 350:] = (200, 30, 30), (255, 255, 255)
    colors, weights = extract_palette(pixels)
    np.testing.assert_allclose(weights[:2], [4 / 7, 3 / 7], atol=0.03)
    np.testing.assert_allclose(colors[:2], [[0, 0, 0], [43.2, 63.0, 45.2]], atol=1)  # skimage.color.rgb2lab
    assert len(extract_palette(product((200, 30, 30)))[0]) == 1
    assert len(extract_palette(skimage.data.coffee(), count=3)[0]) == 3


def test_palette_is_not_left_to_chance() -> None:
    for seed in (1, 2):
        cv2.setRNGSeed(seed)
        colors, weights = extract_palette(skimage.data.coffee())
        assert colors.shape == (5, 3)
        assert weights.sum() == pytest.approx(1)
        if seed == 1:
            first = colors, weights
    assert (colors == first[0]).all()
    assert (weights == first[1]).all()


def test_palette_distance_is_the_least_transport() -> None:
    a, b = extract_palette(skimage.data.coffee()), extract_palette(skimage.data.chelsea(), count=4)
    costs = np.linalg.norm(a[0][:, None] - b[0], axis=2)
    sums = np.vstack([np.kron(np.eye(5), np.ones(4)), np.kron(np.ones(5), np.eye(4))])
    best = linprog(costs.ravel(), A_eq=sums[:-1], b_eq=np.concatenate([a[1], b[1][:-1]]).astype(float))
    assert palette_distance(a, b) == pytest.approx(best.fun, rel=1e-4)
    assert palette_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_stored_palettes_differ_more_the_further_a_color_moves() -> None:
    method = Palette()
    grays = [np.full((9, 9, 3), level, np.uint8) for level in range(20, 240, 20)]
    told = [distance(method, method.compute(grays[0]), method.compute(gray)) for gray in grays]
    true = [palette_distance(extract_palette(grays[0]), extract_palette(gray)) for gray in grays]
    assert (np.diff(told) > 0).all()
    assert all(0.9 * b < a < 2.1 * b for a, b in zip(told[1:], true[1:], strict=True))


@pytest.mark.parametrize("name", ["coffee", "chelsea", "astronaut", "rocket"])
def test_a_recolored_copy_ranks_below_the_original(name: str) -> None:
    photo = getattr(skimage.data, name)()
    small = cv2.resize(photo, (300, 200), interpolation=cv2.INTER_AREA)
    recolored = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    recolored[..., 0] = (recolored[..., 0] + 60) % 180
    recolored = cv2.cvtColor(recolored, cv2.COLOR_HSV2RGB)
    for kind in (Color, ColorEmd, Palette):
        assert similarity(photo, small, kind()) > similarity(photo, recolored, kind()) + 5
    original, copy, changed = (extract_palette(pixels) for pixels in (photo, small, recolored))
    assert palette_distance(original, copy) < palette_distance(original, changed) / 2

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from similar_images.signatures.color import Color

from .contract import MethodContract, distance, draw


class TestColor(MethodContract):
    @pytest.fixture
    def method(self) -> Color:
        return Color()


def product(color: tuple[int, int, int], background: int = 255, margin: int = 60) -> NDArray[np.uint8]:
    pixels = np.full((80 + 2 * margin, 80 + 2 * margin, 3), background, np.uint8)
    pixels[margin:-margin, margin:-margin] = color
    return pixels


def of_hue(hue: int) -> NDArray[np.uint8]:
    """A saturated color of a hue from 0 to 179."""
    return cv2.cvtColor(np.full((20, 20, 3), (hue, 230, 200), np.uint8), cv2.COLOR_HSV2RGB)


def similarity(a: NDArray[np.uint8], b: NDArray[np.uint8], method: Color | None = None) -> float:
    method = method or Color()
    return method.similarity(distance(method, method.compute(a), method.compute(b)))


def test_intersection_is_one_less_half_the_distance() -> None:
    method = Color()
    a, b = method.compute(skimage.data.chelsea()), method.compute(skimage.data.coffee())
    assert a.min() >= 0
    assert a.sum() == pytest.approx(1)
    assert cv2.compareHist(a, b, cv2.HISTCMP_INTERSECT) == pytest.approx(1 - distance(method, a, b) / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("axis", "end", "centers", "steps"),
    [
        (0, 180, np.arange(60) * 3 + 1.5, np.arange(-1, 9) * 30 - 15),
        (1, 256, np.linspace(0, 255, 32), np.arange(-1, 7) * 51),
        (2, 256, np.linspace(0, 255, 32), np.arange(-1, 7) * 51),
    ],
    ids=["hue", "saturation", "value"],
)
def test_shares_opencv_counts_among_neighbors(
    axis: int, end: int, centers: NDArray[np.float64], steps: NDArray[np.float64]
) -> None:
    pixels = draw(100, 140) // 2
    signature = Color().compute(pixels).reshape(6, 6, 6)
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [axis], None, [len(centers)], [0, end]).ravel() / (100 * 140)
    expected = [counts @ np.interp(centers, steps[k - 1 : k + 2], [0, 1, 0]) for k in range(1, len(steps) - 1)]
    if axis == 0:  # the hue before the first is the last one, the hue after the last is the first
        expected = [expected[1] + expected[7], *expected[2:6], expected[6] + expected[0]]
    others = tuple({0, 1, 2} - {axis})
    np.testing.assert_allclose(signature.sum(axis=others), expected, atol=1e-5)


def test_white_does_not_make_two_products_alike() -> None:
    red, blue = product((200, 30, 30)), product((30, 30, 200))
    assert similarity(red, blue) < 0.1
    assert similarity(red, product((200, 30, 30), margin=80)) > 99


def test_tolerance_says_what_is_white() -> None:
    red, blue = product((200, 30, 30), background=245), product((30, 30, 200), background=245)
    assert similarity(red, blue, Color(white_tolerance=12)) < 0.1
    assert similarity(red, blue, Color(white_tolerance=5)) > 20
    assert Color(white_tolerance=5).version != Color().version


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

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from scipy.optimize import linprog

from similar_images.signatures.palette import Palette, extract_palette, palette_distance

from .contract import MethodContract, distance
from .test_color import product


class TestPalette(MethodContract):
    @pytest.fixture
    def method(self) -> Palette:
        return Palette()


def test_extract_palette__finds_the_colors_and_their_shares() -> None:
    pixels = np.zeros((300, 500, 3), np.uint8)
    pixels[:, 200:350], pixels[:, 350:] = (200, 30, 30), (255, 255, 255)
    colors, weights = extract_palette(pixels)
    np.testing.assert_allclose(weights[:2], [4 / 7, 3 / 7], atol=0.03)
    np.testing.assert_allclose(colors[:2], [[0, 0, 0], [43.2, 63.0, 45.2]], atol=1)  # skimage.color.rgb2lab
    assert len(extract_palette(product((200, 30, 30)))[0]) == 1
    assert len(extract_palette(skimage.data.coffee(), count=3)[0]) == 3


def test_extract_palette__is_deterministic() -> None:
    for seed in (1, 2):
        cv2.setRNGSeed(seed)
        colors, weights = extract_palette(skimage.data.coffee())
        assert colors.shape == (5, 3)
        assert weights.sum() == pytest.approx(1)
        if seed == 1:
            first = colors, weights
    assert (colors == first[0]).all()
    assert (weights == first[1]).all()


def test_palette_distance__is_the_minimum_cost_of_transport() -> None:
    a, b = extract_palette(skimage.data.coffee()), extract_palette(skimage.data.chelsea(), count=4)
    costs = np.linalg.norm(a[0][:, None] - b[0], axis=2)
    sums = np.vstack([np.kron(np.eye(5), np.ones(4)), np.kron(np.ones(5), np.eye(4))])
    solution = linprog(costs.ravel(), A_eq=sums[:-1], b_eq=np.concatenate([a[1], b[1][:-1]]).astype(float))
    assert palette_distance(a, b) == pytest.approx(solution.fun, rel=1e-4)
    assert palette_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_compute__distance_grows_with_that_of_the_colors() -> None:
    method = Palette()
    grays = [np.full((9, 9, 3), level, np.uint8) for level in range(20, 240, 20)]
    measured = [distance(method, method.compute(grays[0]), method.compute(gray)) for gray in grays]
    exact = [palette_distance(extract_palette(grays[0]), extract_palette(gray)) for gray in grays]
    assert (np.diff(measured) > 0).all()
    assert all(0.9 * b < a < 2.1 * b for a, b in zip(measured[1:], exact[1:], strict=True))


@pytest.mark.parametrize("name", ["coffee", "chelsea", "astronaut", "rocket"])
def test_palette_distance__recolored_copy_is_farther_than_a_resized_one(name: str) -> None:
    photo = getattr(skimage.data, name)()
    small = cv2.resize(photo, (300, 200), interpolation=cv2.INTER_AREA)
    recolored = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    recolored[..., 0] = (recolored[..., 0] + 60) % 180
    recolored = cv2.cvtColor(recolored, cv2.COLOR_HSV2RGB)
    original, copy, changed = (extract_palette(pixels) for pixels in (photo, small, recolored))
    assert palette_distance(original, copy) < palette_distance(original, changed) / 2

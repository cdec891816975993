"""The Hausdorff distance of silhouettes compared with scikit-image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.metrics import hausdorff_distance

from similar_images import plugins
from similar_images.measures.base import ComparisonImage
from similar_images.measures.geometry.outlines import (
    OUTLINE_FRAME,
    find_outlines,
    normalize_outlines,
    outline_points,
    silhouette_mask,
)

from .contract import MeasureContract
from .contract import draw as noise


class TestSilhouette(MeasureContract):
    name = "silhouette"


STAR = np.array([(np.sin(k * np.pi / 5), -np.cos(k * np.pi / 5)) for k in range(10)]) * np.tile([[1], [0.45]], (5, 1))
ARM = [(1, 3), (1, 1), (3, 1)]
CROSS = np.array([(x * p, y * q) for p, q in ((1, 1), (1, -1), (-1, -1), (-1, 1)) for x, y in ARM[:: p * q]]) / 3


def shape(outline: np.ndarray, x: float, y: float, size: float, paper: int = 255, ink: int = 40) -> np.ndarray:
    pixels = np.full((400, 500, 3), paper, np.uint8)
    cv2.fillPoly(pixels, [np.rint(outline * size + (x, y)).astype(np.int32)], (ink, ink, ink), cv2.LINE_AA)
    return pixels


def points(pixels: np.ndarray) -> np.ndarray:
    return outline_points(normalize_outlines(find_outlines(ComparisonImage(pixels), 12)))


def value(a: np.ndarray, b: np.ndarray) -> float:
    return plugins.load_measure("silhouette", {}).measure(a, b).value


@pytest.mark.parametrize("other", [shape(CROSS, 300, 200, 90), noise(300, 400), noise(90, 50, seed=3)])
def test_measure__equals_scikit_image(other: np.ndarray) -> None:
    star = shape(STAR, 200, 200, 150)
    masks = np.zeros((2, OUTLINE_FRAME, OUTLINE_FRAME), bool)
    for mask, pixels in zip(masks, (star, other), strict=True):
        mask[tuple(points(pixels).T[::-1])] = True
    expected = hausdorff_distance(*masks) / np.hypot(OUTLINE_FRAME, OUTLINE_FRAME)
    assert value(star, other) == pytest.approx(expected, abs=1e-6)


def test_measure__moved_and_scaled_copy_is_closer_than_another_shape() -> None:
    star = shape(STAR, 200, 200, 150)
    moved = shape(STAR, 380, 110, 70)
    assert value(star, moved) < 0.02 < 0.1 < value(star, shape(CROSS, 200, 200, 150))
    measure = plugins.load_measure("silhouette", {})
    assert measure.similarity(measure.measure(star, moved)) > 85


def test_measure__ignores_texture_and_holes() -> None:
    star = shape(STAR, 200, 200, 150)
    assert value(star, shape(STAR, 200, 200, 150, paper=20, ink=220)) < 0.01
    holed = star.copy()
    cv2.circle(holed, (200, 200), 30, (255, 255, 255), -1)
    assert value(star, holed) == 0


def test_silhouette_mask__ignores_specks() -> None:
    star = shape(STAR, 200, 200, 150)
    specked = star.copy()
    specked[10:13, 480:483] = 0
    assert value(star, specked) == 0


def test_silhouette_mask__on_an_uneven_ground() -> None:
    """The side of Otsu's threshold that is rarer on the border is the object, dark or bright."""
    ramp = np.linspace(150, 250, 500).astype(np.uint8)[None, :, None].repeat(400, axis=0).repeat(3, axis=2)
    inside = np.zeros((400, 500), np.uint8)
    cv2.circle(inside, (250, 200), 90, 255, -1)
    for ground in (ramp, 255 - ramp):
        picture = np.where(inside[..., None] > 0, 255 - ground // 4 if ground[0, 0, 0] < 128 else ground // 8, ground)
        assert (silhouette_mask(ComparisonImage(picture.astype(np.uint8)), 12) == inside).mean() > 0.99


@pytest.mark.parametrize("paper", [0, 128, 255])
def test_measure__blank(paper: int) -> None:
    blank = np.full((50, 70, 3), paper, np.uint8)
    measure = plugins.load_measure("silhouette", {})
    assert measure.measure(blank, np.full((9, 9, 3), 255, np.uint8)).value == 0
    result = measure.measure(blank, shape(STAR, 200, 200, 150))
    assert result.value == measure.worst
    assert measure.similarity(result) == 0
    assert result.details == {"blank": True}

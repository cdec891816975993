"""Registration and its tuned thresholds, on images made by code on both sides of each line."""

from __future__ import annotations

import gc
import weakref

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from similar_images.measures.base import ComparisonImage
from similar_images.measures.geometry import registration
from similar_images.measures.geometry.registration import Registration, register
from similar_images.measures.verdict import Verdict, judge_pair
from tests.signatures.contract import draw

Pixels = NDArray[np.uint8]


def texture(height: int, width: int, seed: int = 0) -> Pixels:
    """Draw smooth noise with detail at three scales, on which keypoints are plentiful and unique."""
    rng = np.random.default_rng(seed)
    levels = np.full((height, width, 3), 128.0)
    for cell, amplitude in ((64, 60), (16, 45), (6, 25)):
        grid = rng.normal(0, amplitude, (height // cell + 2, width // cell + 2, 3))
        levels += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return to_pixels(levels)


def to_pixels(levels: NDArray[np.floating]) -> Pixels:
    return np.clip(levels, 0, 255).astype(np.uint8)


TEXTURE = texture(300, 400)


def analyze(a: Pixels, b: Pixels) -> tuple[Registration, Verdict]:
    images = ComparisonImage(a), ComparisonImage(b)
    registered = register(*images)
    assert registered is not None
    return registered, judge_pair(*images, lambda: 0.0)


@pytest.mark.parametrize(("shift", "kind"), [(38, "same-picture"), (42, "same-object")])
def test_min_overlap(shift: int, kind: str) -> None:
    """Two crops of one scene are the same picture only if one shows nearly all of the other."""
    scene = texture(400, 600)
    registered, verdict = analyze(scene[:300, :400], scene[:300, shift : shift + 400])
    assert registered.overlap_a == pytest.approx((400 - shift) / 400, abs=0.005)
    assert (registered.overlap_a >= registration.MIN_OVERLAP) == (kind == "same-picture")
    assert verdict.kind == kind


@pytest.mark.parametrize(("side", "kind"), [(68, "unrelated"), (72, "same-object")])
def test_min_inliers(side: int, kind: str) -> None:
    """Different images that share a small patch show the same object only if enough keypoints in it match."""
    a, b = texture(300, 400, 1), texture(300, 400, 2)
    a[40 : 40 + side, 50 : 50 + side] = b[150 : 150 + side, 200 : 200 + side] = texture(side, side, 3)
    registered, verdict = analyze(a, b)
    assert (registered.inliers >= registration.MIN_INLIERS) == (kind == "same-object")
    assert 5 <= registered.inliers <= 20
    assert verdict.kind == kind


@pytest.mark.parametrize(("covered", "kind"), [(0.28, "same-picture"), (0.31, "same-object")])
def test_min_agreement(covered: float, kind: str) -> None:
    """A copy may be covered in part, but not over more than about three tenths."""
    copy, rows = TEXTURE.copy(), round(300 * covered)
    copy[:rows] = texture(rows, 400, 9)
    registered, verdict = analyze(TEXTURE, copy)
    assert registered.agreement == pytest.approx(1 - covered, abs=0.02)
    assert (registered.agreement >= registration.MIN_AGREEMENT) == (kind == "same-picture")
    assert verdict.kind == kind
    assert verdict.changes == (("retouched",) if kind == "same-picture" else ())


@pytest.mark.parametrize(("step", "changes"), [(8, ("re-encoded",)), (9, ("recolored",))])
def test_min_recolor_difference(step: int, changes: tuple[str, ...]) -> None:
    registered, verdict = analyze(TEXTURE, to_pixels(TEXTURE + float(step)))
    assert (registered.color_difference > registration.MIN_RECOLOR_DIFFERENCE) == (changes == ("recolored",))
    assert (verdict.kind, verdict.changes) == ("same-picture", changes)


@pytest.mark.parametrize(("rows", "kind"), [(9, "same-picture"), (12, "same-object")])
def test_recolor_min_agreement(rows: int, kind: str) -> None:
    """A recolored copy may hardly be covered, because a product in another color is often shot in the same pose."""
    copy = TEXTURE.astype(float) + 20
    copy[:rows] = texture(300, 400, 9)[:rows] + 20.0
    registered, verdict = analyze(TEXTURE, to_pixels(copy))
    assert (registered.union_agreement >= registration.RECOLOR_MIN_AGREEMENT) == (kind == "same-picture")
    assert verdict.kind == kind


@pytest.mark.parametrize(("tint", "kind"), [(8, "same-picture"), (12, "same-object")])
def test_max_color_residual(tint: int, kind: str) -> None:
    """Brighter as a whole is an edit; one half redder and the other bluer is another color of the object."""
    copy = TEXTURE.astype(float) + 10
    copy[:, :200] += (tint, 0, -tint)
    copy[:, 200:] -= (tint, 0, -tint)
    registered, verdict = analyze(TEXTURE, to_pixels(copy))
    assert registered.color_difference > registration.MIN_RECOLOR_DIFFERENCE
    assert (registered.color_residual <= registration.MAX_COLOR_RESIDUAL) == (kind == "same-picture")
    assert verdict.kind == kind


@pytest.mark.parametrize("slant", [0.01, 0.1])
def test_max_tilt(slant: float) -> None:
    """A view from another side is no copy, although all of it lies on the other image."""
    corners = np.array([[0, 0], [399, 0], [399, 299], [0, 299]], np.float32)
    inward = np.array([[0, slant], [0, 0], [0, 0], [0, -slant]], np.float32) * 300
    matrix = cv2.getPerspectiveTransform(corners + inward, corners)
    registered, verdict = analyze(TEXTURE, np.asarray(cv2.warpPerspective(TEXTURE, matrix, (400, 300)), np.uint8))
    assert (registered.tilt <= registration.MAX_TILT) == (slant == 0.01)
    assert verdict.kind == ("same-picture" if slant == 0.01 else "same-object")


def test_register__runs_once_per_pair() -> None:
    a, b = ComparisonImage(TEXTURE), ComparisonImage(draw(60, 80))
    assert register(a, b) is register(a, b)
    c = ComparisonImage(TEXTURE.copy())
    assert register(a, c) is register(a, c) is not None


def test_register__keeps_no_image_alive() -> None:
    """Comparing thousands of images with one of them takes the memory of one."""
    a, b = ComparisonImage(TEXTURE), ComparisonImage(draw(60, 80))
    register(a, b)
    reference = weakref.ref(b)
    del b
    gc.collect()
    assert reference() is None

"""Registration, and what is made of it, on images made by code on both sides of each line."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from similar_images.measures.base import ComparisonImage
from similar_images.measures.geometry import registration
from similar_images.measures.geometry.registration import Registration, register
from similar_images.measures.verdict import COPY_KINDS, Verdict, judge_pair
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


def test_overlapping_crops__are_the_same_picture() -> None:
    """The left 80% of a scene, and the right 80%: each has what the other lacks."""
    scene = texture(400, 600)
    registered, verdict = analyze(scene[:, :480], scene[:, 120:])
    assert (registered.overlap_a, registered.overlap_b) == pytest.approx((0.75, 0.75), abs=0.005)
    assert (verdict.kind, set(verdict.changes)) == ("edited-picture", {"cropped", "extended"})


@pytest.mark.parametrize(("side", "kind"), [(68, "unrelated"), (72, "same-object")])
def test_min_inliers(side: int, kind: str) -> None:
    """Different images that share a small patch show the same object only if enough keypoints in it match."""
    a, b = texture(300, 400, 1), texture(300, 400, 2)
    a[40 : 40 + side, 50 : 50 + side] = b[150 : 150 + side, 200 : 200 + side] = texture(side, side, 3)
    registered, verdict = analyze(a, b)
    assert (registered.inliers >= registration.MIN_INLIERS) == (kind == "same-object")
    assert 5 <= registered.inliers <= 20
    assert verdict.kind == kind


@pytest.mark.parametrize(("covered", "is_copy"), [(0.15, True), (0.85, False)])
def test_covered_copies(covered: float, is_copy: bool) -> None:
    """A copy may be covered in part; what shows next to nothing of it is none."""
    copy, rows = TEXTURE.copy(), round(300 * covered)
    copy[:rows] = texture(rows, 400, 9)
    registered, verdict = analyze(TEXTURE, copy)
    assert registered.agreement == pytest.approx(1 - covered, abs=0.03)
    assert (registered.probability >= registration.MIN_PROBABILITY) == is_copy
    assert (verdict.kind, verdict.changes) == (("edited-picture", ("retouched",)) if is_copy else ("same-object", ()))


@pytest.mark.parametrize(
    ("step", "expected"), [(8, ("same-picture", ("re-encoded",))), (9, ("edited-picture", ("brighter",)))]
)
def test_min_recolor_difference(step: int, expected: tuple[str, tuple[str, ...]]) -> None:
    registered, verdict = analyze(TEXTURE, to_pixels(TEXTURE + float(step)))
    assert (registered.color_difference > registration.MIN_RECOLOR_DIFFERENCE) == (step == 9)
    assert (verdict.kind, verdict.changes) == expected


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        (lambda levels: levels * 0.6, "darker"),
        (lambda levels: levels * 0.6 + 100, "brighter"),
        (lambda levels: (levels - levels.mean()) * 0.5 + levels.mean(), "contrast"),
        (lambda levels: levels.mean(axis=2, keepdims=True) + np.zeros(3), "gray"),
        (lambda levels: levels @ np.array([[0.3, 0.3, 0.6], [0.8, 0.2, 0.1], [0.1, 0.7, 0.2]]), "recolored"),
        (lambda levels: 255 - levels, "inverted"),
    ],
)
def test_colors__are_told_as_what_was_done(edit: Any, change: str) -> None:
    _registered, verdict = analyze(TEXTURE, to_pixels(edit(TEXTURE.astype(float))))
    assert verdict.kind == "edited-picture"
    assert change in verdict.changes


@pytest.mark.parametrize("slant", [0.005, 0.1])
def test_tilted_copies__say_so(slant: float) -> None:
    corners = np.array([[0, 0], [399, 0], [399, 299], [0, 299]], np.float32)
    inward = np.array([[0, slant], [0, 0], [0, 0], [0, -slant]], np.float32) * 300
    matrix = cv2.getPerspectiveTransform(corners + inward, corners)
    _registered, verdict = analyze(TEXTURE, np.asarray(cv2.warpPerspective(TEXTURE, matrix, (400, 300)), np.uint8))
    assert verdict.kind in COPY_KINDS
    assert ("tilted" in verdict.changes) == (slant == 0.1)


@pytest.mark.parametrize("share", [0.92, 0.7])
def test_stretched_copies__say_so(share: float) -> None:
    squeezed = np.asarray(cv2.resize(TEXTURE, (round(400 * share), 300), interpolation=cv2.INTER_AREA), np.uint8)
    _registered, verdict = analyze(TEXTURE, squeezed)
    assert verdict.kind == "edited-picture"
    assert "stretched" in verdict.changes


def test_order__does_not_decide() -> None:
    """A thumbnail and its original are the same picture, whichever comes first."""
    thumbnail = np.asarray(cv2.resize(TEXTURE, (64, 48), interpolation=cv2.INTER_AREA), np.uint8)
    kinds = {analyze(*pair)[1].kind for pair in ((TEXTURE, thumbnail), (thumbnail, TEXTURE))}
    assert kinds == {"same-picture"}


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

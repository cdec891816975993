"""Trimming of uniform backgrounds."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from similar_images import plugins, signatures
from similar_images.imaging import decode
from similar_images.signatures.color import Color
from similar_images.signatures.distances import SignatureArray
from similar_images.signatures.trim import trim_border
from tests import drawing
from tests.methods import PX

WHITE = (255, 255, 255)


def with_background(
    color: tuple[int, ...], margins: tuple[int, int, int, int], content: np.ndarray | None = None
) -> np.ndarray:
    """Content with margins above, below, left and right."""
    content = np.full((60, 40, 3), (200, 30, 30), np.uint8) if content is None else content
    return cv2.copyMakeBorder(content, *margins, cv2.BORDER_CONSTANT, value=color)


def test_trim_border__margins_do_not_matter() -> None:
    expected = trim_border(with_background(WHITE, (9, 9, 9, 9)))
    assert expected.shape == (66, 66, 3)
    for margins in ((100, 3, 50, 80), (3, 3, 13, 13), (0, 200, 5, 5)):
        assert np.array_equal(trim_border(with_background(WHITE, margins)), expected), margins


@pytest.mark.parametrize("color", [(0, 0, 0), (40, 90, 160)])
def test_trim_border__any_background_color(color: tuple[int, int, int]) -> None:
    trimmed = trim_border(with_background(color, (50, 5, 5, 50)))
    assert trimmed.shape == (66, 66, 3)
    assert tuple(trimmed[0, 0]) == color


def test_trim_border__jpeg_noise_and_specks_are_background() -> None:
    pixels = with_background(WHITE, (400, 100, 100, 400), np.full((160, 120, 3), (200, 30, 30), np.uint8))
    pixels[40:42, 500:502] = 0
    noisy = cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], cv2.IMREAD_COLOR)
    assert trim_border(noisy).shape == pytest.approx((176, 176, 3), abs=4)


def test_trim_border__returns_photos_and_blank_images_unchanged() -> None:
    photo = np.array(drawing.scene(1))
    assert trim_border(photo) is photo
    for blank in (np.full((30, 50, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8)):
        assert trim_border(blank) is blank


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 100), plain=st.integers(0, 10))
def test_trim_border__arbitrary_images(height: int, width: int, seed: int, plain: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    pixels = with_background(WHITE, (plain, 0, plain, plain), pixels)
    trimmed = trim_border(pixels)
    assert trimmed.dtype == np.uint8
    assert trimmed is pixels or trimmed.shape[0] == trimmed.shape[1]
    assert trimmed is pixels or np.array_equal(trim_border(trimmed), trimmed), "a second time changes nothing"


def cut_out() -> Image.Image:
    """A drawn scene in a round cut-out, transparent around it."""
    content = drawing.scene(3).convert("RGBA").resize((160, 120))
    mask = np.zeros((120, 160), np.uint8)
    cv2.ellipse(mask, (80, 60), (78, 58), 0, 0, 360, 255, -1)
    content.putalpha(Image.fromarray(mask))
    return content


def decoded(image: Image.Image) -> np.ndarray:
    out = io.BytesIO()
    image.save(out, "PNG")
    return decode.decode(out.getvalue(), max_pixels=10**7).pixels


def similarity(name: str, a: np.ndarray, b: np.ndarray, **options: bool) -> float:
    method = plugins.load_method(name, options)
    first, second = (SignatureArray(method, [method.compute(pixels)]) for pixels in (a, b))
    return method.similarity(float(next(first.distances(second))[0, 0]))


@pytest.mark.parametrize("name", ["embedding", "color", "wavelet", "phash"])
def test_trim__cut_out_matches_wherever_it_lies(name: str) -> None:
    content = cut_out()
    canvas = Image.new("RGB", (400, 300), "white")
    canvas.paste(content, (190, 20), content)
    same = Image.new("RGB", content.size, "white")
    same.paste(content, (0, 0), content)
    assert similarity(name, decoded(content), decoded(same)) >= 99
    assert similarity(name, decoded(content), decoded(canvas), trim=True) >= 90
    if name not in ("color",):
        assert similarity(name, decoded(content), decoded(canvas)) < 90


def test_trim__makes_another_version_of_the_method() -> None:
    plain, trim = plugins.load_method("color", {}), plugins.load_method("color", {"trim": True})
    assert trim.name == plain.name
    assert trim.version == f"{plain.version.removesuffix(PX)}-trim1{PX}"
    assert isinstance(trim, Color)
    assert trim.method_config == ("color", {"trim": True})
    assert plugins.load_method("color", {"trim": False}).version == plain.version
    assert all(len(plugins.load_method(name, {"trim": True}).version) <= 64 for name in signatures.BUILT_IN_METHODS)


def test_trim__must_be_a_boolean() -> None:
    with pytest.raises(ImproperlyConfigured, match="trim must be True or False"):
        plugins.load_method("color", {"trim": "yes"})

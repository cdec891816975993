"""Pictures on a plain background, brought into the same frame."""

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
from similar_images.signatures.distances import SignatureArray
from similar_images.signatures.trim import trim_border
from tests import drawing

WHITE = (255, 255, 255)


def on(color: tuple[int, ...], room: tuple[int, int, int, int], shown: np.ndarray | None = None) -> np.ndarray:
    """A thing with so much room above, below, left and right."""
    shown = np.full((60, 40, 3), (200, 30, 30), np.uint8) if shown is None else shown
    return cv2.copyMakeBorder(shown, *room, cv2.BORDER_CONSTANT, value=color)


def test_trimmed__the_room_around_makes_no_difference() -> None:
    expected = trim_border(on(WHITE, (9, 9, 9, 9)))
    assert expected.shape == (66, 66, 3)
    for room in ((100, 3, 50, 80), (3, 3, 13, 13), (0, 200, 5, 5)):
        assert np.array_equal(trim_border(on(WHITE, room)), expected), room


@pytest.mark.parametrize("color", [(0, 0, 0), (40, 90, 160)])
def test_trimmed__any_plain_color(color: tuple[int, int, int]) -> None:
    framed = trim_border(on(color, (50, 5, 5, 50)))
    assert framed.shape == (66, 66, 3)
    assert tuple(framed[0, 0]) == color


def test_trimmed__jpeg_noise_and_specks_are_background() -> None:
    pixels = on(WHITE, (400, 100, 100, 400), np.full((160, 120, 3), (200, 30, 30), np.uint8))
    pixels[40:42, 500:502] = 0
    noisy = cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], cv2.IMREAD_COLOR)
    assert trim_border(noisy).shape == pytest.approx((176, 176, 3), abs=4)


def test_trimmed__photos_and_blank_pictures_stay_as_they_are() -> None:
    photo = np.array(drawing.scene(1))
    assert trim_border(photo) is photo
    for blank in (np.full((30, 50, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8)):
        assert trim_border(blank) is blank


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 100), plain=st.integers(0, 10))
def test_trimmed__any_picture_gives_one(height: int, width: int, seed: int, plain: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    pixels = on(WHITE, (plain, 0, plain, plain), pixels)
    framed = trim_border(pixels)
    assert framed.dtype == np.uint8
    assert framed is pixels or framed.shape[0] == framed.shape[1]
    assert framed is pixels or np.array_equal(trim_border(framed), framed), "a second time changes nothing"


def cut_out() -> Image.Image:
    """A drawn scene in a round cut-out, transparent around it."""
    shown = drawing.scene(3).convert("RGBA").resize((160, 120))
    mask = np.zeros((120, 160), np.uint8)
    cv2.ellipse(mask, (80, 60), (78, 58), 0, 0, 360, 255, -1)
    shown.putalpha(Image.fromarray(mask))
    return shown


def decoded(image: Image.Image) -> np.ndarray:
    out = io.BytesIO()
    image.save(out, "PNG")
    return decode.decode(out.getvalue(), max_pixels=10**7).pixels


def similarity(name: str, a: np.ndarray, b: np.ndarray, **options: bool) -> float:
    method = plugins.load_method(name, options)
    one, other = (SignatureArray(method, [method.compute(pixels)]) for pixels in (a, b))
    return method.similarity(float(next(one.distances(other))[0, 0]))


@pytest.mark.parametrize("name", ["embedding", "color", "wavelet", "phash"])
def test_cut_out__is_the_same_on_white_wherever_it_lies(name: str) -> None:
    shown = cut_out()
    canvas = Image.new("RGB", (400, 300), "white")
    canvas.paste(shown, (190, 20), shown)
    same = Image.new("RGB", shown.size, "white")
    same.paste(shown, (0, 0), shown)
    assert similarity(name, decoded(shown), decoded(same)) >= 99
    assert similarity(name, decoded(shown), decoded(canvas), trim=True) >= 90
    if name not in ("color",):
        assert similarity(name, decoded(shown), decoded(canvas)) < 90


def test_trim__is_a_version_of_its_own_of_the_same_method() -> None:
    plain, trim = plugins.load_method("color", {}), plugins.load_method("color", {"trim": True})
    assert trim.name == plain.name
    assert trim.version == f"{plain.version}-trim1"
    assert isinstance(trim, type(plain))
    assert trim.method_config == ("color", {"trim": True})
    assert plugins.load_method("color", {"trim": False}).version == plain.version
    assert all(len(plugins.load_method(name, {"trim": True}).version) <= 64 for name in signatures.BUILT_IN_METHODS)


def test_trim__nonsense_is_told() -> None:
    with pytest.raises(ImproperlyConfigured, match="trim must be True or False"):
        plugins.load_method("color", {"trim": "yes"})

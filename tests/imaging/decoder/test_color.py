"""Colors by profile: the same picture, whatever space it was saved in; a bad profile costs no image."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from similar_images.imaging.decode import decode
from similar_images.imaging.decoder import color
from tests import profiles
from tests.drawing import encoded, scene, textured

PHOTO = textured(1)
WIDE = {"AdobeRGB": profiles.ADOBE_RGB, "ProPhoto": profiles.PROPHOTO, "Display P3": profiles.DISPLAY_P3}
FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "HEIF": {"quality": 95, "chroma": 444},
}


def pixels(image: Image.Image, format_name: str = "PNG", **options: Any) -> NDArray[np.int_]:
    return decode(encoded(image, format_name, **options), max_pixels=10**7).pixels.astype(int)


def difference(a: NDArray[np.int_], b: NDArray[np.int_]) -> float:
    return float(abs(a - b).mean())


def open_profile(data: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(data))


def saved_in(image: Image.Image, profile: bytes, mode: str = "RGB") -> Image.Image:
    converted = ImageCms.profileToProfile(image, open_profile(profiles.SRGB), open_profile(profile), outputMode=mode)
    assert converted is not None
    converted.info.clear()
    return converted


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("name", WIDE)
def test_wide_gamuts__decode_as_the_image_in_srgb(name: str, format_name: str) -> None:
    options, wide = FORMATS[format_name], saved_in(PHOTO, WIDE[name])
    expected = pixels(PHOTO, format_name, **options)
    decoded = pixels(wide, format_name, icc_profile=WIDE[name], **options)
    assert difference(decoded, expected) < 3 < 5 < difference(pixels(wide, format_name, **options), expected)


def test_profile__of_an_image_with_transparency_leaves_that() -> None:
    wide, plain = saved_in(PHOTO, profiles.PROPHOTO), PHOTO.copy()
    for image in (wide, plain):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    assert difference(pixels(wide, icc_profile=profiles.PROPHOTO), pixels(plain)) < 2


def test_profile__of_a_large_image_is_applied_to_the_small_one() -> None:
    large = PHOTO.resize((2400, 1800))
    wide = saved_in(large, profiles.PROPHOTO)
    decoded = pixels(wide, "JPEG", quality=95, icc_profile=profiles.PROPHOTO)
    assert decoded.shape == (900, 1200, 3) or decoded.shape == (600, 800, 3)
    assert difference(decoded, pixels(large, "JPEG", quality=95)) < 3


def test_gray__by_its_profile_and_by_one_for_colors() -> None:
    gray = PHOTO.convert("L")
    linear = gray.point([round(255 * color_to_light(value / 255)) for value in range(256)])
    assert difference(pixels(linear, icc_profile=profiles.gray(1.0)), pixels(gray)) < 4
    assert difference(pixels(linear), pixels(gray)) > 20
    lighter = gray.point([round(255 * color_to_light(value / 255) ** (1 / 1.8)) for value in range(256)])
    assert difference(pixels(lighter, "JPEG", quality=95, icc_profile=profiles.PROPHOTO), pixels(gray)) < 3
    assert difference(pixels(lighter, "JPEG", quality=95), pixels(gray)) > 5


def color_to_light(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


@pytest.mark.parametrize("format_name", ["JPEG", "TIFF"])
def test_cmyk__by_its_profile_and_by_default_without(format_name: str) -> None:
    inks, profile = PHOTO.convert("CMYK"), profiles.cmyk()
    options = {"quality": 95, "subsampling": 0} if format_name == "JPEG" else {}
    expected = ImageCms.profileToProfile(inks, open_profile(profile), open_profile(profiles.SRGB), outputMode="RGB")
    decoded = pixels(inks, format_name, icc_profile=profile, **options)
    assert difference(decoded, np.asarray(expected).astype(int)) < 4
    naive = pixels(inks, format_name, **options)
    assert difference(naive, np.asarray(PHOTO).astype(int)) < 4
    assert difference(naive, decoded) > 10


def test_lab__is_converted_without_a_profile() -> None:
    lab = ImageCms.profileToProfile(PHOTO, open_profile(profiles.SRGB), open_profile(profiles.LAB), outputMode="LAB")
    assert lab is not None
    assert difference(pixels(lab, "TIFF"), np.asarray(PHOTO).astype(int)) < 4


BROKEN = {
    "empty": b"",
    "garbage": bytes(range(256)) * 3,
    "cut": profiles.ADOBE_RGB[:300],
    "without tags": profiles.profile(b"RGB ", {}),
    "of gray": profiles.gray(2.2),
    "of inks": profiles.cmyk(),
    "of Lab": profiles.LAB,
    "of a link": profiles.profile(b"RGB ", {}, kind=b"link"),
    "all black": profiles.rgb((0, 0, 0), (0, 0, 0), (0, 0, 0), 2.2),
    "nearly all black": profiles.rgb((0.44, 0.22, 0.01), (0.39, 0.72, 0.1), (0.14, 0.06, 0.71), 60),
    "nearly all white": profiles.rgb((0.44, 0.22, 0.01), (0.39, 0.72, 0.1), (0.14, 0.06, 0.71), 0.01),
    "too large": profiles.ADOBE_RGB + bytes(color.MAX_PROFILE_BYTES),
}


@pytest.mark.parametrize("name", BROKEN)
def test_profile__that_is_broken_or_absurd_changes_nothing(name: str) -> None:
    options = {"quality": 95, "subsampling": 0}
    assert difference(pixels(PHOTO, "JPEG", icc_profile=BROKEN[name], **options), pixels(PHOTO, "JPEG", **options)) == 0


def test_profile__of_a_png_may_be_as_large_as_of_others() -> None:
    wide = saved_in(PHOTO, profiles.ADOBE_RGB)
    assert difference(pixels(wide, icc_profile=profiles.ADOBE_RGB + bytes(3 * 2**20)), pixels(PHOTO)) < 3


def test_profile__of_inks_that_are_light_on_dark_paper_changes_nothing() -> None:
    inks = PHOTO.convert("CMYK")
    assert difference(pixels(inks, "TIFF", icc_profile=profiles.cmyk((30, 255))), pixels(inks, "TIFF")) == 0
    assert difference(pixels(inks, "TIFF", icc_profile=profiles.cmyk((235, 60))), pixels(inks, "TIFF")) > 5


def test_profile__cut_anywhere_costs_no_image() -> None:
    image = scene(1, (20, 15))
    for end in range(0, len(profiles.ADOBE_RGB), 5):
        assert color.convert_to_srgb(image, profiles.ADOBE_RGB[:end]).size == image.size


@pytest.mark.parametrize("value", [None, "text", (1, 2)])
def test_profile__that_is_no_bytes_changes_nothing(value: object) -> None:
    image = scene(1)
    assert color.convert_to_srgb(image, value) is image


def test_srgb__is_not_converted() -> None:
    image = scene(1)
    assert color.convert_to_srgb(image, profiles.SRGB) is image
    nearly = profiles.rgb((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141), 1.8)
    assert color.convert_to_srgb(image, nearly) is not image, "its primaries with another gamma"

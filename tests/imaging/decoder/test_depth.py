"""Deep pixels are scaled by what they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from similar_images.imaging.decode import decode
from tests.drawing import encoded, textured

GRAY = np.asarray(textured(1, (200, 150)).convert("L")).astype(np.int64)
GRAY = (GRAY - GRAY.min()) * 255 // (GRAY.max() - GRAY.min())
"""An image that uses all of 8 bits."""


def decoded(values: NDArray[Any], format_name: str = "TIFF") -> NDArray[np.int_]:
    return decode(encoded(Image.fromarray(values), format_name), max_pixels=10**7).pixels[..., 0].astype(int)


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_16_bits__are_as_the_8_bit_version_however_many_are_used(bits: int, format_name: str) -> None:
    values = (GRAY * (2**bits - 1) // 255).astype(np.uint16)
    assert abs(decoded(values, format_name) - GRAY).max() <= 1


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_16_bits__a_photo_with_little_light_stays_dark(share: float) -> None:
    values = (GRAY * 257 * share).astype(np.uint16)
    assert abs(decoded(values) - (values >> 8).astype(int)).max() <= 1


def test_16_bits__hot_pixels_are_no_evidence() -> None:
    values = (GRAY * 16).astype(np.uint16)
    values[3, 5] = values[70, 80] = 65535
    assert abs(decoded(values) - GRAY).mean() < 1


def test_16_bits__some_lights_in_the_dark_are_evidence() -> None:
    values = (GRAY * 16).astype(np.uint16)
    values[:10, :10] = 65535
    assert decoded(values).mean() < 12


def test_16_bits__large_images_alike() -> None:
    values = np.asarray(Image.fromarray(GRAY.astype(np.uint8)).resize((2000, 1500))).astype(np.uint16)
    small = decoded(values * 16, "PNG")
    assert small.shape == (500, 667) or small.shape[1] in range(640, 1280)
    assert abs(small - decoded(values.astype(np.uint8), "PNG")).mean() < 1


@pytest.mark.parametrize("scale", [1 / 255, 1, 257])
@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_32_bits__are_as_the_8_bit_version(kind: Any, scale: float) -> None:
    if kind is np.int32 and scale < 1:
        pytest.skip("there are no such integers")
    assert abs(decoded((GRAY * scale).astype(kind)) - GRAY).max() <= 1


@pytest.mark.parametrize("scale", [1e-6, -1.0, 1e6])
def test_32_bits__of_another_range_are_stretched(scale: float) -> None:
    expected = GRAY if scale > 0 else 255 - GRAY
    assert abs(decoded((GRAY * scale).astype(np.float32)) - expected).mean() < 2


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38])
@pytest.mark.parametrize("place", [(0, 0), (60, 60)])
def test_float__missing_values_cost_nothing_but_themselves(missing: float, place: tuple[int, int]) -> None:
    values = (GRAY / 255).astype(np.float32)
    values[place[0] : place[0] + 20, place[1] : place[1] + 20] = missing
    kept = np.ones(GRAY.shape, bool)
    kept[place[0] : place[0] + 20, place[1] : place[1] + 20] = False
    result = decoded(values)
    assert abs(result - GRAY)[kept].max() <= 1
    assert (result[~kept] <= GRAY.min()).all()


@pytest.mark.parametrize("value", [0, 7, 300, 65535])
def test_16_bits__uniform(value: int) -> None:
    result = decoded(np.full((20, 30), value, np.uint16))
    assert len(np.unique(result)) == 1

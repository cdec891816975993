"""Of an animation or several pages, a frame that says something stands for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance

from similar_images.imaging.decode import decode
from similar_images.imaging.decoder import frames
from tests.drawing import encoded, scene, textured

ANIMATED: dict[str, dict[str, Any]] = {"GIF": {}, "PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "AVIF": {}}


def animation(images: list[Image.Image], format_name: str, **options: Any) -> bytes:
    options = ANIMATED[format_name] | options
    return encoded(images[0], format_name, save_all=True, append_images=images[1:], **options)


def pixels(data: bytes) -> NDArray[np.int_]:
    return decode(data, max_pixels=10**7).pixels.astype(int)


def fade_in(seed: int, steps: int = 8) -> list[Image.Image]:
    return [ImageEnhance.Brightness(scene(seed)).enhance(step / steps) for step in range(steps + 1)]


@pytest.mark.parametrize("format_name", ANIMATED)
def test_fading_in__shows_what_comes(format_name: str) -> None:
    first, second = (pixels(animation(fade_in(seed), format_name)) for seed in (1, 2))
    assert abs(first - np.asarray(scene(1))).mean() < 12
    assert abs(second - np.asarray(scene(2))).mean() < 12


@pytest.mark.parametrize("format_name", ANIMATED)
def test_first_frame__stays_where_it_says_something(format_name: str) -> None:
    decoded = pixels(animation([scene(1), textured(2, (160, 120)), scene(3)], format_name))
    assert abs(decoded - np.asarray(scene(1))).mean() < 12


@pytest.mark.parametrize("format_name", ANIMATED)
def test_blank_frames__and_nothing_else_are_blank(format_name: str) -> None:
    blank = [Image.new("RGB", (60, 40), (level, 255, 0)) for level in (0, 60, 120)]
    assert pixels(animation(blank, format_name)).std((0, 1)).max() < 3


def test_transparent_first_frame__is_blank() -> None:
    shown = scene(1).convert("RGBA")
    decoded = pixels(animation([Image.new("RGBA", shown.size, (0, 0, 0, 0)), shown], "WEBP"))
    assert abs(decoded - np.asarray(scene(1))).mean() < 3


def test_scan__with_an_empty_first_page() -> None:
    rng = np.random.default_rng(1)
    empty = Image.fromarray(np.clip(rng.normal(250, 2, (400, 300)), 0, 255).astype(np.uint8))
    written = empty.resize((301, 402))
    ImageDraw.Draw(written).text((40, 50), "Invoice 2026-117 of the second of May, to be paid in a month", fill=0)
    assert pixels(animation([empty, written], "TIFF")).shape == (402, 301, 3)
    assert pixels(animation([written, empty], "TIFF")).shape == (402, 301, 3), "a line of text says something"


def test_scan__a_page_much_larger_than_the_first_is_left_out() -> None:
    pages = [Image.new("L", (100, 100), 255), textured(1, (1000, 1000)).convert("L")]
    assert pixels(animation(pages, "TIFF")).shape == (100, 100, 3)


def test_frames__are_bounded_in_number_and_pixels() -> None:
    blank = [Image.new("L", (40, 30), level % 2) for level in range(frames.SAMPLED_FRAMES[-1] + 1)]
    late = [*blank, textured(1, (40, 30)).convert("L")]
    assert pixels(animation(late, "TIFF")).std() < 3
    large = [Image.new("L", (3000, 1500), 0), Image.new("L", (3000, 1500), 1), textured(1, (3000, 1500)).convert("L")]
    assert pixels(animation(large, "TIFF", compression="tiff_deflate")).std() < 3
    assert pixels(animation([large[0], large[2]], "TIFF", compression="tiff_deflate")).std() > 10


def test_frames__damaged_later_ones_do_not_cost_the_first() -> None:
    images = [Image.new("RGB", (160, 120), 0), scene(1), scene(2)]
    for format_name in ANIMATED:
        data = animation(images, format_name)
        damaged = data[: len(data) * 6 // 10] + bytes(len(data) - len(data) * 6 // 10)
        if format_name in ("GIF", "PNG"):
            assert pixels(damaged).shape == (120, 160, 3)


def test_frames__of_one_file_are_always_the_same() -> None:
    data = animation(fade_in(3), "GIF")
    assert np.array_equal(pixels(data), pixels(data))

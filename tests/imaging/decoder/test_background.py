"""Transparent images are laid on a background that shows them, and small edits change little."""

from __future__ import annotations

import io
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from similar_images import plugins
from similar_images.imaging.decode import decode
from similar_images.imaging.decoder.background import DARK, flatten
from tests.drawing import encoded, textured


def logo(number: int, color: tuple[int, int, int] = (255, 255, 255), size: int = 256) -> Image.Image:
    """Draw a shape, another one for every number, on nothing."""
    image = Image.new("RGBA", (size, size), (*color, 0))
    draw = ImageDraw.Draw(image)
    fill, box = (*color, 255), (size * 0.15, size * 0.2, size * 0.85, size * 0.8)
    if number == 0:
        draw.ellipse(box, fill=fill)
    elif number == 1:
        draw.rectangle(box, fill=fill)
        draw.rectangle((size * 0.4, size * 0.4, size * 0.6, size * 0.6), fill=(*color, 0))
    else:
        draw.regular_polygon((size / 2, size / 2, size * 0.4), number + 1, rotation=17 * number, fill=fill)
    return image


def pixels(data: bytes) -> NDArray[np.int_]:
    return decode(data, max_pixels=10**7).pixels.astype(int)


def test_white_logos__differ() -> None:
    decoded = [pixels(encoded(logo(number))) for number in range(6)]
    for a, b in combinations(decoded, 2):
        assert abs(a - b).mean() > 5
    method = plugins.load_method("phash", {})
    signatures = [method.compute(image.astype(np.uint8)) for image in decoded]
    for a, b in combinations(signatures, 2):
        assert np.count_nonzero(a != b) >= 4


@pytest.mark.parametrize("color", [(0, 0, 0), (200, 30, 40), (250, 230, 20), (225, 225, 225), (128, 128, 128)])
def test_colored_content__is_laid_on_white(color: tuple[int, int, int]) -> None:
    image = logo(3, color)
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    assert np.array_equal(flatten(image), white)


def test_photo__cut_out_is_as_the_same_on_white() -> None:
    photo = textured(2, (256, 256))
    photo.putalpha(logo(0).getchannel("A"))
    white = Image.new("RGB", photo.size, "white")
    white.paste(photo, mask=photo)
    assert np.array_equal(flatten(photo), white)


def test_white_logo__with_a_dark_shadow_is_laid_on_white() -> None:
    """The shadow shows it."""
    image = logo(0, (0, 0, 0))
    image.alpha_composite(logo(1).resize((200, 200)), (28, 28))
    assert np.asarray(flatten(image))[0, 0, 0] == 255


MODES: dict[str, tuple[str, dict[str, Any]]] = {
    "RGBA": ("PNG", {}),
    "LA": ("PNG", {}),
    "palette": ("PNG", {"transparency": 0}),
    "gray": ("PNG", {"transparency": 0}),
    "colors": ("PNG", {"transparency": (0, 0, 0)}),
    "GIF": ("GIF", {"transparency": 0}),
    "WebP": ("WEBP", {"quality": 80}),
    "AVIF": ("AVIF", {"quality": 80}),
}


@pytest.mark.parametrize("mode", MODES)
def test_white_logo__is_laid_on_the_same_background_in_every_mode(mode: str) -> None:
    image = logo(4)
    format_name, options = MODES[mode]
    mask = image.getchannel("A")
    if mode == "LA":
        image = image.convert("LA")
    elif mode in ("palette", "GIF"):
        image = mask.point(lambda value: value // 255).convert("P")
        image.putpalette([0, 0, 0, 255, 255, 255])
    elif mode == "gray":
        image = mask
    elif mode == "colors":
        image = Image.merge("RGB", (mask, mask, mask))
    decoded = pixels(encoded(image, format_name, **options))
    assert abs(decoded[0, 0] - DARK).max() <= 3
    assert decoded[128, 128].min() > 250


@pytest.mark.parametrize("light", range(225, 256, 3))
def test_small_edits__change_little(light: int) -> None:
    """Whatever the lightness: there is none at which the background flips."""
    image = logo(5, (light, light, light))
    before = np.asarray(flatten(image)).astype(int)
    rng = np.random.default_rng(1)
    noisy = np.asarray(image).astype(int)
    noisy[..., :3] = np.clip(noisy[..., :3] + rng.normal(0, 3, noisy[..., :3].shape), 0, 255)
    edits = [
        Image.fromarray(noisy.astype(np.uint8)),
        image.resize((200, 200)).resize((256, 256)),
        Image.open(io.BytesIO(encoded(image, "WEBP", quality=60))).convert("RGBA"),
    ]
    for edited in edits:
        after = np.asarray(flatten(edited)).astype(int)
        assert abs(after[0, 0] - before[0, 0]).max() <= 40


def test_nothing__is_white() -> None:
    assert np.asarray(flatten(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))).min() == 255

"""Bytes of an image file to an upright RGB image, by Pillow."""

from __future__ import annotations

import io
import re
from typing import cast

from PIL import AvifImagePlugin, ExifTags, Image, ImageChops, UnidentifiedImageError

from .protocol import FORMATS, WORKING_SIDE, Refusal

_SVG_START = re.compile(rb"(\xef\xbb\xbf)?\s*<(\?xml|!--|!doctype svg|svg)", re.IGNORECASE)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}


def open_image(data: bytes, max_pixels: int) -> Image.Image:
    """Read the header only.

    Raises:
        Refusal: the image is in none of FORMATS, or has more than `max_pixels`.
    """
    Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit, which is replaced by `max_pixels`
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each thread would reserve address space
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise Refusal("svg" if _SVG_START.match(data[:200]) else "format") from error
    if image.width * image.height > max_pixels:
        raise Refusal("pixels", max_pixels)
    return image


def load_image(image: Image.Image, data: bytes) -> tuple[int, int, Image.Image]:
    """Decode the first frame: upright by EXIF, transparency over white, 8 bits per channel.

    Large images are reduced to less than twice WORKING_SIDE, JPEGs by decoding fewer coefficients. The sides of very
    long images are reduced by different factors.

    Returns:
        Width and height in the file after turning it upright, and the RGB image.

    Raises:
        Refusal: less than half of the image is there.
        Exception: whatever Pillow raises for damaged data.
    """
    width, height = image.size
    image = _load_pixels(image, data)
    turn = _TURNS.get(_read_orientation(image))  # read after loading, which turns a TIFF by itself
    image = _flatten_onto_white(_reduce_size(_convert_to_8_bits(image)))
    if turn is not None:
        image = image.transpose(turn)
        if turn in _SIDEWAYS:
            width, height = height, width
    return width, height, image


def _read_orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except MemoryError:
        raise
    except Exception:  # metadata that can't be parsed must not cost the image
        return 1


def _load_pixels(image: Image.Image, data: bytes) -> Image.Image:
    """Decode the pixels; of a truncated JPEG, the part that is there."""
    if image.format not in ("JPEG", "MPO"):
        image.load()
        return image
    mode = image.mode
    size = (WORKING_SIDE, WORKING_SIDE * min(image.size) // max(image.size) or 1)
    size = size if image.width >= image.height else size[::-1]
    image.draft(None, size)
    try:
        image.load()
        return image
    except OSError as error:
        if "truncated" not in str(error):
            raise
    # An end marker lets the decoder finish; it fills the missing part with even gray, inverted in CMYK.
    image = Image.open(io.BytesIO(data + b"\xff\xd9" * 64), formats=FORMATS)
    image.draft(mode, size)
    bounds = image.point(lambda value: 0 if value in (127, 128) else 255).getbbox()
    if bounds is None or bounds[3] < image.height / 2:
        raise Refusal("incomplete")
    return image.crop((0, 0, image.width, bounds[3]))


def _convert_to_8_bits(image: Image.Image) -> Image.Image:
    """Convert to a mode with 8 bits per channel that can be reduced: L, LA, RGB, RGBA or CMYK."""
    if image.mode.startswith("I;16"):
        return _convert_16_bit_gray(image)
    if image.mode in ("I", "F"):
        low, high = cast("tuple[float, float]", image.getextrema())
        scale = 255 / (high - low) if high > low else 0
        return image.point(lambda value: value * scale - low * scale).convert("L")
    if image.mode in ("1", "P", "PA") or image.info.get("transparency") is not None:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _convert_16_bit_gray(image: Image.Image) -> Image.Image:
    """Keep the upper byte of each value, and make the one that is marked as transparent so."""
    values = image.tobytes()
    high, low = (values[0::2], values[1::2]) if image.mode == "I;16B" else (values[1::2], values[0::2])
    gray = Image.frombytes("L", image.size, high)
    if (transparent := image.info.get("transparency")) is not None:
        same_high = gray.point(lambda value: 255 * (value == transparent >> 8))
        same_low = Image.frombytes("L", image.size, low).point(lambda value: 255 * (value == transparent & 255))
        gray.putalpha(ImageChops.invert(ImageChops.darker(same_high, same_low)))
    return gray


def _reduce_size(image: Image.Image) -> Image.Image:
    factor = max(image.size) // WORKING_SIDE
    return image.reduce((min(factor, image.width), min(factor, image.height))) if factor > 1 else image


def _flatten_onto_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")

"""Bytes of an image file to an upright image in sRGB, by Pillow."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from PIL import AvifImagePlugin, ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from .background import flatten
from .color import MAX_PROFILE_BYTES, convert_to_srgb
from .depth import is_deep, scale_to_8_bits, widen
from .frames import select_frame
from .protocol import FORMATS, WORKING_SIDE, Refusal

try:
    import pillow_heif
except ImportError:
    pass  # an extra
else:
    # Each thread would reserve address space; nothing but the image itself is read.
    pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)

_SVG_START = re.compile(rb"(\xef\xbb\xbf)?\s*<(\?xml|!--|!doctype svg|svg)", re.IGNORECASE)
_HEIF_START = re.compile(rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DRAFTED = ("JPEG", "MPO")
_SIDEWAYS = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}


def open_image(data: bytes, max_pixels: int, formats: Sequence[str] = FORMATS) -> Image.Image:
    """Read the header only.

    Args:
        data: an image file.
        max_pixels: maximum width × height.
        formats: those of FORMATS that are accepted.

    Raises:
        Refusal: the image is in none of them, is in one whose decoder is not installed, or has more than `max_pixels`.
    """
    Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit, which is replaced by `max_pixels`
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each thread would reserve address space
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES  # or else Pillow refuses a PNG whose profile has more than 1 MB
    try:
        image = Image.open(io.BytesIO(data), formats=[name for name in formats if name in Image.OPEN])
    except UnidentifiedImageError as error:
        if "HEIF" in formats and "HEIF" not in Image.OPEN and _HEIF_START.match(data):
            raise Refusal("heif") from error
        raise Refusal("svg" if _SVG_START.match(data[:200]) else "format") from error
    if image.width * image.height > max_pixels:
        raise Refusal("pixels", max_pixels)
    return image


def load_image(image: Image.Image, data: bytes) -> tuple[int, int, Image.Image]:
    """Decode a frame that is not blank: upright by EXIF, in sRGB by its profile, transparency over a background.

    Large images are reduced to less than twice WORKING_SIDE, JPEGs by decoding fewer coefficients. The sides of very
    long images are reduced by different factors.

    Returns:
        Width and height in the file after turning it upright, and the RGB image.

    Raises:
        Refusal: less than half of the image is there.
        Exception: whatever Pillow raises for damaged data.
    """
    width, height = image.size
    profile, is_drafted = image.info.get("icc_profile"), image.format in _DRAFTED
    image = _load_pixels(image, data)
    turn = _TURNS.get(_read_orientation(image))  # read after loading, which turns a TIFF by itself
    if not is_drafted:
        image = select_frame(image, _flatten_frame)
        width, height = image.size
    image = flatten(convert_to_srgb(_convert_to_8_bits(_reduce_size(_make_reducible(image))), profile))
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
    if image.format not in _DRAFTED:
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


def _make_reducible(image: Image.Image) -> Image.Image:
    """Convert to a mode whose pixels can be averaged, of any depth."""
    if is_deep(image):
        return widen(image)
    if image.mode in ("1", "P", "PA") or image.info.get("transparency") is not None:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _convert_to_8_bits(image: Image.Image) -> Image.Image:
    return scale_to_8_bits(image) if is_deep(image) else image


def _flatten_frame(image: Image.Image) -> Image.Image:
    return flatten(_convert_to_8_bits(_make_reducible(image)))


def _reduce_size(image: Image.Image) -> Image.Image:
    factor = max(image.size) // WORKING_SIDE
    return image.reduce((min(factor, image.width), min(factor, image.height))) if factor > 1 else image

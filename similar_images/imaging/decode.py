"""Decode untrusted bytes into an upright RGB picture, or refuse them with a clear error.

Every bound is checked before the costly step that it guards.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from celery.exceptions import SoftTimeLimitExceeded
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from PIL import ExifTags, Image, UnidentifiedImageError

from .formats import FORMATS, describe_unknown_format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORKING_SIDE = 640
"""Pixels of the long side that a large image keeps at least; it is reduced to less than twice as many."""

INTERRUPTIONS = (MemoryError, SoftTimeLimitExceeded)
"""Errors that interrupt the process and say nothing about the image; they are never turned into UnreadableImage."""

Box = tuple[float, float, float, float]
"""Left, top, width and height of a part of an image, as fractions of its sides, 0 to 1."""


class UnreadableImage(Exception):
    """The bytes are not a usable image, and never will be; the message tells people why."""


@dataclass(frozen=True)
class Picture:
    """An upright decoded image.

    Attributes:
        width: pixels in the file, after turning it upright.
        height: likewise.
        pixels: uint8 (height, width, 3), RGB; fewer than in the file where that is large.
    """

    width: int
    height: int
    pixels: NDArray[np.uint8]


def decode(data: bytes, *, max_pixels: int) -> Picture:
    """Decode the first frame: upright by EXIF, transparency over white, 8 bits per channel.

    Large images are reduced (see WORKING_SIDE), JPEGs by decoding fewer coefficients.

    Raises:
        UnreadableImage: the image is in none of FORMATS, larger than `max_pixels`, or damaged beyond use.
    """
    import numpy as np

    try:
        image = _open_image(data, max_pixels)
        width, height = image.size
        image = _load_pixels(image, data)
        turn = _TURNS.get(_read_orientation(image))  # read after loading, which turns a TIFF by itself
        image = _flatten_onto_white(_reduce_size(_convert_to_8_bits(image)))
    except (UnreadableImage, *INTERRUPTIONS):
        raise
    except Exception as error:  # Pillow's decoders raise many kinds of errors for damaged bytes
        reason = str(error).rstrip(". ") or type(error).__name__
        raise UnreadableImage(_("The image is damaged: %(reason)s.") % {"reason": reason}) from error
    if turn is not None:
        image = image.transpose(turn)
        if turn in _SIDEWAYS:
            width, height = height, width
    return Picture(width, height, np.array(image))


def crop(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Copy the part of pixels (height, width, 3) that lies in a box: every pixel it touches, at least one."""
    height, width = pixels.shape[:2]
    x, y, w, h = box
    left, top = min(int(x * width), width - 1), min(int(y * height), height - 1)
    right, bottom = (math.ceil(round(end, 6)) for end in ((x + w) * width, (y + h) * height))
    return pixels[top : max(bottom, top + 1), left : max(right, left + 1)].copy()


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


def _open_image(data: bytes, max_pixels: int) -> Image.Image:
    """Read the header only; refuse unknown formats and too many pixels."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadableImage(describe_unknown_format(data)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow has a limit of its own: it warns above it, and raises above twice as many pixels.
        pillow_limit = (Image.MAX_IMAGE_PIXELS or 0) * (2 if isinstance(error, Image.DecompressionBombError) else 1)
        raise UnreadableImage(_describe_pixel_limit(min(max_pixels, pillow_limit))) from error
    if image.width * image.height > max_pixels:
        raise UnreadableImage(_describe_pixel_limit(max_pixels))
    return image


def _describe_pixel_limit(limit: int) -> str:
    message = _("The image has more than %(limit)s pixels. Please choose a smaller one.")
    return message % {"limit": number_format(limit, force_grouping=True)}


def _read_orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except INTERRUPTIONS:
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
        raise UnreadableImage(_("The file is incomplete: more than half of the image is missing."))
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
    import numpy as np

    values = np.asarray(image)
    gray = Image.fromarray((values >> 8).astype(np.uint8))
    if (transparent := image.info.get("transparency")) is not None:
        gray.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return gray


def _reduce_size(image: Image.Image) -> Image.Image:
    factor = max(image.size) // WORKING_SIDE
    return image.reduce(min(factor, min(image.size))) if factor > 1 else image


def _flatten_onto_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")

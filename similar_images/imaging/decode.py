"""Untrusted bytes to an upright RGB picture, or a clear error.

Every bound is checked before the costly step that it guards. Knows no Django model.
"""

from __future__ import annotations

import errno
import hashlib
import io
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from celery.exceptions import SoftTimeLimitExceeded
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage
from django.utils.translation import gettext as _
from PIL import ExifTags, Image, UnidentifiedImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".tif", ".tiff", ".bmp")
"""Of files of these formats, in lower case."""

WORKING_SIDE = 640
"""Pictures are decoded so that their long side keeps at least this many pixels, and less than twice as many."""


INTERRUPTIONS = (MemoryError, SoftTimeLimitExceeded)
"""What stops the process at a picture, and says nothing about the picture."""


Box = tuple[float, float, float, float]
"""A part of a picture: its left, top, width and height, in fractions of the whole."""


class Readable(Protocol):
    """An open binary file, Django's own included."""

    def read(self, size: int, /) -> bytes: ...


class UnreadableImage(Exception):
    """The bytes are no picture that can be used, now or later; the message says why, for people."""


class MissingFile(UnreadableImage):
    """There is no such file, or the storage of this machine does not show it."""


@dataclass(frozen=True)
class Picture:
    """An upright picture: its size in the file, and its pixels, maybe fewer, as (height, width, 3) RGB."""

    width: int
    height: int
    pixels: NDArray[np.uint8]


def read_stored(storage: Storage, name: str, *, max_bytes: int) -> bytes:
    """The bytes of a stored file.

    Raises:
        MissingFile: there is none.
        UnreadableImage: the file is empty or above `max_bytes`.
        Exception: whatever a storage that is down raises; worth another try.
    """
    try:
        with storage.open(name, "rb") as file:
            return read_bounded(file, max_bytes=max_bytes)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, SuspiciousFileOperation) as error:
        raise MissingFile(_("The file is missing in the storage.")) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise MissingFile(_("The file is missing in the storage.")) from error
        raise


def read_bounded(file: Readable, *, max_bytes: int) -> bytes:
    """The bytes of an open file.

    Raises:
        UnreadableImage: the file is empty or above `max_bytes`.
    """
    data = file.read(max_bytes + 1)
    if not data:
        raise UnreadableImage(_("The file is empty."))
    if len(data) > max_bytes:
        raise UnreadableImage(_("The file is larger than %(limit)d bytes; save it smaller.") % {"limit": max_bytes})
    return data


def sha256_of(data: bytes) -> str:
    """SHA-256 of the bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes, *, max_pixels: int) -> Picture:
    """Decode the first frame, upright by EXIF, transparency over white, 8 bits a channel.

    Big pictures come reduced (see WORKING_SIDE), JPEGs by decoding fewer coefficients.

    Raises:
        UnreadableImage: not a picture of FORMATS, above `max_pixels`, or broken beyond use.
    """
    import numpy as np

    try:
        image = _open(data, max_pixels)
        width, height = image.size
        image = _loaded(image, data)
        turn = _TURNS.get(_orientation(image))  # after loading, which already turns a TIFF
        image = _over_white(_reduced(_eight_bit(image)))
    except (UnreadableImage, *INTERRUPTIONS):
        raise
    except Exception as error:  # Pillow's decoders raise many kinds for broken bytes
        reason = str(error).rstrip(". ") or type(error).__name__
        raise UnreadableImage(_("The picture is broken: %(reason)s.") % {"reason": reason}) from error
    if turn is not None:
        image = image.transpose(turn)
        if turn in _SIDEWAYS:
            width, height = height, width
    return Picture(width, height, np.array(image))


def crop(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The part of a picture, (height, width, 3), that lies in a box: all pixels that it touches, at least one."""
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


def _open(data: bytes, max_pixels: int) -> Image.Image:
    too_large = _("The picture has more than %(limit)d pixels; save it smaller.")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        if re.match(rb"(\xef\xbb\xbf)?\s*<(\?xml|!--|!doctype svg|svg)", data[:200], re.IGNORECASE):
            reason = _("This is a vector drawing (SVG); save it as PNG.")
        else:
            reason = _("This is not a picture of a known format (%(formats)s).") % {"formats": ", ".join(FORMATS)}
        raise UnreadableImage(reason) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow has a limit of its own, at which it warns, and raises at twice as much.
        own = (Image.MAX_IMAGE_PIXELS or 0) * (2 if isinstance(error, Image.DecompressionBombError) else 1)
        raise UnreadableImage(too_large % {"limit": min(max_pixels, own)}) from error
    if image.width * image.height > max_pixels:
        raise UnreadableImage(too_large % {"limit": max_pixels})
    return image


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except INTERRUPTIONS:
        raise
    except Exception:  # metadata that can't be parsed takes nothing from the picture
        return 1


def _loaded(image: Image.Image, data: bytes) -> Image.Image:
    """Decode the pixels; of a JPEG that was cut off, the part that is there."""
    if image.format not in ("JPEG", "MPO"):
        image.load()
        return image
    mode = image.mode
    side = (WORKING_SIDE, WORKING_SIDE * min(image.size) // max(image.size) or 1)
    side = side if image.width >= image.height else side[::-1]
    image.draft(None, side)
    try:
        image.load()
        return image
    except OSError as error:
        if "truncated" not in str(error):
            raise
    # An end marker lets the decoder finish; it paints what is missing in even gray, inverted in CMYK.
    image = Image.open(io.BytesIO(data + b"\xff\xd9" * 64), formats=FORMATS)
    image.draft(mode, side)
    box = image.point(lambda value: 0 if value in (127, 128) else 255).getbbox()
    if box is None or box[3] < image.height / 2:
        raise UnreadableImage(_("The file was cut off: more than half of the picture is missing."))
    return image.crop((0, 0, image.width, box[3]))


def _eight_bit(image: Image.Image) -> Image.Image:
    """A mode with 8 bits a channel, which can be reduced: L, LA, RGB, RGBA or CMYK."""
    if image.mode.startswith("I;16"):
        return _sixteen_bit(image)
    if image.mode in ("I", "F"):
        low, high = cast("tuple[float, float]", image.getextrema())
        scale = 255 / (high - low) if high > low else 0
        return image.point(lambda value: value * scale - low * scale).convert("L")
    if image.mode in ("1", "P", "PA") or image.info.get("transparency") is not None:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _sixteen_bit(image: Image.Image) -> Image.Image:
    import numpy as np

    values = np.asarray(image)
    gray = Image.fromarray((values >> 8).astype(np.uint8))
    if (transparent := image.info.get("transparency")) is not None:
        gray.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return gray


def _reduced(image: Image.Image) -> Image.Image:
    factor = max(image.size) // WORKING_SIDE
    return image.reduce(min(factor, min(image.size))) if factor > 1 else image


def _over_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")

"""Decode untrusted bytes into an upright RGB picture, or refuse them with a clear error.

They are decoded in another process, whose time and memory are limited, by `imaging.decoder`.
"""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from celery.exceptions import SoftTimeLimitExceeded
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from .decoder.protocol import ReplyKind
from .decoders import DecoderCrashed, DecoderUnavailable, get_pool
from .formats import readable_formats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INTERRUPTIONS = (MemoryError, SoftTimeLimitExceeded)
"""Errors that interrupt the process and say nothing about the image; they are never turned into UnreadableImage."""

Box = tuple[float, float, float, float]
"""Left, top, width and height of a part of an image, as fractions of its sides, 0 to 1."""


class UnreadableImage(Exception):
    """The bytes are not a usable image, and never will be; the message tells people why."""


class TooManyPixels(UnreadableImage):
    """The image has more pixels than are decoded here."""


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


def decode(data: bytes, *, max_pixels: int, timeout: float | None = None) -> Picture:
    """Decode an image: upright by EXIF, in sRGB by its profile, transparency over a background that shows the content.

    Of several frames or pages it is the first, unless that is blank. Large images are reduced (see
    decoder.protocol.WORKING_SIDE), JPEGs by decoding fewer coefficients.

    Args:
        data: an image file.
        max_pixels: maximum width × height.
        timeout: seconds after which it is given up.

    Raises:
        UnreadableImage: the image is in no format that is accepted, larger than `max_pixels`, damaged beyond use, or
            takes more processor time or memory than any honest image of its size.
        DecoderUnavailable: it took longer than `timeout`, or the server is too busy.
    """
    try:
        reply, result = get_pool().decode(data, max_pixels, timeout)
    except DecoderCrashed as error:
        if error.number == signal.SIGKILL:  # by the system, where memory runs out
            raise DecoderUnavailable from error
        raise UnreadableImage(MESSAGES["crash"]("")) from error
    if reply.kind is ReplyKind.DECODED:
        import numpy as np

        pixels = np.frombuffer(result, np.uint8).reshape(reply.rows, reply.columns, 3)
        return Picture(reply.width, reply.height, pixels)
    if reply.kind is ReplyKind.REFUSED:
        code, detail = json.loads(result)
        raise (TooManyPixels if code == "pixels" else UnreadableImage)(MESSAGES[code](detail))
    if reply.number == signal.SIGPROF:
        raise UnreadableImage(MESSAGES["time"](""))
    raise DecoderUnavailable


def crop(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Copy the part of pixels (height, width, 3) that lies in a box: every pixel it touches, at least one."""
    height, width = pixels.shape[:2]
    x, y, w, h = box
    left, top = min(int(x * width), width - 1), min(int(y * height), height - 1)
    right, bottom = (math.ceil(round(end, 6)) for end in ((x + w) * width, (y + h) * height))
    return pixels[top : max(bottom, top + 1), left : max(right, left + 1)].copy()


def _describe_excess(parts: str) -> str:
    message = _(
        "The image is built in an unusual way that takes too much time or memory to decode: %(parts)s. Please open it "
        "in an image editor and save it again."
    )
    return message % {"parts": parts}


def _number(value: int) -> str:
    return number_format(value, force_grouping=True)


MESSAGES: Mapping[str, Callable[..., str]] = {
    "format": lambda _detail: (
        _("This is not an image in a supported format (%(formats)s).") % {"formats": ", ".join(readable_formats())}
    ),
    "heif": lambda _detail: (
        _("This is a HEIC image, which can't be read here yet. Please save it as JPEG, or have %(package)s installed.")
        % {"package": "“similar_images[heif]”"}
    ),
    "svg": lambda _detail: _("This is a vector drawing (SVG). Please save it as PNG."),
    "pixels": lambda limit: (
        _("The image has more than %(limit)s pixels. Please choose a smaller one.") % {"limit": _number(limit)}
    ),
    "damaged": lambda reason: _("The image is damaged: %(reason)s.") % {"reason": reason},
    "incomplete": lambda _detail: _("The file is incomplete: more than half of the image is missing."),
    "time": lambda _detail: _("The image takes too long to decode. Please save it in another format."),
    "memory": lambda _detail: _("The image takes too much memory to decode. Please save it in another format."),
    "crash": lambda _detail: _("The image crashes the program that decodes it. Please save it in another format."),
    "scans": lambda limit: _describe_excess(_("it has more than %(limit)s scans") % {"limit": _number(limit)}),
    "segments": lambda limit: _describe_excess(_("it has more than %(limit)s segments") % {"limit": _number(limit)}),
    "chunks": lambda limit: _describe_excess(_("it has more than %(limit)s chunks") % {"limit": _number(limit)}),
    "blocks": lambda limit: _describe_excess(_("it has more than %(limit)s blocks") % {"limit": _number(limit)}),
    "tags": lambda limit: _describe_excess(_("it has more than %(limit)s tags") % {"limit": _number(limit)}),
    "overlapping": lambda _detail: _describe_excess(_("its tags overlap")),
    "tile": lambda _detail: _describe_excess(_("its tiles are much larger than the image")),
}
"""Messages for people, by the code of a refusal; each is called with the refusal's detail."""

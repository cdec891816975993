"""Agreement between the decoder and the process that asks it: limits, requests, replies, and a buffer for the bulk.

The buffer is a file in memory that both have open. The image file is at its start, and then what comes of it: pixels,
or the reason of a refusal.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

DECODER_GENERATION = 2
"""Number of the way in which files become pixels; raised whenever that changes, as every signature then does, too.

2: colors by their profile, deep pixels by what they hold, a background that shows the content, a frame that is not
blank.
"""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "HEIF", "ICO", "JPEG2000", "PSD")
"""Pillow's names of the formats that can be decoded; no other decoder is tried. Their order is that of a bit mask."""

WORKING_SIDE = 640
"""Pixels of the long side that a large image keeps at least; it is reduced to less than twice as many."""

OUTPUT_BYTES = 3 * (2 * WORKING_SIDE) ** 2
"""Size of the largest result, in RGB."""


class Refusal(Exception):
    """The image is refused.

    Attributes:
        code: a key of `imaging.decode.MESSAGES`.
        detail: completes the message.
    """

    def __init__(self, code: str, detail: str | int = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class Limits(NamedTuple):
    """Limits for one image, which grow with its number of pixels, and what an image takes that is done at once.

    The defaults are for honest images of every format and mode at up to 80 megapixels. They take up to 0.1 seconds and
    18 MB per megapixel, an AVIF and a WEBP with transparency; a JPEG of a camera takes 0.005 seconds and 1 MB.

    Attributes:
        seconds: processor time for an image without pixels.
        seconds_per_pixel: processor time on top of it.
        bytes: address space for an image without pixels, besides twice its file.
        bytes_per_pixel: address space on top of it.
        light_pixels: images with more pixels are heavy, unless they are of a kind that is quick to decode.
    """

    seconds: float = 0.5
    seconds_per_pixel: float = 0.25e-6
    bytes: int = 64 * 2**20
    bytes_per_pixel: int = 24
    light_pixels: int = 2_500_000

    def processor_seconds(self, pixels: int) -> float:
        """Return the processor time that an image of so many pixels may take."""
        return self.seconds + pixels * self.seconds_per_pixel

    def address_space(self, pixels: int, file_size: int) -> int:
        """Return the bytes that an image of so many pixels may take on top of what the decoder has."""
        return self.bytes + 2 * file_size + pixels * self.bytes_per_pixel


class Request(NamedTuple):
    """One image to decode: size of its file, in the buffer, and what it may take.

    Attributes:
        file_size: bytes.
        max_pixels: maximum width × height.
        wall_seconds: time after which the decoder is ended.
        may_be_heavy: whether an image that takes long is decoded, or answered by `ReplyKind.HEAVY`.
        formats: those of FORMATS that are accepted.
        limits: see there.
    """

    file_size: int
    max_pixels: int
    wall_seconds: float
    may_be_heavy: bool
    formats: tuple[str, ...]
    limits: Limits

    def pack(self) -> bytes:
        """Return the request as bytes, always of the same length."""
        mask = sum(1 << number for number, name in enumerate(FORMATS) if name in self.formats)
        return _REQUEST.pack(*self[:-2], mask, *self.limits)

    @classmethod
    def unpack(cls, data: bytes) -> Request:
        """Return the request of these bytes."""
        file_size, max_pixels, wall_seconds, may_be_heavy, mask, *limits = _REQUEST.unpack(data)
        formats = tuple(name for number, name in enumerate(FORMATS) if mask >> number & 1)
        return cls(file_size, max_pixels, wall_seconds, may_be_heavy, formats, Limits(*limits))


class ReplyKind(IntEnum):
    """The outcome of a request."""

    READY = 0
    """The decoder has started; sent once, without a request."""

    DECODED = 1
    """The pixels are in the buffer."""

    REFUSED = 2
    """The buffer holds code and detail of the refusal as JSON."""

    HEAVY = 3
    """The image would take long, which the request did not allow."""

    DIED = 4
    """The process that decoded was ended, by the signal `number` if any."""


class Reply(NamedTuple):
    """The answer to a request.

    Attributes:
        kind: the outcome.
        size: bytes of the result, in the buffer.
        width: pixels in the file, after turning it upright.
        height: likewise.
        columns: pixels in the buffer.
        rows: likewise.
        number: number of the signal that ended the process.
    """

    kind: ReplyKind
    size: int = 0
    width: int = 0
    height: int = 0
    columns: int = 0
    rows: int = 0
    number: int = 0

    def pack(self) -> bytes:
        """Return the reply as bytes, always of the same length."""
        return _REPLY.pack(*self)

    @classmethod
    def unpack(cls, data: bytes) -> Reply:
        """Return the reply of these bytes."""
        kind, *values = _REPLY.unpack(data)
        return cls(ReplyKind(kind), *values)


_REQUEST = struct.Struct("<QQd?IddQQQ")
_REPLY = struct.Struct("<BIQQIII")

REQUEST_SIZE = _REQUEST.size
REPLY_SIZE = _REPLY.size

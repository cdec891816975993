"""Bounds on how a file is built, checked on its bytes before any decoder sees them.

A small file can ask for work that neither its size nor its number of pixels shows. Each bound is above what any
encoder writes, and low enough that files up to it are decoded within the limits of time and memory.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from .protocol import Refusal

MAX_SCANS = 100
"""Scans of a JPEG, each a pass over the whole image; encoders write some 10, and libtiff allows as many as this."""

MAX_SEGMENTS = 2_000
"""Segments of a JPEG before its first scan: joining Exif segments takes quadratic time. A profile has up to 255."""

MAX_CHUNKS = 10_000
"""Chunks of a PNG besides one per KB, each a step in Python; encoders write 8 KB or more, animations less."""

MAX_BLOCKS = 10_000
"""Blocks of up to 255 bytes before the first frame of a GIF, which hold comments and profiles."""

MAX_TAGS = 1_000
"""Tags of a TIFF; the standard and its extensions define fewer."""

MAX_PAGES = 33
"""Pages of a TIFF that are checked: as many as may be looked at for one that is not blank."""

MAX_TILE_PIXELS = 1024 * 1024
"""Pixels of a tile of a TIFF whatever the size of the image; beyond that it may have four times those of the image."""

_NEXT_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_SEQUENTIAL_FRAMES = {0xC0, 0xC1}
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_TIFF_INTEGERS = {3: "H", 4: "I", 16: "Q"}


def check_structure(data: bytes) -> bool:
    """Check the bounds of the file's format; return whether it decodes fast whatever its number of pixels.

    A file that ends early or makes no sense passes: the decoder says what is wrong with it.

    Raises:
        Refusal: the file is beyond a bound.
    """
    for start, check in _CHECKS.items():
        if data.startswith(start):
            try:
                return check(data)
            except (struct.error, IndexError):
                return False
    return False


def _refuse_above(limit: int, count: int, parts: str) -> None:
    if count > limit:
        raise Refusal(parts, limit)


def _check_jpeg(data: bytes) -> bool:
    """Count segments and scans; a sequential JPEG with all components in its first scan ends there, and is quick."""
    position, segments, components = 2, 0, 0
    while found := _NEXT_MARKER.search(data, position):
        marker, position = found[1][0], found.end()
        if marker == _START_OF_SCAN:
            if components and data[position + 2] == components:
                return True
            if data.count(b"\xff\xda", position) >= MAX_SCANS:  # those of thumbnails and appended videos included
                _refuse_above(MAX_SCANS, _count_scans(data, position), "scans")
            return False
        if marker == _END_OF_IMAGE:
            return False
        if marker not in _WITHOUT_LENGTH:
            segments += 1
            _refuse_above(MAX_SEGMENTS, segments, "segments")
            components = data[position + 7] if marker in _SEQUENTIAL_FRAMES else components
            position += struct.unpack_from(">H", data, position)[0]
    return False


def _count_scans(data: bytes, position: int) -> int:
    """Count the scans of the first image, up to one more than are allowed; `position` is within the first."""
    scans = 1
    while scans <= MAX_SCANS and (found := _NEXT_MARKER.search(data, position)):
        marker, position = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            break
        scans += marker == _START_OF_SCAN
        if marker not in _WITHOUT_LENGTH:
            position += struct.unpack_from(">H", data, position)[0]
    return scans


def _check_png(data: bytes) -> bool:
    limit = MAX_CHUNKS + len(data) // 1024
    position, chunks = 8, 0
    while position < len(data):
        chunks += 1
        _refuse_above(limit, chunks, "chunks")
        position += 12 + struct.unpack_from(">I", data, position)[0]
    return False


def _check_gif(data: bytes) -> bool:
    """Count the blocks of the extensions before the first frame."""
    flags = data[10]
    position, blocks = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), 0
    while data[position] == 0x21:
        position += 2
        while size := data[position]:
            blocks += 1
            _refuse_above(MAX_BLOCKS, blocks, "blocks")
            position += 1 + size
        position += 1
        blocks += 1
        _refuse_above(MAX_BLOCKS, blocks, "blocks")
    return False


def _check_tiff(data: bytes) -> bool:
    """Check the tags of the first images, one a page."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = 43 in (data[2], data[3])
    (directory,) = struct.unpack_from(order + "Q" if is_big else order + "I", data, 8 if is_big else 4)
    for _ in range(MAX_PAGES):
        if not directory:
            break
        directory = _check_tiff_page(data, directory, order, is_big)
    return False


def _check_tiff_page(data: bytes, directory: int, order: str, is_big: bool) -> int:
    """Check the tags of an image: how many they are, that they share no bytes, and the size of a tile.

    Returns:
        Where those of the next image are; 0 after the last one.
    """
    word, head, entry = ("Q", "Q", "HHQ") if is_big else ("I", "H", "HHI")
    (count,) = struct.unpack_from(order + head, data, directory)
    _refuse_above(MAX_TAGS, count, "tags")
    position = directory + struct.calcsize(order + head)
    total, numbers = 0, {}
    for _ in range(count):
        tag, kind, length = struct.unpack_from(order + entry, data, position)
        place = position + struct.calcsize(order + entry)
        size = length * _TIFF_SIZES.get(kind, 1)
        (start,) = struct.unpack_from(order + word, data, place)
        total += size if start + size <= len(data) else 0  # else the file ends early
        if kind in _TIFF_INTEGERS and length == 1:
            numbers[tag] = struct.unpack_from(order + _TIFF_INTEGERS[kind], data, place)[0]
        position = place + struct.calcsize(word)
    if total > len(data):
        raise Refusal("overlapping")
    image, tile = (numbers.get(a, 0) * numbers.get(b, 0) for a, b in ((256, 257), (322, 323)))
    if tile > max(MAX_TILE_PIXELS, 4 * image):
        raise Refusal("tile")
    (following,) = struct.unpack_from(order + word, data, position)
    return int(following)


_CHECKS: dict[bytes, Callable[[bytes], bool]] = {
    b"\xff\xd8": _check_jpeg,
    b"\x89PNG": _check_png,
    b"GIF8": _check_gif,
    b"II": _check_tiff,
    b"MM": _check_tiff,
}

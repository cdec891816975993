"""Files that are small, and ask for much more work or memory than their size and their number of pixels show."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from tests import drawing

LONGEST_RUN = 32767
"""Blocks that one code of a progressive JPEG can skip."""


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _entropy_coded(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")


def progressive_jpeg(scans: int, side: int = 5000) -> bytes:
    """A gray JPEG with a scan of the average of each block, and then so many that refine nothing, 42 bytes each."""
    blocks = ((side + 7) // 8) ** 2
    one_code = bytes([1, *[0] * 15])
    runs = ("0" + "1" * 14) * -(-blocks // LONGEST_RUN)
    scan = _segment(0xDA, b"\x01\x01\x00\x01\x3f\x10") + _entropy_coded(runs)
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xDB, b"\x00" + bytes([16] * 64)),
            _segment(0xC2, struct.pack(">BHHBBBB", 8, side, side, 1, 1, 0x11, 0)),
            _segment(0xC4, b"\x00" + one_code + b"\x00"),
            _segment(0xC4, b"\x10" + one_code + b"\xe0"),
            _segment(0xDA, b"\x01\x01\x00\x00\x00\x00"),
            _entropy_coded("0" * blocks),
            scan * scans,
            b"\xff\xd9",
        )
    )


def jpeg_of_segments(count: int) -> bytes:
    """A JPEG that begins with so many small Exif segments."""
    data = drawing.encoded(drawing.scene(1), "JPEG")
    return data[:2] + _segment(0xE1, b"Exif\0\0" + bytes(10)) * count + data[2:]


def tiff(tags: list[tuple[int, int, int, int]], data: bytes = b"") -> bytes:
    """A TIFF with these tags (number, type, count, value or place), followed by data at byte 8."""
    directory = 8 + len(data) + len(data) % 2
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    head = struct.pack("<2sHI", b"II", 42, directory)
    return head + data.ljust(directory - 8, b"\0") + struct.pack("<H", len(tags)) + entries + bytes(4)


def tiff_of_one_tile(side: int) -> bytes:
    """A TIFF of 16 × 16 pixels in one deflated tile of this side."""
    packer = zlib.compressobj(1)
    block = bytes(2**20)
    parts = [packer.compress(block) for _ in range(-(-side * side // len(block)))]
    data = b"".join([*parts, packer.flush()])
    sizes = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    tile = [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 8), (325, 4, 1, len(data))]
    return tiff(sizes + tile, data)


def tiff_of_overlapping_tags(count: int, size: int) -> bytes:
    """A TIFF with so many tags that all have the same bytes as their value."""
    sizes = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    return tiff(sizes + [(50_000 + number, 1, size, 8) for number in range(count)], bytes(size))


def tiff_of_tags(count: int) -> bytes:
    """A TIFF with so many tags."""
    return tiff([(256 + number, 3, 1, 16) for number in range(count)], bytes(256))


def gif_of_comments(count: int) -> bytes:
    """A GIF that begins with a comment in so many blocks of one byte."""
    data = drawing.encoded(drawing.scene(1), "GIF")
    start = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    return data[:start] + b"\x21\xfe" + b"\x01x" * count + b"\0" + data[start:]


def png_chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of_chunks(count: int, chunk: bytes | None = None) -> bytes:
    """A PNG that begins with so many chunks, empty ones by default."""
    data = drawing.encoded(drawing.scene(1))
    return data[:33] + (chunk or png_chunk(b"tIMe", b"")) * count + data[33:]


def png_of_texts(count: int) -> bytes:
    """A PNG that begins with so many texts of a megabyte each, compressed to a kilobyte."""
    return png_of_chunks(count, png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20 - 1))))


def bilevel_png(size: tuple[int, int]) -> bytes:
    """A black PNG of one bit per pixel."""
    packer = zlib.compressobj(1)
    row = b"\0" + bytes(-(-size[0] // 8))
    rows = max(1, 2**20 // len(row))
    parts = [packer.compress(row * min(rows, size[1] - start)) for start in range(0, size[1], rows)]
    pixels = b"".join([*parts, packer.flush()])
    header = struct.pack(">IIBBBBB", *size, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def webp_of_frames(count: int) -> bytes:
    """A WEBP animation of so many tiny frames."""
    still = drawing.encoded(drawing.scene(1, (1, 1)), "WEBP")[12:]
    frame = struct.pack("<4sI", b"ANMF", 16 + len(still)) + bytes(16) + still
    head = struct.pack("<4sIII", b"VP8X", 10, 2, 0)[:16] + bytes(2) + struct.pack("<4sIIH", b"ANIM", 6, 0, 0)
    body = b"WEBP" + head + frame * count
    return struct.pack("<4sI", b"RIFF", len(body)) + body


WORST_FILES: dict[str, Callable[[], bytes]] = {
    "JPEG of 2,000 scans": lambda: progressive_jpeg(2_000),
    "JPEG of 120,000 segments": lambda: jpeg_of_segments(120_000),
    "TIFF of one huge tile": lambda: tiff_of_one_tile(23_152),
    "TIFF of overlapping tags": lambda: tiff_of_overlapping_tags(100, 9 * 2**20),
    "TIFF of 60,000 tags": lambda: tiff_of_tags(60_000),
    "GIF of 500,000 blocks": lambda: gif_of_comments(500_000),
    "PNG of 700,000 chunks": lambda: png_of_chunks(700_000),
}
"""Files of up to 10 MB that are refused for the way they are built."""

COSTLY_FILES: dict[str, Callable[[], bytes]] = {
    "JPEG of 99 scans": lambda: progressive_jpeg(99),
    "PNG of 60 MB of text": lambda: png_of_texts(60),
    "PNG of 10,000 chunks": lambda: png_of_chunks(9_900),
    "WEBP of 60,000 frames": lambda: webp_of_frames(60_000),
}
"""Files that cost as much as a file may."""

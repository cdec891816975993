"""Thumbnails on a map: small JPEGs of one size, and sheets that join many of them without decoding any.

All have the same tables and as many coded blocks. Below each other, they are one JPEG whose restart intervals they are
(ITU-T T.81, B.2.1 and B.2.4.4): a header with the height of all, and their coded data with markers between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TILE_SIDE = 64
"""Pixels of a tile's sides."""

TILE_QUALITY = 70
"""Quality of the JPEGs, of 100; a tile takes some 1.6 kB."""

BLOCK_SIDE = 16
"""Pixels of a coded block, as colors are stored at half the resolution."""

MAX_SHEET_TILES = 128
"""Tiles of a sheet: 8,192 pixels of height, which every browser draws."""

_FRAME, _SCAN, _RESTART, _END = 0xC0, 0xDA, 0xD0, b"\xff\xd9"


def make_tile(pixels: NDArray[np.uint8]) -> bytes:
    """Return the tile of an image (height, width, 3), which fills its longer side; the rest repeats its edge."""
    import cv2

    height, width = pixels.shape[:2]
    scale = TILE_SIDE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    square = cv2.copyMakeBorder(small, 0, TILE_SIDE - size[1], 0, TILE_SIDE - size[0], cv2.BORDER_REPLICATE)
    blocks = (TILE_SIDE // BLOCK_SIDE) ** 2
    options = {
        cv2.IMWRITE_JPEG_QUALITY: TILE_QUALITY,
        cv2.IMWRITE_JPEG_RST_INTERVAL: blocks,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    }
    _is_encoded, data = cv2.imencode(".jpg", square[..., ::-1], [part for pair in options.items() for part in pair])
    return bytes(data)


def join_tiles(tiles: Iterable[bytes]) -> list[bytes]:
    """Return sheets of tiles, each a JPEG with up to `MAX_SHEET_TILES` of them, from top to bottom in their order."""
    sheets: list[bytes] = []
    header, scans = b"", list[bytes]()
    for tile in tiles:
        own_header, scan = _split(tile)
        if scans and (own_header != header or len(scans) == MAX_SHEET_TILES):
            sheets.append(_join(header, scans))
            scans = []
        header = own_header
        scans.append(scan)
    return [*sheets, _join(header, scans)] if scans else sheets


def _split(tile: bytes) -> tuple[bytes, bytes]:
    """Return the header of a tile, and its coded data."""
    start = _find_segment(tile, _SCAN)
    end_of_header = start + 2 + int.from_bytes(tile[start + 2 : start + 4])
    return tile[:end_of_header], tile[end_of_header : -len(_END)]


def _join(header: bytes, scans: Sequence[bytes]) -> bytes:
    frame = _find_segment(header, _FRAME)
    height = (TILE_SIDE * len(scans)).to_bytes(2)
    restarted = [bytes([0xFF, _RESTART + number % 8]) + scan for number, scan in enumerate(scans[1:])]
    return b"".join([header[: frame + 5], height, header[frame + 7 :], scans[0], *restarted, _END])


def _find_segment(data: bytes, marker: int) -> int:
    """Return where the segment of a marker begins; the header has nothing but segments with a length."""
    place = 2
    while data[place + 1] != marker:
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return place

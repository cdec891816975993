"""Damage to files: cut, flipped, overwritten, repeated, spliced, and header fields at their extremes."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

MAX_BYTES = 4 * 2**20
"""A mutation leaves out what is beyond, so that no case is slow for its length alone."""

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
REPETITIONS = (1, 1, 2, 16, 300, 20_000)
PNG_START = b"\x89PNG\r\n\x1a\n"

Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def mutate(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Damage a file in one to five ways; `others` are files of which a part may be spliced in."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        data = rng.choice(MUTATIONS)(data, rng, others)[:MAX_BYTES]
    return with_valid_checksums(data) if rng.random() < 0.7 else data


def truncations(data: bytes) -> Iterator[bytes]:
    """Yield the file cut at every byte."""
    return (data[:length] for length in range(len(data)))


def with_valid_checksums(data: bytes) -> bytes:
    """Return a PNG with the checksums of its chunks as they must be, so that damage gets past them."""
    if not data.startswith(PNG_START):
        return data
    fixed = bytearray(data)
    for start, end in _png_chunks(data):
        fixed[end - 4 : end] = struct.pack(">I", zlib.crc32(data[start + 4 : end - 4]))
    return bytes(fixed)


def _png_chunks(data: bytes) -> list[tuple[int, int]]:
    position, spans = len(PNG_START), []
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            break
        spans.append((position, end))
        position = end
    return spans


def _riff_chunks(data: bytes) -> list[tuple[int, int]]:
    position, spans = 12, []
    while position + 8 <= len(data):
        end = position + 8 + int.from_bytes(data[position + 4 : position + 8], "little")
        spans.append((position, min(end + end % 2, len(data))))
        position = spans[-1][1]
    return spans


def _jpeg_segments(data: bytes) -> list[tuple[int, int]]:
    position, spans = 2, []
    while position + 4 <= len(data) and data[position] == 0xFF:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        spans.append((position, min(end, len(data))))
        position = end
    return spans


def _chunks(data: bytes) -> list[tuple[int, int]]:
    """Return the spans of the parts that a format is made of; none where the file has no such parts."""
    if data.startswith(PNG_START):
        return _png_chunks(data)
    if data.startswith(b"RIFF"):
        return _riff_chunks(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_segments(data)
    return []


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    chunks = _chunks(data)
    if chunks and rng.random() < 0.7:
        return rng.choice(chunks)
    start = rng.randrange(len(data) + 1)
    return start, min(start + rng.choice((1, 2, 4, 16, 256, 4096)), len(data))


def _position(data: bytes, rng: random.Random) -> int:
    """Return a position, half of the time in the header."""
    return rng.randrange(min(len(data), 64) + 1) if rng.random() < 0.5 else rng.randrange(len(data) + 1)


def _truncate(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _flip_bits(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64)) if data else 0):
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _overwrite(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    start, new = _position(data, rng), rng.randbytes(rng.choice((1, 2, 4, 32)))
    return data[:start] + new + data[start + len(new) :]


def _set_extreme(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    start, size = _position(data, rng), rng.choice((1, 2, 4, 8))
    value = rng.choice(EXTREMES) % 256**size
    return data[:start] + value.to_bytes(size, rng.choice(("big", "little"))) + data[start + size :]


def _repeat(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    part = data[start:end]
    times = min(rng.choice(REPETITIONS), MAX_BYTES // max(len(part), 1))
    return data[:end] + part * times + data[end:]


def _delete(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _move(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    part, rest = data[start:end], data[:start] + data[end:]
    position = rng.randrange(len(rest) + 1)
    return rest[:position] + part + rest[position:]


def _splice(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    start, end = _span(other, rng)
    position = _position(data, rng)
    return data[:position] + other[start:end] + data[position:]


MUTATIONS: tuple[Mutation, ...] = (
    _truncate,
    _flip_bits,
    _flip_bits,
    _overwrite,
    _set_extreme,
    _set_extreme,
    _repeat,
    _delete,
    _move,
    _splice,
)

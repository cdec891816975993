"""Bounds on how a file is built: hostile files are refused by them, and no honest file is."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from PIL import Image

from similar_images.imaging.decoder.protocol import Refusal
from similar_images.imaging.decoder.structure import MAX_BLOCKS, MAX_CHUNKS, MAX_SCANS, MAX_SEGMENTS, check_structure
from tests import hostile
from tests.drawing import encoded, scene


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (hostile.progressive_jpeg(MAX_SCANS, side=8), "scans"),
        (hostile.jpeg_of_segments(MAX_SEGMENTS + 1), "segments"),
        (hostile.png_of_chunks(MAX_CHUNKS + 200), "chunks"),
        (hostile.gif_of_comments(MAX_BLOCKS + 1), "blocks"),
        (hostile.tiff_of_tags(1001), "tags"),
        (hostile.tiff_of_overlapping_tags(2, 1000), "overlapping"),
        (hostile.tiff_of_one_tile(1100), "tile"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_check_structure__refuses_beyond_the_bounds(data: bytes, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_structure(data)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        hostile.progressive_jpeg(MAX_SCANS - 1, side=8),
        hostile.jpeg_of_segments(MAX_SEGMENTS - 20),
        hostile.png_of_chunks(MAX_CHUNKS - 10),
        hostile.gif_of_comments(MAX_BLOCKS - 10),
        hostile.tiff_of_tags(999),
        hostile.tiff_of_one_tile(1000),
    ],
    ids=["scans", "segments", "chunks", "blocks", "tags", "tile"],
)
def test_check_structure__accepts_up_to_the_bounds(data: bytes) -> None:
    check_structure(data)


@pytest.mark.parametrize("progressive", [False, True])
def test_check_structure__counts_the_scans_of_the_first_image_only(progressive: bool) -> None:
    """What is appended, as phones do with a video, may look like scans."""
    data = encoded(scene(1), "JPEG", progressive=progressive) + b"\xff\xda" * 500
    assert check_structure(data) is not progressive


def test_check_structure__skips_what_looks_like_a_scan_within_a_segment() -> None:
    data = encoded(scene(1), "JPEG", comment=b"\xff\xda" * 500)
    assert check_structure(data)


@pytest.mark.parametrize(
    ("options", "is_quick"),
    [({}, True), ({"progressive": True}, False), ({"keep_rgb": True}, True), ({"restart_marker_rows": 1}, True)],
)
def test_check_structure__knows_the_jpegs_that_decode_quickly(options: dict[str, Any], is_quick: bool) -> None:
    assert check_structure(encoded(scene(1), "JPEG", **options)) is is_quick


HONEST = {
    "tiled TIFF": encoded(scene(1), "TIFF", compression="tiff_lzw"),
    "TIFF with metadata": encoded(scene(1), "TIFF", description="x" * 5000, dpi=(300, 300)),
    "big TIFF": encoded(scene(1), "TIFF", big_tiff=True),
    "animation": encoded(scene(1), "GIF", save_all=True, append_images=[scene(n) for n in range(2, 40)], loop=0),
    "animated PNG": encoded(scene(1), "PNG", save_all=True, append_images=[scene(n) for n in range(2, 40)]),
    "profile": encoded(scene(1), "JPEG", icc_profile=bytes(3_000_000)),
    "interlaced": encoded(scene(1), "GIF", comment=b"x" * 60_000),
}


@pytest.mark.parametrize("name", HONEST)
def test_check_structure__accepts_honest_files(name: str) -> None:
    check_structure(HONEST[name])


@pytest.mark.parametrize("name", HONEST)
def test_check_structure__passes_what_is_cut_anywhere(name: str) -> None:
    """The decoder says what is wrong with it."""
    for end in range(0, min(len(HONEST[name]), 3000), 7):
        check_structure(HONEST[name][:end])


def test_check_structure__further_pages_of_a_tiff_are_bounded_as_well() -> None:
    """They are read where the first one is blank."""
    data = bytearray(encoded(Image.new("L", (16, 16)), "TIFF", save_all=True, append_images=[scene(1), scene(2)]))
    check_structure(bytes(data))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    (second,) = struct.unpack_from("<I", data, first + 2 + 12 * count)
    struct.pack_into("<H", data, second, 60_000)
    with pytest.raises(Refusal, match="tags"):
        check_structure(bytes(data))


def test_check_structure__pages_in_a_circle_end() -> None:
    data = bytearray(encoded(scene(1), "TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    check_structure(bytes(data))


def test_check_structure__big_tiff_is_bounded_as_well() -> None:
    data = bytearray(encoded(scene(1), "TIFF", big_tiff=True))
    (directory,) = struct.unpack_from("<Q", data, 8)
    struct.pack_into("<Q", data, directory, 60_000)
    with pytest.raises(Refusal, match="tags"):
        check_structure(bytes(data))

from __future__ import annotations

import pytest
from PIL import Image

from similar_images.imaging.formats import FORMATS, SUFFIXES, describe_unknown_format

UNSUPPORTED = "This is not an image in a supported format (JPEG, PNG, GIF, WEBP, AVIF, TIFF, BMP)."
VECTOR = "This is a vector drawing (SVG). Please save it as PNG."


def test_suffixes__are_those_of_the_formats() -> None:
    """Every suffix belongs to a format that is decoded, and every format has one."""
    Image.init()
    assert {Image.EXTENSION[suffix] for suffix in SUFFIXES} == set(FORMATS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"just text", UNSUPPORTED),
        (
            b"<html><svg></svg></html>",
            UNSUPPORTED,
        ),
        (b" <SVG width='5'></SVG>", VECTOR),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg></svg>", VECTOR),
    ],
)
def test_describe_unknown_format(data: bytes, message: str) -> None:
    assert describe_unknown_format(data) == message

from __future__ import annotations

from PIL import Image

from similar_images.imaging.decoder.protocol import FORMATS
from similar_images.imaging.formats import SUFFIXES


def test_suffixes__are_those_of_the_formats() -> None:
    """Every suffix belongs to a format that is decoded, and every format has one."""
    Image.init()
    assert {Image.EXTENSION[suffix] for suffix in SUFFIXES} == set(FORMATS)

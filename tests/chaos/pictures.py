"""Numbered pictures: the number of a picture is its color, from which it is read again."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NUMBERS = 2**24
SPREAD = 0x9E3779  # odd: a bijection that gives neighboring numbers distant colors
BACK = pow(SPREAD, -1, NUMBERS)
GARBAGE = b"no picture, but number "

Content = int | None
"""The number of a file's content: of a picture, negative for a file that is no picture; None if torn or missing."""


def color(number: int) -> tuple[int, int, int]:
    code = number * SPREAD % NUMBERS
    return code >> 16, code >> 8 & 255, code & 255


def encode(number: int) -> bytes:
    """Return the bytes of a number."""
    if number < 0:
        return GARBAGE + str(-number).encode()
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), color(number)).save(buffer, "PNG")
    return buffer.getvalue()


def read(data: bytes) -> tuple[Content, NDArray[np.uint8] | None]:
    """Return the number of some bytes, and their pixels if they are a picture."""
    if data.startswith(GARBAGE) and data.removeprefix(GARBAGE).isdigit():
        return -int(data.removeprefix(GARBAGE)), None
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None, None
    red, green, blue = (int(channel) for channel in pixels[0, 0])
    return ((red << 16) + (green << 8) + blue) * BACK % NUMBERS, pixels


def distance(a: int, b: int) -> float:
    """Return the distance by tests.methods.Mean between two pictures."""
    return sum(abs(x - y) for x, y in zip(color(a), color(b), strict=True)) / 255

"""Panels that explain a reading: pictures side by side, titled, on a ground of their own, of bounded size.

The ground is light and framed, so that a panel reads the same on a white page and on a dark one. What tells things
apart does so by shape as well as by color.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..base import reduce_to

if TYPE_CHECKING:
    from ..base import Pixels

SIDE = 480
"""A picture in a panel has at most this many pixels on its long side."""

WIDE = 800
"""A panel with one picture has at most this many."""

GAP = 12
DASH = 10
GROUND = (250, 250, 250)
FRAME = (120, 128, 140)
TEXT = (25, 30, 40)
LINES = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
"""Colors of lines beside each other: Okabe and Ito, "Color Universal Design" (2008)."""

GOOD = (0, 114, 178)
BAD = (213, 94, 0)
"""Blue and vermilion of the same, which color-blind people tell apart."""


def place_side_by_side(
    a: Pixels, b: Pixels, side: int = SIDE
) -> tuple[Pixels, NDArray[np.float64], NDArray[np.float64]]:
    """Two pictures on one ground, beside each other.

    Returns:
        The panel; and for each picture the matrix (3, 3) that takes its own pixels to those of the panel.
    """
    placed = [fit_into(picture, side) for picture in (a, b)]
    height = max(picture.shape[0] for picture in placed)
    panel = np.full((height, sum(picture.shape[1] for picture in placed) + GAP, 3), GROUND, np.uint8)
    matrices, left = [], 0
    for picture, own in zip(placed, (a, b), strict=True):
        top = (height - picture.shape[0]) // 2
        panel[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        x, y = picture.shape[1] / own.shape[1], picture.shape[0] / own.shape[0]
        matrices.append(np.array([[x, 0, left + (x - 1) / 2], [0, y, top + (y - 1) / 2], [0, 0, 1]]))
        left += picture.shape[1] + GAP
    return panel, matrices[0], matrices[1]


def draw_outline(panel: Pixels, polygons: Sequence[NDArray[np.floating]], *, dashed: bool = False) -> None:
    """Draw polygons of corners (n, 2) into the panel, solid and blue, or dashed and vermilion."""
    closed = [np.vstack([corners, corners[:1]]) for corners in polygons]
    lines = [dash for line in closed for dash in _dashes(line)] if dashed else closed
    pieces = [np.rint(line).astype(np.int32) for line in lines]
    for thick, shade in ((5, GROUND), (2, BAD if dashed else GOOD)):
        cv2.polylines(panel, pieces, False, shade, thick, cv2.LINE_AA)


def _dashes(line: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
    """The parts of a line of corners (n, 2) that are drawn, each with the corners that it goes through."""
    way = np.cumsum(np.hypot(*np.diff(line, axis=0, prepend=line[:1]).T))
    for start in np.arange(0, max(1, way[-1]), 2 * DASH):
        stops = [start, *way[(way > start) & (way < start + DASH)], start + DASH]
        yield np.stack([np.interp(stops, way, values) for values in line.T], axis=1)


def fit_into(picture: Pixels, side: int = SIDE) -> Pixels:
    """The picture with exactly so many pixels on its long side; small ones are enlarged, and stay sharp."""
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    if factor <= 1:
        return reduce_to(picture, side)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    interpolation = cv2.INTER_NEAREST if factor >= 4 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=interpolation), np.uint8)


def heat_map(values: NDArray[np.float32]) -> Pixels:
    """Values from 0 (dark) to 1 (bright) in the colors of viridis, which is even in lightness, and so in gray, too."""
    scaled = np.clip(np.nan_to_num(values) * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(scaled, cv2.COLORMAP_VIRIDIS)[..., ::-1], np.uint8)


def add_title(picture: Pixels, title: str, caption: str = "") -> Pixels:
    """The picture on a framed ground under its title, with an optional line on what it shows below it."""
    font, small = ImageFont.load_default(17), ImageFont.load_default(13)
    lines = _wrapped(caption, small, max(picture.shape[1], 320)) if caption else []
    width = max(picture.shape[1], 320, round(font.getlength(title)))
    size = width + 2 * GAP, picture.shape[0] + 3 * GAP + 20 + (17 * len(lines) + GAP if lines else 0)
    panel = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(panel)
    draw.text((GAP, GAP), title, TEXT, font)
    panel.paste(Image.fromarray(picture), ((size[0] - picture.shape[1]) // 2, 2 * GAP + 20))
    for number, line in enumerate(lines):
        draw.text((GAP, 3 * GAP + 20 + picture.shape[0] + 17 * number), line, TEXT, small)
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=FRAME)
    return np.asarray(panel)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines[-1:] = [longer] if font.getlength(longer) <= width else [lines[-1], word]
    return [line for line in lines if line]


def encode_png(picture: Pixels) -> bytes:
    """The picture as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=False, compress_level=3)
    return file.getvalue()

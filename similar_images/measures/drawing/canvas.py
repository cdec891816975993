"""Panels that explain a result: images side by side, titled, on a ground of their own, of bounded size.

The ground is light and framed, so that a panel reads the same on a white page and on a dark one. Marks differ by shape
as well as by color.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import fontpkg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..base import reduce_to

if TYPE_CHECKING:
    from ..base import Pixels

PANEL_SIDE = 480
"""Pixels on the long side of an image in a panel of two, at most."""

WIDE_PANEL_SIDE = 800
"""Pixels on the long side of a panel with one image, at most."""

GAP = 12
DASH = 10
GROUND = (250, 250, 250)
FRAME_COLOR = (120, 128, 140)
TEXT = (25, 30, 40)
LINES = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
"""Colors of neighboring lines: Okabe and Ito, "Color Universal Design" (2008)."""

GOOD = (0, 114, 178)
BAD = (213, 94, 0)
"""Blue and vermilion of the same palette, which color-blind people tell apart."""


def place_side_by_side(
    a: Pixels, b: Pixels, side: int = PANEL_SIDE
) -> tuple[Pixels, NDArray[np.float64], NDArray[np.float64]]:
    """Place two images beside each other on one ground.

    Returns:
        The panel; and for each image the matrix (3, 3) that takes its own pixels to those of the panel.
    """
    fitted = [fit_into(pixels, side) for pixels in (a, b)]
    height = max(pixels.shape[0] for pixels in fitted)
    panel = np.full((height, sum(pixels.shape[1] for pixels in fitted) + GAP, 3), GROUND, np.uint8)
    matrices, left = [], 0
    for pixels, original in zip(fitted, (a, b), strict=True):
        top = (height - pixels.shape[0]) // 2
        panel[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        x, y = pixels.shape[1] / original.shape[1], pixels.shape[0] / original.shape[0]
        matrices.append(np.array([[x, 0, left + (x - 1) / 2], [0, y, top + (y - 1) / 2], [0, 0, 1]]))
        left += pixels.shape[1] + GAP
    return panel, matrices[0], matrices[1]


def draw_outline(panel: Pixels, polygons: Sequence[NDArray[np.floating]], *, dashed: bool = False) -> None:
    """Draw polygons of corners (n, 2) into the panel, solid and blue, or dashed and vermilion."""
    closed = [np.vstack([corners, corners[:1]]) for corners in polygons]
    lines = [dash for line in closed for dash in _cut_into_dashes(line)] if dashed else closed
    pixel_lines = [np.rint(line).astype(np.int32) for line in lines]
    for thickness, color in ((5, GROUND), (2, BAD if dashed else GOOD)):
        cv2.polylines(panel, pixel_lines, False, color, thickness, cv2.LINE_AA)


def _cut_into_dashes(line: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
    """Yield the drawn parts of a line of corners (n, 2), each with the corners that it goes through."""
    lengths = np.cumsum(np.hypot(*np.diff(line, axis=0, prepend=line[:1]).T))
    for start in np.arange(0, max(1, lengths[-1]), 2 * DASH):
        stops = [start, *lengths[(lengths > start) & (lengths < start + DASH)], start + DASH]
        yield np.stack([np.interp(stops, lengths, values) for values in line.T], axis=1)


def fit_into(pixels: Pixels, side: int = PANEL_SIDE) -> Pixels:
    """Resize an image to exactly `side` pixels on its long side; small ones are enlarged, and stay sharp."""
    height, width = pixels.shape[:2]
    factor = side / max(height, width)
    if factor <= 1:
        return reduce_to(pixels, side)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    interpolation = cv2.INTER_NEAREST if factor >= 4 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)


def heat_map(values: NDArray[np.float32]) -> Pixels:
    """Color values from 0 (dark) to 1 (bright) by viridis, whose even lightness also reads in gray."""
    scaled = np.clip(np.nan_to_num(values) * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(scaled, cv2.COLORMAP_VIRIDIS)[..., ::-1], np.uint8)


def add_title(pixels: Pixels, title: str, caption: str = "") -> Pixels:
    """Frame an image under its title, with an optional caption below it."""
    font, small = load_font(17), load_font(13)
    lines = _wrap_text(caption, small, max(pixels.shape[1], 320)) if caption else []
    width = max(pixels.shape[1], 320, round(font.getlength(title)))
    size = width + 2 * GAP, pixels.shape[0] + 3 * GAP + 20 + (17 * len(lines) + GAP if lines else 0)
    panel = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(panel)
    draw.text((GAP, GAP), title, TEXT, font)
    panel.paste(Image.fromarray(pixels), ((size[0] - pixels.shape[1]) // 2, 2 * GAP + 20))
    for index, line in enumerate(lines):
        draw.text((GAP, 3 * GAP + 20 + pixels.shape[0] + 17 * index), line, TEXT, small)
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=FRAME_COLOR)
    return np.asarray(panel)


def load_font(size: int) -> ImageFont.FreeTypeFont:
    """Load the font of titles and captions, in pixels; Pillow's own has no letter with an accent."""
    return ImageFont.truetype(fontpkg.path("Open Sans"), size)


def _wrap_text(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines[-1:] = [longer] if font.getlength(longer) <= width else [lines[-1], word]
    return [line for line in lines if line]


def encode_png(pixels: Pixels) -> bytes:
    """Encode an image as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=False, compress_level=3)
    return file.getvalue()

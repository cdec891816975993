"""Draw the flows between two images: of color, of darkness, and of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw

from . import canvas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base import Pixels

    Numbers = NDArray[np.float64]

FLOW_HEIGHT = 400
SWATCH_WIDTH = LABEL_WIDTH = 44
BANDS_WIDTH = 340
THUMBNAIL = 210
SPACE = 5
"""The layout of the panel of color flow, in pixels."""

SMALLEST_SHARE = 0.005
"""Share of color below which a band is not drawn."""

MIN_LABEL_HEIGHT = 15
"""Height of a swatch or a band from which on it is labeled, in pixels."""


def draw_color_flow(images: tuple[Pixels, Pixels], colors: tuple[Pixels, Pixels], amounts: Numbers) -> Pixels:
    """Draw the main colors of two images on the left and right, as high as they are frequent, and bands between them.

    Args:
        images: the two images.
        colors: the main colors of each in RGB, (n, 3) and (m, 3).
        amounts: how much of each color of the first becomes each of the second, (n, m), of sum 1.
    """
    # The right side is in the order in which it is reached, so that few bands cross.
    order = np.argsort(np.arange(len(colors[0])) @ amounts / amounts.sum(axis=0), kind="stable")
    amounts, left_colors, right_colors = amounts[:, order], colors[0], colors[1][order]
    edge = THUMBNAIL + LABEL_WIDTH + SWATCH_WIDTH
    panel = _place_at_edges(images, 2 * edge + BANDS_WIDTH)
    scale = FLOW_HEIGHT - 1 - SPACE * (max(amounts.shape) - 1)
    left_tops, right_tops = _stack(amounts.sum(axis=1), scale), _stack(amounts.sum(axis=0), scale)
    starts = left_tops[:, None] + scale * (np.cumsum(amounts, axis=1) - amounts)
    stops = right_tops + scale * (np.cumsum(amounts, axis=0) - amounts)
    bands = [(i, j) for i, j in np.ndindex(amounts.shape) if amounts[i, j] >= SMALLEST_SHARE]
    area = panel[:, edge:-edge]
    for i, j in sorted(bands, key=lambda band: -amounts[band]):
        _draw_band(area, (left_colors[i], right_colors[j]), (starts[i, j], stops[i, j]), amounts[i, j] * scale)
    image = Image.fromarray(panel)
    draw = ImageDraw.Draw(image)
    for swatches, shares, tops, left, x in (
        (left_colors, amounts.sum(axis=1), left_tops, edge - SWATCH_WIDTH, edge - SWATCH_WIDTH - LABEL_WIDTH / 2),
        (
            right_colors,
            amounts.sum(axis=0),
            right_tops,
            edge + BANDS_WIDTH,
            panel.shape[1] - THUMBNAIL - LABEL_WIDTH / 2,
        ),
    ):
        for color, share, top in zip(swatches.tolist(), shares, tops, strict=True):
            draw.rectangle((left, top, left + SWATCH_WIDTH, top + share * scale), tuple(color), canvas.FRAME_COLOR)
            _label(draw, (x, top + share * scale / 2), float(share), scale, canvas.TEXT)
    for i, j in bands:
        is_dark = left_colors[i] @ (0.299, 0.587, 0.114) < 140
        middle = edge + 24, starts[i, j] + amounts[i, j] * scale / 2
        _label(draw, middle, float(amounts[i, j]), scale, canvas.GROUND if is_dark else canvas.TEXT)
    return np.asarray(image)


def _place_at_edges(images: tuple[Pixels, Pixels], width: int) -> Pixels:
    panel = np.full((FLOW_HEIGHT, width, 3), canvas.GROUND, np.uint8)
    for pixels, is_left in zip(images, (True, False), strict=True):
        thumbnail = canvas.fit_into(pixels, THUMBNAIL)
        top, left = (FLOW_HEIGHT - thumbnail.shape[0]) // 2, 0 if is_left else width - thumbnail.shape[1]
        panel[top : top + thumbnail.shape[0], left : left + thumbnail.shape[1]] = thumbnail
    return panel


def _stack(shares: Numbers, scale: float) -> Numbers:
    """Return the top of each swatch when all are stacked with a space between them."""
    return scale * (np.cumsum(shares) - shares) + SPACE * np.arange(len(shares))


def _draw_band(area: Pixels, colors: tuple[Pixels, Pixels], tops: tuple[float, float], height: float) -> None:
    """Draw a band from the left edge to the right, which turns from one color into the other."""
    progress = np.linspace(0, 1, area.shape[1])
    progress = progress * progress * (3 - 2 * progress)
    mixed = colors[0] + np.subtract(colors[1], colors[0], dtype=float) * progress[:, None]
    for x, top in enumerate(tops[0] + (tops[1] - tops[0]) * progress):
        first, last = round(top), round(top + height)
        area[first : last + 1, x] = mixed[x]
        area[[first, last], x] = canvas.FRAME_COLOR


def _label(
    draw: ImageDraw.ImageDraw, middle: tuple[float, float], share: float, scale: float, color: tuple[int, ...]
) -> None:
    if share * scale >= MIN_LABEL_HEIGHT:
        draw.text(middle, f"{share:.0%}", color, canvas.load_font(13), "mm")


def draw_moves(a: Pixels, b: Pixels, moves: Sequence[Mapping[str, Any]]) -> Pixels:
    """Draw two images beside each other, and over the first the moves as arrows: the larger, the thicker."""
    panel, matrix, _ = canvas.place_side_by_side(a, b)
    largest = max((move["share"] for move in moves), default=1)
    for color, rim in ((canvas.GROUND, 4), (canvas.BAD, 0)):
        for move in moves:
            start, end = (matrix[:2] @ (*np.multiply(move[key], a.shape[1::-1]), 1) for key in ("from", "to"))
            thickness = 2 + round(5 * move["share"] / largest)
            tip = (6 + 2 * thickness) / max(1.0, float(np.hypot(*(end - start))))
            points = [tuple(point.round().astype(int).tolist()) for point in (start, end)]
            cv2.arrowedLine(panel, points[0], points[1], color, thickness + rim, cv2.LINE_AA, tipLength=min(0.5, tip))
    return panel


def draw_optical_flow(a: Pixels, b: Pixels, flow: NDArray[np.float32]) -> Pixels:
    """Draw two images beside each other, and over the first a grid of arrows where its pixels move.

    `flow` (height, width, 2) is in pixels of its own grid.
    """
    pixels = canvas.fit_into(a).copy()
    scale = np.array(pixels.shape[1::-1]) / flow.shape[1::-1]
    step = max(flow.shape) / 16
    for y in np.arange(step / 2, flow.shape[0], step):
        for x in np.arange(step / 2, flow.shape[1], step):
            start, move = np.array([x, y]) * scale, flow[int(y), int(x)] * scale
            if np.hypot(*move) >= 2:
                tail, tip = ([round(value) for value in point.tolist()] for point in (start, start + move))
                cv2.arrowedLine(pixels, tail, tip, canvas.GROUND, 4, cv2.LINE_AA, tipLength=0.3)
                cv2.arrowedLine(pixels, tail, tip, canvas.BAD, 2, cv2.LINE_AA, tipLength=0.3)
    return canvas.place_side_by_side(pixels, b)[0]

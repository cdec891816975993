"""Panels of what moved where between two pictures, and of their silhouettes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from . import canvas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base import Pixels
    from ..silhouette import Farthest
    from ..transport import ColorFlow

    Numbers = NDArray[np.float64]

HEIGHT = 400
SWATCH = 44
LABEL = 44
BANDS = 340
THUMB = 210
SPACE = 5
OUTLINED = 316
LEAST = 0.005
"""Smaller shares are not drawn."""
LEGIBLE = 15
"""A swatch or a band says its percents where it is as many pixels high."""


def draw_color_flow(a: Pixels, b: Pixels, flow: ColorFlow) -> Pixels:
    """The main colors of `a` on the left, of `b` on the right, as high as they are frequent, and bands between them."""
    # Those on the right in the order in which they are reached, so that few bands cross.
    order = np.argsort(np.arange(len(flow.a)) @ flow.amounts / flow.amounts.sum(axis=0), kind="stable")
    amounts, right = flow.amounts[:, order], flow.b[order]
    edge = THUMB + LABEL + SWATCH
    panel = np.full((HEIGHT, 2 * edge + BANDS, 3), canvas.GROUND, np.uint8)
    for picture, is_left in ((a, True), (b, False)):
        thumb = canvas.fit_into(picture, THUMB)
        top, left = (HEIGHT - thumb.shape[0]) // 2, 0 if is_left else panel.shape[1] - thumb.shape[1]
        panel[top : top + thumb.shape[0], left : left + thumb.shape[1]] = thumb
    scale = HEIGHT - 1 - SPACE * (max(amounts.shape) - 1)
    tops, ends = _tops(amounts.sum(axis=1), scale), _tops(amounts.sum(axis=0), scale)
    starts = tops[:, None] + scale * (np.cumsum(amounts, axis=1) - amounts)
    stops = ends + scale * (np.cumsum(amounts, axis=0) - amounts)
    bands = [(i, j) for i, j in np.ndindex(amounts.shape) if amounts[i, j] >= LEAST]
    for i, j in sorted(bands, key=lambda band: -amounts[band]):
        _band(panel[:, edge:-edge], flow.a[i], right[j], starts[i, j], stops[i, j], amounts[i, j] * scale)
    image = Image.fromarray(panel)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)

    def label(x: float, top: float, share: float, color: tuple[int, ...]) -> None:
        if share * scale >= LEGIBLE:
            draw.text((x, top + share * scale / 2), f"{share:.0%}", color, font, "mm")

    for swatches, shares, places, left, x in (
        (flow.a, amounts.sum(axis=1), tops, edge - SWATCH, edge - SWATCH - LABEL / 2),
        (right, amounts.sum(axis=0), ends, edge + BANDS, edge + BANDS + SWATCH + LABEL / 2),
    ):
        for color, share, top in zip(swatches.tolist(), shares, places, strict=True):
            draw.rectangle((left, top, left + SWATCH, top + share * scale), tuple(color), canvas.FRAME)
            label(x, top, float(share), canvas.TEXT)
    for i, j in bands:
        is_dark = flow.a[i] @ (0.299, 0.587, 0.114) < 140
        label(edge + 24, starts[i, j], float(amounts[i, j]), canvas.GROUND if is_dark else canvas.TEXT)
    return np.asarray(image)


def _tops(shares: Numbers, scale: float) -> Numbers:
    """Where each swatch begins, where they lie upon each other with a space between them."""
    return scale * (np.cumsum(shares) - shares) + SPACE * np.arange(len(shares))


def _band(panel: Pixels, color: Pixels, becomes: Pixels, start: float, stop: float, height: float) -> None:
    """A band from the left edge to the right, that turns from one color into the other on its way."""
    way = np.linspace(0, 1, panel.shape[1])
    way = way * way * (3 - 2 * way)
    mixed = color + np.subtract(becomes, color, dtype=float) * way[:, None]
    for x, top in enumerate(start + (stop - start) * way):
        first, last = round(top), round(top + height)
        panel[first : last + 1, x] = mixed[x]
        panel[[first, last], x] = canvas.FRAME


def draw_moves(a: Pixels, b: Pixels, moves: Sequence[Mapping[str, Any]]) -> Pixels:
    """The two pictures beside each other, and over the first the moves as arrows: the more, the thicker."""
    panel, matrix, _ = canvas.place_side_by_side(a, b)
    most = max((move["share"] for move in moves), default=1)
    for color, rim in ((canvas.GROUND, 4), (canvas.BAD, 0)):
        for move in moves:
            start, end = (matrix[:2] @ (*np.multiply(move[key], a.shape[1::-1]), 1) for key in ("from", "to"))
            thickness = 2 + round(5 * move["share"] / most)
            tip = (6 + 2 * thickness) / max(1.0, float(np.hypot(*(end - start))))
            points = [tuple(point.round().astype(int).tolist()) for point in (start, end)]
            cv2.arrowedLine(panel, points[0], points[1], color, thickness + rim, cv2.LINE_AA, tipLength=min(0.5, tip))
    return panel


def draw_outlines(
    a: Pixels,
    b: Pixels,
    own: Sequence[Sequence[Numbers]],
    framed: Sequence[Sequence[Numbers]],
    farthest: Farthest | None,
) -> Pixels:
    """The first picture outlined, solid; the second, dashed; and both outlines in one frame.

    `own` and `framed` are the outlines of the two in their own pixels and in those of the frame; the line is where
    the outlines are farthest apart.
    """
    from ..silhouette import FRAME

    panel = np.full((OUTLINED, 3 * OUTLINED + 2 * canvas.GAP, 3), canvas.GROUND, np.uint8)
    both = panel[:, 2 * (OUTLINED + canvas.GAP) :]
    both[:] = 255
    for number, picture in enumerate((a, b)):
        thumb = canvas.fit_into(picture, OUTLINED)
        top, left = (OUTLINED - thumb.shape[0]) // 2, (OUTLINED - thumb.shape[1]) // 2
        left += number * (OUTLINED + canvas.GAP)
        place = panel[top : top + thumb.shape[0], left : left + thumb.shape[1]]
        place[:] = thumb
        scale = np.divide(thumb.shape[1::-1], picture.shape[1::-1])
        canvas.draw_outline(place, [(outline + 0.5) * scale - 0.5 for outline in own[number]], dashed=number == 1)
    margin = 12
    scale = (OUTLINED - 2 * margin) / FRAME
    for number, outlines in enumerate(framed):
        canvas.draw_outline(both, [outline * scale + margin for outline in outlines], dashed=number == 1)
    if farthest:
        ends = [tuple(round(x * scale) + margin for x in point) for point in (farthest.point, farthest.nearest)]
        cv2.line(both, ends[0], ends[1], canvas.TEXT, 1, cv2.LINE_AA)
        for end in ends:
            cv2.circle(both, end, 4, canvas.TEXT, -1, cv2.LINE_AA)
    return panel

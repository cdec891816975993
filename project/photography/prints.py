"""Pictures for frames, and the faces of clocks, as arrays of sRGB colors (height, width, 3), 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from project.photography import textures
from project.photography.textures import Color, Image

HEIGHT, WIDTH = 640, 512


def canvas(color: Color, height: int = HEIGHT, width: int = WIDTH) -> Image:
    paper = textures.plain(color, 7, 0.05)
    return cv2.resize(paper, (width, height)).astype(np.float32)


def fill(image: Image, points: Sequence[tuple[float, float]], color: Color) -> None:
    """Fill a polygon of points in shares of the picture."""
    scaled = np.array(points) * (image.shape[1], image.shape[0])
    cv2.fillPoly(image, [scaled.astype(np.int32)], [float(part) for part in textures.rgb(color)], cv2.LINE_AA)


def ellipse(
    x: float, y: float, width: float, height: float, start: float = 0, end: float = 360
) -> list[tuple[float, float]]:
    angles = np.radians(np.linspace(start, end, 90))
    return [(x + width * float(np.cos(angle)), y + height * float(np.sin(angle))) for angle in angles]


def arches(colors: Sequence[Color], seed: int = 0) -> Image:
    """Return three arches within each other, and a sun."""
    image = canvas(colors[0])
    shift = 0.06 * (seed % 3 - 1)
    fill(image, ellipse(0.68 + shift, 0.24, 0.14, 0.112), colors[1])
    for size, color in ((0.36, colors[2]), (0.26, colors[0]), (0.21, colors[1]), (0.12, colors[0]), (0.08, colors[3])):
        fill(
            image,
            [
                *ellipse(0.44 + shift, 0.58, size, size * 0.8, 180, 360),
                (0.44 + shift + size, 0.92),
                (0.44 + shift - size, 0.92),
            ],
            color,
        )
    return image


def hills(colors: Sequence[Color], seed: int = 0) -> Image:
    """Return layers of hills below a sun."""
    random = np.random.default_rng(seed)
    image = canvas(colors[0])
    fill(image, ellipse(0.3 + 0.4 * random.random(), 0.27, 0.13, 0.104), colors[1])
    x = np.linspace(0, 1, 60)
    for number, color in enumerate(colors[2:]):
        base = 0.45 + 0.14 * number
        line = (
            base + 0.06 * np.sin(2 * np.pi * (x * random.uniform(0.7, 1.4) + random.random())) + 0.02 * np.sin(14 * x)
        )
        fill(image, [*zip(x.tolist(), line.tolist(), strict=True), (1, 1), (0, 1)], color)
    return image


def branch(ground: Color, color: Color, seed: int = 0) -> Image:
    """Return a branch with leaves, as in a herbarium."""
    random = np.random.default_rng(seed)
    image = canvas(ground)
    t = np.linspace(0, 1, 40)
    bend = random.uniform(-0.16, 0.16)
    x, y = 0.5 + bend * np.sin(np.pi * t), 0.92 - 0.78 * t
    points = (np.stack([x, y], axis=1) * (WIDTH, HEIGHT)).astype(np.int32)
    ink = [float(part) for part in textures.rgb(color)]
    cv2.polylines(image, [points], False, ink, 3, cv2.LINE_AA)
    for number in range(6, 40, 4):
        for side in (-1, 1):
            angle = -np.pi / 2 + side * random.uniform(0.7, 1.05)
            length = 0.17 * np.sin(np.pi * (0.2 + 0.75 * number / 40)) + 0.03
            along = np.linspace(0, 1, 20)
            half = 0.24 * length * np.sin(np.pi * along)
            middle = np.stack(
                [x[number] + length * along * np.cos(angle), y[number] + 0.8 * length * along * np.sin(angle)], axis=1
            )
            across = np.array([-np.sin(angle), 0.8 * np.cos(angle)])
            outline = np.concatenate([middle + half[:, None] * across, (middle - half[:, None] * across)[::-1]])
            fill(image, [tuple(point) for point in outline], color)
    return image


def face(ground: Color, ink: Color, style: str = "ticks") -> Image:
    """Return the face of a clock, with "ticks", "dots", or "numbers"."""
    size = 640
    mask = np.zeros((size, size), np.uint8)
    for hour in range(12):
        angle = np.radians(30 * hour)
        way = np.array([np.sin(angle), -np.cos(angle)])
        if style == "dots":
            center = tuple((size / 2 + way * 258).astype(int).tolist())
            cv2.circle(mask, center, 17 if hour % 3 == 0 else 9, 255, -1, cv2.LINE_AA)
        elif style == "numbers":
            text = str(hour or 12)
            (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 2.0, 4)
            x, y = size / 2 + way * 236 + (-width / 2, height / 2)
            cv2.putText(mask, text, (int(x), int(y)), cv2.FONT_HERSHEY_DUPLEX, 2.0, 255, 4, cv2.LINE_AA)
        else:
            start = 214 if hour % 3 == 0 else 240
            ends = [(size / 2 + way * reach).astype(int).tolist() for reach in (start, 276)]
            cv2.line(mask, ends[0], ends[1], 255, 13 if hour % 3 == 0 else 7, cv2.LINE_AA)
    share = mask[..., None] / np.float32(255)
    return (canvas(ground, size, size) * (1 - share) + textures.rgb(ink) * share).astype(np.float32)

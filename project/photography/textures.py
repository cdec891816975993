"""Patterns as arrays of sRGB colors (height, width, 3), 0 to 1, the first row on top; they repeat without a seam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
Color = str
"""A color as in CSS: `#c0ffee`."""

SIZE = 512


def rgb(color: Color) -> Image:
    return np.asarray([int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)], dtype=np.float32)


def noise(seed: int, cells: tuple[int, int] = (8, 8), octaves: int = 4, size: int = SIZE) -> Image:
    """Return smooth noise (size, size) between 0 and 1, `cells` (down, across) a side in its first octave."""
    random = np.random.default_rng(seed)
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        grid = random.random([count * 2**octave for count in cells], dtype=np.float32)
        wide = np.pad(grid, 2, mode="wrap")
        scale = (size / grid.shape[0], size / grid.shape[1])
        big = cv2.resize(wide, None, fx=scale[1], fy=scale[0], interpolation=cv2.INTER_CUBIC)
        top, left = round(2 * scale[0]), round(2 * scale[1])
        total += big[top : top + size, left : left + size] / 2**octave
    return np.asarray((total - total.min()) / np.ptp(total))


def mix(first: Color, second: Color, share: Image) -> Image:
    weight = np.clip(share, 0, 1)[..., None]
    return np.asarray(rgb(first) * (1 - weight) + rgb(second) * weight, np.float32)


def shade(image: Image, values: Image, strength: float) -> Image:
    """Darken and lighten an image by values between 0 and 1."""
    return np.clip(image * (1 + strength * (values[..., None] - 0.5)), 0, 1).astype(np.float32)


def coordinates(size: int = SIZE) -> tuple[Image, Image]:
    """Return x and y (downward) of every pixel, 0 to 1."""
    x, y = np.meshgrid(*[(np.arange(size, dtype=np.float32) + 0.5) / size] * 2)
    return x, y


def plain(color: Color, seed: int = 0, strength: float = 0.06) -> Image:
    return shade(mix(color, color, np.zeros((SIZE, SIZE))), noise(seed, (4, 4)), strength)


def stripes(colors: Sequence[Color], widths: Sequence[float], *, is_upright: bool = False) -> Image:
    """Return stripes across, or upright, in shares of the whole."""
    edges = np.cumsum(np.asarray(widths) / sum(widths))
    x, y = coordinates()
    index = np.minimum(np.searchsorted(edges, x if is_upright else y), len(colors) - 1)
    return np.stack([rgb(color) for color in colors])[index]


def dots(ground: Color, color: Color, count: int = 6, radius: float = 0.28) -> Image:
    x, y = coordinates()
    row = np.floor(y * count)
    distance = np.hypot((x * count + 0.5 * (row % 2)) % 1 - 0.5, (y * count) % 1 - 0.5)
    return mix(ground, color, (radius - distance) * SIZE / count / 2 + 0.5)


def checks(ground: Color, color: Color, count: int = 6) -> Image:
    """Return gingham: where two stripes cross, the color is full."""
    x, y = coordinates()
    share = ((x * count) % 1 < 0.5).astype(np.float32) + ((y * count) % 1 < 0.5)
    return mix(ground, color, share / 2)


def zigzag(ground: Color, color: Color, count: int = 6, slope: float = 1) -> Image:
    x, y = coordinates()
    wave = abs((x * count) % 1 - 0.5) * slope
    return mix(ground, color, ((y * count + wave) % 1 < 0.5).astype(np.float32))


def borders(ground: Color, color: Color) -> Image:
    """Return two frames, a broad and a fine one, around an empty middle."""
    x, y = coordinates()
    margin = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    return mix(ground, color, ((margin > 0.04) & (margin < 0.12)) | ((margin > 0.15) & (margin < 0.165)))


def rings(ground: Color, color: Color, count: int = 4) -> Image:
    x, y = coordinates()
    return mix(ground, color, (np.hypot(x - 0.5, y - 0.5) * 2 * count) % 1 < 0.3)


def diamonds(ground: Color, color: Color, line: Color, count: int = 4) -> Image:
    x, y = coordinates()
    distance = abs((x * count) % 1 - 0.5) + abs((y * count) % 1 - 0.5)
    image = mix(ground, color, (distance < 0.32).astype(np.float32))
    image[abs(distance - 0.44) < 0.03] = rgb(line)
    return image


def speckles(ground: Color, color: Color, seed: int = 0, count: int = 900, size: float = 2.2) -> Image:
    """Return a glaze with specks of iron."""
    random = np.random.default_rng(seed)
    mask = np.zeros((SIZE, SIZE), np.float32)
    for x, y, radius in zip(*random.integers(0, SIZE, (2, count)), random.gamma(1.4, size / 2, count), strict=True):
        for dx in (-SIZE, 0, SIZE):
            cv2.circle(mask, (int(x) + dx, int(y)), max(1, int(radius)), float(random.uniform(0.3, 1)), -1, cv2.LINE_AA)
    return mix(ground, color, cv2.GaussianBlur(mask, (0, 0), 0.6))


def terrazzo(ground: Color, colors: Sequence[Color], seed: int = 0, count: int = 220) -> Image:
    random = np.random.default_rng(seed)
    image = plain(ground, seed).copy()
    for number in range(count):
        center, reach = random.integers(0, SIZE, 2), random.uniform(5, 20)
        angles = np.sort(random.uniform(0, 2 * np.pi, 6))
        points = center + reach * random.uniform(0.5, 1, 6)[:, None] * np.stack(
            [np.cos(angles), np.sin(angles)], axis=1
        )
        color = rgb(colors[number % len(colors)])
        for shift in ((0, 0), (SIZE, 0), (-SIZE, 0)):
            cv2.fillPoly(image, [(points + shift).astype(np.int32)], [float(part) for part in color], cv2.LINE_AA)
    return image


def glaze(top: Color, bottom: Color, level: float = 0.5, seed: int = 0, softness: float = 0.05) -> Image:
    """Return a glaze that runs down from the top to a level, with an uneven edge."""
    _, y = coordinates()
    edge = level + 0.10 * (noise(seed, (2, 6), 3) - 0.5)
    return shade(mix(top, bottom, (y - edge) / softness + 0.5), noise(seed + 1, (6, 6)), 0.12)


def fade(top: Color, bottom: Color, seed: int = 0) -> Image:
    _, y = coordinates()
    return mix(top, bottom, np.clip((y - 0.15) / 0.7 + 0.15 * (noise(seed, (3, 3)) - 0.5), 0, 1))


def wood(light: Color, dark: Color, seed: int = 0, rings: float = 9) -> Image:
    """Return grain that runs along x."""
    _, y = coordinates()
    bend = noise(seed, (3, 2), 3)
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * (rings * bend + 2 * y))
    fiber = noise(seed + 1, (128, 4), 2)
    return mix(light, dark, 0.55 * grain**2 + 0.45 * fiber)


def planks(light: Color, dark: Color, seed: int = 0, count: int = 6) -> Image:
    """Return floor boards along y, with dark joints."""
    grain = np.rot90(wood(light, dark, seed)).copy()
    x, y = coordinates()
    random = np.random.default_rng(seed)
    board = np.floor(x * count).astype(int)
    tone = random.uniform(0.86, 1.1, count)
    ends = random.random(count)
    image = grain * tone[board][..., None]
    for number in range(count):
        columns = board[0] == number
        image[:, columns] = np.roll(image[:, columns], int(ends[number] * SIZE), axis=0)
    joint = ((x * count) % 1 < 0.018) | (abs(y - ends[board]) < 0.002)
    image[joint] *= 0.45
    return np.asarray(np.clip(image, 0, 1), np.float32)


def marble(ground: Color, vein: Color, seed: int = 0) -> Image:
    x, y = coordinates()
    bend = noise(seed, (3, 3), 5)
    lines = 1 - abs(np.sin(np.pi * (x + y + 2.2 * bend)))
    return mix(ground, vein, 0.85 * np.clip(lines - 0.82, 0, 1) / 0.18 * noise(seed + 3, (4, 4)) + 0.12 * bend)


def weave(count: int = 32) -> Image:
    """Return the height (0 to 1) of a plain weave, for bumps and shading."""
    x, y = coordinates()
    over = (np.floor(x * count) + np.floor(y * count)) % 2
    across = abs(np.sin(np.pi * x * count))
    along = abs(np.sin(np.pi * y * count))
    return np.where(over > 0, along**0.6, across**0.6 * 0.85).astype(np.float32)


def knit(count: int = 20) -> Image:
    """Return the height (0 to 1) of stitches."""
    x, y = coordinates()
    lean = abs((x * count) % 1 - 0.5)
    return (abs(np.sin(np.pi * (x * count))) * (0.5 + 0.5 * abs(np.sin(np.pi * (y * count * 0.75 + lean))))).astype(
        np.float32
    )


def pile(seed: int = 0) -> Image:
    """Return the height (0 to 1) of terry or carpet."""
    return noise(seed, (96, 96), 2)


def wicker(light: Color, dark: Color, count: int = 12) -> Image:
    height = weave(count)
    return mix(dark, light, height)

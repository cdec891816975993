"""Edits that copies of pictures come with: those of `evaluation.transforms`, and more, each at three strengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from similar_images.evaluation.transforms import TRANSFORMS

Pixels = NDArray[np.uint8]
Others = list[Pixels]
"""Other pictures, which a picture is put among."""


@dataclass(frozen=True)
class Edit:
    """An edit of RGB pixels, which may put them among others, and its strengths, the mildest first."""

    change: Callable[[Pixels, float, Others], Pixels]
    strengths: Mapping[str, float]

    def __call__(self, pixels: Pixels, others: Others) -> list[Pixels]:
        """Return an edited copy for each strength, the same ones in every run."""
        return [np.ascontiguousarray(self.change(pixels, value, others), np.uint8) for value in self.strengths.values()]


def alone(change: Callable[[Pixels, float], Pixels]) -> Callable[[Pixels, float, Others], Pixels]:
    """Return an edit that needs no other picture."""
    return lambda pixels, strength, _others: change(pixels, strength)


def to_pixels(values: NDArray[np.floating]) -> Pixels:
    """Round to levels from 0 to 255."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def resized(pixels: Pixels, width: float, height: float) -> Pixels:
    """Resize to so many pixels."""
    size = max(1, round(width)), max(1, round(height))
    smaller = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8)


def jpeg(pixels: Pixels, quality: float) -> Pixels:
    """Encode as JPEG, and decode."""
    return TRANSFORMS["JPEG"].change(np.ascontiguousarray(pixels), quality)


def luma(pixels: Pixels) -> NDArray[np.float64]:
    """Return the brightness, 0 to 1, (height, width, 1)."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float64)[..., None] / 255


def blend(pixels: Pixels, filtered: NDArray[Any], share: float) -> Pixels:
    """Mix a picture with what a filter made of it."""
    return to_pixels((1 - share) * pixels + share * filtered)


def sepia(pixels: Pixels, share: float) -> Pixels:
    """Tone in brown, by the usual matrix."""
    matrix = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    return blend(pixels, pixels @ matrix.T, share)


def fade(pixels: Pixels, share: float) -> Pixels:
    """Lift the shadows, lower the lights, and take off color, as a faded print."""
    gray = 255 * luma(pixels)
    pale = gray + 0.5 * (pixels - gray)
    return blend(pixels, 70 + pale * (215 - 70) / 255, share)


def cross_process(pixels: Pixels, share: float) -> Pixels:
    """Bend each channel by a curve of its own, as a film developed in the wrong chemicals."""
    x = pixels / 255
    s_curve = x * x * (3 - 2 * x)
    curves = np.stack([s_curve[..., 0], 0.9 * s_curve[..., 1] + 0.05, 0.25 + 0.5 * x[..., 2]], axis=-1)
    return blend(pixels, 255 * curves, share)


def duotone(pixels: Pixels, share: float) -> Pixels:
    """Map the brightness to a line between two colors."""
    dark, light = np.array([32.0, 20, 92]), np.array([255.0, 214, 140])
    return blend(pixels, dark + luma(pixels) * (light - dark), share)


def vignette(pixels: Pixels, depth: float) -> Pixels:
    """Darken toward the corners."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return to_pixels(pixels * (1 - depth * np.minimum((x * x + y * y) / 2, 1))[..., None])


def crop_filter_jpeg(pixels: Pixels, keep: float) -> Pixels:
    """Crop, filter, and compress hard."""
    return jpeg(fade(cross_process(TRANSFORMS["crop"].change(pixels, keep), 0.7), 0.4), 30)


def small_jpeg(pixels: Pixels, factor: float) -> Pixels:
    """Make it smaller, and compress at quality 10."""
    return jpeg(resized(pixels, factor * pixels.shape[1], factor * pixels.shape[0]), 10)


def thumbnail(pixels: Pixels, side: float) -> Pixels:
    """Reduce to so many pixels on the long side."""
    factor = side / max(pixels.shape[:2])
    return resized(pixels, factor * pixels.shape[1], factor * pixels.shape[0])


def screenshot(pixels: Pixels, share: float) -> Pixels:
    """Show it in a window: bars above and below that take a share of the height, and a margin."""
    height, width = pixels.shape[:2]
    bar, margin = round(share * height), round(0.06 * width)
    canvas = np.full((height + 2 * bar + margin, width + 2 * margin, 3), 250, np.uint8)
    canvas[:bar] = (38, 50, 66)
    canvas[bar + margin // 2 : bar + margin // 2 + height, margin : margin + width] = pixels
    scale = bar / 45
    cv2.putText(canvas, "Pictures  Search", (margin, round(0.65 * bar)), 0, scale, (230, 230, 230), 1, cv2.LINE_AA)
    end = round(len(canvas) - 0.35 * bar)
    cv2.putText(canvas, "Like   Comment   Share", (margin, end), 0, scale, (70, 70, 70), 1, cv2.LINE_AA)
    return canvas


def collage(pixels: Pixels, columns: float, others: Others) -> Pixels:
    """Put it in a grid of so many columns and rows among others, in cells of its own shape, with white lines."""
    count = int(columns)
    height, width = (max(24, side * 2 // (count + 1)) for side in pixels.shape[:2])
    place = count // 2 * count + count - 1 if count > 2 else 1
    rows, fillers = [], iter(others)
    for row in range(count):
        cells = []
        for column in range(count):
            cell = pixels if row * count + column == place else next(fillers)
            cells.append(np.pad(resized(cell, width, height), ((3, 3), (3, 3), (0, 0)), constant_values=255))
        rows.append(np.hstack(cells))
    return np.vstack(rows).astype(np.uint8)


def picture_in_picture(pixels: Pixels, share: float, others: Others) -> Pixels:
    """Lay it, with so large a share of each side, over a corner of another picture."""
    host = resized(others[0], *(1.25 * np.array([pixels.shape[1], pixels.shape[0]])))
    inset = resized(pixels, share * host.shape[1], share * host.shape[0])
    top, left = round(0.92 * (host.shape[0] - inset.shape[0])), round(0.93 * (host.shape[1] - inset.shape[1]))
    host[top : top + inset.shape[0], left : left + inset.shape[1]] = inset
    return host


def meme(pixels: Pixels, share: float) -> Pixels:
    """Add white bars with words above and below, each a share of the height."""
    height, width = pixels.shape[:2]
    bar = max(8, round(share * height))
    canvas = np.full((height + 2 * bar, width, 3), 255, np.uint8)
    canvas[bar : bar + height] = pixels
    for words, bottom in (("WHEN YOU SEE IT", round(0.75 * bar)), ("ONCE AGAIN", round(height + 1.75 * bar))):
        cv2.putText(
            canvas, words, (round(0.05 * width), bottom), 0, bar / 45, (0, 0, 0), max(1, bar // 18), cv2.LINE_AA
        )
    return canvas


def mirror_crop(pixels: Pixels, keep: float) -> Pixels:
    """Mirror, and crop."""
    return TRANSFORMS["crop"].change(np.ascontiguousarray(pixels[:, ::-1]), keep)


def gray_contrast(pixels: Pixels, factor: float) -> Pixels:
    """Take off all color, and change the contrast."""
    return TRANSFORMS["contrast"].change(TRANSFORMS["gray"].change(pixels, 1), factor)


def turn_in_frame(pixels: Pixels, degrees: float) -> Pixels:
    """Rotate in the frame that it has; what leaves it is cut off, corners are black."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height)), np.uint8)


def negative(pixels: Pixels, quality: float) -> Pixels:
    """Invert all levels, and compress."""
    return jpeg(255 - pixels, quality)


def white_balance(pixels: Pixels, share: float) -> Pixels:
    """Warm the light."""
    return to_pixels(pixels * (1 + share * np.array([0.15, 0.0, -0.25])))


def gamma(pixels: Pixels, exponent: float) -> Pixels:
    """Bend the tones."""
    return to_pixels(255 * (pixels / 255) ** exponent)


def gain(pixels: Pixels, factor: float) -> Pixels:
    """Multiply the levels; by more than 1, lights clip."""
    return to_pixels(pixels * factor)


def posterize(pixels: Pixels, colors: float) -> Pixels:
    """Reduce to a palette of so many colors, dithered, as a GIF."""
    image = Image.fromarray(pixels).quantize(int(colors), dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(image.convert("RGB"), np.uint8)


def sharpen(pixels: Pixels, amount: float) -> Pixels:
    """Sharpen by an unsharp mask."""
    soft = cv2.GaussianBlur(pixels, (0, 0), 2.0).astype(np.float64)
    return to_pixels(pixels + amount * (pixels - soft))


def stickers(pixels: Pixels, share: float) -> Pixels:
    """Lay three opaque disks over it, which cover a share of its area."""
    covered, (height, width) = pixels.copy(), pixels.shape[:2]
    radius = round(np.sqrt(share * height * width / (3 * np.pi)))
    for x, y, color in ((0.25, 0.3, (250, 214, 60)), (0.7, 0.45, (226, 60, 80)), (0.4, 0.78, (70, 160, 235))):
        center = round(x * width), round(y * height)
        cv2.circle(covered, center, radius, color, -1, cv2.LINE_AA)
        cv2.circle(covered, center, round(radius * 0.55), (40, 40, 40), max(1, radius // 9), cv2.LINE_AA)
    return covered


def watermark(pixels: Pixels, opacity: float) -> Pixels:
    """Repeat a word over all of it, half transparent."""
    overlay, (height, width) = pixels.copy(), pixels.shape[:2]
    size = max(height, width) / 640
    for row, y in enumerate(range(0, height + 40, max(14, round(90 * size)))):
        for x in range(-30 * row % 90 - 90, width, max(40, round(240 * size))):
            cv2.putText(
                overlay, "PREVIEW", (x, y), 0, 1.1 * size, (255, 255, 255), max(1, round(3 * size)), cv2.LINE_AA
            )
    return blend(pixels, overlay, opacity)


def squeeze(pixels: Pixels, share: float) -> Pixels:
    """Squeeze the width to a share of itself."""
    return resized(pixels, share * pixels.shape[1], pixels.shape[0])


def pad_to_square(pixels: Pixels, margin: float) -> Pixels:
    """Center it on a white square, with a margin."""
    height, width = pixels.shape[:2]
    side = round(max(height, width) * (1 + 2 * margin))
    canvas = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas


MORE_EDITS = {
    "sepia": Edit(alone(sepia), {"40%": 0.4, "70%": 0.7, "all": 1}),
    "fade": Edit(alone(fade), {"40%": 0.4, "70%": 0.7, "all": 1}),
    "cross-process": Edit(alone(cross_process), {"40%": 0.4, "70%": 0.7, "all": 1}),
    "duotone": Edit(alone(duotone), {"50%": 0.5, "80%": 0.8, "all": 1}),
    "vignette": Edit(alone(vignette), {"30%": 0.3, "60%": 0.6, "90%": 0.9}),
    "white balance": Edit(alone(white_balance), {"× (1.06, 1, 0.9)": 0.4, "× (1.15, 1, 0.75)": 1, "twice that": 2}),
    "gamma": Edit(alone(gamma), {"1.3": 1.3, "1.7": 1.7, "2.3": 2.3}),
    "gain": Edit(alone(gain), {"× 1.2": 1.2, "× 1.4": 1.4, "× 1.6": 1.6}),
    "darken": Edit(alone(gain), {"× 0.8": 0.8, "× 0.55": 0.55, "× 0.35": 0.35}),
    "negative": Edit(alone(negative), {"quality 95": 95, "60": 60, "30": 30}),
    "gray and contrast": Edit(alone(gray_contrast), {"80%": 0.8, "60%": 0.6, "150%": 1.5}),
    "few colors": Edit(alone(posterize), {"64": 64, "16": 16, "6": 6}),
    "sharpen": Edit(alone(sharpen), {"50%": 0.5, "120%": 1.2, "250%": 2.5}),
    "small JPEG": Edit(alone(small_jpeg), {"70% of each side": 0.7, "50%": 0.5, "33%": 0.33}),
    "thumbnail": Edit(alone(thumbnail), {"160 pixels": 160, "96": 96, "64": 64}),
    "crop, filter, JPEG 30": Edit(alone(crop_filter_jpeg), {"90% of each side left": 0.9, "75%": 0.75, "60%": 0.6}),
    "mirror and crop": Edit(alone(mirror_crop), {"90% of each side left": 0.9, "75%": 0.75, "60%": 0.6}),
    "turn in its frame": Edit(alone(turn_in_frame), {"4°": 4, "14°": 14, "30°": 30}),
    "squeeze": Edit(alone(squeeze), {"92%": 0.92, "80%": 0.8, "65%": 0.65}),
    "pad to a square": Edit(alone(pad_to_square), {"no margin": 0, "8%": 0.08, "20%": 0.2}),
    "meme": Edit(alone(meme), {"bars of 10%": 0.1, "18%": 0.18, "28%": 0.28}),
    "screenshot": Edit(alone(screenshot), {"bars of 8%": 0.08, "16%": 0.16, "28%": 0.28}),
    "stickers": Edit(alone(stickers), {"4% of the area": 0.04, "10%": 0.1, "20%": 0.2}),
    "watermark": Edit(alone(watermark), {"25%": 0.25, "50%": 0.5, "80%": 0.8}),
    "collage": Edit(collage, {"of 4": 2, "of 9": 3, "of 16": 4}),
    "picture in picture": Edit(picture_in_picture, {"60% of each side": 0.6, "40%": 0.4, "25%": 0.25}),
}

EDITS = {name: Edit(alone(each.change), each.strengths) for name, each in TRANSFORMS.items()} | MORE_EDITS
"""Every edit, by its name."""

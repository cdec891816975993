"""Modifications that images undergo in the wild: 15 transforms, each at 3 strengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageTransform:
    """A modification of RGB pixels, and the parameters of its three strengths by their names, the mildest first."""

    change: Callable[[Pixels, float], Pixels]
    strengths: Mapping[str, float]

    def __call__(self, pixels: Pixels) -> Iterator[Pixels]:
        """Yield a modified copy for each strength, the same ones in every run."""
        for strength in self.strengths.values():
            yield np.ascontiguousarray(self.change(pixels, strength), np.uint8)


def _resize(pixels: Pixels, factor: float) -> Pixels:
    height, width = pixels.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _reencode(pixels: Pixels, quality: float, *, suffix: str, option: int) -> Pixels:
    _, file = cv2.imencode(suffix, pixels[..., ::-1], [option, round(quality)])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]


def _crop(pixels: Pixels, keep: float) -> Pixels:
    """Keep a share of each side; three quarters of the rest go at the left and top, as crops are seldom centered."""
    height, width = (max(1, round(side * keep)) for side in pixels.shape[:2])
    top, left = (round(0.75 * (full - kept)) for full, kept in zip(pixels.shape, (height, width), strict=False))
    return pixels[top : top + height, left : left + width]


def _mirror(pixels: Pixels, axis: float) -> Pixels:
    return {0: pixels[:, ::-1], 1: pixels[::-1], 2: pixels.transpose(1, 0, 2)}[int(axis)]


def _rotate(pixels: Pixels, degrees: float) -> Pixels:
    """Rotate; other than by right angles, enlarge until no corner is empty, as when a horizon is straightened."""
    if degrees % 90 == 0:
        return np.rot90(pixels, int(degrees) // 90)
    height, width = pixels.shape[:2]
    angle = np.radians(degrees)
    scale = np.cos(angle) + np.sin(angle) * max(height / width, width / height)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, float(scale))
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _desaturate(pixels: Pixels, share: float) -> Pixels:
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    return _to_pixels(pixels * (1 - share) + gray * share)


def _brighten(pixels: Pixels, offset: float) -> Pixels:
    return _to_pixels(pixels + 255 * offset)


def _scale_contrast(pixels: Pixels, factor: float) -> Pixels:
    return _to_pixels((pixels - pixels.mean()) * factor + pixels.mean())


def _shift_hue(pixels: Pixels, degrees: float) -> Pixels:
    hsv = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), np.uint8)
    hsv[..., 0] = (hsv[..., 0].astype(int) + round(degrees / 2)) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def _blur(pixels: Pixels, share: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), share * max(pixels.shape[:2])), np.uint8)


def _add_noise(pixels: Pixels, deviation: float) -> Pixels:
    return _to_pixels(pixels + np.random.default_rng(0).normal(0, deviation, pixels.shape))


def _add_border(pixels: Pixels, share: float) -> Pixels:
    width = max(1, round(share * max(pixels.shape[:2])))
    return np.asarray(cv2.copyMakeBorder(pixels, width, width, width, width, cv2.BORDER_CONSTANT), np.uint8)


def _write_text(pixels: Pixels, share: float) -> Pixels:
    """Write two lines across the middle, white with a black edge, letters as high as that share of the height."""
    overlaid = pixels.copy()
    height, width = pixels.shape[:2]
    for line, words in enumerate(("SAMPLE PICTURE", "DO NOT COPY")):
        scale = share * height / 30  # the letters of the font are about 22 pixels high, and 18 wide
        (text_width, text_height), _base = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        origin = round((width - text_width) / 2), round(height / 2 + text_height * (0.1 + 1.6 * line - 0.3))
        for color, thickness in (((0, 0, 0), 8), ((255, 255, 255), 3)):
            pen = max(1, round(thickness * scale))
            cv2.putText(overlaid, words, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, color, pen, cv2.LINE_AA)
    return overlaid


def _tilt(pixels: Pixels, share: float) -> Pixels:
    """Tilt as if seen from the lower left; what would be empty is cropped."""
    height, width = pixels.shape[:2]
    right, bottom = width - 1, height - 1
    corners = np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)], np.float32)
    inward = np.array([(0, 1), (-1, 0), (0, 0), (1, 0.3)], np.float32) * (share * right, share * bottom)
    matrix = cv2.getPerspectiveTransform((corners + inward).astype(np.float32), corners)
    return np.asarray(cv2.warpPerspective(pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _to_pixels(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


_JPEG = partial(_reencode, suffix=".jpg", option=cv2.IMWRITE_JPEG_QUALITY)
_WEBP = partial(_reencode, suffix=".webp", option=cv2.IMWRITE_WEBP_QUALITY)

TRANSFORMS = {
    "resize": ImageTransform(_resize, {"75%": 0.75, "50%": 0.5, "25%": 0.25}),
    "JPEG": ImageTransform(_JPEG, {"quality 80": 80, "50": 50, "20": 20}),
    "WebP": ImageTransform(_WEBP, {"quality 80": 80, "50": 50, "20": 20}),
    "crop": ImageTransform(_crop, {"90% of each side left": 0.9, "75%": 0.75, "50%": 0.5}),
    "mirror": ImageTransform(_mirror, {"left to right": 0, "upside down": 1, "about the diagonal": 2}),
    "turn": ImageTransform(_rotate, {"5°": 5, "90°": 90, "180°": 180}),
    "gray": ImageTransform(_desaturate, {"50% of the color gone": 0.5, "80%": 0.8, "all": 1}),
    "brightness": ImageTransform(_brighten, {"+8%": 0.08, "+20%": 0.2, "+40%": 0.4}),
    "contrast": ImageTransform(_scale_contrast, {"80%": 0.8, "60%": 0.6, "35%": 0.35}),
    "hue": ImageTransform(_shift_hue, {"by 10°": 10, "30°": 30, "90°": 90}),
    "blur": ImageTransform(_blur, {"sigma 0.3% of the long side": 0.003, "0.8%": 0.008, "2%": 0.02}),
    "noise": ImageTransform(_add_noise, {"sigma 8": 8, "20": 20, "45": 45}),
    "border": ImageTransform(_add_border, {"black, 3% of the long side": 0.03, "8%": 0.08, "15%": 0.15}),
    "text": ImageTransform(_write_text, {"letters 4% of the height": 0.04, "8%": 0.08, "14%": 0.14}),
    "perspective": ImageTransform(_tilt, {"corners in by 5%": 0.05, "12%": 0.12, "22%": 0.22}),
}

"""What is left of the difference of two pictures' colors when one of them is edited to be like the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base import Pixels

HUE_RESIDUAL_FACTOR = 3.0
"""A turned hue or other saturation may leave so many times less than another tone, which cuts off what is too bright or
too dark: a thing that is sold in two colors often differs in little more, but in more."""


def color_residuals(a: Pixels, b: Pixels) -> tuple[float, float]:
    """How far the colors (n, 3) of two pictures are apart, and how far when one of them is edited to be like the other.

    Editing is what one does to a whole picture: brightness, contrast, saturation, and hue in either way that it is
    turned. Both are in steps of 255, without the quarter of the pixels that differ most, which may be covered.
    """
    if not len(a):
        return 0.0, 0.0
    as_they_are = _off(a, b)
    pairs = (a, b), (b, a)
    toned = min(_off(_toned(one, other), other) for one, other in pairs)
    exact = min(_off(edit(one, other), other) for edit in (_saturated, _hue_turned) for one, other in pairs)
    return as_they_are, min(as_they_are, toned, HUE_RESIDUAL_FACTOR * exact)


def _off(a: Pixels, b: Pixels) -> float:
    off = np.abs(a.astype(int) - b).mean(axis=1)
    return float(np.sort(off)[: max(1, 3 * len(off) // 4)].mean())


def _toned(a: Pixels, b: Pixels) -> Pixels:
    """Brightness and contrast of a made like those of b: colors are as much stronger as contrast is."""
    yuv_a, yuv_b = (_converted(colors, cv2.COLOR_RGB2YUV) for colors in (a, b))
    luma_a, luma_b = yuv_a[:, 0] - np.median(yuv_a[:, 0]), yuv_b[:, 0] - np.median(yuv_b[:, 0])
    contrast = np.clip(float(luma_a @ luma_b) / max(float(luma_a @ luma_a), 1), 0.3, 3)
    return _of_yuv(luma_a * contrast + np.median(yuv_b[:, 0]), contrast * (yuv_a[:, 1:] - 128))


def _saturated(a: Pixels, b: Pixels) -> Pixels:
    """The colors of a made as strong as those of b, down to gray, and as bright as they are."""
    yuv_a, yuv_b = (_converted(colors, cv2.COLOR_RGB2YUV) for colors in (a, b))
    chroma_a, chroma_b = yuv_a[:, 1:] - 128, yuv_b[:, 1:] - 128
    factor = float((chroma_a * chroma_b).sum()) / max(float((chroma_a**2).sum()), 1)
    return _of_yuv(yuv_a[:, 0], chroma_a * min(max(factor, 0), 3))


def _of_yuv(luma: NDArray[np.float64], chroma: NDArray[np.float64]) -> Pixels:
    return _bytes(_converted(_bytes(np.column_stack([luma, chroma + 128])), cv2.COLOR_YUV2RGB))


def _hue_turned(a: Pixels, b: Pixels) -> Pixels:
    """The hues of a turned to those of b, with the brightest channel and saturation left alone."""
    hsv_a, hsv_b = (_converted(colors, cv2.COLOR_RGB2HSV_FULL) for colors in (a, b))
    steps = np.exp(2j * np.pi * (hsv_b[:, 0] - hsv_a[:, 0]) / 256) * hsv_a[:, 1] * hsv_b[:, 1]
    hsv_a[:, 0] = np.rint(hsv_a[:, 0] + np.angle(steps.sum()) * 256 / (2 * np.pi)) % 256
    return _bytes(_converted(_bytes(hsv_a), cv2.COLOR_HSV2RGB_FULL))


def _converted(colors: Pixels, code: int) -> NDArray[np.float64]:
    return np.asarray(cv2.cvtColor(colors[None], code)[0], np.float64)


def _bytes(colors: NDArray[np.float64]) -> Pixels:
    return np.clip(np.rint(colors), 0, 255).astype(np.uint8)

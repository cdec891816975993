"""The color difference of two registered images, before and after one of them is edited to match the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base import Pixels

RARE_SHARE = 0.05
"""Share of pixels that `largest_residuals` leaves out."""


def trimmed_difference(a: Pixels, b: Pixels) -> float:
    """Measure the mean difference of colors (n, 3), 0 to 255, without the quarter that differs most, as if covered."""
    if not len(a):
        return 0.0
    differences = np.abs(a.astype(int) - b).mean(axis=1)
    return float(np.sort(differences)[: max(1, 3 * len(differences) // 4)].mean())


def largest_residuals(a: Pixels, b: Pixels) -> tuple[float, float]:
    """Measure the difference of colors (n, 3) that only `RARE_SHARE` of the pixels exceed, as they are and edited.

    Edits are brightness and contrast, and saturation, each of either image; hue is left alone, as it is what tells a
    product from the same in another color. Both results are 0 to 255.
    """
    if not len(a):
        return 0.0, 0.0
    edited = [(edit(x, y), y) for edit in (match_tone, _match_saturation) for x, y in ((a, b), (b, a))]
    unedited, *residuals = (_large_difference(x, y) for x, y in [(a, b), *edited])
    return unedited, min(unedited, *residuals)


def _large_difference(a: Pixels, b: Pixels) -> float:
    return float(np.quantile(np.abs(a.astype(int) - b).mean(axis=1), 1 - RARE_SHARE))


def match_tone(a: Pixels, b: Pixels) -> Pixels:
    """Give a the brightness and contrast of b; colors get stronger as contrast does."""
    yuv_a, yuv_b = (_convert(colors, cv2.COLOR_RGB2YUV) for colors in (a, b))
    luma_a, luma_b = yuv_a[:, 0] - np.median(yuv_a[:, 0]), yuv_b[:, 0] - np.median(yuv_b[:, 0])
    contrast = np.clip(float(luma_a @ luma_b) / max(float(luma_a @ luma_a), 1), 0.3, 3)
    return _yuv_to_rgb(luma_a * contrast + np.median(yuv_b[:, 0]), contrast * (yuv_a[:, 1:] - 128))


def _match_saturation(a: Pixels, b: Pixels) -> Pixels:
    """Give the colors of a the strength of those of b, down to gray, and leave their brightness alone."""
    yuv_a, yuv_b = (_convert(colors, cv2.COLOR_RGB2YUV) for colors in (a, b))
    chroma_a, chroma_b = yuv_a[:, 1:] - 128, yuv_b[:, 1:] - 128
    factor = float((chroma_a * chroma_b).sum()) / max(float((chroma_a**2).sum()), 1)
    return _yuv_to_rgb(yuv_a[:, 0], chroma_a * min(max(factor, 0), 3))


def _yuv_to_rgb(luma: NDArray[np.float64], chroma: NDArray[np.float64]) -> Pixels:
    return _to_uint8(_convert(_to_uint8(np.column_stack([luma, chroma + 128])), cv2.COLOR_YUV2RGB))


def _convert(colors: Pixels, code: int) -> NDArray[np.float64]:
    return np.asarray(cv2.cvtColor(colors[None], code)[0], np.float64)


def _to_uint8(values: NDArray[np.float64]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)

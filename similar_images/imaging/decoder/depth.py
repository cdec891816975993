"""Pixels of more than 8 bits, scaled to 8 bits by what they hold.

A file says how many bits its values take, but not how many are used: cameras and scanners store 10 or 12 bits in 16,
and floating point has no range at all. So the brightest pixels decide: white is the greatest value of the least depth
that holds them.
"""

from __future__ import annotations

import math
from typing import Any, cast

from PIL import Image, ImageChops, ImageMath

WHITES = (1, 255, 1023, 4095, 16383, 65535)
"""Values that white may have: of masks and floating point from 0 to 1, and of 8, 10, 12, 14 and 16 bits."""

MIN_USED = 1 / 16
"""Share of white that the brightest pixels reach; where they don't, or any is negative, all values are stretched."""

OUTLIER_SHARE = 1 / 10_000
"""Share of pixels that are no evidence: hot pixels of a sensor are as bright as can be."""

MISSING = 1e30
"""Absolute value from which a number is none; formats of science mark missing pixels so, or by NaN or infinity."""

SLACK = 1.02
"""Factor of white up to which the brightest pixels may be, as outliers are cut off no more exactly."""

_REFINEMENTS = 8
_BINS = 256


def is_deep(image: Image.Image) -> bool:
    """Tell whether an image has one channel of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def widen(image: Image.Image) -> Image.Image:
    """Convert a deep image to a mode that can be reduced: I or F; LA where it has a transparent value.

    Missing values become the least one.
    """
    if image.mode == "F":
        return _fill_missing(image)
    wide = image if image.mode == "I" else image.convert("I")
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return wide
    # Compared before pixels are averaged, as no other value is transparent, however near.
    hidden = ImageMath.lambda_eval(lambda bands: bands["convert"]((bands["a"] == transparent) * 255, "L"), a=wide)
    gray = scale_to_8_bits(wide)
    gray.putalpha(ImageChops.invert(hidden))
    return gray


def scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Scale an image of mode I or F to mode L.

    Values from 0 are divided by the least of WHITES that holds them; all others are stretched from the least to the
    greatest.
    """
    low, high = _find_range(image)
    whites = [white for white in WHITES if low >= 0 and white * MIN_USED <= high <= white * SLACK]
    if whites:
        low, high = 0, min(whites)
    scale = 255 / (high - low) if high > low else 0
    offset = 0.5 - low * scale
    return image.point(lambda value: value * scale + offset).convert("L")


def _find_range(image: Image.Image) -> tuple[float, float]:
    """Return the least and the greatest value but for outliers.

    Where outliers make up most of the range, it is looked at more closely.
    """
    low, high = cast("tuple[float, float]", image.getextrema())
    allowed = int(image.width * image.height * OUTLIER_SHARE)
    for _ in range(_REFINEMENTS):
        if high <= low or not allowed:
            break
        if image.mode == "I":
            low, high = math.floor(low), math.ceil(high)
        counts = image.histogram(extrema=(low, high))
        first, last = _inner_bins(counts, allowed), _BINS - 1 - _inner_bins(counts[::-1], allowed)
        step = (high - low) / _BINS
        is_close = last - first >= _BINS // 4
        low, high = low + first * step, high - (_BINS - 1 - last) * step
        if is_close:
            break
    return low, high


def _inner_bins(counts: list[int], allowed: int) -> int:
    """Return the number of the first bin whose pixels, and those before, are more than so many."""
    total = 0
    for number, count in enumerate(counts):
        total += count
        if total > allowed:
            return number
    return 0


def _fill_missing(image: Image.Image) -> Image.Image:
    def find_missing(bands: Any) -> Any:  # NaN is not less than anything
        return bands["convert"](255 - (abs(bands["a"]) < MISSING) * 255, "L")

    missing = ImageMath.lambda_eval(find_missing, a=image)
    if missing.getbbox() is None:
        return image
    values = image.copy()
    values.paste(MISSING, mask=missing)
    least = cast("tuple[float, float]", values.getextrema())[0]
    values.paste(least if least < MISSING else 0, mask=missing)
    return values

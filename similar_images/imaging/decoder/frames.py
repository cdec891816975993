"""The frame of an animation, or the page of a file with several, that stands for all of it."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageStat

MULTI_FRAME_FORMATS = {"GIF", "PNG", "WEBP", "AVIF", "TIFF"}
"""Formats whose frames are shown one after another. Those of others are layers, sizes, or views of one image."""

SAMPLED_FRAMES = (1, 2, 4, 8, 16, 32)
"""Numbers of the frames that are looked at where the first one, 0, is blank: to fade in may take long."""

MAX_SAMPLED_PIXELS = 8_000_000
"""Pixels of all frames up to the last one that is looked at, as those before are decoded, too. Frame 1 always is."""

BLANK_DEVIATION = 5
"""Standard deviation of the gray levels, 0 to 255, below which a frame is blank: scanned paper has 2 to 4, a line of
text on it 10."""

MAX_GROWTH = 1.1
"""Pixels of a page by those of the first one, up to which it is decoded: scans of one format differ by a few."""

_SAMPLE_SIDE = 64


def select_frame(image: Image.Image, flatten: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return the first frame; where it is blank, the one of the most contrast among some that follow.

    Args:
        image: an image file whose first frame is loaded.
        flatten: returns a frame in RGB.
    """
    if image.format not in MULTI_FRAME_FORMATS or (contrast := _measure_contrast(image, flatten)) >= BLANK_DEVIATION:
        return image
    selected = image.copy()  # to seek another frame replaces the pixels
    pixels = image.width * image.height
    max_pixels = int(pixels * MAX_GROWTH)
    for number in SAMPLED_FRAMES:
        if (number > 1 and number * pixels > MAX_SAMPLED_PIXELS) or not _load_frame(image, number, max_pixels):
            break
        if (other := _measure_contrast(image, flatten)) > contrast:
            selected, contrast = image.copy(), other
    return selected


def _load_frame(image: Image.Image, number: int, max_pixels: int) -> bool:
    """Decode a frame; return False where there is none of that number and size, or it is damaged."""
    try:
        image.seek(number)
        if image.width * image.height > max_pixels:
            return False
        image.load()
    except MemoryError:
        raise
    except Exception:  # of many kinds; a later frame must not cost the first
        return False
    return True


def _measure_contrast(image: Image.Image, flatten: Callable[[Image.Image], Image.Image]) -> float:
    """Return the standard deviation of the gray levels of some pixels, which keep the contrast of fine detail."""
    size = min(image.width, _SAMPLE_SIDE), min(image.height, _SAMPLE_SIDE)
    sample = image.resize(size, Image.Resampling.NEAREST)
    return ImageStat.Stat(flatten(sample).convert("L")).stddev[0]

"""The background that transparent images are laid on: white, unless their content would not be seen on it."""

from __future__ import annotations

from PIL import Image, ImageStat

DARK = 64
"""Level of gray that nearly white content is laid on."""

INVISIBLE_LEVELS = 8
"""Levels, of 255, that content differs from white on average, up to which it is laid on DARK."""

VISIBLE_LEVELS = 16
"""Levels from which content is laid on white. In between the background changes gradually, so that a small edit of the
image never makes a great difference."""


def flatten(image: Image.Image) -> Image.Image:
    """Lay an image with 8 bits per channel on a background, where it has transparency; return it in RGB."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    on_white = _lay_on(255, image)
    level = _choose_level(image, on_white)
    return on_white if level == 255 else _lay_on(level, image)


def _lay_on(level: int, image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, (level, level, level, 255)), image).convert("RGB")


def _choose_level(image: Image.Image, on_white: Image.Image) -> int:
    """Return the level of gray by how much the content, weighted by its opacity, differs from white.

    That is the mean in the channel where it differs most: noise does not change it.
    """
    opacity = ImageStat.Stat(image.getchannel("A")).sum[0] / 255
    if not opacity:
        return 255
    difference = (255 * image.width * image.height - min(ImageStat.Stat(on_white).sum)) / opacity
    share = (difference - INVISIBLE_LEVELS) / (VISIBLE_LEVELS - INVISIBLE_LEVELS)
    return round(DARK + (255 - DARK) * min(max(share, 0), 1))

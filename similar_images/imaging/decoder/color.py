"""Colors by the profile that a file embeds (ICC), converted to sRGB by Little CMS."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageCms

MAX_PROFILE_BYTES = 4 * 2**20
"""Size of a profile above which it is ignored; those of printers have up to 3 MB."""

CACHED_TRANSFORMS = 4
"""Profiles whose transforms are kept: the images of a site have few, and to build one takes 3 ms."""

SAME_LEVELS = 2
"""Maximum difference, in levels of 255, of the colors of a profile from sRGB, up to which it is taken for sRGB."""

MIN_CONTRAST = 128
"""Levels that white is above black by any sound profile; ink on newsprint reaches some 180."""

MIDDLE_GRAY = range(8, 248)
"""Levels that the middle gray of a sound profile may have; that of a linear one is 188, of an HDR display 24."""

_SRGB = ImageCms.createProfile("sRGB")
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_CLASSES = {"mntr", "scnr", "prtr", "spac"}

_GRAYS = {
    "RGB": bytes([0, 0, 0, 128, 128, 128, 255, 255, 255]),
    "L": bytes([0, 128, 255]),
    "CMYK": bytes([0, 0, 0, 255, 0, 0, 0, 128, 0, 0, 0, 0]),
}
"""Black, gray, and white."""

_STEPS = range(0, 256, 51)
_SAMPLES = {
    "RGB": bytes(value for red in _STEPS for green in _STEPS for blue in _STEPS for value in (red, green, blue)),
    "L": bytes(range(256)),
}


def convert_to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Convert the colors of an image from the space of its profile to sRGB; alpha stays as it is.

    A profile that is broken, absurd, for another kind of pixels, or sRGB itself changes nothing.

    Args:
        image: with 8 bits per channel.
        profile: the profile as found in the file, if it has any.

    Returns:
        The image as it is, or in RGB or RGBA.
    """
    if not isinstance(profile, bytes) or not 128 < len(profile) <= MAX_PROFILE_BYTES:
        return image
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    mode = {"L": "L", "LA": "L", "CMYK": "CMYK", "LAB": "LAB"}.get(image.mode, "RGB")
    if mode == "L" and profile[16:20] == b"RGB ":  # a gray image that was saved with the profile of its colors
        mode = "RGB"
    transform = _find_transform(profile, mode)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(image.convert(mode), transform)
    if converted is None:  # it is for a transform in place
        return image
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


@lru_cache(CACHED_TRANSFORMS)
def _find_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform to sRGB; None where there is none to apply."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space, kind = source.profile.xcolor_space.strip(), source.profile.device_class.strip()
        if _SPACES.get(mode) != space or kind not in _CLASSES:
            return None
        transform = ImageCms.buildTransform(source, _SRGB, mode, "RGB", ImageCms.Intent.PERCEPTUAL)
        black, middle, white = _apply(transform, mode, _GRAYS[mode]).convert("L").tobytes()
        if white - black < MIN_CONTRAST or middle not in MIDDLE_GRAY:
            return None
        return None if mode in _SAMPLES and _is_srgb(transform, mode) else transform
    except MemoryError:
        raise
    except Exception:  # a profile that can't be used must not cost the image
        return None


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    before = Image.frombytes(mode, (len(_SAMPLES[mode]) // len(mode), 1), _SAMPLES[mode]).convert("RGB").tobytes()
    after = _apply(transform, mode, _SAMPLES[mode]).tobytes()
    return all(abs(a - b) <= SAME_LEVELS for a, b in zip(before, after, strict=True))


def _apply(transform: ImageCms.ImageCmsTransform, mode: str, colors: bytes) -> Image.Image:
    image = Image.frombytes(mode, (len(colors) // len(mode), 1), colors)
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:
        raise ValueError(mode)
    return converted

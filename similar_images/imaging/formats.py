"""Image formats that are accepted, and the message for every other file."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP")
"""Pillow's names of the formats that are decoded; no other decoder is tried."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".tif", ".tiff", ".bmp")
"""File name suffixes of these formats, in lower case; folders are searched for them."""

_SVG_START = re.compile(rb"(\xef\xbb\xbf)?\s*<(\?xml|!--|!doctype svg|svg)", re.IGNORECASE)


def describe_unknown_format(data: bytes) -> str:
    """Return a message, for people, about a file in none of FORMATS."""
    if _SVG_START.match(data[:200]):
        return _("This is a vector drawing (SVG). Please save it as PNG.")
    return _("This is not an image in a supported format (%(formats)s).") % {"formats": ", ".join(FORMATS)}

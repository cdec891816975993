"""File names of the image formats that are accepted."""

from __future__ import annotations

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".tif", ".tiff", ".bmp")
"""File name suffixes of the formats that are decoded, in lower case; folders are searched for them."""

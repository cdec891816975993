"""Image formats that are accepted, and what their files are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType

from .decoder.protocol import FORMATS

SUFFIXES_BY_FORMAT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "JPEG": (".jpg", ".jpeg"),
        "PNG": (".png",),
        "GIF": (".gif",),
        "WEBP": (".webp",),
        "AVIF": (".avif",),
        "TIFF": (".tif", ".tiff"),
        "BMP": (".bmp",),
        "HEIF": (".heic", ".heif", ".hif"),
        "ICO": (".ico",),
        "JPEG2000": (".jp2", ".j2k", ".jpx"),
        "PSD": (".psd",),
    }
)
"""File name suffixes in lower case, for every format that can be decoded."""

DEFAULT_FORMATS = FORMATS[: FORMATS.index("HEIF") + 1]
"""Formats that are accepted where a site says nothing else."""

_choose_formats: Callable[[], Sequence[str]] = lambda: DEFAULT_FORMATS  # noqa: E731 - replaced by a setting


def set_formats_from(choose: Callable[[], Sequence[str]]) -> None:
    """Have a function say which of FORMATS are accepted, whenever an image is decoded."""
    global _choose_formats
    _choose_formats = choose


def accepted_formats() -> tuple[str, ...]:
    """Return the names of the formats that are accepted."""
    return tuple(_choose_formats())


def readable_formats() -> list[str]:
    """Return the names of the accepted formats whose decoders are installed, as people know them."""
    names = [name for name in accepted_formats() if name != "HEIF" or find_spec("pillow_heif")]
    return ["HEIC" if name == "HEIF" else name for name in names]


def accepted_suffixes() -> tuple[str, ...]:
    """Return the file name suffixes of the accepted formats, in lower case; folders are searched for them."""
    return tuple(suffix for name in accepted_formats() for suffix in SUFFIXES_BY_FORMAT[name])

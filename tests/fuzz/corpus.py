"""Files to damage: small ones of every format and mode, drawn here, and the odd ones of Pillow's own tests.

Those of Pillow are in its source package, of which this loads the version installed here into a folder of yours:

    python -m tests.fuzz.corpus FOLDER
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import PIL
from PIL import Image

from tests import profiles
from tests.drawing import encoded, scene

SIZE = (20, 15)
MAX_FILE_BYTES = 2**20
"""Larger files of Pillow's are left out: thousands of damaged ones would take long, and find no more."""


@cache
def drawn_files() -> dict[str, bytes]:
    """Return small files of every format, in the modes and with the options that have decoders of their own."""
    image, other = scene(1, SIZE), scene(2, SIZE)
    exif = Image.Exif()
    exif[0x112] = 6
    exif[0x10E] = "A scene"
    # Saving an image leaves settings of its encoder in it, so each file gets copies.
    frames = [{"save_all": True, "append_images": [other.copy()]} for _ in range(5)]
    blank = Image.new("RGB", SIZE)
    late = [{"save_all": True, "append_images": [blank.copy(), other.copy()]} for _ in range(4)]
    gray, palette, mask = image.convert("L"), image.convert("P"), image.convert("1")
    transparent = Image.merge("RGBA", (*image.split(), gray))
    wide = gray.convert("I").point(lambda value: value * 257)
    pictures = {
        "jpeg": (image, "JPEG", {"exif": exif}),
        "jpeg-progressive": (image, "JPEG", {"progressive": True, "icc_profile": b"x" * 200}),
        "jpeg-gray": (gray, "JPEG", {"optimize": True}),
        "jpeg-cmyk": (image.convert("CMYK"), "JPEG", {}),
        "mpo": (image, "MPO", frames[0]),
        "png": (image, "PNG", {"exif": exif}),
        "png-palette": (palette, "PNG", {"transparency": 3}),
        "png-16": (wide.convert("I;16"), "PNG", {}),
        "png-alpha": (transparent, "PNG", {}),
        "png-1": (mask, "PNG", {}),
        "apng": (image, "PNG", frames[1]),
        "gif": (palette, "GIF", {"transparency": 3, "comment": b"A scene"}),
        "gif-animated": (image, "GIF", frames[2]),
        "webp": (image, "WEBP", {"exif": exif}),
        "webp-lossless": (transparent, "WEBP", {"lossless": True}),
        "webp-animated": (image, "WEBP", frames[3]),
        "avif": (image, "AVIF", {"exif": exif}),
        "avif-alpha": (transparent, "AVIF", {}),
        "tiff": (image, "TIFF", {"exif": exif}),
        "tiff-lzw": (image, "TIFF", {"compression": "tiff_lzw"}),
        "tiff-deflate": (palette, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "tiff-jpeg": (image, "TIFF", {"compression": "jpeg"}),
        "tiff-g4": (mask, "TIFF", {"compression": "group4"}),
        "tiff-packbits": (gray, "TIFF", {"compression": "packbits"}),
        "tiff-16": (wide.convert("I;16"), "TIFF", {}),
        "tiff-float": (gray.convert("F"), "TIFF", {}),
        "tiff-pages": (image, "TIFF", frames[4]),
        "jpeg-profile": (image, "JPEG", {"icc_profile": profiles.ADOBE_RGB}),
        "png-profile": (gray, "PNG", {"icc_profile": profiles.gray(1.0)}),
        "tiff-profile": (image.convert("CMYK"), "TIFF", {"icc_profile": profiles.cmyk()}),
        "tiff-12": (gray.convert("I").point(lambda value: value * 16).convert("I;16"), "TIFF", {}),
        "gif-late": (blank, "GIF", late[0]),
        "apng-late": (blank, "PNG", late[1]),
        "webp-late": (blank, "WEBP", late[2]),
        "tiff-late": (blank, "TIFF", late[3]),
        "png-logo": (Image.merge("LA", (Image.new("L", SIZE, 255), gray)), "PNG", {}),
        "heif": (image.resize((64, 64)), "HEIF", {"exif": exif, "icc_profile": profiles.DISPLAY_P3}),
        "heif-alpha": (transparent.resize((64, 64)), "HEIF", {}),
        "ico": (transparent, "ICO", {"sizes": [SIZE]}),
        "jpeg2000": (image, "JPEG2000", {}),
        "bmp": (image, "BMP", {}),
        "bmp-palette": (palette, "BMP", {}),
        "bmp-1": (mask, "BMP", {}),
    }
    return {name: encoded(picture.copy(), kind, **options) for name, (picture, kind, options) in pictures.items()}


def fetch_pillow_files(folder: Path) -> None:
    """Load the images of Pillow's tests into a folder."""
    with tempfile.TemporaryDirectory() as download:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pillow"]
        subprocess.run([*command, "--dest", download, f"pillow=={PIL.__version__}"], check=True)
        (package,) = Path(download).glob("*.tar.gz")
        with tarfile.open(package) as archive:
            for member in archive:
                if member.isfile() and "/Tests/images/" in member.name:
                    target = folder / member.name.partition("/Tests/images/")[2]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.extractfile(member).read())


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, by their names in it."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and file.stat().st_size <= MAX_FILE_BYTES)
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


if __name__ == "__main__":
    fetch_pillow_files(Path(sys.argv[1]))

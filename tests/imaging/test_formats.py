"""Formats that are accepted: those of the setting, and of HEIC where its decoder is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from similar_images.duplicates.folder import list_image_files
from similar_images.imaging import decoders, formats
from similar_images.imaging.decode import UnreadableImage, decode
from similar_images.imaging.decoder.protocol import FORMATS
from similar_images.imaging.formats import DEFAULT_FORMATS, SUFFIXES_BY_FORMAT, accepted_suffixes
from tests.drawing import encoded, scene

OPTIONAL = [name for name in FORMATS if name not in DEFAULT_FORMATS]


def test_suffixes__are_those_of_the_formats() -> None:
    """Every suffix belongs to the format that it is listed under, and every format has one."""
    Image.init()
    assert list(SUFFIXES_BY_FORMAT) == list(FORMATS)
    for name, suffixes in SUFFIXES_BY_FORMAT.items():
        assert suffixes
        assert {Image.EXTENSION[suffix] for suffix in suffixes} == {name}


def optional_file(name: str) -> bytes:
    if name != "PSD":
        return encoded(scene(1, (64, 64)), name)
    channels = b"".join(channel.tobytes() for channel in scene(1, (64, 64)).split())
    header = b"8BPS\0\1" + bytes(6) + (3).to_bytes(2, "big") + (64).to_bytes(4, "big") * 2
    return header + b"\0\x08\0\x03" + bytes(12) + b"\0\0" + channels


@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_formats__are_read_if_the_setting_names_them(name: str, configure: Any) -> None:
    data = optional_file(name)
    with pytest.raises(UnreadableImage, match="JPEG, PNG, GIF, WEBP, AVIF, TIFF, BMP, HEIC"):
        decode(data, max_pixels=10**6)
    configure(FORMATS=["JPEG", name])
    assert abs(decode(data, max_pixels=10**6).pixels.astype(int) - np.asarray(scene(1, (64, 64)))).mean() < 6
    with pytest.raises(UnreadableImage, match=rf"supported format \(JPEG, {name}\)"):
        decode(encoded(scene(1)), max_pixels=10**6)


def test_folders__are_searched_for_the_accepted_formats(configure: Any, tmp_path: Path) -> None:
    for name in ("a.JPG", "b.heic", "c.psd", "d.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [file.name for file in list_image_files(tmp_path)] == ["a.JPG", "b.heic"]
    configure(FORMATS=["PSD"])
    assert accepted_suffixes() == (".psd",)
    assert [file.name for file in list_image_files(tmp_path)] == ["c.psd"]


def test_heic__is_refused_with_what_to_do_where_its_decoder_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra is not installed: the decoder does not find the package."""
    image = encoded(scene(1), "HEIF")
    assert decode(image, max_pixels=10**6).width == 160
    script = """
import sys
sys.modules["pillow_heif"] = None
from decoder.program import main
main(int(sys.argv[1]))
"""
    monkeypatch.setattr(decoders, "_STARTER", f"import sys; sys.path += sys.argv[2:]{script}")
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    pool = decoders.DecoderPool()
    monkeypatch.setattr(decoders, "_pool", pool)
    with pytest.raises(UnreadableImage, match=r"HEIC .*save it as JPEG, or have “similar_images\[heif\]” installed"):
        decode(image, max_pixels=10**6)
    with pytest.raises(UnreadableImage, match=r"TIFF, BMP\)"):
        decode(b"text", max_pixels=10**6)
    pool.close()


def test_heic__the_decoder_needs_no_other_package() -> None:
    folders = [str(Path(decoders.__file__).parent), str(decoders._find_folder("PIL"))]
    script = (
        "import sys; sys.modules['pillow_heif'] = None; sys.path += sys.argv[1:]; import decoder.program;"
        "from PIL import Image; sys.exit('HEIF' in Image.OPEN)"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", script, *folders], check=True, timeout=60)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_heic__modes_and_large_images(mode: str) -> None:
    picture = decode(encoded(scene(1, (1600, 1200)).convert(mode), "HEIF", quality=90), max_pixels=10**7)
    assert (picture.width, picture.height) == (1600, 1200)
    expected = np.asarray(scene(1, (1600, 1200)).convert(mode).convert("RGB").resize((800, 600), Image.Resampling.BOX))
    assert abs(picture.pixels.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic__is_turned_upright_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    data = encoded(scene(1), "HEIF", quality=90, exif=exif.tobytes())  # which turns it by a tag of its own, too
    upright = decode(encoded(scene(1), "PNG", exif=exif), max_pixels=10**6)
    picture = decode(data, max_pixels=10**6)
    assert (picture.width, picture.height) == (upright.width, upright.height)
    assert abs(picture.pixels.astype(int) - upright.pixels).mean() < 4


def test_heic__has_the_limit_of_pixels() -> None:
    with pytest.raises(UnreadableImage, match="more than 1,000 pixels"):
        decode(encoded(scene(1), "HEIF"), max_pixels=1000)

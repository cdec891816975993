from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFile, ImageOps

from similar_images.imaging import decode as images
from similar_images.imaging.decode import FORMATS, WORKING_SIDE, Picture, UnreadableImage
from tests.drawing import encoded, scene

LOSSY = {"JPEG": {"quality": 95}, "WEBP": {"quality": 95}, "AVIF": {"quality": 95}, "MPO": {"quality": 95}}
SCENE = scene(1)
ORIENTED = {
    1: SCENE,
    2: SCENE.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: SCENE.transpose(Image.Transpose.ROTATE_180),
    4: SCENE.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: SCENE.transpose(Image.Transpose.TRANSPOSE),
    6: SCENE.transpose(Image.Transpose.ROTATE_270),
    7: SCENE.transpose(Image.Transpose.TRANSVERSE),
    8: SCENE.transpose(Image.Transpose.ROTATE_90),
}


def decode(data: bytes, max_pixels: int = 80_000_000) -> Picture:
    return images.decode(data, max_pixels=max_pixels)


def pixels(image: Image.Image, kind: str = "PNG", **options: Any) -> NDArray[np.uint8]:
    return decode(encoded(image, kind, **options)).pixels


def apart(a: ArrayLike, b: ArrayLike) -> float:
    """Mean difference of two pictures of the same size."""
    a, b = (np.asarray(item).astype(int) for item in (a, b))
    assert a.shape == b.shape
    return float(abs(a - b).mean())


def exif(orientation: Any) -> Image.Exif:
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags


def png(size: tuple[int, int], depth: int, color: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of raw scanlines, for what Pillow can't write."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", *size, depth, color, 0, 0, 0)),
        *chunks,
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


# --- what is read right ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_decode__format(kind: str) -> None:
    picture = decode(encoded(SCENE, kind, **LOSSY.get(kind, {})))
    assert (picture.width, picture.height) == SCENE.size
    assert picture.pixels.dtype == np.uint8
    assert apart(picture.pixels, SCENE) < 6
    np.testing.assert_allclose(picture.pixels.mean((0, 1)), np.asarray(SCENE).mean((0, 1)), atol=2)


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_decode__upright(kind: str, orientation: int) -> None:
    data = encoded(SCENE, kind, **LOSSY.get(kind, {}), exif=exif(orientation))
    picture, upright = decode(data), ORIENTED[orientation]
    assert apart(picture.pixels, ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")) == 0
    assert apart(picture.pixels, upright) < 6
    assert (picture.width, picture.height) == upright.size


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_decode__upright_tiff_gray(compression: str) -> None:
    got = pixels(SCENE.convert("L"), "TIFF", compression=compression, exif=exif(8))
    assert apart(got[..., 0], ORIENTED[8].convert("L")) == 0


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_decode__unknown_orientation(orientation: int) -> None:
    assert apart(pixels(SCENE, "PNG", exif=exif(orientation)), SCENE) == 0


@pytest.mark.parametrize(
    "garbage", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12", b"xyz"]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_decode__corrupt_exif_does_not_matter(kind: str, garbage: bytes) -> None:
    assert apart(pixels(SCENE, kind, **LOSSY.get(kind, {}), exif=garbage), SCENE) < 6


def test_decode__transparency_over_white() -> None:
    color = SCENE.copy()
    color.putalpha(Image.linear_gradient("L").resize(SCENE.size))
    gray = color.convert("LA")
    for image in (color, gray):
        white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
        assert apart(pixels(image), white) == 0
        assert apart(pixels(image, "TIFF"), white) == 0


@pytest.mark.parametrize(
    ("kind", "mode", "colors", "transparency"),
    [
        ("PNG", "RGB", [(0, 0, 0), (10, 200, 30)], (0, 0, 0)),
        ("PNG", "L", [7, 90], 7),
        ("PNG", "1", [0, 255], 0),
        ("PNG", "P", [3, 5], 3),
        ("PNG", "P", [3, 5], bytes([255, 255, 255, 0])),
        ("GIF", "P", [3, 5], 3),
    ],
)
def test_decode__transparent_color(kind: str, mode: str, colors: list[Any], transparency: Any) -> None:
    """A color that is marked as transparent comes out white, its neighbor as it is."""
    image = Image.new(mode, (20, 10), colors[1])
    if mode == "P":
        image.putpalette([index * 8 for index in range(32) for _ in range(3)])
    opaque = pixels(image)[0, 0]
    image.paste(colors[0], (0, 0, 8, 10))
    got = pixels(image, kind, transparency=transparency)
    assert (got[:, :8] == 255).all()
    assert (got[:, 8:] == opaque).all()
    assert opaque.min() < 255 or mode == "1"


def test_decode__transparency_of_sixteen_bits_is_exact() -> None:
    """Only the very value that is marked as transparent is, not others of the same upper byte."""
    rows = b"\0" + struct.pack(">4H", 300, 301, 44 << 8, 65535)
    got = decode(png((4, 1), 16, 0, rows, (b"tRNS", struct.pack(">H", 300)))).pixels
    assert got[0, :, 0].tolist() == [255, 1, 44, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("mode", ["P", "L", "1"])
def test_decode__few_colors(mode: str, kind: str) -> None:
    image = SCENE.convert(mode)
    assert apart(pixels(image, kind), image.convert("RGB")) == 0


def test_decode__palette_is_not_taken_for_gray() -> None:
    image = SCENE.quantize(16)
    assert apart(pixels(image), image.convert("RGB")) == 0
    assert apart(pixels(image), SCENE) < 15


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_decode__cmyk(kind: str) -> None:
    got = pixels(SCENE.convert("CMYK"), kind, **LOSSY.get(kind, {}))
    assert apart(got, SCENE) < 6


def test_decode__gray_jpeg() -> None:
    assert apart(pixels(SCENE.convert("L"), "JPEG", quality=95), SCENE.convert("L").convert("RGB")) < 6


RAMP = np.linspace(0, 65535, 160 * 120).reshape(120, 160)


@pytest.mark.parametrize(
    ("image", "kind", "options"),
    [
        (Image.fromarray(RAMP.astype(np.uint16)), "PNG", {}),
        (Image.fromarray(RAMP.astype(np.uint16)), "TIFF", {}),
        (Image.fromarray(RAMP.astype(np.uint16)), "TIFF", {"compression": "tiff_lzw"}),
        (Image.frombytes("I;16B", (160, 120), RAMP.astype(">u2").tobytes()), "TIFF", {}),
        (Image.fromarray(RAMP.astype(np.int32)), "TIFF", {}),
        (Image.fromarray((RAMP - 30_000).astype(np.int32)), "TIFF", {}),
        (Image.fromarray((RAMP * 30_000).astype(np.int32)), "TIFF", {}),
        (Image.fromarray(RAMP.astype(np.float32)), "TIFF", {}),
        (Image.fromarray((RAMP / 65535).astype(np.float32)), "TIFF", {}),
    ],
    ids=["png16", "tiff16", "tiff16lzw", "tiff16big-endian", "int32", "signed", "huge", "float", "unit-float"],
)
def test_decode__deep_gray(image: Image.Image, kind: str, options: dict[str, Any]) -> None:
    """More than 8 bits a channel: the whole range shows, nothing is clipped to white."""
    got = pixels(image, kind, **options)
    assert apart(got, np.repeat((RAMP / 256).astype(np.uint8)[..., None], 3, axis=2)) < 1


@pytest.mark.parametrize("value", [0.0, 5.0, float("nan"), float("inf")])
def test_decode__flat_float(value: float) -> None:
    assert pixels(Image.new("F", (10, 10), value), "TIFF").shape == (10, 10, 3)


def test_decode__sixteen_bit_color() -> None:
    values = (np.asarray(SCENE).astype(np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    assert apart(decode(png(SCENE.size, 16, 2, rows)).pixels, SCENE) == 0


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("PNG", {}),
        ("TIFF", {}),
        ("AVIF", LOSSY["AVIF"]),
        ("MPO", LOSSY["MPO"]),
    ],
)
def test_decode__first_frame(kind: str, options: dict[str, Any]) -> None:
    others = [scene(2), scene(3)]
    data = encoded(SCENE, kind, save_all=True, append_images=others, **options)
    picture = decode(data)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 3
    assert (picture.width, picture.height) == SCENE.size
    assert apart(picture.pixels, SCENE) < 12 < min(apart(picture.pixels, other) for other in others)


# --- big and odd sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mode", "size"),
    [
        ("JPEG", "RGB", (1280, 960)),
        ("JPEG", "RGB", (1600, 2400)),
        ("JPEG", "RGB", (6400, 900)),
        ("JPEG", "RGB", (1283, 1277)),
        ("JPEG", "RGB", (7000, 5001)),
        ("JPEG", "L", (2400, 1600)),
        ("JPEG", "CMYK", (2400, 1600)),
        ("PNG", "RGB", (2400, 1600)),
        ("PNG", "RGBA", (1600, 2400)),
        ("PNG", "P", (2400, 1600)),
        ("PNG", "1", (2400, 1500)),
        ("PNG", "I;16", (2400, 1600)),
        ("TIFF", "CMYK", (1280, 1000)),
        ("TIFF", "F", (2400, 1500)),
        ("WEBP", "RGB", (2400, 1600)),
    ],
)
def test_decode__big_is_reduced(kind: str, mode: str, size: tuple[int, int]) -> None:
    small = scene(4, (80, 60))
    if mode == "RGBA":
        small.putalpha(Image.linear_gradient("L").resize(small.size))
    if mode in ("I;16", "F"):
        values = np.asarray(ImageOps.autocontrast(small.convert("L")).resize(size)).astype(np.uint16) * 257
        image = Image.fromarray(values.astype(np.float32) if mode == "F" else values)
        shown = Image.fromarray((values >> 8).astype(np.uint8))
    else:
        image = shown = small.resize(size).convert(mode)
    picture = decode(encoded(image, kind, **LOSSY.get(kind, {})))
    height, width, _ = picture.pixels.shape
    assert (picture.width, picture.height) == size
    assert WORKING_SIDE <= max(width, height) < 2 * WORKING_SIDE
    assert width / height == pytest.approx(size[0] / size[1], rel=0.02)
    white = Image.alpha_composite(Image.new("RGBA", size, "white"), shown.convert("RGBA")).convert("RGB")
    assert apart(picture.pixels, white.resize((width, height), Image.Resampling.BOX)) < 4


def test_decode__transparent_color_of_a_big_picture() -> None:
    """It is white before its neighbors are averaged, too."""
    columns = np.zeros((640, 1280, 3), np.uint8)
    columns[:, ::2] = (200, 0, 100)
    got = pixels(Image.fromarray(columns), transparency=(0, 0, 0))
    assert got.shape == (320, 640, 3)
    np.testing.assert_allclose(got.mean((0, 1)), (227, 127, 177), atol=2)


@pytest.mark.parametrize("size", [(639, 400), (640, 640), (1279, 100)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_decode__small_enough_keeps_its_pixels(kind: str, size: tuple[int, int]) -> None:
    assert pixels(scene(1, size), kind).shape == (size[1], size[0], 3)


def test_decode__big_jpeg_skips_coefficients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder itself gives the small picture: the big one never is in memory."""
    sizes = []
    load = ImageFile.ImageFile.load
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: sizes.append(image.size) or load(image))
    assert pixels(scene(1, (4000, 3000)), "JPEG").shape == (750, 1000, 3)
    assert set(sizes) == {(1000, 750)}


def test_decode__big_and_turned() -> None:
    picture = decode(encoded(scene(1, (2600, 1300)), "JPEG", exif=exif(6)))
    assert (picture.width, picture.height) == (1300, 2600)
    assert picture.pixels.shape == (650, 325, 3)


@pytest.mark.parametrize("size", [(1, 1), (5000, 1), (1, 5000), (5000, 3), (2, 1)])
@pytest.mark.parametrize("kind", FORMATS)
def test_decode__odd_size(kind: str, size: tuple[int, int]) -> None:
    picture = decode(encoded(Image.new("RGB", size, (200, 100, 50)), kind, **LOSSY.get(kind, {})))
    assert (picture.width, picture.height) == size
    assert picture.pixels.size
    np.testing.assert_allclose(picture.pixels.mean((0, 1)), (200, 100, 50), atol=6)


# --- what is refused -------------------------------------------------------------------------------------------

NOT_A_PICTURE = "not a picture of a known format .*JPEG, PNG, GIF"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="5" height="5"><rect width="5" height="5"/></svg>'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0", NOT_A_PICTURE),
        (b"just text", NOT_A_PICTURE),
        (b"%PDF-1.4\n" + bytes(500), NOT_A_PICTURE),
        (b"<html><body>404</body></html>", NOT_A_PICTURE),
        (encoded(SCENE, "ICO"), NOT_A_PICTURE),
        (encoded(SCENE, "PPM"), NOT_A_PICTURE),
        (encoded(SCENE, "EPS"), NOT_A_PICTURE),
        (SVG, r"vector drawing \(SVG\); save it as PNG"),
        (b'<?xml version="1.0" encoding="utf-8"?>\n' + SVG, "vector drawing"),
        (b"\xef\xbb\xbf  \n<!DOCTYPE svg PUBLIC>\n" + SVG, "vector drawing"),
        (b"<!-- made by hand -->" + SVG, "vector drawing"),
        (encoded(SCENE, "PNG")[:800], "broken: "),
        (encoded(SCENE, "GIF")[:1000], "broken: "),
        (encoded(SCENE, "BMP")[:20000], "broken: "),
        (encoded(SCENE, "TIFF")[:20000], "broken: |not a picture"),
        (encoded(SCENE, "WEBP")[:1000], "broken: |not a picture"),
        (encoded(SCENE, "AVIF")[:1000], "broken: |not a picture"),
    ],
    ids=lambda value: None if isinstance(value, str) else value[:10],
)
@pytest.mark.filterwarnings("ignore")  # the reason is Pillow's error, not its warning
def test_decode__refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        decode(data)


@pytest.mark.parametrize("with_exif", [False, True])
def test_decode__broken_png_is_not_half_a_picture(with_exif: bool) -> None:
    """Pillow raises for broken data once, and then shows what it has."""
    data = bytearray(encoded(SCENE, "PNG", **({"exif": exif(1)} if with_exif else {})))
    start = data.index(b"IDAT") + 4
    data[start + 400 : start + 420] = bytes(20)
    with pytest.raises(UnreadableImage, match="broken"):
        decode(bytes(data))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_decode__jpeg_cut_a_little(mode: str, orientation: int) -> None:
    """What is there is used, and nothing of what the decoder paints in its place."""
    image = scene(3, (400, 300)).convert(mode)
    data = encoded(image, "JPEG", quality=95, exif=exif(orientation))
    picture = decode(data[: len(data) * 8 // 10])
    got = picture.pixels if orientation == 1 else np.rot90(picture.pixels)
    assert (picture.width, picture.height) == ((400, 300) if orientation == 1 else (300, 400))
    assert 150 <= got.shape[0] < 290
    assert got.shape[1] == 400
    whole = got[:-32]  # two rows of blocks: the last one there is cut, and blends into the next
    assert apart(whole, np.asarray(image.convert("RGB"))[: len(whole)]) < 6


def test_decode__big_jpeg_cut_a_little() -> None:
    data = encoded(scene(3, (3000, 2000)), "JPEG")
    picture = decode(data[: len(data) * 8 // 10])
    assert (picture.width, picture.height) == (3000, 2000)
    assert picture.pixels.shape[1] == 750
    assert 250 <= picture.pixels.shape[0] < 490


def test_decode__progressive_jpeg_cut_in_half() -> None:
    image = scene(3, (400, 300))
    data = encoded(image, "JPEG", quality=95, progressive=True)
    assert apart(decode(data[: len(data) // 2]).pixels, image) < 20


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("part", [0.05, 0.3])
@pytest.mark.filterwarnings("ignore")
def test_decode__jpeg_cut_early(mode: str, part: float) -> None:
    data = encoded(scene(3, (400, 300)).convert(mode), "JPEG", quality=90)
    with pytest.raises(UnreadableImage, match=r"cut off: more than half|broken|not a picture"):
        decode(data[: int(len(data) * part)])


def bomb(kind: str, width: int, height: int) -> bytes:
    """A small file that says it is a large picture."""
    if kind == "PNG":
        return png((width, height), 8, 2, bytes(100))
    data = bytearray(encoded(Image.new("RGB", (21, 22)), kind))
    if kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif kind == "TIFF":
        for tag, value in ((256, width), (257, height)):
            at = next(at for at in range(len(data)) if data[at : at + 2] == struct.pack("<H", tag))
            data[at : at + 12] = struct.pack("<HHII", tag, 4, 1, value)
    return bytes(data)


@pytest.mark.parametrize("side", [3_000, 10_000, 60_000])  # at 10,000 Pillow would warn, at 60,000 raise
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF"])
def test_decode__too_many_pixels(kind: str, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", loads.append)
    data = bomb(kind, side, side)
    assert len(data) < 5000
    with pytest.raises(UnreadableImage, match="more than 8000000 pixels; save it smaller"):
        decode(data, max_pixels=8_000_000)
    assert not loads


@pytest.mark.filterwarnings("default:Image size:PIL.Image.DecompressionBombWarning")
def test_decode__too_many_pixels_where_warnings_are_just_shown() -> None:
    with (
        pytest.warns(Image.DecompressionBombWarning),
        pytest.raises(UnreadableImage, match="more than 80000000 pixels"),
    ):
        decode(bomb("PNG", 10_000, 10_000))


@pytest.mark.parametrize(
    ("side", "limit"),
    [
        (10_000, Image.MAX_IMAGE_PIXELS),  # as warnings are errors here
        (60_000, 2 * Image.MAX_IMAGE_PIXELS),
    ],
)
def test_decode__above_the_limit_of_pillow_itself(side: int, limit: int) -> None:
    """Whatever the setting allows; the message tells the limit that holds."""
    with pytest.raises(UnreadableImage, match=f"more than {limit} pixels; save it smaller"):
        decode(bomb("PNG", side, side), max_pixels=10**10)


def test_decode__as_many_pixels_as_allowed() -> None:
    data = encoded(Image.new("RGB", (100, 50)))
    assert decode(data, max_pixels=5000).width == 100
    with pytest.raises(UnreadableImage):
        decode(data, max_pixels=4999)


# --- whatever comes --------------------------------------------------------------------------------------------

SEEDS = [
    encoded(scene(1, (24, 18)), kind, **options)
    for kind, options in [
        *((kind, {}) for kind in FORMATS),
        ("JPEG", {"progressive": True, "exif": exif(6)}),
        ("PNG", {"exif": exif(6)}),
        ("TIFF", {"compression": "tiff_lzw", "exif": exif(6)}),
        ("WEBP", {"lossless": True, "exif": exif(6)}),
        ("GIF", {"save_all": True, "append_images": [scene(2, (24, 18))]}),
        ("MPO", {"save_all": True, "append_images": [scene(2, (24, 18))]}),
    ]
]


def check_decodes_or_refuses(data: bytes) -> None:
    picture, reason = None, ""
    try:
        picture = decode(data, max_pixels=100_000)
    except UnreadableImage as error:
        reason = str(error)
    if picture is None:
        assert reason
    else:
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.ndim == 3
        assert picture.pixels.shape[2] == 3
        assert picture.pixels.size


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.sampled_from([b"", *(seed[:12] for seed in SEEDS)]), st.binary(max_size=400))
@example(b"", b"")
def test_decode__any_bytes(start: bytes, rest: bytes) -> None:
    check_decodes_or_refuses(start + rest)


@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.none() | st.floats(0, 1),
)
def test_decode__any_damage(seed: bytes, flips: list[tuple[float, int]], cut: float | None) -> None:
    data = bytearray(seed)
    for place, value in flips:
        data[int(place * len(data))] = value
    check_decodes_or_refuses(bytes(data if cut is None else data[: int(cut * len(data))]))


# --- reading from a storage ------------------------------------------------------------------------------------


class MemoryStorage(Storage):
    """A storage that is no folder, like a bucket."""

    def __init__(self, **files: bytes) -> None:
        self.files = files

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        if name not in self.files:
            raise FileNotFoundError(name)
        return ContentFile(self.files[name], name)


@pytest.fixture
def folder(tmp_path: Path) -> FileSystemStorage:
    (tmp_path / "media" / "inner").mkdir(parents=True)
    (tmp_path / "x").write_bytes(b"secret")
    return FileSystemStorage(tmp_path / "media")


def test_read__file(folder: FileSystemStorage) -> None:
    name = folder.save("inner/a.png", ContentFile(b"12345"))
    assert images.read_stored(folder, name, max_bytes=5) == b"12345"


def test_read__storage_without_paths() -> None:
    storage = MemoryStorage(picture=encoded(SCENE))
    assert apart(decode(images.read_stored(storage, "picture", max_bytes=10**6)).pixels, SCENE) == 0
    with pytest.raises(UnreadableImage, match="missing in the storage"):
        images.read_stored(storage, "other", max_bytes=10**6)


@pytest.mark.parametrize(
    "name", ["gone.png", "inner", "", ".", "../x", "/etc/hostname", "inner/../../x", "a.png/b", "x" * 300]
)
def test_read__missing_or_out_of_bounds(folder: FileSystemStorage, name: str) -> None:
    folder.save("a.png", ContentFile(b"12345"))
    with pytest.raises(UnreadableImage, match="missing in the storage"):
        images.read_stored(folder, name, max_bytes=10)


def test_read__closes_the_file(folder: FileSystemStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.save("a.png", ContentFile(b"12345"))
    opened = []
    inner_open = folder.open
    monkeypatch.setattr(folder, "open", lambda *args: opened.append(inner_open(*args)) or opened[-1])
    with pytest.raises(UnreadableImage):
        images.read_stored(folder, "a.png", max_bytes=4)
    assert opened[0].closed


def test_read__what_a_storage_raises_when_it_is_down() -> None:
    class Down(MemoryStorage):
        def _open(self, name: str, mode: str = "rb") -> File[bytes]:
            raise ConnectionError("no route")

    with pytest.raises(ConnectionError):
        images.read_stored(Down(), "a", max_bytes=10)


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "is empty"), (b"123456", "larger than 5 bytes; save it smaller")], ids=["empty", "large"]
)
def test_read_bounded__refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        images.read_bounded(io.BytesIO(data), max_bytes=5)


def test_read_bounded__stops_reading_above_the_bound() -> None:
    file = io.BytesIO(bytes(1000))
    with pytest.raises(UnreadableImage):
        images.read_bounded(file, max_bytes=5)
    assert file.tell() == 6


def test_digest() -> None:
    assert images.sha256_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

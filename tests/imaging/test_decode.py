from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFile, ImageOps

from similar_images.imaging import decode as decoding
from similar_images.imaging.decode import Picture, UnreadableImage
from similar_images.imaging.decoder import reader
from similar_images.imaging.decoder.background import DARK
from similar_images.imaging.decoder.protocol import WORKING_SIDE, Refusal
from similar_images.imaging.formats import DEFAULT_FORMATS
from tests.drawing import encoded, scene

LOSSY = {
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 95},
    "MPO": {"quality": 95},
    "HEIF": {"quality": 95},
}
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
    return decoding.decode(data, max_pixels=max_pixels)


def pixels(image: Image.Image, format_name: str = "PNG", **options: Any) -> NDArray[np.uint8]:
    return decode(encoded(image, format_name, **options)).pixels


def mean_difference(a: ArrayLike, b: ArrayLike) -> float:
    """Mean absolute difference of two images of the same size, in levels of 255."""
    a, b = (np.asarray(item).astype(int) for item in (a, b))
    assert a.shape == b.shape
    return float(abs(a - b).mean())


def exif(orientation: Any) -> Image.Exif:
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags


def raw_png(size: tuple[int, int], depth: int, color: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
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


@pytest.mark.parametrize("format_name", DEFAULT_FORMATS)
def test_decode__every_format(format_name: str) -> None:
    picture = decode(encoded(SCENE, format_name, **LOSSY.get(format_name, {})))
    assert (picture.width, picture.height) == SCENE.size
    assert picture.pixels.dtype == np.uint8
    assert mean_difference(picture.pixels, SCENE) < 6
    np.testing.assert_allclose(picture.pixels.mean((0, 1)), np.asarray(SCENE).mean((0, 1)), atol=2)


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_decode__turns_upright_by_exif(format_name: str, orientation: int) -> None:
    data = encoded(SCENE, format_name, **LOSSY.get(format_name, {}), exif=exif(orientation))
    picture, upright = decode(data), ORIENTED[orientation]
    assert mean_difference(picture.pixels, ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")) == 0
    assert mean_difference(picture.pixels, upright) < 6
    assert (picture.width, picture.height) == upright.size


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_decode__turns_gray_tiff_upright_once(compression: str) -> None:
    decoded = pixels(SCENE.convert("L"), "TIFF", compression=compression, exif=exif(8))
    assert mean_difference(decoded[..., 0], ORIENTED[8].convert("L")) == 0


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_decode__ignores_unknown_orientation(orientation: int) -> None:
    assert mean_difference(pixels(SCENE, "PNG", exif=exif(orientation)), SCENE) == 0


@pytest.mark.parametrize(
    "garbage", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12", b"xyz"]
)
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_decode__ignores_corrupt_exif(format_name: str, garbage: bytes) -> None:
    assert mean_difference(pixels(SCENE, format_name, **LOSSY.get(format_name, {}), exif=garbage), SCENE) < 6


def test_decode__flattens_transparency_onto_white() -> None:
    color = SCENE.copy()
    color.putalpha(Image.linear_gradient("L").resize(SCENE.size))
    gray = color.convert("LA")
    for image in (color, gray):
        white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
        assert mean_difference(pixels(image), white) == 0
        assert mean_difference(pixels(image, "TIFF"), white) == 0


@pytest.mark.parametrize(
    ("format_name", "mode", "colors", "transparency"),
    [
        ("PNG", "RGB", [(0, 0, 0), (10, 200, 30)], (0, 0, 0)),
        ("PNG", "L", [7, 90], 7),
        ("PNG", "1", [0, 255], 0),
        ("PNG", "P", [3, 5], 3),
        ("PNG", "P", [3, 5], bytes([255, 255, 255, 0])),
        ("GIF", "P", [3, 5], 3),
    ],
)
def test_decode__flattens_the_transparent_color(
    format_name: str, mode: str, colors: list[Any], transparency: Any
) -> None:
    """A color that is marked as transparent becomes white, or dark beside white; its neighbor keeps its color."""
    image = Image.new(mode, (20, 10), colors[1])
    if mode == "P":
        image.putpalette([index * 8 for index in range(32) for _ in range(3)])
    opaque = pixels(image)[0, 0]
    image.paste(colors[0], (0, 0, 8, 10))
    decoded = pixels(image, format_name, transparency=transparency)
    assert (decoded[:, :8] == (DARK if mode == "1" else 255)).all()
    assert (decoded[:, 8:] == opaque).all()


def test_decode__compares_the_transparent_color_in_sixteen_bits() -> None:
    """Only the marked value is transparent, not others of the same upper byte."""
    rows = b"\0" + struct.pack(">4H", 300, 301, 44 << 8, 65535)
    decoded = decode(raw_png((4, 1), 16, 0, rows, (b"tRNS", struct.pack(">H", 300)))).pixels
    assert decoded[0, :, 0].tolist() == [255, 1, 44, 255]


@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("mode", ["P", "L", "1"])
def test_decode__few_colors(mode: str, format_name: str) -> None:
    image = SCENE.convert(mode)
    assert mean_difference(pixels(image, format_name), image.convert("RGB")) == 0


def test_decode__palette_is_not_taken_for_gray() -> None:
    image = SCENE.quantize(16)
    assert mean_difference(pixels(image), image.convert("RGB")) == 0
    assert mean_difference(pixels(image), SCENE) < 15


@pytest.mark.parametrize("format_name", ["JPEG", "TIFF"])
def test_decode__cmyk(format_name: str) -> None:
    decoded = pixels(SCENE.convert("CMYK"), format_name, **LOSSY.get(format_name, {}))
    assert mean_difference(decoded, SCENE) < 6


def test_decode__gray_jpeg() -> None:
    assert mean_difference(pixels(SCENE.convert("L"), "JPEG", quality=95), SCENE.convert("L").convert("RGB")) < 6


RAMP = np.linspace(0, 65535, 160 * 120).reshape(120, 160)


@pytest.mark.parametrize(
    ("image", "format_name", "options"),
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
def test_decode__scales_deep_gray_to_eight_bits(image: Image.Image, format_name: str, options: dict[str, Any]) -> None:
    """More than 8 bits per channel: the whole range is kept, nothing is clipped to white."""
    decoded = pixels(image, format_name, **options)
    assert mean_difference(decoded, np.repeat((RAMP / 256).astype(np.uint8)[..., None], 3, axis=2)) < 1


@pytest.mark.parametrize("value", [0.0, 5.0, float("nan"), float("inf")])
def test_decode__uniform_float(value: float) -> None:
    assert pixels(Image.new("F", (10, 10), value), "TIFF").shape == (10, 10, 3)


def test_decode__sixteen_bit_color() -> None:
    values = (np.asarray(SCENE).astype(np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    assert mean_difference(decode(raw_png(SCENE.size, 16, 2, rows)).pixels, SCENE) == 0


@pytest.mark.parametrize(
    ("format_name", "options"),
    [
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("PNG", {}),
        ("TIFF", {}),
        ("AVIF", LOSSY["AVIF"]),
        ("MPO", LOSSY["MPO"]),
    ],
)
def test_decode__first_frame(format_name: str, options: dict[str, Any]) -> None:
    later_frames = [scene(2), scene(3)]
    data = encoded(SCENE, format_name, save_all=True, append_images=later_frames, **options)
    picture = decode(data)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 3
    assert (picture.width, picture.height) == SCENE.size
    assert (
        mean_difference(picture.pixels, SCENE)
        < 12
        < min(mean_difference(picture.pixels, frame) for frame in later_frames)
    )


@pytest.mark.parametrize(
    ("format_name", "mode", "size"),
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
def test_decode__reduces_large_images(format_name: str, mode: str, size: tuple[int, int]) -> None:
    small = scene(4, (80, 60))
    if mode == "RGBA":
        small.putalpha(Image.linear_gradient("L").resize(small.size))
    if mode in ("I;16", "F"):
        values = np.asarray(ImageOps.autocontrast(small.convert("L")).resize(size)).astype(np.uint16) * 257
        image = Image.fromarray(values.astype(np.float32) if mode == "F" else values)
        expected = Image.fromarray((values >> 8).astype(np.uint8))
    else:
        image = expected = small.resize(size).convert(mode)
    picture = decode(encoded(image, format_name, **LOSSY.get(format_name, {})))
    height, width, _ = picture.pixels.shape
    assert (picture.width, picture.height) == size
    assert WORKING_SIDE <= max(width, height) < 2 * WORKING_SIDE
    assert width / height == pytest.approx(size[0] / size[1], rel=0.02)
    white = Image.alpha_composite(Image.new("RGBA", size, "white"), expected.convert("RGBA")).convert("RGB")
    assert mean_difference(picture.pixels, white.resize((width, height), Image.Resampling.BOX)) < 4


def test_decode__flattens_the_transparent_color_before_reducing() -> None:
    """The color becomes white before pixels are averaged."""
    columns = np.zeros((640, 1280, 3), np.uint8)
    columns[:, ::2] = (200, 0, 100)
    decoded = pixels(Image.fromarray(columns), transparency=(0, 0, 0))
    assert decoded.shape == (320, 640, 3)
    np.testing.assert_allclose(decoded.mean((0, 1)), (227, 127, 177), atol=2)


@pytest.mark.parametrize("size", [(639, 400), (640, 640), (1279, 100)])
@pytest.mark.parametrize("format_name", ["JPEG", "PNG"])
def test_decode__keeps_the_pixels_of_small_images(format_name: str, size: tuple[int, int]) -> None:
    assert pixels(scene(1, size), format_name).shape == (size[1], size[0], 3)


def test_decode__large_jpeg_skips_coefficients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder itself returns the small image: the large one is never in memory."""
    sizes = []
    load = ImageFile.ImageFile.load
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: sizes.append(image.size) or load(image))
    data = encoded(scene(1, (4000, 3000)), "JPEG")
    assert reader.load_image(reader.open_image(data, 12_000_000), data)[2].size == (1000, 750)
    assert set(sizes) == {(1000, 750)}


def test_decode__large_and_turned() -> None:
    picture = decode(encoded(scene(1, (2600, 1300)), "JPEG", exif=exif(6)))
    assert (picture.width, picture.height) == (1300, 2600)
    assert picture.pixels.shape == (650, 325, 3)


@pytest.mark.parametrize("size", [(1, 1), (5000, 1), (1, 5000), (5000, 3), (2, 1)])
@pytest.mark.parametrize("format_name", DEFAULT_FORMATS)
def test_decode__extreme_aspect_ratios(format_name: str, size: tuple[int, int]) -> None:
    if format_name == "HEIF" and max(size) > 1000:
        pytest.skip("no encoder writes such a file")
    picture = decode(encoded(Image.new("RGB", size, (200, 100, 50)), format_name, **LOSSY.get(format_name, {})))
    assert (picture.width, picture.height) == size
    assert picture.pixels.size
    assert max(picture.pixels.shape) < 2 * WORKING_SIDE
    np.testing.assert_allclose(picture.pixels.mean((0, 1)), (200, 100, 50), atol=6)


NOT_AN_IMAGE = "not an image in a supported format .*JPEG, PNG, GIF"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="5" height="5"><rect width="5" height="5"/></svg>'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0", NOT_AN_IMAGE),
        (b"just text", NOT_AN_IMAGE),
        (b"%PDF-1.4\n" + bytes(500), NOT_AN_IMAGE),
        (b"<html><body>404</body></html>", NOT_AN_IMAGE),
        (encoded(SCENE, "ICO"), NOT_AN_IMAGE),
        (encoded(SCENE, "PPM"), NOT_AN_IMAGE),
        (encoded(SCENE, "EPS"), NOT_AN_IMAGE),
        (SVG, r"vector drawing \(SVG\)\. Please save it as PNG"),
        (b'<?xml version="1.0" encoding="utf-8"?>\n' + SVG, "vector drawing"),
        (b"\xef\xbb\xbf  \n<!DOCTYPE svg PUBLIC>\n" + SVG, "vector drawing"),
        (b"<!-- made by hand -->" + SVG, "vector drawing"),
        (b" <SVG width='5'></SVG>", "vector drawing"),
        (b"<html><svg></svg></html>", NOT_AN_IMAGE),
        (encoded(SCENE, "PNG")[:800], "damaged: "),
        (encoded(SCENE, "GIF")[:1000], "damaged: "),
        (encoded(SCENE, "BMP")[:20000], "damaged: "),
        (encoded(SCENE, "TIFF")[:20000], "damaged: |not an image"),
        (encoded(SCENE, "WEBP")[:1000], "damaged: |not an image"),
        (encoded(SCENE, "AVIF")[:1000], "damaged: |not an image"),
    ],
    ids=lambda value: None if isinstance(value, str) else value[:10],
)
@pytest.mark.filterwarnings("ignore")  # the reason is Pillow's error, not its warning
def test_decode__refuses_other_files(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        decode(data)


@pytest.mark.parametrize("with_exif", [False, True])
def test_decode__refuses_a_damaged_png(with_exif: bool) -> None:
    """Pillow raises for damaged data once, and then returns what it has."""
    data = bytearray(encoded(SCENE, "PNG", **({"exif": exif(1)} if with_exif else {})))
    start = data.index(b"IDAT") + 4
    data[start + 400 : start + 420] = bytes(20)
    with pytest.raises(UnreadableImage, match="damaged"):
        decode(bytes(data))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_decode__keeps_the_rest_of_a_truncated_jpeg(mode: str, orientation: int) -> None:
    """The part that is there is used, and nothing that the decoder fills in for the rest."""
    image = scene(3, (400, 300)).convert(mode)
    data = encoded(image, "JPEG", quality=95, exif=exif(orientation))
    picture = decode(data[: len(data) * 8 // 10])
    decoded = picture.pixels if orientation == 1 else np.rot90(picture.pixels)
    assert (picture.width, picture.height) == ((400, 300) if orientation == 1 else (300, 400))
    assert 150 <= decoded.shape[0] < 290
    assert decoded.shape[1] == 400
    whole = decoded[:-32]  # two rows of blocks: the last one there is cut, and blends into the next
    assert mean_difference(whole, np.asarray(image.convert("RGB"))[: len(whole)]) < 6


def test_decode__keeps_the_rest_of_a_truncated_large_jpeg() -> None:
    data = encoded(scene(3, (3000, 2000)), "JPEG")
    picture = decode(data[: len(data) * 8 // 10])
    assert (picture.width, picture.height) == (3000, 2000)
    assert picture.pixels.shape[1] == 750
    assert 250 <= picture.pixels.shape[0] < 490


def test_decode__truncated_progressive_jpeg() -> None:
    image = scene(3, (400, 300))
    data = encoded(image, "JPEG", quality=95, progressive=True)
    assert mean_difference(decode(data[: len(data) // 2]).pixels, image) < 20


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("part", [0.05, 0.3])
@pytest.mark.filterwarnings("ignore")
def test_decode__refuses_a_jpeg_that_is_mostly_missing(mode: str, part: float) -> None:
    data = encoded(scene(3, (400, 300)).convert(mode), "JPEG", quality=90)
    with pytest.raises(UnreadableImage, match=r"file is incomplete: more than half|damaged|not an image"):
        decode(data[: int(len(data) * part)])


def decompression_bomb(format_name: str, width: int, height: int) -> bytes:
    """A small file whose header declares a large image."""
    if format_name == "PNG":
        return raw_png((width, height), 8, 2, bytes(100))
    data = bytearray(encoded(Image.new("RGB", (21, 22)), format_name))
    if format_name == "JPEG":
        start = data.index(b"\xff\xc0") + 5
        data[start : start + 4] = struct.pack(">HH", height, width)
    elif format_name == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif format_name == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif format_name == "TIFF":
        for tag, value in ((256, width), (257, height)):
            start = next(index for index in range(len(data)) if data[index : index + 2] == struct.pack("<H", tag))
            data[start : start + 12] = struct.pack("<HHII", tag, 4, 1, value)
    return bytes(data)


@pytest.mark.parametrize("side", [3_000, 10_000, 60_000])
@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "BMP", "GIF", "TIFF"])
def test_decode__refuses_too_many_pixels_before_loading(
    format_name: str, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = decompression_bomb(format_name, side, side)
    assert len(data) < 5000
    with pytest.raises(UnreadableImage, match="more than 8,000,000 pixels"):
        decode(data, max_pixels=8_000_000)
    monkeypatch.setattr(ImageFile.ImageFile, "load", pytest.fail)
    with pytest.raises(Refusal, match="pixels"):
        reader.open_image(data, 8_000_000)


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_decode__has_no_other_limit_than_max_pixels(side: int) -> None:
    """Pillow's own limit is not in force, which a site may have set for other purposes."""
    with pytest.raises(UnreadableImage, match=r"damaged|too much memory"):
        decode(decompression_bomb("PNG", side, side), max_pixels=10**10)


def test_decode__accepts_exactly_max_pixels() -> None:
    data = encoded(Image.new("RGB", (100, 50)))
    assert decode(data, max_pixels=5000).width == 100
    with pytest.raises(UnreadableImage):
        decode(data, max_pixels=4999)


VALID_FILES = [
    encoded(scene(1, (24, 18)), format_name, **options)
    for format_name, options in [
        *((format_name, {}) for format_name in DEFAULT_FORMATS),
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
@given(st.sampled_from([b"", *(file[:12] for file in VALID_FILES)]), st.binary(max_size=400))
@example(b"", b"")
def test_decode__arbitrary_bytes(start: bytes, rest: bytes) -> None:
    check_decodes_or_refuses(start + rest)


@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(VALID_FILES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.none() | st.floats(0, 1),
)
def test_decode__arbitrary_damage(valid_file: bytes, flips: list[tuple[float, int]], cut: float | None) -> None:
    data = bytearray(valid_file)
    for fraction, value in flips:
        data[int(fraction * len(data))] = value
    check_decodes_or_refuses(bytes(data if cut is None else data[: int(cut * len(data))]))

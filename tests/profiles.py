"""Color profiles made by the specification (ICC.1:2001-04, version 2), as no free ones come with any package."""

from __future__ import annotations

import struct

from PIL import ImageCms

D50 = (0.9642, 1.0, 0.8249)


def _number(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_number, values))


def gamma(exponent: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"


def profile(space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ", kind: bytes = b"mntr") -> bytes:
    """Lay out a profile: its header, the table of its tags, and their data."""
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78), b"wtpt": xyz(D50), **tags}
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s6H", start + len(body), b"test", 0x02200000, kind, space, connection, *[1] * 6)
    header += b"acsp" + bytes(28) + b"".join(map(_number, D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb(red: tuple[float, ...], green: tuple[float, ...], blue: tuple[float, ...], exponent: float) -> bytes:
    """Make a profile of three primaries, in XYZ adapted to D50, and a gamma."""
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma(exponent))
    return profile(b"RGB ", {b"rXYZ": xyz(red), b"gXYZ": xyz(green), b"bXYZ": xyz(blue), **curves})


def gray(exponent: float) -> bytes:
    return profile(b"GRAY", {b"kTRC": gamma(exponent)})


def cmyk(lightness: tuple[int, int] = (255, 30)) -> bytes:
    """Make a profile of ideal inks, by a table (lut8Type) from CMYK to Lab.

    `lightness` is that of paper and of black ink, 0 to 255.
    """
    table = bytearray()
    for corner in range(16):
        cyan, magenta, yellow, black = (corner >> shift & 1 for shift in (3, 2, 1, 0))
        light = lightness[0] - (lightness[0] - lightness[1]) * max(black, (cyan + magenta + yellow) / 3)
        colored = 0 if black else 60
        red, yellowness = colored * (magenta - cyan), colored * (yellow - (cyan + magenta) / 2)
        table += bytes([int(light), 128 + red, 128 + int(yellowness)])
    identity = bytes(range(256))
    matrix = b"".join(_number(float(row == column)) for row in range(3) for column in range(3))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + identity * 4 + bytes(table) + identity * 3
    return profile(b"CMYK", {b"A2B0": lut}, connection=b"Lab ", kind=b"prtr")


ADOBE_RGB = rgb((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), 2.19921875)
PROPHOTO = rgb((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249), 1.8)
DISPLAY_P3 = rgb((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407), 2.2)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()

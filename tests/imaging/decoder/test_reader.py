"""The decoder's reading of files, in this process: the same as what the decoder process sends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from similar_images.imaging.decode import decode
from similar_images.imaging.decoder import reader
from similar_images.imaging.decoder.protocol import Limits, Refusal, Reply, ReplyKind, Request
from similar_images.imaging.formats import DEFAULT_FORMATS
from tests.drawing import encoded, scene

DEEP = Image.fromarray(np.linspace(0, 65535, 19200).reshape(120, 160).astype(np.uint16))
CASES: list[tuple[Image.Image, str, dict[str, Any]]] = [
    *((scene(1), format_name, {}) for format_name in DEFAULT_FORMATS),
    (scene(1, (2600, 1300)), "JPEG", {"quality": 90}),
    (scene(1, (2600, 1300)).convert("CMYK"), "TIFF", {}),
    (scene(1).convert("LA"), "PNG", {}),
    (scene(1), "PNG", {"transparency": (0, 0, 0)}),
    (scene(1).convert("P"), "GIF", {}),
    (DEEP, "PNG", {}),
    (DEEP, "PNG", {"transparency": 300}),
    (Image.fromarray(np.asarray(DEEP).astype(np.float32)), "TIFF", {}),
]


@pytest.mark.parametrize(("image", "format_name", "options"), CASES)
def test_reader__gives_what_the_decoder_sends(image: Image.Image, format_name: str, options: dict[str, Any]) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    options |= {"exif": exif} if format_name in ("JPEG", "PNG", "WEBP", "AVIF") else {}
    data = encoded(image, format_name, **options)
    width, height, read = reader.load_image(reader.open_image(data, 10**7), data)
    picture = decode(data, max_pixels=10**7)
    assert (width, height) == (picture.width, picture.height)
    np.testing.assert_array_equal(np.asarray(read), picture.pixels)


@pytest.mark.parametrize("part", [0.8, 0.2])
def test_reader__keeps_at_least_half_of_a_truncated_jpeg(part: float) -> None:
    data = encoded(scene(3, (400, 300)), "JPEG", quality=95)
    data = data[: int(len(data) * part)]
    image = reader.open_image(data, 10**7)
    if part > 0.5:
        assert reader.load_image(image, data)[2].width == 400
    else:
        with pytest.raises(Refusal, match="incomplete"):
            reader.load_image(image, data)


@pytest.mark.parametrize(("data", "code"), [(b"text", "format"), (b"<svg/>", "svg"), (encoded(scene(1)), "pixels")])
def test_reader__refuses_by_code(data: bytes, code: str) -> None:
    with pytest.raises(Refusal, match=code):
        reader.open_image(data, 100)


def test_requests_and_replies__have_one_length_and_come_back_as_they_were() -> None:
    request = Request(3, 2**40, 0.5, True, ("JPEG", "PSD"), Limits(seconds=1.5))
    assert Request.unpack(request.pack()) == request
    reply = Reply(ReplyKind.DECODED, 2**20, 2**40, 3, 4, 5, 6)
    assert Reply.unpack(reply.pack()) == reply

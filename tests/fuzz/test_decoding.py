"""Damaged image files: each is decoded, or refused with a reason."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from similar_images.imaging import formats
from similar_images.imaging.decode import UnreadableImage, decode
from similar_images.imaging.decoder.protocol import FORMATS
from tests.fuzz import answer_or_refusal, fuzzed
from tests.fuzz.corpus import drawn_files
from tests.fuzz.mutations import MUTATIONS, mutate, truncations

MAX_PIXELS = 1_000_000
FILES = drawn_files()
ONE_OF_EACH_FORMAT = ["jpeg", "png", "gif", "webp", "avif", "tiff-lzw", "bmp", "heif", "ico", "jpeg2000"]


@pytest.fixture(autouse=True)
def _every_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accept the formats that a setting has to name, too."""
    monkeypatch.setattr(formats, "_choose_formats", lambda: FORMATS)


def check_decodes_or_refuses(data: bytes) -> None:
    picture = answer_or_refusal(UnreadableImage, decode, data, max_pixels=MAX_PIXELS)
    if picture is None:
        return
    assert 0 < picture.width * picture.height <= MAX_PIXELS
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim == 3
    assert picture.pixels.shape[2] == 3
    assert picture.pixels.size


@pytest.mark.parametrize("name", FILES)
def test_drawn_files__are_decoded(name: str) -> None:
    assert decode(FILES[name], max_pixels=MAX_PIXELS).pixels.size


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
def test_decode__a_file_cut_at_any_byte(name: str) -> None:
    for data in truncations(FILES[name]):
        check_decodes_or_refuses(data)


@fuzzed
@given(st.sampled_from(sorted(FILES)), st.randoms(use_true_random=False))
def test_decode__a_file_damaged_in_several_ways(name: str, rng: random.Random) -> None:
    check_decodes_or_refuses(mutate(FILES[name], rng, list(FILES.values())))


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
def test_decode__header_fields_at_their_extremes(name: str) -> None:
    data = FILES[name]
    for position in range(min(len(data), 48)):
        for value in (b"\0", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"):
            check_decodes_or_refuses(data[:position] + value + data[position + len(value) :])


@fuzzed
@given(st.binary(max_size=100), st.randoms(use_true_random=False))
def test_mutate__takes_any_bytes(data: bytes, rng: random.Random) -> None:
    for mutation in MUTATIONS:
        mutation(data, rng, [data, b""])
    mutate(data, rng, [data])

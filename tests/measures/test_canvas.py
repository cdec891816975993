"""Panels have titles that can be read, in every language of the app."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from babel.messages.pofile import read_po
from PIL import ImageFont

import similar_images
from similar_images.measures.drawing import canvas

LOCALE = Path(similar_images.__file__).parent / "locale"
NUMBERS = "0123456789.,%°×–−\u00a0\u202f"
"""What numbers are written with, in these languages."""


def letters_of_catalog(language: str) -> set[str]:
    with (LOCALE / language / "LC_MESSAGES" / "django.po").open("rb") as file:
        messages = [message for message in read_po(file) if message.id]
    texts = [text for message in messages for value in (message.id, message.string) for text in np.atleast_1d(value)]
    return {letter for text in texts for letter in text if letter != "\n"}


def shape(font: ImageFont.FreeTypeFont, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@pytest.mark.parametrize("language", ["de", "es", "fr"])
def test_load_font__has_a_glyph_for_every_letter_of_the_translations(language: str) -> None:
    font = canvas.load_font(17)
    box = shape(font, "\U000f0000")  # what is drawn for a letter that a font lacks
    letters = letters_of_catalog(language) | set(NUMBERS)
    assert len(letters) > 80
    assert {letter for letter in letters if shape(font, letter) == box} == set()


def test_add_title__draws_letters_with_their_accents() -> None:
    ground = np.full((40, 400, 3), 200, np.uint8)
    panels = [canvas.add_title(ground, title, caption=title) for title in ("Größenänderung", "Großenanderung")]
    assert panels[0].shape == panels[1].shape
    assert (panels[0] != panels[1]).any()

"""Converters of addresses."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import StringConverter

ANY_TEXT = "similar_images_text"
"""Name of the converter that takes any text, also with line breaks, at which those of Django end."""


class AnyTextConverter(StringConverter):
    """Takes any text that is not empty."""

    regex = r"[\s\S]+"


register_converter(AnyTextConverter, ANY_TEXT)

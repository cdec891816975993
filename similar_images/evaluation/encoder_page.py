"""A page on two encoders, with what each finds nearest to the same images; it needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from PIL import Image

from .. import conf
from ..measures.base import reduce_to
from .description import decode_image
from .encoder_comparison import EncoderComparison
from .labeled_images import sample_indices

PROBES = 30
"""Images whose nearest ones are shown, at most: with all its images in it, the page can still be sent by mail."""

PROBE_THUMBNAIL_SIDE = 144
"""Long side of a thumbnail, in pixels."""


def render_comparison(title: str, comparison: EncoderComparison, figures: Sequence[Sequence[str]]) -> str:
    """Render a page with the figures, a row of texts each, and both lists of some images.

    Args:
        title: what the images are.
        comparison: the comparison.
        figures: the figures as they are printed, the names of the encoders first.
    """
    images = comparison.described.images

    @cache
    def thumbnail(index: int) -> str:
        pixels = reduce_to(decode_image(images[index], conf.get().max_pixels), PROBE_THUMBNAIL_SIDE)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=75, optimize=True)
        return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"

    def show(index: int) -> dict[str, Any]:
        return {"name": images[index].name, "thumbnail": thumbnail(index)}

    probes = [
        {
            "image": show(index),
            "lists": [
                (name, [{**show(neighbor.index), "neighbor": neighbor} for neighbor in lists[index]])
                for name, lists in comparison.neighbors.items()
            ],
        }
        for index in sample_indices(len(images), PROBES)
    ]
    context = {"name": title, "figures": figures, "probes": probes, "date": timezone.now()}
    return render_to_string("similar_images/encoder_comparison.html", context)

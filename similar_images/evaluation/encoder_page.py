"""A page on two encoders, with what each finds nearest to the same images; it needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone

from .. import conf
from .description import decode_image
from .encoder_comparison import EncoderComparison
from .inline_images import inline_thumbnail
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
        return inline_thumbnail(decode_image(images[index], conf.get().max_pixels), PROBE_THUMBNAIL_SIDE)

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

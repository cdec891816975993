"""Images as data URIs, for pages that need no other file."""

from __future__ import annotations

import base64
import io

from PIL import Image

from ..measures.base import reduce_to
from .transforms import Pixels


def inline_thumbnail(pixels: Pixels, side: int) -> str:
    """Return a JPEG of an image as a data URI, its long side reduced to so many pixels."""
    file = io.BytesIO()
    Image.fromarray(reduce_to(pixels, side)).save(file, "JPEG", quality=75, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"

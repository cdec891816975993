"""The part of a method's version that says how files became the pixels that it describes.

A file that is decoded in another way has other signatures, whatever the method. So every version of a method that the
setting names ends in the generation of the decoder, and the next generation makes a next version of all of them.
"""

from __future__ import annotations

import re

from ..imaging.decoder.protocol import DECODER_GENERATION
from .base import Method

_SUFFIX = re.compile(r"-px(\d+)$")


class DecodedPixelsMixin(Method):
    """Give a method the version of its pixels: mixed in before its class."""

    generation: int = DECODER_GENERATION
    """Generation of the decoder that the version tells of."""

    @property
    def version(self) -> str:
        """Version of the method, with that of its pixels; the first one had none."""
        version: str = super().version  # type: ignore[safe-super]  # of the method's class, which follows
        return version if self.generation == 1 else f"{version}-px{self.generation}"


def generation_of(version: str) -> int:
    """Return the generation of the decoder by which signatures of a version were computed."""
    found = _SUFFIX.search(version)
    return int(found[1]) if found else 1

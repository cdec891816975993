"""Options of an ONNX image encoder, with their ranges. Loads nothing heavy."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from ..base import Curve

MAX_DIMENSIONS = 4000
"""Dimensions of the longest halfvec that pgvector can index."""

DEFAULT_CURVE: Curve = ((0, 100), (0.05, 95), (0.12, 88), (0.35, 70), (0.51, 30), (0.7, 2), (0.85, 0.0))
"""Measured with EfficientNet-Lite0 on 300 photos: the median distance of a copy re-encoded at JPEG quality 60 is 0.025;
of random pairs, half are above 0.7 and 1 in 10,000 is below 0.35. Lite1's distances are the same within 0.006."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """Options of an image encoder, and of the text encoder that belongs to it; each is an option of `embedding`.

    Raises:
        ValueError: a value is out of range; the message names the range.
    """

    size: int = 224
    """Side of the square input in pixels, 1 to 4096."""

    mean: Sequence[float] = IMAGENET_MEAN
    """Subtracted from red, green and blue, which range from 0 to 1; not used by a model that takes uint8, which gets
    0 to 255."""

    std: Sequence[float] = IMAGENET_STD
    """Standard deviations that red, green and blue are divided by afterwards."""

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Axis order of the input and of a feature map: N images, C channels, H rows, W columns."""

    channels: Literal["RGB", "BGR"] = "RGB"
    """Channel order of the input."""

    crop: float = 0.875
    """Share of each side that is kept around the center, above 0 and up to 1."""

    squash: float = 0.0
    """Treatment of an oblong image, 0 to 1: 0 crops it to a square, 1 squashes it, 0.5 does half of each."""

    output: str | Sequence[str] = ()
    """Name of the model's output; of several names, the first that exists; of none, the model's only output."""

    pooling: Literal["none", "mean", "gem", "cls"] = "none"
    """Reduction of a feature map or a sequence of tokens to a vector: the mean, the generalized mean (p = 3, of values
    clamped at 1e-6), or the first token. An output that is already a vector is not changed."""

    dimensions: int | None = None
    """Length of the vector, 1 to 4000; `None` reads it from the file."""

    finds_copies: bool = False
    """The encoder is trained to tell copies of an image from look-alikes: see `Method.finds_copies`."""

    curve: Curve = DEFAULT_CURVE
    """(cosine distance, similarity in percent) points, from (0, 100) down to 0 percent."""

    context: int = 77
    """Number of tokens of a text: longer texts are truncated, shorter ones padded."""

    padding: int = 0
    """Padding token."""

    text_output: str | Sequence[str] = ("text_embeds", "text_features", "pooler_output")
    """Name of the text encoder's output, like `output`."""

    text_curve: Curve = ((0, 100), (0.65, 95), (0.7, 80), (0.75, 50), (0.8, 15), (0.85, 2), (0.9, 0))
    """Like `curve`, between a text and an image. CLIP's cosines are about 0.3 between a caption and its photo, and
    0.15 between a caption and another photo (Radford et al., 2021, who divide them by 0.01 for the softmax)."""

    def __post_init__(self) -> None:
        rules = {
            "size must be a whole number from 1 to 4096": _is_whole(self.size, 4096),
            "mean must be three numbers from 0 to 1, of red, green and blue": _are_colors(self.mean),
            "std must be three numbers above 0 up to 1, of red, green and blue": _are_colors(self.std, above=0),
            'layout must be "NCHW" or "NHWC"': self.layout in ("NCHW", "NHWC"),
            'channels must be "RGB" or "BGR"': self.channels in ("RGB", "BGR"),
            "crop must be above 0 up to 1": _is_number(self.crop) and 0 < self.crop <= 1,
            "squash must be from 0 to 1": _is_number(self.squash) and 0 <= self.squash <= 1,
            "output must be a name or a list of names": _are_names(self.output),
            'pooling must be "none", "mean", "gem" or "cls"': self.pooling in ("none", "mean", "gem", "cls"),
            "finds_copies must be True or False": isinstance(self.finds_copies, bool),
            f"dimensions must be a whole number from 1 to {MAX_DIMENSIONS}": self.dimensions is None
            or _is_whole(self.dimensions, MAX_DIMENSIONS),
            "context must be a whole number from 1 to 4096": _is_whole(self.context, 4096),
            "padding must be a token, a whole number from 0 up": self.padding == 0 or _is_whole(self.padding, 2**31),
            "text_output must be a name or a list of names": _are_names(self.text_output),
            **{
                f"{name} must be [distance, similarity] points from [0, 100] to a similarity of 0, with distances "
                "that rise and similarities that never do": is_curve(points)
                for name, points in (("curve", self.curve), ("text_curve", self.text_curve))
            },
        }
        if violated := [rule for rule, is_kept in rules.items() if not is_kept]:
            raise ValueError("; ".join(violated))

    @property
    def fingerprint(self) -> str:
        """Hash of every option that changes an image's vector, 8 hexadecimal digits."""
        output = self.output if isinstance(self.output, str) else list(self.output)
        colors = [[float(value) for value in values] for values in (self.mean, self.std)]
        values = (self.size, colors, self.layout, self.channels, float(self.crop), float(self.squash), output)
        return hashlib.sha256(repr((*values, self.pooling)).encode()).hexdigest()[:8]


def is_curve(points: Any) -> bool:
    """Return whether these are (distance, similarity) points from (0, 100) to a similarity of 0, which never rises."""
    if not isinstance(points, (list, tuple)) or not all(_are_numbers(point, 2) for point in points):
        return False
    distances, similarities = [point[0] for point in points], [point[1] for point in points]
    return (
        len(points) > 1
        and tuple(points[0]) == (0, 100)
        and similarities[-1] == 0
        and all(a < b for a, b in pairwise(distances))
        and similarities == sorted(similarities, reverse=True)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any, maximum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= maximum


def _are_numbers(values: Any, count: int) -> bool:
    return isinstance(values, (list, tuple)) and len(values) == count and all(map(_is_number, values))


def _are_colors(values: Any, above: float = -1) -> bool:
    return _are_numbers(values, 3) and all(max(above, -1e-9) < value <= 1 for value in values)


def _are_names(names: Any) -> bool:
    if isinstance(names, str):
        return bool(names)
    return isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)

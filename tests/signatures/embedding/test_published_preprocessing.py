"""What each preset feeds its network is what the network's publishers feed it, but for the filter that resizes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from similar_images.signatures.embedding.image_encoder import ImageEncoder
from similar_images.signatures.embedding.presets import PRESETS
from tests import encoders
from tests.signatures.embedding.samples import read_photo

MAX_DIFFERENCE = 5.0
"""Mean difference from the published input, in levels of 256. Filters of Pillow and OpenCV, and how each publisher
rounds the place of a crop, make up to 4.1; another part of the image, order of channels, or normalization makes 20."""

BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
UNIT = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
LITE = ((127 / 255,) * 3, (128 / 255,) * 3)


@dataclass(frozen=True)
class Published:
    """Preprocessing as published: `shorter` is the length that the short side is resized to before the square of `size`
    in the middle is cut out; None squashes the whole image, or its inner `share`, to that square."""

    size: int
    shorter: int | None
    filter: Image.Resampling
    normalization: tuple[tuple[float, ...], tuple[float, ...]]
    share: float = 1.0

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        image = Image.fromarray(pixels)
        width, height = image.size
        if self.shorter is None:
            left, top = (round(side * (1 - self.share) / 2) for side in image.size)
            image = image.crop((left, top, width - left, height - top)).resize((self.size, self.size), self.filter)
        else:
            scale = self.shorter / min(width, height)
            image = image.resize((int(width * scale), int(height * scale)), self.filter)
            left, top = (round((side - self.size) / 2) for side in image.size)
            image = image.crop((left, top, left + self.size, top + self.size))
        mean, std = map(np.array, self.normalization)
        return ((np.asarray(image) / 255 - mean) / std).transpose(2, 0, 1)


TORCHVISION = Published(224, 256, BILINEAR, IMAGENET)
"""The class ImageClassification of torchvision/transforms/_presets.py, as its ImageNet weights name it."""

OPENAI_CLIP = Published(224, 224, BICUBIC, CLIP)
"""preprocessor_config.json of openai/clip-vit-base-patch32 and -patch16: size and crop_size 224, resample 3."""

MOBILECLIP = Published(256, 256, BILINEAR, UNIT)
"""open_clip_config.json of apple/MobileCLIP-S1-OpenCLIP: 256, bilinear, shortest, mean 0, std 1; S0 and MobileCLIP2-S0
are of the same size, and OpenCLIP is told the same mean and std for them."""

DINOV2 = Published(224, 256, BICUBIC, IMAGENET)
"""preprocessor_config.json of facebook/dinov2-base: shortest_edge 256, crop_size 224, resample 3."""

PUBLISHED = {
    "resnet50": TORCHVISION,
    "vgg16": TORCHVISION,
    # preprocess_for_eval of TF-Slim's inception_preprocessing.py: the inner 87.5% of each side, squashed
    "inception-v3": Published(299, None, BILINEAR, HALF, share=0.875),
    "dinov2-small": DINOV2,
    "dinov2-base": DINOV2,
    # DINOv3ViTImageProcessorFast of transformers: height and width 224, resample 2, no crop
    "dinov3-small": Published(224, None, BILINEAR, IMAGENET),
    "mobileclip-s0": MOBILECLIP,
    "mobileclip2-s0": MOBILECLIP,
    "clip-vit-b-32": OPENAI_CLIP,
    "clip-vit-b-16": OPENAI_CLIP,
    # preprocessor_config.json of google/siglip-base-patch16-224 (resample 3) and siglip2-base-patch16-224 (resample 2)
    "siglip-base-224": Published(224, None, BICUBIC, HALF),
    "siglip2-base-224": Published(224, None, BILINEAR, HALF),
    # `skew_320` of the readme of facebookresearch/sscd-copy-detection, with the side of its `small_288`
    "sscd": Published(288, None, BILINEAR, IMAGENET),
    "sscd-distilled": Published(288, None, BILINEAR, IMAGENET),
    # tensorflow/tpu, efficientnet/preprocessing.py: the square in the middle less a border of 32 pixels at that size
    **{f"efficientnet-lite{n}": Published(s, s + 32, BICUBIC, LITE) for n, s in enumerate((224, 240, 260))},
}

MEASURED_GEOMETRY = {f"efficientnet-lite{n}" for n in range(3)}
"""Presets whose part of the image was chosen by measurement instead; of these, all but that part is compared."""


def feed(folder: Path, preset: str, pixels: NDArray[np.uint8], **changes: Any) -> NDArray[np.float64]:
    """Return what the network of a preset gets: the output of a model that gives back its input."""
    options = dataclasses.replace(PRESETS[preset], output="fed", pooling="mean", dimensions=None, **changes)
    shape = ("batch", 3, options.size, options.size)
    path = encoders.save(
        folder / f"{preset}.onnx",
        [helper.make_node("Identity", ["image"], ["fed"])],
        {"image": (TensorProto.FLOAT, shape)},
        {"fed": (TensorProto.FLOAT, shape)},
        {},
    )
    return np.asarray(ImageEncoder(path, options).encode(pixels, "fed")[0], np.float64)


def difference(fed: NDArray[np.float64], published: NDArray[np.float64], std: tuple[float, ...]) -> float:
    """Return the mean difference of two inputs in levels of 256."""
    return float(255 * np.abs((fed - published) * np.array(std)[:, None, None]).mean())


def test_published__has_every_preset() -> None:
    assert PUBLISHED.keys() == PRESETS.keys()


@pytest.mark.parametrize("preset", PUBLISHED)
@pytest.mark.parametrize("photo", ["chelsea.png", "coffee.png"])
@pytest.mark.parametrize("is_upright", [False, True])
def test_preset__feeds_what_was_published(preset: str, photo: str, is_upright: bool, folder: Path) -> None:
    published, pixels = PUBLISHED[preset], read_photo(photo)
    pixels = np.ascontiguousarray(np.rot90(pixels)) if is_upright else pixels
    changes = {"crop": published.size / (published.size + 32), "squash": 0.0} if preset in MEASURED_GEOMETRY else {}
    fed, expected, std = feed(folder, preset, pixels, **changes), published(pixels), published.normalization[1]
    assert fed.shape == expected.shape
    assert difference(fed, expected, std) <= MAX_DIFFERENCE
    wrong = {
        "channels": difference(feed(folder, preset, pixels, channels="BGR", **changes), expected, std),
        "part": difference(feed(folder, preset, pixels, crop=0.7, squash=0.5), expected, std),
        "mean": difference(feed(folder, preset, pixels, mean=(0.3, 0.3, 0.3), **changes), expected, std),
    }
    assert min(wrong.values()) > 3 * MAX_DIFFERENCE, wrong


def test_preset__of_the_default_was_chosen_by_measurement() -> None:
    assert {name for name, preset in PRESETS.items() if preset.squash not in (0, 1)} == MEASURED_GEOMETRY

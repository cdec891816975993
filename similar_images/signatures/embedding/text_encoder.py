"""The ONNX model that describes texts in the same space as images, with its tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from django.utils.functional import cached_property

from .onnx_model import ModelSignature, OnnxModel
from .options import EncoderOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

INSTALL_TOKENIZERS = 'the package tokenizers is not installed: pip install "similar_images[clip]"'


class TextEncoder(OnnxModel):
    """A model that takes tokens, and maybe a mask of those that count.

    Args:
        model: the ONNX file.
        tokenizer_file: tokenizer.json of the package tokenizers.
        options: of the encoder.
        get_dimensions: returns the length of the images' vectors.
        settings: of OnnxModel.
    """

    def __init__(
        self,
        model: Path,
        tokenizer_file: Path,
        options: EncoderOptions,
        get_dimensions: Callable[[], int],
        **settings: Any,
    ) -> None:
        super().__init__(model, **settings)
        self.tokenizer_file = tokenizer_file
        self.options = options
        self._get_dimensions = get_dimensions
        self._tokenizer_lock = Lock()

    def encode(self, text: str) -> NDArray[Any]:
        """Return the vector of a text.

        Raises:
            RuntimeError: the model or the tokenizer can't be used.
        """
        import numpy as np

        tokens = self._tokenizer.encode(text)
        session, signature = self.open_session()
        feeds = {
            name: np.array([tokens.attention_mask if "mask" in name else tokens.ids], tensor.dtype)
            for name, tensor in signature.inputs.items()
        }
        values: NDArray[Any] = session.run([signature.select_output(self.options.text_output)], feeds)[0]
        return values.reshape(-1)

    def check(self) -> list[str]:
        """Return one message per problem of the model and the tokenizer."""
        problems = super().check()
        try:
            self._open_tokenizer()
        except RuntimeError as error:
            problems.append(f"{error}.")
        return problems

    def find_problems(self, signature: ModelSignature) -> list[str]:
        """Return what keeps the model from encoding texts as the options say."""
        masks = [name for name in signature.inputs if "mask" in name]
        if len(signature.inputs) - len(masks) != 1 or len(masks) > 1:
            inputs = ", ".join(signature.inputs)
            return [f"has the inputs {inputs}: export the part that encodes text, with tokens and mask"]
        shape = (1, self.options.context)
        for name, tensor in signature.inputs.items():
            if tensor.dtype not in ("int64", "int32") or not tensor.accepts(shape):
                return [f"takes as {name!r} {tensor}, not int64 {shape}: set context, or export it for that"]
        try:
            name = signature.select_output(self.options.text_output)
        except ValueError as error:
            return [str(error)]
        output, dimensions = signature.outputs[name], self._get_dimensions()
        if output.shape and (len(output.shape) != 2 or output.shape[1] not in (None, dimensions)):
            return [
                f"gives as {name!r} {output}, not one vector of {dimensions} numbers like the images': set "
                f"text_output (there are: {', '.join(signature.outputs)})"
            ]
        return []

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        with self._tokenizer_lock:
            return self._open_tokenizer()

    def _open_tokenizer(self) -> Tokenizer:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise RuntimeError(INSTALL_TOKENIZERS) from None
        try:
            tokenizer = Tokenizer.from_file(str(self.tokenizer_file))
        except Exception as error:  # the library raises Exception itself
            raise RuntimeError(f"{self.tokenizer_file} is no tokenizer.json: {error}") from error
        tokenizer.enable_truncation(self.options.context)
        tokenizer.enable_padding(length=self.options.context, pad_id=self.options.padding)
        return tokenizer

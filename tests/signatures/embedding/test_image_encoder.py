from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from similar_images.signatures.embedding import Embedding
from tests import encoders
from tests.signatures.contract import draw
from tests.signatures.embedding.samples import MAP_OPTIONS


def text_as_model(folder: Path) -> Path:
    path = folder / "words.onnx"
    path.write_bytes(b"These are words, and no model at all." * 10)
    return path


def empty_model(folder: Path) -> Path:
    path = folder / "empty.onnx"
    path.write_bytes(b"")
    return path


def two_inputs(folder: Path) -> Path:
    return encoders.save(
        folder / "two.onnx",
        [helper.make_node("Add", ["a", "b"], ["c"])],
        {"a": (TensorProto.FLOAT, (1, 3)), "b": (TensorProto.FLOAT, (1, 3))},
        {"c": (TensorProto.FLOAT, (1, 3))},
        {},
    )


def external_weights(folder: Path) -> Path:
    options = {"save_as_external_data": True, "location": "elsewhere.bin", "size_threshold": 1024}
    return encoders.image_encoder(folder / "apart.onnx", **options)


def model(**options: Any) -> Callable[[Path], Path]:
    return lambda folder: encoders.image_encoder(folder / "made.onnx", **options)


@pytest.mark.parametrize(
    ("make", "options", "reason"),
    [
        (text_as_model, {}, r"words\.onnx is not an ONNX model: "),
        (empty_model, {}, r"empty\.onnx is not an ONNX model"),
        (two_inputs, {}, r"two\.onnx has the inputs a, b: export the part that encodes images"),
        (external_weights, {}, r"apart\.onnx keeps its weights in elsewhere\.bin: keep them in it, or beside it as"),
        (model(), {"output": "pooled"}, r"has no output 'pooled': name one of map, tokens, vector"),
        (model(), {"output": ()}, r"has several outputs: name one of map, tokens, vector"),
        (model(), {"output": ["a", "b"]}, r"has no output 'a' or 'b': name one of map"),
        (model(size=64), {}, r"takes as 'picture' float32 \(any, 3, 64, 64\), not float32 \(1, 3, 32, 32\): set size"),
        (model(layout="NHWC"), {}, r"takes as 'picture' float32 \(any, 32, 32, 3\), not float32 \(1, 3, 32, 32\)"),
        (model(), {"layout": "NHWC"}, r"takes as 'picture' float32 \(any, 3, 32, 32\), not float32 \(1, 32, 32, 3\)"),
        (model(batch=8), {}, r"takes as 'picture' float32 \(8, 3, 32, 32\), not"),
        (model(kind=TensorProto.DOUBLE), {}, r"takes as 'picture' float64 \(any, 3, 32, 32\), not float32"),
        (model(dimensions=4001), {"dimensions": None}, r"gives 4001 numbers, above the 4000 that can be indexed"),
        (model(dimensions=50), {}, r"gives 50 numbers as 'map', not 48: set output \(there are: map, tokens, vector\)"),
        (model(), {"pooling": "none"}, r"gives as 'map' float32 \(any, 48, 4, 4\), which is no vector: choose"),
        (model(), {"pooling": "cls"}, r"gives as 'map' .*, which has no first token"),
        (model(), {"output": "tokens", "pooling": "none"}, r"gives as 'tokens' .*, which is no vector"),
    ],
)
def test_find_problems__in_checks_and_on_use(
    make: Callable[[Path], Path], options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    method = Embedding(file=make(tmp_path), **{**MAP_OPTIONS, **options})
    (problem,) = method.check()
    assert problem.endswith(".")
    assert re.search(reason, problem)
    if make is not external_weights:  # which works as long as nobody changes them
        with pytest.raises(RuntimeError, match=rf"{reason}|onnx can't be opened"):
            method.compute(draw(40, 40))


def test_check__deleted_file(tmp_path: Path) -> None:
    path = encoders.image_encoder(tmp_path / "gone.onnx")
    method = Embedding(file=path, **MAP_OPTIONS)
    path.unlink()
    (problem,) = method.check()
    assert problem == f"{path} can't be read: No such file or directory."

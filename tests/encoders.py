"""Tiny image and text encoders, written as ONNX files by the tests that use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COLORS = {"red": (1, -0.5, -0.5), "green": (-0.5, 1, -0.5), "blue": (-0.5, -0.5, 1)}


def save(path: Path, nodes: list[Any], inputs: Any, outputs: Any, weights: dict[str, Any], **options: Any) -> Path:
    """Write a model; inputs and outputs are (type, shape) by name."""
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    values = [
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in side.items()]
        for side in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "tiny", *values, initializers)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path, **options)
    return path


def image_encoder(
    path: Path,
    *,
    size: int | str = 32,
    dimensions: int = 48,
    layout: str = "NCHW",
    seed: int = 0,
    batch: int | str = "batch",
    kind: int = TensorProto.FLOAT,
    **options: Any,
) -> Path:
    """Random filters over blocks of 8 x 8 pixels.

    Outputs: `map`, what they give; `tokens`, the same as a sequence; `vector`, the largest of each filter.
    """
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    rng = np.random.default_rng(seed)
    weights = {
        "kernel": rng.normal(0, 0.1, (dimensions, 3, 8, 8)).astype(dtype),
        "bias": rng.normal(0, 0.05, dimensions).astype(dtype),
        "sequence": np.array([0, dimensions, -1]),
    }
    nodes = [
        helper.make_node("Transpose", ["picture"], ["x"], perm=[0, 3, 1, 2] if layout == "NHWC" else [0, 1, 2, 3]),
        helper.make_node("Conv", ["x", "kernel", "bias"], ["blocks"], strides=[8, 8]),
        helper.make_node("Transpose", ["blocks"], ["map"], perm=[0, 2, 3, 1] if layout == "NHWC" else [0, 1, 2, 3]),
        helper.make_node("Reshape", ["blocks", "sequence"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("ReduceMax", ["blocks"], ["vector"], axes=[2, 3], keepdims=0),
    ]
    side: int | str = size // 8 if isinstance(size, int) else "blocks"
    places: int | str = side**2 if isinstance(side, int) else "places"
    shape = (batch, 3, size, size) if layout == "NCHW" else (batch, size, size, 3)
    outputs = {
        "map": (kind, (batch, dimensions, side, side) if layout == "NCHW" else (batch, side, side, dimensions)),
        "tokens": (kind, (batch, places, dimensions)),
        "vector": (kind, (batch, dimensions)),
    }
    return save(path, nodes, {"picture": (kind, shape)}, outputs, weights, **options)


def byte_encoder(path: Path, *, dimensions: int = 512, seed: int = 0) -> Path:
    """The `vector` of `image_encoder`, of pixels as bytes with channels last, which it normalizes as ImageNet's."""
    rng = np.random.default_rng(seed)
    weights = {
        "kernel": rng.normal(0, 0.1, (dimensions, 3, 8, 8)).astype(np.float32),
        "bias": rng.normal(0, 0.05, dimensions).astype(np.float32),
        "mean": 255 * np.array([0.485, 0.456, 0.406], np.float32),
        "std": 255 * np.array([0.229, 0.224, 0.225], np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", "mean"], ["centered"]),
        helper.make_node("Div", ["centered", "std"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "kernel", "bias"], ["blocks"], strides=[8, 8]),
        helper.make_node("ReduceMax", ["blocks"], ["vector"], axes=[2, 3], keepdims=0),
    ]
    inputs = {"image": (TensorProto.UINT8, ("batch", "height", "width", 3))}
    return save(path, nodes, inputs, {"vector": (TensorProto.FLOAT, ("batch", dimensions))}, weights)


def color_encoder(path: Path) -> Path:
    """Says how red, green and blue a picture is in excess of its light."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["picture"], ["means"]),
        helper.make_node("Flatten", ["means"], ["colors"]),
        helper.make_node("Gemm", ["colors", "mix", "bias"], ["image_embeds"]),
    ]
    weights = {
        "mix": np.array(list(COLORS.values()), np.float32),
        "bias": np.full(3, 1e-3, np.float32),
    }
    return save(
        path,
        nodes,
        {"picture": (TensorProto.FLOAT, ("batch", 3, "height", "width"))},
        {"image_embeds": (TensorProto.FLOAT, ("batch", 3))},
        weights,
    )


def text_encoder(path: Path, *, mask: bool = True, dimensions: int = 3, length: int | str = "length") -> Path:
    """Adds up the colors that the words name, those that count by the mask; token 0 pads, 1 is any other word."""
    vectors = np.full((2 + len(COLORS), dimensions), 1e-3, np.float32)
    vectors[2:, :3] = list(COLORS.values())
    nodes = [helper.make_node("Gather", ["vectors", "input_ids"], ["words"])]
    inputs = {"input_ids": (TensorProto.INT64, ("batch", length))}
    weights: dict[str, Any] = {"vectors": vectors, "axis": np.array([1])}
    if mask:
        inputs["attention_mask"] = (TensorProto.INT64, ("batch", length))
        weights["last"] = np.array([2])
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["counts"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["counts", "last"], ["column"]),
            helper.make_node("Mul", ["words", "column"], ["counted"]),
        ]
    nodes.append(helper.make_node("ReduceSum", ["counted" if mask else "words", "axis"], ["text_embeds"], keepdims=0))
    return save(path, nodes, inputs, {"text_embeds": (TensorProto.FLOAT, ("batch", dimensions))}, weights)


def tokenizer(path: Path) -> Path:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *COLORS])}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(path))
    return path


def pair(folder: Path) -> dict[str, Any]:
    """The options of `embedding` for pictures and words in one space."""
    return {
        "file": str(color_encoder(folder / "images.onnx")),
        "text_file": str(text_encoder(folder / "text.onnx")),
        "tokenizer": str(tokenizer(folder / "tokenizer.json")),
        "size": 32,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "dimensions": 3,
        "context": 8,
    }


def pair_network(path: Path, *, size: int) -> Path:
    """Tells two pictures apart by their mean colors: 1 for the same ones, less the farther they are apart."""
    nodes = [
        helper.make_node("Sub", ["a", "b"], ["difference"]),
        helper.make_node("ReduceMean", ["difference"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Abs", ["means"], ["distances"]),
        helper.make_node("ReduceMean", ["distances"], ["distance"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["distance", "scale"], ["exponent"]),
        helper.make_node("Exp", ["exponent"], ["probability"]),
    ]
    picture = (TensorProto.FLOAT, (1, 3, size, size))
    probability = {"probability": (TensorProto.FLOAT, (1,))}
    return save(path, nodes, {"a": picture, "b": picture}, probability, {"scale": np.float32(-5)})

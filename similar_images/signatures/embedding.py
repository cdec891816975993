"""What is in a picture, as a convolutional network sees it."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, ClassVar

from .base import Method, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

SIDE = 224


class Embedding(Method):
    """The layer before the last of EfficientNet-Lite0, trained on ImageNet: near are pictures of like things.

    `threads`: how many processor cores work on one picture. 1 suits a server whose workers share them.
    """

    name = "embedding"
    metric: ClassVar[Metric] = "cosine"
    # 300 photos: re-encoded at JPEG quality 60 the median is 0.025; of random pairs 1 in 10,000 is below 0.35.
    curve = ((0, 100), (0.05, 95), (0.12, 88), (0.35, 70), (0.51, 30), (0.7, 2), (0.85, 0.0))
    version = "efficientnet-lite0-57934424-gem3-center-1"
    dimensions = 1280

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._lock = Lock()
        self._sessions: dict[int, InferenceSession] = {}

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe a picture by 1280 numbers from 0 to 1, together of length 1."""
        import numpy as np

        features = self._run("embedding", pixels)
        unit: NDArray[np.float32] = features / np.linalg.norm(features)
        return unit

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rate the 1000 classes of ImageNet, in its own order, before the softmax."""
        return self._run("logits", pixels)

    def _run(self, output: str, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = {"image": preprocess(pixels)[None]}
        values: NDArray[np.float32] = self._session().run([output], batch)[0][0]
        return values

    def _session(self) -> InferenceSession:
        process = os.getpid()
        with self._lock:
            # A fork leaves a session's threads behind: the child needs one of its own, and must not even free
            # the inherited one, which would wait for those threads.
            if process not in self._sessions:
                import onnxruntime

                from . import efficientnet

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = self.threads
                self._sessions[process] = onnxruntime.InferenceSession(
                    efficientnet.build(), options, providers=["CPUExecutionProvider"]
                )
            return self._sessions[process]


def preprocess(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn an RGB picture of any size into the network's input: float32 (3, 224, 224), (x - 127) / 128.

    The longer side loses half of what it has more than the shorter one, then both lose a tenth, evenly at both
    ends; what remains is squashed to a square. Measured, this finds like things better than the whole picture
    squashed, and copies nearly as well.
    """
    import cv2
    import numpy as np

    longest = sum(pixels.shape[:2]) / 2
    height, width = (max(1, round(0.9 * min(side, longest))) for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    center = pixels[top : top + height, left : left + width]
    way = cv2.INTER_AREA if min(height, width) >= SIDE else cv2.INTER_CUBIC
    square = cv2.resize(center, (SIDE, SIDE), interpolation=way)
    return np.ascontiguousarray((square.transpose(2, 0, 1).astype(np.float32) - 127) / 128)

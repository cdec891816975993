"""What is in a picture, as a convolutional network sees it."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, ClassVar

from similar_images.signatures.base import Method, Metric

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
    curve = ((0.0, 100.0), (1.0, 0.0))
    version = "efficientnet-lite0-57934424-gem3-center-1"
    dimensions = 1280

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._lock = Lock()
        self._session: InferenceSession | None = None
        self._process = 0

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe a picture by 1280 numbers from 0 to 1, together of length 1."""
        import numpy as np

        features = self._run("embedding", pixels)
        return features / np.linalg.norm(features)

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rate the 1000 classes of ImageNet, in its own order, before the softmax."""
        return self._run("logits", pixels)

    def _run(self, output: str, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        (values,) = self._open_session().run([output], {"image": preprocess(pixels)[None]})
        return values[0]

    def _open_session(self) -> InferenceSession:
        with self._lock:
            # A session does not survive a fork: its threads stay in the parent.
            if self._session is None or self._process != os.getpid():
                import onnxruntime

                from similar_images.signatures import efficientnet

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = self.threads
                self._session = onnxruntime.InferenceSession(
                    efficientnet.build(), options, providers=["CPUExecutionProvider"]
                )
                self._process = os.getpid()
            return self._session


def preprocess(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn an RGB picture of any size into the network's input: float32 (3, 224, 224), (x - 127) / 128.

    The longer side loses half of what it has more than the shorter one, then both a tenth, evenly at both ends;
    what remains is squashed to a square. Measured, this finds like things better than all of the picture squashed,
    and copies nearly as well.
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

"""KAZE descriptors of the strongest keypoints, wherever they are in the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy

from ..imaging import opencv
from .base import Method, Metric
from .resizing import reduce_to_side

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Value

KEYPOINTS = 32
"""Keypoints that are described, the strongest first."""

DESCRIPTOR_LENGTH = 64
KAZE_LONG_SIDE, OCTAVES = 160, 2
"""Pixels of the long side that images are reduced to, and octaves of the scale space: copies keep the ranks of their
keypoints best at 160 pixels, which take about 10 ms on one core, against 120 ms at 320 pixels and four octaves."""


class KazeMethod(Method):
    """KAZE descriptors of the 32 strongest keypoints, strongest first, with zeros where there are fewer.

    Alcantarilla, Bartoli and Davison, "KAZE Features" (2012). Descriptors of the same rank are compared, so this
    finds the same image, also rotated, but not the same object in another image.

    An image without keypoints, such as a blank one, gets 2048 times the same negative number: it equals others
    without keypoints, and is farther from any other image than those are from each other. In a descriptor, sums of
    derivatives alternate with sums of their absolute values, which are never smaller. So the cosine of two images
    with keypoints is never below 0, and that with a blank one never above.
    """

    name = "kaze"
    title = gettext_lazy("Keypoints (KAZE)")
    metric: ClassVar[Metric] = "cosine"
    # 300 photos: re-encoded at JPEG quality 60 the median is 0.082, at half the size too 0.143; of random pairs
    # 1 in 10,000 is below 0.216.
    curve = ((0, 100), (0.085, 95), (0.145, 88), (0.216, 70), (0.26, 30), (0.37, 2), (0.75, 0))
    version = f"kaze-opencv-{KAZE_LONG_SIDE}px-o{OCTAVES}-top{KEYPOINTS}-1"
    dimensions = KEYPOINTS * DESCRIPTOR_LENGTH

    def __init__(self) -> None:
        """Check the installed OpenCV.

        Raises:
            ValueError: it lacks KAZE.
        """
        if not opencv.declares_feature("KAZE"):
            raise ValueError(opencv.describe_missing_feature("KAZE"))

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe an image: float32 (32 * 64,), -1 to 1, each 64 of length 1 or all 0.

        Raises:
            RuntimeError: the installed OpenCV lacks KAZE.
        """
        import cv2
        import numpy as np

        create = opencv.get_creator("KAZE")
        if create is None:
            raise RuntimeError(opencv.describe_missing_feature("KAZE"))
        gray = cv2.cvtColor(reduce_to_side(pixels, KAZE_LONG_SIDE), cv2.COLOR_RGB2GRAY)
        keypoints, descriptors = create(nOctaves=OCTAVES).detectAndCompute(gray, None)
        order = sorted(
            range(len(keypoints)), key=lambda i: (-keypoints[i].response, keypoints[i].pt, keypoints[i].size)
        )
        signature = np.zeros((KEYPOINTS, DESCRIPTOR_LENGTH), np.float32)
        if order:
            strongest = np.nan_to_num(descriptors[order[:KEYPOINTS]])
            signature[: len(strongest)] = strongest
        if not signature.any():
            signature[:] = -1 / np.sqrt(signature.size)
        return signature.ravel()

    def has_low_detail(self, value: Value) -> bool:
        """Return whether the signature is that of an image without keypoints."""
        return not isinstance(value, dict) and bool((value < 0).all())

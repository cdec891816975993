"""What the most striking points of a picture look like, wherever they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy

from ..imaging import opencv
from .base import Method, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Value

POINTS = 32
LENGTH = 64
LONG_SIDE = 160
OCTAVES = 2


class KazeMethod(Method):
    """The KAZE descriptors of the 32 strongest keypoints, strongest first, with zeros where there are fewer.

    Alcantarilla, Bartoli and Davison, "KAZE Features" (2012). A descriptor meets the one of the same rank, so this
    finds the same picture, also turned, but not the same thing in another picture.

    The picture is reduced to 160 pixels on its longer side, where a copy's points keep their ranks best: about
    10 ms on one core, against 120 at 320 pixels and four octaves.

    A picture without keypoints, such as a blank one, gets 2048 times the same negative number: it is like others
    without keypoints, and further from any other picture than those are from each other. In a descriptor, sums of
    steps alternate with sums of their sizes, which are no smaller. So the cosine of two pictures with keypoints
    is never below 0, and with a blank one never above.
    """

    name = "kaze"
    title = gettext_lazy("Keypoints (KAZE)")
    metric: ClassVar[Metric] = "cosine"
    # 300 photos: re-encoded at JPEG quality 60 the median is 0.082, at half the size too 0.143; of random pairs
    # 1 in 10,000 is below 0.216.
    curve = ((0, 100), (0.085, 95), (0.145, 88), (0.216, 70), (0.26, 30), (0.37, 2), (0.75, 0))
    version = f"kaze-opencv-{LONG_SIDE}px-o{OCTAVES}-top{POINTS}-1"
    dimensions = POINTS * LENGTH

    def __init__(self) -> None:
        """Raises:
        ValueError: the installed OpenCV lacks KAZE.
        """
        if not opencv.declares_feature("KAZE"):
            raise ValueError(opencv.missing_feature("KAZE"))

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe a picture by 32 x 64 numbers from -1 to 1, each 64 of length 1 or all 0.

        Raises:
            RuntimeError: the installed OpenCV lacks KAZE.
        """
        import cv2
        import numpy as np

        height, width = pixels.shape[:2]
        scale = min(1, LONG_SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        create = opencv.get_creator("KAZE")
        if create is None:
            raise RuntimeError(opencv.missing_feature("KAZE"))
        points, descriptors = create(nOctaves=OCTAVES).detectAndCompute(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), None)
        ranks = sorted(range(len(points)), key=lambda i: (-points[i].response, points[i].pt, points[i].size))
        signature = np.zeros((POINTS, LENGTH), np.float32)
        if ranks:
            strongest = np.nan_to_num(descriptors[ranks[:POINTS]])
            signature[: len(strongest)] = strongest
        if not signature.any():
            signature[:] = -1 / np.sqrt(signature.size)
        return signature.ravel()

    def has_low_detail(self, value: Value) -> bool:
        """Whether the picture has no keypoints."""
        return not isinstance(value, dict) and bool((value < 0).all())

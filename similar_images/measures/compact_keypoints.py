"""Compact keypoints: RootSIFT at one bit a number, small enough to be kept of every image.

By them a search tells which of its candidates are worth reading, without their files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..signatures.base import Method, Metric, StorageType
from .base import ComparisonImage, reduce_to

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..signatures.base import Value
    from .geometry.keypoint_detection import Keypoints

COMPACT_SIDE, COMPACT_POINTS = 320, 300
"""Pixels on the long side of the images that keypoints are detected in, and how many of these are kept."""

FEW_COMPACT_POINTS = 30
"""Number of keypoints below which they decide nothing, as those of a drawing or a blurred photo."""

MIN_COMMON_KEYPOINTS = 7
"""Inliers from which on two images may be copies."""

COMPACT_RATIO = 0.8**0.5
"""Bound of Lowe's ratio test, between distances whose squares count the bits that differ."""

STEPS_PER_PIXEL = 8
"""Steps of a coordinate in a pixel, so that 12 bits hold it."""

HEADER_BITS, COORDINATE_BITS, DESCRIPTOR_BITS = 32, 16, 128
POINT_BITS = 2 * COORDINATE_BITS + DESCRIPTOR_BITS


class CompactKeypoints(Method):
    """Coordinates of at most 300 keypoints, and their RootSIFT descriptors as bits: 6 kB an image.

    A bit tells whether a number of the descriptor is above the median of all 128, after Zhou, Li, Lu and Tian, "Scalar
    Quantization for Large Scale Image Search" (2012). Nothing is searched by it: the distance of two signatures has no
    meaning, that of two descriptors has one.
    """

    name = "keypoints"
    storage: ClassVar[StorageType] = "bit"
    metric: ClassVar[Metric] = "hamming"
    curve = ((0, 100), (1, 0))
    version = f"rootsift-{COMPACT_SIDE}px-{COMPACT_POINTS}-1"
    dimensions = HEADER_BITS + COMPACT_POINTS * POINT_BITS

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Describe an image: the width that it is reduced to, the number of keypoints, and these, strongest first."""
        import numpy as np

        from .geometry.keypoint_detection import extract_keypoints

        image = ComparisonImage(reduce_to(pixels, COMPACT_SIDE))
        keypoints = extract_keypoints(image, "rootsift", COMPACT_POINTS)
        bits = np.zeros(self.dimensions, np.bool_)
        bits[:HEADER_BITS] = _to_bits(np.array([image.pixels.shape[1], len(keypoints)]))
        if len(keypoints):
            steps = np.clip(np.rint(keypoints.coordinates * STEPS_PER_PIXEL), 0, None)
            above = keypoints.descriptors > np.median(keypoints.descriptors, axis=1, keepdims=True)
            points = np.concatenate([_to_bits(steps).reshape(len(keypoints), -1), above], axis=1)
            bits[HEADER_BITS:][: points.size] = points.ravel()
        return bits

    def has_low_detail(self, value: Value) -> bool:
        """Return whether an image has too few keypoints to be compared by."""
        return not isinstance(value, dict) and _from_bits(value[:HEADER_BITS])[1] < MIN_COMMON_KEYPOINTS


def unpack_keypoints(value: NDArray[np.bool_]) -> tuple[Keypoints, int]:
    """Return the keypoints of a signature, with descriptors of 0 and 1, and the width of the image in their pixels."""
    import numpy as np

    from .geometry.keypoint_detection import Keypoints

    width, count = _from_bits(value[:HEADER_BITS])
    points = value[HEADER_BITS:].reshape(COMPACT_POINTS, POINT_BITS)[:count]
    coordinates = _from_bits(points[:, : 2 * COORDINATE_BITS].ravel()).reshape(-1, 2) / STEPS_PER_PIXEL
    return Keypoints(coordinates.astype(np.float32), points[:, 2 * COORDINATE_BITS :].astype(np.float32)), int(width)


def count_common_keypoints(a: tuple[Keypoints, int], b: tuple[Keypoints, int]) -> int:
    """Count the keypoints that one geometry explains, also where one image is mirrored, or a negative, or both.

    Args:
        a: keypoints of an image, and its width, as `unpack_keypoints` returns them.
        b: those of another.

    Returns:
        The inliers of the best of the four; 0 where there are fewer than `MIN_COMMON_KEYPOINTS`.
    """
    from .geometry.keypoint_detection import reflect_keypoints
    from .geometry.keypoint_matching import ratio_test, verify_geometry

    counts = []
    for mirrored, inverted in ((False, False), (True, False), (False, True), (True, True)):
        reflected = reflect_keypoints(b[0], b[1], mirrored=mirrored, inverted=inverted)
        pairs = ratio_test(a[0], reflected, COMPACT_RATIO)
        found = verify_geometry(a[0], reflected, pairs, min_inliers=MIN_COMMON_KEYPOINTS)
        counts.append(len(found.inlier_pairs))
    return max(counts)


def _to_bits(numbers: NDArray[np.generic]) -> NDArray[np.bool_]:
    import numpy as np

    return np.unpackbits(numbers.astype(">u2").view(np.uint8).reshape(-1)).astype(np.bool_)


def _from_bits(bits: NDArray[np.generic]) -> NDArray[np.int64]:
    import numpy as np

    return np.packbits(bits.astype(np.bool_)).view(">u2").astype(np.int64)

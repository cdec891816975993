"""Compact keypoints: RootSIFT at one bit a number, small enough to be kept of every image.

By them a search tells which of its candidates are worth reading, without their files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

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

MIN_COMMON_KEYPOINTS = 8
"""Inliers from which on two images may be copies."""

MAX_COMPACT_RATIO = 0.8
"""Most bits that may differ from the nearest keypoint, as a share of those from the second nearest (Lowe, 2004)."""

STEPS_PER_PIXEL = 8
"""Steps of a coordinate in a pixel, so that 16 bits hold it."""

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


def unpack_keypoints(value: NDArray[np.bool_]) -> Keypoints:
    """Return the keypoints of a signature, with descriptors of 128 numbers that are 0 or 1."""
    return _unpack(value)[0]


@dataclass(frozen=True)
class Poses:
    """The keypoints of an image as they are, as those of a negative, mirrored, and of a mirrored negative.

    `descriptors` (keypoints of all poses, 128) are those of the four together.
    """

    poses: Sequence[Keypoints]
    descriptors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.poses[0])


def unpack_poses(value: NDArray[np.bool_]) -> Poses:
    """Return the keypoints of a signature in all poses."""
    import numpy as np

    from .geometry.keypoint_detection import reflect_keypoints

    keypoints, width = _unpack(value)
    poses = [
        reflect_keypoints(keypoints, width, mirrored=mirrored, inverted=inverted)
        for mirrored in (False, True)
        for inverted in (False, True)
    ]
    return Poses(poses, np.concatenate([pose.descriptors for pose in poses]))


def count_common_keypoints(a: Poses, b: Keypoints) -> int:
    """Count the keypoints that one geometry explains, in that pose of the first image that has the most.

    Returns:
        The inliers; 0 where there are fewer than `MIN_COMMON_KEYPOINTS`.
    """
    import numpy as np

    from .geometry.keypoint_matching import verify_geometry

    if not len(a) or len(b) < 2:
        return 0
    nearest, distances, is_match = (each.reshape(len(a.poses), -1) for each in _match(a.descriptors, b.descriptors))
    counts = [0]
    for number, pose in enumerate(a.poses):
        rows = np.flatnonzero(is_match[number])
        rows = rows[np.argsort(distances[number, rows], kind="stable")]
        pairs = np.column_stack([nearest[number, rows], rows]).astype(np.intp)
        found = verify_geometry(b, pose, pairs, min_inliers=MIN_COMMON_KEYPOINTS)
        counts.append(len(found.inlier_pairs))
    return max(counts)


def _match(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the nearest of b to each of a, the bits that differ, and whether that is a match by Lowe's ratio test.

    Less general than `keypoint_matching.ratio_test`, and a fourth of its time, as a search does this sixty times.
    """
    import numpy as np

    distances = a @ (-2 * b.T)
    distances += b.sum(axis=1)
    distances += a.sum(axis=1, keepdims=True)
    rows, nearest = np.arange(len(a)), distances.argmin(axis=1)
    first = distances[rows, nearest]
    distances[rows, nearest] = np.inf
    return nearest, first, first < MAX_COMPACT_RATIO * distances.min(axis=1)


def _unpack(value: NDArray[np.bool_]) -> tuple[Keypoints, int]:
    """Return the keypoints of a signature, and the width of the image in whose pixels they are."""
    import numpy as np

    from .geometry.keypoint_detection import Keypoints

    width, count = _from_bits(value[:HEADER_BITS])
    points = value[HEADER_BITS:].reshape(COMPACT_POINTS, POINT_BITS)[:count]
    coordinates = _from_bits(points[:, : 2 * COORDINATE_BITS].ravel()).reshape(-1, 2) / STEPS_PER_PIXEL
    return Keypoints(coordinates.astype(np.float32), points[:, 2 * COORDINATE_BITS :].astype(np.float32)), int(width)


def _to_bits(numbers: NDArray[np.generic]) -> NDArray[np.bool_]:
    import numpy as np

    return np.unpackbits(numbers.astype(">u2").view(np.uint8).reshape(-1)).astype(np.bool_)


def _from_bits(bits: NDArray[np.generic]) -> NDArray[np.int64]:
    import numpy as np

    return np.packbits(bits.astype(np.bool_)).view(">u2").astype(np.int64)

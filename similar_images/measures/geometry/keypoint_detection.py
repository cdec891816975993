"""Keypoints: where an image has detail, and a descriptor of each place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...imaging import opencv
from ..base import ComparisonImage, Unavailable
from .homography import PointArray, mirror_matrix, transform_points
from .keypoint_options import MAX_KEYPOINTS, OPENCV_FEATURES, Detector, missing_mahotas

if TYPE_CHECKING:
    from ..base import Gray

MIN_DETECTION_SIDE = 320
"""Pixels on the long side to which smaller images are enlarged before detection, by a factor of at most four."""

MIN_SHORT_SIDE = 32
"""Pixels on the short side below which an image has no keypoints, because the detectors' filters do not fit in."""

FEW_DETECTED = 300
"""Number of keypoints below which SIFT is run again for fainter ones."""

FULL_RANGE = 160
"""Levels that an image of ordinary contrast spans; one that spans fewer is stretched before detection."""

MAX_STRETCH = 6.0
"""Factor by which contrast is stretched, at most: beyond it is noise."""


@dataclass(frozen=True)
class Keypoints:
    """The keypoints of an image: `coordinates` (n, 2), x and y in its `pixels`, and `descriptors` (n, length)."""

    coordinates: PointArray
    descriptors: NDArray[Any]
    is_binary: bool = False

    def __len__(self) -> int:
        return len(self.coordinates)


def extract_keypoints(
    image: ComparisonImage, detector: Detector, limit: int = MAX_KEYPOINTS, *, mirrored: bool = False
) -> Keypoints:
    """Detect and describe the keypoints of an image, or of its mirror image in that one's coordinates.

    Raises:
        Unavailable: the installation lacks the detector.
    """
    if mirrored and detector in ("sift", "rootsift"):
        return reflect_keypoints(extract_keypoints(image, detector, limit), image.pixels.shape[1], mirrored=True)
    key = ("keypoints", detector, limit, mirrored)
    return image.cached(key, partial(_extract_keypoints, image, detector, limit, mirrored))


def reflect_keypoints(keypoints: Keypoints, width: int, *, mirrored: bool = False, inverted: bool = False) -> Keypoints:
    """Derive the SIFT keypoints of an image's mirror image, in that one's coordinates, or of its negative, or of both.

    `width` is that of the image in pixels.

    A descriptor is 4 x 4 cells of 8 directions, relative to the strongest one: mirroring reverses columns and turns
    directions; in a negative that strongest one is opposite, so that the cells are turned by 180 degrees.
    """
    if not len(keypoints) or not (mirrored or inverted):
        return keypoints
    cells, coordinates = keypoints.descriptors.reshape(-1, 4, 4, 8), keypoints.coordinates
    if mirrored:
        cells = cells[:, ::-1, :, -np.arange(8) % 8]
        coordinates = transform_points(mirror_matrix(width), coordinates)
    if inverted:
        cells = cells[:, ::-1, ::-1]
    return Keypoints(coordinates, np.ascontiguousarray(cells.reshape(len(keypoints), -1)))


def _stretch_contrast(gray: Gray) -> Gray:
    """Stretch the contrast of a pale or dark image, which detectors would find little in."""
    low, high = np.percentile(gray[::2, ::2], (1, 99))
    if high - low >= FULL_RANGE:
        return gray
    factor = min(MAX_STRETCH, 255 / max(high - low, 1))
    return np.asarray(np.clip((gray.astype(np.float32) - low) * factor, 0, 255), np.uint8)


def _extract_keypoints(image: ComparisonImage, detector: Detector, limit: int, mirrored: bool) -> Keypoints:
    gray = _stretch_contrast(image.gray[:, ::-1] if mirrored else image.gray)
    height, width = gray.shape
    factor = min(4.0, max(1.0, MIN_DETECTION_SIDE / max(height, width)))
    if factor > 1:
        size = round(width * factor), round(height * factor)
        gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    if min(gray.shape) < MIN_SHORT_SIDE:
        return Keypoints(np.empty((0, 2), np.float32), np.empty((0, 1), np.float32))
    coordinates, descriptors = _DETECTORS[detector](np.ascontiguousarray(gray), limit)
    coordinates = (coordinates + 0.5) / factor - 0.5
    return Keypoints(coordinates, descriptors, is_binary=detector in ("akaze", "orb"))


def _run_opencv(
    detector: Detector, gray: Gray, limit: int, *args: Any, **options: Any
) -> tuple[PointArray, NDArray[Any]]:
    """Return coordinates and descriptors of OpenCV's detector, strongest first, in a reproducible order."""
    feature = OPENCV_FEATURES[detector]
    create = opencv.get_creator(feature)
    if create is None:
        raise Unavailable(opencv.describe_missing_feature(feature))
    keypoints, descriptors = create(*args, **options).detectAndCompute(gray, None)
    order = sorted(range(len(keypoints)), key=lambda i: (-keypoints[i].response, keypoints[i].pt, keypoints[i].angle))[
        :limit
    ]
    if not order:
        return np.empty((0, 2), np.float32), np.empty((0, 1), np.float32)
    return np.array([keypoints[i].pt for i in order], np.float32), descriptors[order]


def _sift(gray: Gray, limit: int) -> tuple[PointArray, NDArray[Any]]:
    """Lowe, "Distinctive Image Features from Scale-Invariant Keypoints" (2004)."""
    keypoints = _run_opencv("sift", gray, limit, limit)
    if len(keypoints[0]) < FEW_DETECTED:  # drawings and objects on white have faint detail only
        keypoints = _run_opencv("sift", gray, limit, limit, contrastThreshold=0.01, edgeThreshold=20)
    return keypoints


def _rootsift(gray: Gray, limit: int) -> tuple[PointArray, NDArray[Any]]:
    """Arandjelovic and Zisserman, "Three Things Everyone Should Know to Improve Object Retrieval" (2012)."""
    coordinates, descriptors = _sift(gray, limit)
    sums = descriptors.sum(axis=1, keepdims=True)
    return coordinates, np.sqrt(descriptors / np.maximum(sums, 1e-7))


def _kaze(gray: Gray, limit: int) -> tuple[PointArray, NDArray[Any]]:
    """Alcantarilla, Bartoli and Davison, "KAZE Features" (2012)."""
    return _run_opencv("kaze", gray, limit)


def _akaze(gray: Gray, limit: int) -> tuple[PointArray, NDArray[Any]]:
    """Alcantarilla, Nuevo and Bartoli, "Fast Explicit Diffusion for Accelerated Features" (2013)."""
    return _run_opencv("akaze", gray, limit)


def _orb(gray: Gray, limit: int) -> tuple[PointArray, NDArray[Any]]:
    """Rublee, Rabaud, Konolige and Bradski, "ORB: an efficient alternative to SIFT or SURF" (2011)."""
    return _run_opencv("orb", gray, limit, limit)


def _surf(gray: Gray, limit: int) -> tuple[PointArray, NDArray[Any]]:
    """Bay, Ess, Tuytelaars and Van Gool, "SURF: Speeded Up Robust Features" (2008), by mahotas.

    OpenCV's own implementation is compiled out of its packages.
    """
    try:
        from mahotas.features import surf
    except ImportError:
        raise Unavailable(missing_mahotas()) from None
    rows = surf.surf(gray, max_points=limit, descriptor_only=False)  # y, x, scale, score, sign, angle, 64 values
    rows = rows[np.lexsort((rows[:, 0], rows[:, 1], -rows[:, 3]))]
    return rows[:, 1::-1].astype(np.float32), rows[:, 6:].astype(np.float32)


_DETECTORS: dict[str, Callable[[Gray, int], tuple[PointArray, NDArray[Any]]]] = {
    "sift": _sift,
    "rootsift": _rootsift,
    "surf": _surf,
    "kaze": _kaze,
    "akaze": _akaze,
    "orb": _orb,
}

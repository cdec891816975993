"""Re-ranking by keypoints as `rerank="keypoints"` does it, on image files instead of a source."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..imaging.opencv import single_core
from ..imaging.threads import map_in_threads
from ..measures.base import ComparisonImage
from ..search.rerank import keypoints
from .labeled_images import LabeledImage

if TYPE_CHECKING:
    from ..measures.geometry.keypoint_detection import Keypoints


class KeypointReranker:
    """Re-ranks images of a set by verified keypoints; each pair of images is compared once.

    All images must be readable.
    """

    def __init__(self, images: Iterable[LabeledImage], max_pixels: int) -> None:
        """Detect the keypoints of all images."""
        with single_core():
            detect = partial(_detect_image_keypoints, max_pixels=max_pixels)
            self._keypoints = list(map_in_threads(detect, images, os.cpu_count() or 1))
        self._inliers: dict[tuple[int, int], int] = {}

    def rerank(self, query: int, distances: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return new distances (n,), each 100 − similarity, with the similarity of the nearest images boosted.

        Args:
            query: index of the query image.
            distances: distances of all n images, each 100 − similarity; infinite for images that are no candidates.
        """
        nearest = np.argsort(distances, kind="stable")[: keypoints.MAX_RERANKED]
        nearest = nearest[np.isfinite(distances[nearest])]
        with single_core():
            inliers = list(map_in_threads(partial(self._count, query), nearest.tolist(), os.cpu_count() or 1))
        boosted = np.array(distances, float)
        boosted[nearest] = [
            100 - keypoints.boosted_similarity(100 - float(distance), count)
            for distance, count in zip(distances[nearest], inliers, strict=True)
        ]
        return boosted

    def _count(self, query: int, candidate: int) -> int:
        pair = query, candidate
        if pair not in self._inliers:
            self._inliers[pair] = keypoints.count_inliers(self._keypoints[query], self._keypoints[candidate])
        return self._inliers[pair]


def _detect_image_keypoints(image: LabeledImage, *, max_pixels: int) -> Keypoints:
    pixels = ComparisonImage.from_file(image.read(), max_pixels=max_pixels, long_side=keypoints.KEYPOINT_SIDE)
    return keypoints.detect_keypoints(pixels)

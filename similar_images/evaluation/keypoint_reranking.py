"""What `rerank="keypoints"` makes of rankings, by its own rule, over pictures at hand."""

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
from .labeled_images import Item

if TYPE_CHECKING:
    from ..measures.geometry.keypoint_detection import Keypoints


class KeypointReranker:
    """The keypoints of pictures, and how many of them one geometry explains in pairs: each pair is compared once.

    Pictures that can't be read must have been left out.
    """

    def __init__(self, items: Iterable[Item], max_pixels: int) -> None:
        def points_of(item: Item) -> Keypoints:
            view = ComparisonImage.from_file(item.read(), max_pixels=max_pixels, long_side=keypoints.KEYPOINT_SIDE)
            return keypoints.detect_keypoints(view)

        with single_core():
            self._points = list(map_in_threads(points_of, items, os.cpu_count() or 1))
        self._proven: dict[tuple[int, int], int] = {}

    def ranked(self, place: int, distances: NDArray[np.floating]) -> NDArray[np.floating]:
        """The distances of all pictures from one, as what similarities lack to 100 percent, after the best are lifted.

        The distance of a picture that is no match must be infinite.
        """
        best = np.argsort(distances, kind="stable")[: keypoints.MAX_RERANKED]
        best = best[np.isfinite(distances[best])]
        with single_core():
            proven = list(map_in_threads(partial(self._count, place), best.tolist(), os.cpu_count() or 1))
        lifted = np.array(distances, float)
        lifted[best] = [
            100 - keypoints.boosted_similarity(100 - float(distance), count)
            for distance, count in zip(distances[best], proven, strict=True)
        ]
        return lifted

    def _count(self, place: int, other: int) -> int:
        pair = place, other
        if pair not in self._proven:
            self._proven[pair] = keypoints.count_inliers(self._points[place], self._points[other])
        return self._proven[pair]

"""What `rerank="keypoints"` makes of rankings, by its own rule, over pictures at hand."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..measures.base import View
from ..opencv import one_core
from ..search import reranking
from ..threads import in_threads
from .pictures import Item

if TYPE_CHECKING:
    from ..measures.points import Points


class Proofs:
    """The keypoints of pictures, and how many of them one geometry explains in pairs: each pair is compared once.

    Pictures that can't be read must have been left out.
    """

    def __init__(self, items: Iterable[Item], max_pixels: int) -> None:
        def points_of(item: Item) -> Points:
            view = View.of_file(item.read(), max_pixels=max_pixels, long_side=reranking.SIDE)
            return reranking.keypoints(view)

        with one_core():
            self._points = list(in_threads(points_of, items, os.cpu_count() or 1))
        self._proven: dict[tuple[int, int], int] = {}

    def ranked(self, place: int, distances: NDArray[np.floating]) -> NDArray[np.floating]:
        """The distances of all pictures from one, as what similarities lack to 100 percent, after the best are lifted.

        The distance of a picture that is no match must be infinite.
        """
        best = np.argsort(distances, kind="stable")[: reranking.BEST]
        best = best[np.isfinite(distances[best])]
        with one_core():
            proven = list(in_threads(partial(self._count, place), best.tolist(), os.cpu_count() or 1))
        lifted = np.array(distances, float)
        lifted[best] = [
            100 - reranking.similarity_of(100 - float(distance), count)
            for distance, count in zip(distances[best], proven, strict=True)
        ]
        return lifted

    def _count(self, place: int, other: int) -> int:
        pair = place, other
        if pair not in self._proven:
            self._proven[pair] = reranking.proven(self._points[place], self._points[other])
        return self._proven[pair]

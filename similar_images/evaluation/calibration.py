"""What distances mean on pictures of one's own: the map from distance to percent, measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..imaging import decode
from ..signatures.base import Method
from ..signatures.distances import SignatureArray
from .description import decode_item
from .labeled_images import Item
from .transforms import TRANSFORMS, Pixels

MIN_IMAGES = 50
"""Pictures below which chance would decide."""

COPY_TRANSFORMS = {"JPEG": 1, "resize": 0, "crop": 0}
"""How copies are made: by which transforms, at which of their strengths."""

RANDOM_PAIR_QUANTILES = ((0.0001, 70), (0.01, 30), (0.5, 2), (1.0, 0))
"""What share of the pairs of different pictures may reach how many percent."""

COPY_SIMILARITY = 90
"""Percent that the copy in the middle gets."""


@dataclass(frozen=True)
class CurveFit:
    """Distances of pictures and their copies, and of any two pictures."""

    copies: NDArray[np.float64]
    pairs: NDArray[np.float64]

    @property
    def curve(self) -> list[list[float]]:
        """Points (distance, percent): a copy gets 90 at the median, one pair of strangers in 10,000 gets 70.

        One in 100 gets 30, half of them 2. Pairs no farther apart than copies are taken for copies: sites have the
        same picture twice. Where a method can't tell copies from strangers, the strangers decide.
        """
        near = float(np.median(self.copies))
        apart = self.pairs[self.pairs > near]
        quantiles = np.quantile(
            apart if len(apart) else self.pairs, [share for share, _percent in RANDOM_PAIR_QUANTILES]
        )
        points = [
            (near, COPY_SIMILARITY),
            *((d, percent) for d, (_share, percent) in zip(quantiles, RANDOM_PAIR_QUANTILES, strict=True)),
        ]
        curve = [[0.0, 100.0]]
        for distance, percent in ((round(float(d), 6), float(percent)) for d, percent in points):
            if distance > curve[-1][0]:
                curve.append([distance, percent])
            elif len(curve) > 1:  # of points at one distance, the strictest
                curve[-1][1] = percent
        return curve if len(curve) > 1 else [*curve, [1.0, 0.0]]


def fit_curve(items: Iterable[Item], originals: SignatureArray, method: Method, max_pixels: int) -> CurveFit:
    """Describe copies of the pictures, made as websites make them, and compare.

    `originals`: the signatures of the items, in their order. Pictures that can't be read any more make no copies.

    Raises:
        UnreadableImage: none of them can be read.
    """
    copies = []
    for place, item in enumerate(items):
        try:
            pixels = decode_item(item, max_pixels)
        except (decode.UnreadableImage, OSError):
            continue
        made = SignatureArray(method, [method.compute(copy) for copy in _copies(pixels)])
        copies.append(_distances(originals.of(np.array([place])), made)[0])
    if not copies:
        raise decode.UnreadableImage("None of the pictures can be read any more.")
    pairs = _distances(originals, originals)[np.triu_indices(originals.count, 1)]
    return CurveFit(np.concatenate(copies).astype(float), pairs[np.isfinite(pairs)].astype(float))


def _distances(queries: SignatureArray, base: SignatureArray) -> NDArray[np.floating]:
    """As searches tell them: (queries, base)."""
    method = queries.method
    if method.refines:
        return np.array([method.refine(query, list(base.dense)) for query in queries.dense])
    return np.concatenate(list(base.distances(queries)))


def _copies(pixels: Pixels) -> list[Pixels]:
    return [list(TRANSFORMS[name](pixels))[strength] for name, strength in COPY_TRANSFORMS.items()]

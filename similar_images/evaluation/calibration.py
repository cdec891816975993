"""Calibration: the curve that maps a method's distances to percent, fitted on a site's own images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..imaging.decode import UnreadableImage
from ..signatures.base import Method
from ..signatures.distances import SignatureArray, pair_distances, search_distances
from .description import decode_image
from .labeled_images import LabeledImage
from .transforms import TRANSFORMS, Pixels

MIN_IMAGES = 50
"""Minimum number of images; with fewer, chance would decide."""

COPY_TRANSFORMS = {"JPEG": 1, "resize": 0, "crop": 0}
"""Transforms that make copies, with the index of their strength."""

RANDOM_PAIR_QUANTILES = ((0.0001, 70), (0.01, 30), (0.5, 2), (1.0, 0))
"""Shares of the pairs of different images, nearest first, and the similarity in percent that they may reach."""

COPY_SIMILARITY = 90
"""Similarity in percent of the median copy."""


@dataclass(frozen=True)
class CurveFit:
    """Distances between images and their copies, and between different images, float64 (n,) each."""

    copy_distances: NDArray[np.float64]
    pair_distances: NDArray[np.float64]

    @property
    def curve(self) -> list[list[float]]:
        """Points (distance, percent): COPY_SIMILARITY at the median copy, then RANDOM_PAIR_QUANTILES.

        Pairs no farther apart than copies count as copies, since sites have the same image twice. If copies and random
        pairs overlap, the curve follows the random pairs.
        """
        median_copy = float(np.median(self.copy_distances))
        different = self.pair_distances[self.pair_distances > median_copy]
        shares, percents = zip(*RANDOM_PAIR_QUANTILES, strict=True)
        quantiles = np.quantile(different if len(different) else self.pair_distances, shares)
        curve = [[0.0, 100.0]]
        for distance, percent in ((median_copy, COPY_SIMILARITY), *zip(quantiles, percents, strict=True)):
            point = [round(float(distance), 6), float(percent)]
            if point[0] > curve[-1][0]:
                curve.append(point)
            elif len(curve) > 1:  # of points at one distance, the strictest holds
                curve[-1][1] = point[1]
        return curve if len(curve) > 1 else [*curve, [1.0, 0.0]]


def fit_curve(images: Iterable[LabeledImage], originals: SignatureArray, method: Method, max_pixels: int) -> CurveFit:
    """Describe copies of the images, made as websites make them, and measure the distances.

    Args:
        images: the images; those that can't be read any more yield no copies.
        originals: signatures of the images, in their order.
        method: the method.
        max_pixels: maximum number of pixels to decode.

    Raises:
        UnreadableImage: none of the images can be read.
    """
    copies = []
    for index, image in enumerate(images):
        try:
            pixels = decode_image(image, max_pixels)
        except (UnreadableImage, OSError):
            continue
        signatures = SignatureArray(method, [method.compute(copy) for copy in _make_copies(pixels)])
        copies.append(search_distances(originals.take(np.array([index])), signatures)[0])
    if not copies:
        raise UnreadableImage("None of the images can be read any more.")
    return CurveFit(np.concatenate(copies).astype(float), pair_distances(originals).astype(float))


def _make_copies(pixels: Pixels) -> list[Pixels]:
    return [list(TRANSFORMS[name](pixels))[strength] for name, strength in COPY_TRANSFORMS.items()]

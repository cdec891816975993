"""Outer outlines of an image's object, and the Hausdorff distance between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..base import ComparisonImage, Gray

    OutlinePoints = NDArray[np.int32]

OUTLINE_FRAME = 256
"""Pixels a side of the square in which outlines are centered, scaled so that their longer side fills it."""

MIN_PLAIN_BORDER = 0.75
"""Share of an image's border that must have its median color, for the background to count as plain."""

MIN_PART_AREA = 0.01
"""Area of the smallest part of a silhouette that counts, as a share of the largest part."""


@dataclass(frozen=True)
class LargestGap:
    """The point of one outline that is farthest from the other, and the nearest one there: x and y in the frame."""

    point: tuple[int, int]
    nearest: tuple[int, int]


def silhouette_mask(image: ComparisonImage, tolerance: int) -> Gray:
    """Find the object: 255 where it is and 0 elsewhere, (height, width); 0 everywhere in a blank image."""
    border = np.ones(image.gray.shape, bool)
    border[1:-1, 1:-1] = False
    background = np.median(image.pixels[border], axis=0)
    foreground = np.abs(image.pixels - background).max(axis=2) > tolerance
    if foreground[border].mean() > 1 - MIN_PLAIN_BORDER:
        _, mask = cv2.threshold(image.gray, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        foreground = (mask > 0) != (mask[border].mean() > 127)
    _count, parts, stats, _ = cv2.connectedComponentsWithStats(foreground.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    large = np.flatnonzero(areas >= MIN_PART_AREA * areas.max(initial=0)) + 1
    return np.where(np.isin(parts, large), 255, 0).astype(np.uint8)


def find_outlines(image: ComparisonImage, tolerance: int) -> list[NDArray[np.float64]]:
    """Return the outer outlines of a silhouette's parts: x and y of their pixels, (n, 2) each."""
    mask = silhouette_mask(image, tolerance)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [outline[:, 0].astype(float) for outline in outlines]


def normalize_outlines(outlines: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Move and scale outlines to the frame: x and y from 0 to 255."""
    if not outlines:
        return []
    points = np.concatenate(outlines)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (OUTLINE_FRAME - 1) / max(1, *(high - low))
    return [(outline - (low + high) / 2) * scale + (OUTLINE_FRAME - 1) / 2 for outline in outlines]


def outline_points(outlines: Sequence[NDArray[np.float64]]) -> OutlinePoints:
    """Return the pixels of the frame that normalized outlines go through: x and y, (n, 2), each once."""
    frame = np.zeros((OUTLINE_FRAME, OUTLINE_FRAME), np.uint8)
    cv2.polylines(frame, [np.rint(outline).astype(np.int32) for outline in outlines], True, 255)
    return np.argwhere(frame)[:, ::-1].astype(np.int32)


def hausdorff_distance(a: OutlinePoints, b: OutlinePoints) -> tuple[float, LargestGap]:
    """Return the distance in pixels of the point of one set that is farthest from all of the other, and where it is."""
    distance, gap = -1.0, LargestGap((0, 0), (0, 0))
    for points, targets in ((a, b), (b, a)):
        free = np.full((OUTLINE_FRAME, OUTLINE_FRAME), 255, np.uint8)
        free[targets[:, 1], targets[:, 0]] = 0
        distances = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[points[:, 1], points[:, 0]]
        if (largest := float(distances.max())) > distance:
            point = points[distances.argmax()]
            nearest = targets[((targets - point) ** 2).sum(axis=1).argmin()]
            distance, gap = largest, LargestGap(*(tuple(end.tolist()) for end in (point, nearest)))
    return distance, gap

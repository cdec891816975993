"""Keypoints: where a picture has detail, what it looks like there, and which points of two pictures are the same."""

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
from ..keypoints import MAX_KEYPOINTS, missing_mahotas

if TYPE_CHECKING:
    from ..base import Gray
    from ..keypoints import Detector, Estimator

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]

MIN_DETECTION_SIDE = 320
"""Pictures with a shorter long side are enlarged to this before points are looked for, up to four times."""

MIN_SHORT_SIDE = 32
"""A picture with a shorter short side has no keypoints: the detectors' filters do not fit in."""

FEW_DETECTED = 100
"""With fewer keypoints than this, SIFT looks again for fainter ones."""

MIN_VERIFIED = 8
"""Fewer points than this prove nothing: four of them can always be made to fit."""

REPROJECTION_THRESHOLD = 3.0
"""How far from where the geometry puts it a point may lie, in pixels of a view."""


@dataclass(frozen=True)
class Keypoints:
    """The keypoints of a picture: `places` (n, 2) as x and y in pixels of the view, `descriptors` (n, length)."""

    places: Floats
    descriptors: NDArray[Any]
    is_binary: bool = False

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class KeypointMatches:
    """Pairs of points, by their numbers in either picture, and which of them one geometry explains.

    `matrix` (3, 3) takes places of the second picture to places of the first; None where nothing is proven.
    """

    pairs: NDArray[np.intp]
    proven: NDArray[np.bool_]
    matrix: Matrix | None


def detect(view: ComparisonImage, kind: Detector, limit: int = MAX_KEYPOINTS, *, mirrored: bool = False) -> Keypoints:
    """The keypoints of a picture, or of its mirror image, in places of that.

    Raises:
        Unavailable: this build of OpenCV lacks the detector.
    """
    make = partial(_mirrored if mirrored and kind in ("sift", "rootsift") else _detect, view, kind, limit, mirrored)
    return view.once(("points", kind, limit, mirrored), make)


def _mirrored(view: ComparisonImage, kind: Detector, limit: int, mirrored: bool) -> Keypoints:
    """SIFT's points of the mirror image, by those of the picture: its descriptors are 4 x 4 cells of 8 directions."""
    upright = detect(view, kind, limit)
    if not len(upright):
        return upright
    cells = upright.descriptors.reshape(-1, 4, 4, 8)[:, ::-1, :, -np.arange(8) % 8]
    places = transform_points(mirror_matrix(view.pixels.shape[1]), upright.places)
    return Keypoints(places, np.ascontiguousarray(cells.reshape(len(upright), -1)))


def _detect(view: ComparisonImage, kind: Detector, limit: int, mirrored: bool) -> Keypoints:
    gray = view.gray[:, ::-1] if mirrored else view.gray
    height, width = gray.shape
    factor = min(4.0, max(1.0, MIN_DETECTION_SIDE / max(height, width)))
    if factor > 1:
        size = round(width * factor), round(height * factor)
        gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    if min(gray.shape) < MIN_SHORT_SIDE:
        return Keypoints(np.empty((0, 2), np.float32), np.empty((0, 1), np.float32))
    places, descriptors = _DETECT[kind](np.ascontiguousarray(gray), limit)
    places = (places + 0.5) / factor - 0.5
    return Keypoints(places, descriptors, is_binary=kind in ("akaze", "orb"))


def _strongest(create: Callable[[int], Any], gray: Gray, limit: int) -> tuple[Floats, NDArray[Any]]:
    """Places and descriptors of OpenCV's detector, the strongest first, always in the same order."""
    found, descriptors = create(limit).detectAndCompute(gray, None)
    ranks = sorted(range(len(found)), key=lambda i: (-found[i].response, found[i].pt, found[i].angle))[:limit]
    if not ranks:
        return np.empty((0, 2), np.float32), np.empty((0, 1), np.float32)
    return np.array([found[i].pt for i in ranks], np.float32), descriptors[ranks]


def _opencv(feature: str) -> Callable[..., Any]:
    create = opencv.get_creator(feature)
    if create is None:
        raise Unavailable(opencv.missing_feature(feature))
    return create


def _sift(gray: Gray, limit: int) -> tuple[Floats, NDArray[Any]]:
    """Lowe, "Distinctive Image Features from Scale-Invariant Keypoints" (2004)."""
    found = _strongest(_opencv("SIFT"), gray, limit)
    if len(found[0]) < FEW_DETECTED:  # drawings and things on white have faint detail only
        found = _strongest(lambda count: _opencv("SIFT")(count, contrastThreshold=0.01, edgeThreshold=20), gray, limit)
    return found


def _rootsift(gray: Gray, limit: int) -> tuple[Floats, NDArray[Any]]:
    """Arandjelovic and Zisserman, "Three Things Everyone Should Know to Improve Object Retrieval" (2012)."""
    places, descriptors = _sift(gray, limit)
    sums = descriptors.sum(axis=1, keepdims=True)
    return places, np.sqrt(descriptors / np.maximum(sums, 1e-7))


def _kaze(gray: Gray, limit: int) -> tuple[Floats, NDArray[Any]]:
    """Alcantarilla, Bartoli and Davison, "KAZE Features" (2012)."""
    return _strongest(lambda count: _opencv("KAZE")(), gray, limit)


def _akaze(gray: Gray, limit: int) -> tuple[Floats, NDArray[Any]]:
    """Alcantarilla, Nuevo and Bartoli, "Fast Explicit Diffusion for Accelerated Features" (2013)."""
    return _strongest(lambda count: _opencv("AKAZE")(), gray, limit)


def _orb(gray: Gray, limit: int) -> tuple[Floats, NDArray[Any]]:
    """Rublee, Rabaud, Konolige and Bradski, "ORB: an efficient alternative to SIFT or SURF" (2011)."""
    return _strongest(_opencv("ORB"), gray, limit)


def _surf(gray: Gray, limit: int) -> tuple[Floats, NDArray[Any]]:
    """Bay, Ess, Tuytelaars and Van Gool, "SURF: Speeded Up Robust Features" (2008), by mahotas.

    OpenCV's own is compiled out of the packages that there are.
    """
    try:
        from mahotas.features import surf
    except ImportError:
        raise Unavailable(missing_mahotas()) from None
    found = surf.surf(gray, max_points=limit, descriptor_only=False)  # rows of y, x, scale, score, sign, angle, 64
    found = found[np.lexsort((found[:, 0], found[:, 1], -found[:, 3]))]
    return found[:, 1::-1].astype(np.float32), found[:, 6:].astype(np.float32)


_DETECT = {"sift": _sift, "rootsift": _rootsift, "surf": _surf, "kaze": _kaze, "akaze": _akaze, "orb": _orb}


def ratio_test(a: Keypoints, b: Keypoints, ratio: float, *, both_ways: bool = False) -> NDArray[np.intp]:
    """Points of b with that of a that is much nearer than the second nearest (Lowe, 2004): pairs (n, 2).

    With `both_ways`, a point of a is in one pair at most, and the pair's points are each other's nearest.
    """
    if not len(b) or len(a) < 2:
        return np.empty((0, 2), np.intp)
    found = [pair for pair in _matcher(a).knnMatch(b.descriptors, a.descriptors, k=2) if len(pair) == 2]
    kept = [best for best, second in found if best.distance < ratio * second.distance]
    if both_ways:
        nearest = {match.queryIdx: match.trainIdx for match in _matcher(a).match(a.descriptors, b.descriptors)}
        kept = [match for match in kept if nearest[match.trainIdx] == match.queryIdx]
    return _pairs(kept)


def cross_check(a: Keypoints, b: Keypoints) -> NDArray[np.intp]:
    """Points that are each other's nearest: pairs (n, 2)."""
    if not len(a) or not len(b):
        return np.empty((0, 2), np.intp)
    return _pairs(_matcher(a, crossCheck=True).match(b.descriptors, a.descriptors))


def match_within_distance(a: Keypoints, b: Keypoints, most: float) -> NDArray[np.intp]:
    """Points of b with the nearest one of a, where it is no further than this: pairs (n, 2)."""
    if not len(a) or not len(b):
        return np.empty((0, 2), np.intp)
    return _pairs([match for match in _matcher(a).match(b.descriptors, a.descriptors) if match.distance <= most])


def _matcher(points: Keypoints, **options: Any) -> Any:
    return cv2.BFMatcher(cv2.NORM_HAMMING if points.is_binary else cv2.NORM_L2, **options)


def _pairs(matches: list[Any]) -> NDArray[np.intp]:
    """The nearest first."""
    ranked = sorted(matches, key=lambda match: (match.distance, match.queryIdx))
    return np.array([(match.trainIdx, match.queryIdx) for match in ranked], np.intp).reshape(-1, 2)


def verify_geometry(
    a: Keypoints, b: Keypoints, pairs: NDArray[np.intp], by: Estimator = "magsac", *, at_least: int = MIN_VERIFIED
) -> KeypointMatches:
    """Which of the pairs one homography explains; none where it explains fewer than so many.

    RANSAC of Fischler and Bolles (1981), or MAGSAC++ of Barath et al., "MAGSAC++, a fast, reliable and accurate
    robust estimator" (2020); both seeded, so that the same pictures always give the same.
    """
    nothing = KeypointMatches(pairs, np.zeros(len(pairs), bool), None)
    distinct = _distinct(pairs)
    if distinct.sum() < at_least:
        return nothing
    method = cv2.USAC_MAGSAC if by == "magsac" else cv2.RANSAC
    from_b, to_a = b.places[pairs[:, 1]], a.places[pairs[:, 0]]
    try:
        found, _mask = cv2.findHomography(
            from_b[distinct], to_a[distinct], method, REPROJECTION_THRESHOLD, maxIters=5000, confidence=0.999
        )
    except cv2.error:  # degenerate points
        return nothing
    if found is None or not is_sane(matrix := np.asarray(found, np.float64), from_b):
        return nothing
    off = np.linalg.norm(transform_points(matrix, from_b) - to_a, axis=1)
    proven = (off <= REPROJECTION_THRESHOLD) & distinct
    return KeypointMatches(pairs, proven, matrix) if proven.sum() >= at_least else nothing


def _distinct(pairs: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Of the pairs that share a point of the first picture, the first: many on one prove nothing."""
    kept = np.zeros(len(pairs), bool)
    kept[np.unique(pairs[:, 0], return_index=True)[1]] = True
    return kept


def transform_points(matrix: Matrix, places: Floats) -> Floats:
    """Places (n, 2) where a matrix (3, 3) takes them."""
    if not len(places):
        return places
    return np.asarray(cv2.perspectiveTransform(np.asarray(places, np.float32)[None], matrix)[0], np.float32)


def mirror_matrix(width: int) -> Matrix:
    """The matrix that mirrors a picture of this width."""
    return np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]], float)


def is_sane(matrix: Matrix, places: Floats) -> bool:
    """Whether a homography is one that a camera or an editor makes: no mirroring, no fold, no needle."""
    if not np.isfinite(matrix).all():
        return False
    depth = places @ matrix[2, :2] + matrix[2, 2]
    if (depth <= 0).any() or depth.max() > 4 * depth.min():
        return False
    linear = jacobian(matrix, np.mean(places, axis=0))
    long, short = np.linalg.svd(linear, compute_uv=False)
    return bool(np.linalg.det(linear) > 0 and 0.1 < short <= long < 10 and long < 4 * short)


def jacobian(matrix: Matrix, place: Any) -> Matrix:
    """The linear map (2, 2) that a homography is near a place (x, y)."""
    x, y, depth = matrix @ [*place, 1]
    return np.asarray((matrix[:2, :2] - np.outer([x / depth, y / depth], matrix[2, :2])) / depth, np.float64)

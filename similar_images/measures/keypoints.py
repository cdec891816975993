"""Keypoints that match in one consistent geometry: evidence that both images show the same object."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, get_args

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .base import ComparisonImage, Measure, MeasureResult
from .geometry.keypoint_options import MAX_KEYPOINTS, Detector, Estimator, MatchingStrategy, find_missing_packages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Pixels
    from .geometry.keypoint_detection import Keypoints


class KeypointMeasure(Measure):
    """The share of keypoints that match and that one homography explains, of the image that has fewer.

    If the images are registered mirrored, their keypoints are matched mirrored.

    Args:
        matching: "ratio", the two nearest neighbors and Lowe's ratio test; "cross-check", each other's nearest; or
            "distance", the nearest if it is within `distance`.
        ratio: threshold of the ratio test, from 0 (nothing matches) to 1 (everything does).
        distance: threshold of "distance", in the descriptor's own unit.
        proof: estimator of the homography, "magsac" or "ransac".
        points: keypoints per image, at most.

    Raises:
        ValueError: an option is out of range.
    """

    detector: ClassVar[Detector]
    best, worst = 1.0, 0.0
    meaning = gettext_lazy("Share of distinctive points that match in a consistent arrangement.")
    # At least 8 inliers hardly ever occur by chance: in one random pair of photos in 2,000.
    curve = ((0, 100), (0.7, 95), (0.9, 85), (0.98, 70), (1, 0))
    drawings = {
        "lines": gettext_lazy("Consistent matches"),
        "points": gettext_lazy("Matched and unmatched points"),
    }

    def __init__(
        self,
        matching: MatchingStrategy = "ratio",
        ratio: float = 0.75,
        distance: float | None = None,
        proof: Estimator = "magsac",
        points: int = MAX_KEYPOINTS,
    ) -> None:
        if matching not in get_args(MatchingStrategy):
            raise ValueError(f"matching must be one of {', '.join(get_args(MatchingStrategy))}, not {matching!r}")
        if proof not in get_args(Estimator):
            raise ValueError(f"proof must be one of {', '.join(get_args(Estimator))}, not {proof!r}")
        if not 0 < ratio <= 1:
            raise ValueError(f"ratio must be above 0 and at most 1, not {ratio!r}")
        if matching == "distance" and distance is None:
            raise ValueError('matching "distance" needs a distance')
        if not isinstance(points, int) or points < 1:
            raise ValueError(f"points must be at least 1, not {points!r}")
        self.matching, self.ratio, self.distance, self.proof, self.points = matching, ratio, distance, proof, points

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Match the keypoints; the result's artifacts are those of a, those of b, and their KeypointMatches."""
        from .geometry.keypoint_detection import extract_keypoints
        from .geometry.keypoint_matching import verify_geometry
        from .geometry.registration import register

        registration = register(a, b)
        mirrored = registration is not None and registration.is_mirrored
        keypoints_a = extract_keypoints(a, self.detector, self.points)
        keypoints_b = extract_keypoints(b, self.detector, self.points, mirrored=mirrored)
        matches = verify_geometry(keypoints_a, keypoints_b, self._match(keypoints_a, keypoints_b), self.proof)
        inliers, fewer = len(matches.inlier_pairs), min(len(keypoints_a), len(keypoints_b))
        details = {
            "points": [len(keypoints_a), len(keypoints_b)],
            "matched": len(matches.pairs),
            "unmatched": [
                len(keypoints) - len(set(matches.pairs[:, column]))
                for column, keypoints in enumerate((keypoints_a, keypoints_b))
            ],
            "proven": inliers,
            "mirrored": mirrored,
        }
        return MeasureResult(inliers / fewer if fewer else 0.0, details, (keypoints_a, keypoints_b, matches))

    def check(self) -> list[str]:
        """Return a message if the installation lacks the detector."""
        return find_missing_packages(self.detector)

    def _match(self, a: Keypoints, b: Keypoints) -> NDArray[np.intp]:
        from .geometry import keypoint_matching

        if self.matching == "ratio":
            return keypoint_matching.ratio_test(a, b, self.ratio)
        if self.matching == "cross-check":
            return keypoint_matching.cross_check(a, b)
        return keypoint_matching.match_within_distance(a, b, self.distance or 0)

    def similarity(self, result: MeasureResult) -> float:
        """Convert to percent; 0 without any inlier, because few keypoints say nothing about the images."""
        return super().similarity(result) if result.value else 0.0

    def caption(self, result: MeasureResult) -> str:
        """Count keypoints, matches and inliers."""
        a, b = result.details["points"]
        return _("%(a)d and %(b)d points; %(matched)d match, %(inliers)d of them in a consistent arrangement.") % {
            "a": a,
            "b": b,
            "matched": result.details["matched"],
            "inliers": result.details["proven"],
        }

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
        """Draw lines between inliers; or all keypoints, matched ones as blue dots, others as vermilion crosses."""
        from .drawing.matches import draw_inlier_matches, draw_keypoints_by_match

        return {"lines": draw_inlier_matches, "points": draw_keypoints_by_match}[name](a, b, result)


class SiftMeasure(KeypointMeasure):
    """Keypoints by SIFT."""

    name = "keypoints-sift"
    title = gettext_lazy("Keypoints: SIFT")
    detector = "sift"


class RootSiftMeasure(KeypointMeasure):
    """Keypoints by SIFT, with the square roots of its descriptors."""

    name = "keypoints-rootsift"
    title = gettext_lazy("Keypoints: RootSIFT")
    detector = "rootsift"


class SurfMeasure(KeypointMeasure):
    """Keypoints by SURF, of the package mahotas."""

    name = "keypoints-surf"
    title = gettext_lazy("Keypoints: SURF")
    detector = "surf"


class KazeMeasure(KeypointMeasure):
    """Keypoints by KAZE."""

    name = "keypoints-kaze"
    title = gettext_lazy("Keypoints: KAZE")
    detector = "kaze"


class AkazeMeasure(KeypointMeasure):
    """Keypoints by AKAZE."""

    name = "keypoints-akaze"
    title = gettext_lazy("Keypoints: AKAZE")
    detector = "akaze"


class OrbMeasure(KeypointMeasure):
    """Keypoints by ORB."""

    name = "keypoints-orb"
    title = gettext_lazy("Keypoints: ORB")
    detector = "orb"

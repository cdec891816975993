"""Which striking points two pictures share, as the same geometry: proof that they show the same thing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..imaging import opencv
from .base import ComparisonImage, Measure, MeasureResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Pixels
    from .geometry.keypoint_detection import Keypoints

Detector = Literal["sift", "rootsift", "surf", "kaze", "akaze", "orb"]
Matching = Literal["ratio", "cross-check", "distance"]
Estimator = Literal["magsac", "ransac"]

MAX_KEYPOINTS = 1000
"""The most keypoints of a picture, the strongest."""


class KeypointMeasure(Measure):
    """The share of keypoints that match, and that one geometry explains, of the picture that has fewer.

    A mirrored copy is recognized as such, and its points matched mirrored.

    Args:
        matching: "ratio", the two nearest neighbors and Lowe's ratio test; "cross-check", each other's nearest; or
            "distance", the nearest where it is near enough.
        ratio: for the ratio test, from 0 (nothing matches) to 1 (everything does).
        distance: for "distance", in the descriptor's own unit.
        proof: "magsac" or "ransac".
        points: the most points of a picture.

    Raises:
        ValueError: an option is none of these.
    """

    kind: ClassVar[Detector]
    feature: ClassVar[str]
    """What OpenCV calls the detector."""
    best = 1.0
    worst = 0.0
    meaning = gettext_lazy("The share of striking points that lie in both pictures as one geometry has it.")
    # What is proven by 8 points at least is hardly ever so by chance: one random pair of photos in 2,000.
    curve = ((0, 100), (0.7, 95), (0.9, 85), (0.98, 70), (1, 0))
    drawings = {
        "lines": gettext_lazy("Proven points"),
        "points": gettext_lazy("Matched and unmatched points"),
    }

    def __init__(
        self,
        matching: Matching = "ratio",
        ratio: float = 0.75,
        distance: float | None = None,
        proof: Estimator = "magsac",
        points: int = MAX_KEYPOINTS,
    ) -> None:
        if matching not in get_args(Matching):
            raise ValueError(f"matching must be one of {', '.join(get_args(Matching))}, not {matching!r}")
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
        from .geometry import keypoint_detection
        from .geometry.registration import register

        alignment = register(a, b)
        mirrored = alignment is not None and alignment.is_mirrored
        of_a, of_b = (
            keypoint_detection.detect(a, self.kind, self.points),
            keypoint_detection.detect(b, self.kind, self.points, mirrored=mirrored),
        )
        matches = keypoint_detection.verify_geometry(of_a, of_b, self._pairs(of_a, of_b), self.proof)
        proven, fewer = int(matches.proven.sum()), min(len(of_a), len(of_b))
        details = {
            "points": [len(of_a), len(of_b)],
            "matched": len(matches.pairs),
            "unmatched": [len(of_a) - len(set(matches.pairs[:, 0])), len(of_b) - len(set(matches.pairs[:, 1]))],
            "proven": proven,
            "mirrored": mirrored,
        }
        return MeasureResult(proven / fewer if fewer else 0.0, details, (of_a, of_b, matches))

    def check(self) -> list[str]:
        return [] if opencv.declares_feature(self.feature) else [opencv.missing_feature(self.feature)]

    def _pairs(self, a: Keypoints, b: Keypoints) -> NDArray[np.intp]:
        from .geometry import keypoint_detection

        if self.matching == "ratio":
            return keypoint_detection.ratio_test(a, b, self.ratio)
        if self.matching == "cross-check":
            return keypoint_detection.cross_check(a, b)
        return keypoint_detection.match_within_distance(a, b, self.distance or 0)

    def similarity(self, reading: MeasureResult) -> float:
        """In percent; points of which none is proven tell nothing, however few they are."""
        return super().similarity(reading) if reading.value else 0.0

    def caption(self, reading: MeasureResult) -> str:
        told = {name: reading.details[name] for name in ("matched", "proven")}
        told |= dict(zip("ab", reading.details["points"], strict=True))
        return _("%(a)d and %(b)d points; %(matched)d pairs match, of which %(proven)d are proven.") % told

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, reading: MeasureResult) -> Pixels:
        """Lines between the proven points; or all points, matched ones as blue dots, others as vermilion crosses."""
        from .drawing import matches as lines

        return {"lines": lines.draw_inlier_matches, "points": lines.draw_keypoints_by_match}[name](a, b, reading)


class SiftMeasure(KeypointMeasure):
    name = "keypoints-sift"
    title = gettext_lazy("Keypoints: SIFT")
    kind = "sift"
    feature = "SIFT"


class RootSiftMeasure(KeypointMeasure):
    name = "keypoints-rootsift"
    title = gettext_lazy("Keypoints: RootSIFT")
    kind = "rootsift"
    feature = "SIFT"


class SurfMeasure(KeypointMeasure):
    name = "keypoints-surf"
    title = gettext_lazy("Keypoints: SURF")
    kind = "surf"
    feature = "SURF"

    def check(self) -> list[str]:
        return [] if find_spec("mahotas") else [missing_mahotas()]


def missing_mahotas() -> str:
    return _("SURF needs mahotas: pip install similar_images[compare]")


class KazeMeasure(KeypointMeasure):
    name = "keypoints-kaze"
    title = gettext_lazy("Keypoints: KAZE")
    kind = "kaze"
    feature = "KAZE"


class AkazeMeasure(KeypointMeasure):
    name = "keypoints-akaze"
    title = gettext_lazy("Keypoints: AKAZE")
    kind = "akaze"
    feature = "AKAZE"


class OrbMeasure(KeypointMeasure):
    name = "keypoints-orb"
    title = gettext_lazy("Keypoints: ORB")
    kind = "orb"
    feature = "ORB"

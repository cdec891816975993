"""Keypoints compared with OpenCV's, and on copies whose geometry is known."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from similar_images import measures, plugins
from similar_images.measures.base import ComparisonImage, Measure, Unavailable, reduce_to
from similar_images.measures.geometry import keypoint_matching
from similar_images.measures.geometry.homography import is_plausible
from similar_images.measures.geometry.keypoint_detection import Keypoints, extract_keypoints
from similar_images.measures.geometry.keypoint_options import MAX_KEYPOINTS
from similar_images.measures.keypoints import KeypointMeasure
from tests.measures.contract import MeasureContract
from tests.signatures.contract import draw

NAMES = [f"keypoints-{kind}" for kind in ("sift", "rootsift", "surf", "kaze", "akaze", "orb")]
PHOTOS = {name: reduce_to(np.ascontiguousarray(getattr(data, name)()), 400) for name in ("chelsea", "coffee", "rocket")}
TURN = cv2.getRotationMatrix2D((200, 130), 20, 0.8)


def turned(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.warpAffine(pixels, TURN, pixels.shape[1::-1], borderValue=(128, 128, 128)), np.uint8)


class KeypointsContract(MeasureContract):
    is_symmetric = False  # keypoints of the second image are matched with those of the first

    def test_measure__an_image_with_itself(self) -> None:  # not for any pixels: without keypoints, none match
        measure = plugins.load_measure(self.name, {})
        for pixels in PHOTOS.values():
            assert measure.measure(pixels, pixels.copy()).value > 0.9

    def test_measure__a_rotated_copy_matches(self, measure: Measure) -> None:
        for pixels in PHOTOS.values():
            result = measure.measure(pixels, turned(pixels))
            assert result.details["proven"] >= keypoint_matching.MIN_VERIFIED
            assert measure.similarity(result) > 70

    def test_measure__inliers_are_right(self, measure: Measure) -> None:
        for pixels in PHOTOS.values():
            keypoints_a, keypoints_b, matches = measure.measure(pixels, turned(pixels)).artifacts
            pairs = matches.inlier_pairs
            expected = cv2.transform(keypoints_a.coordinates[pairs[:, 0]][None], TURN)[0]
            errors = np.linalg.norm(expected - keypoints_b.coordinates[pairs[:, 1]], axis=1)
            assert (errors > 5).mean() < 0.05

    def test_measure__a_mirrored_copy_matches(self, measure: Measure) -> None:
        result = measure.measure(PHOTOS["coffee"], np.ascontiguousarray(PHOTOS["coffee"][:, ::-1]))
        assert result.details["mirrored"]
        assert result.details["proven"] >= keypoint_matching.MIN_VERIFIED

    def test_measure__unrelated_images_do_not_match(self, measure: Measure) -> None:
        result = measure.measure(PHOTOS["chelsea"], PHOTOS["coffee"])
        assert result.value == 0
        assert measure.similarity(result) == 0

    def test_measure__counts_add_up(self, measure: Measure) -> None:
        details = measure.measure(PHOTOS["chelsea"], turned(PHOTOS["chelsea"])).details
        matched, proven = details["matched"], details["proven"]
        assert 0 < proven <= matched <= details["points"][1]
        assert details["points"][1] - matched == details["unmatched"][1]


class TestSift(KeypointsContract):
    name = "keypoints-sift"

    def test_keypoints__equal_opencvs(self) -> None:
        image = ComparisonImage(np.ascontiguousarray(data.astronaut()))  # in which fainter ones are not looked for
        expected, descriptors = cv2.SIFT_create(MAX_KEYPOINTS).detectAndCompute(image.gray, None)
        keypoints = extract_keypoints(image, "sift")
        assert len(keypoints) == len(expected)
        assert sorted(map(tuple, keypoints.coordinates.round(2))) == sorted(
            tuple(np.float32(p.pt).round(2)) for p in expected
        )
        assert np.sort(keypoints.descriptors.sum(axis=1)) == pytest.approx(np.sort(descriptors.sum(axis=1)))


class TestRootSift(KeypointsContract):
    name = "keypoints-rootsift"

    def test_keypoints__are_square_roots_of_shares(self) -> None:
        image = ComparisonImage(PHOTOS["coffee"])
        sift, root = extract_keypoints(image, "sift"), extract_keypoints(image, "rootsift")
        shares = sift.descriptors / sift.descriptors.sum(axis=1, keepdims=True)
        assert root.descriptors == pytest.approx(np.sqrt(shares), abs=1e-5)

    def test_measure__at_least_as_good_as_sift(self) -> None:
        proven = {
            kind: sum(
                plugins.load_measure(f"keypoints-{kind}", {}).measure(pixels, turned(pixels)).details["proven"]
                for pixels in PHOTOS.values()
            )
            for kind in ("sift", "rootsift")
        }
        assert proven["rootsift"] >= proven["sift"]


class TestSurf(KeypointsContract):
    name = "keypoints-surf"

    def test_check__without_mahotas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("similar_images.measures.geometry.keypoint_options.find_spec", lambda name: None)
        assert "pip install similar_images[compare]" in plugins.load_measure(self.name, {}).check()[0]

    def test_measure__without_mahotas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "mahotas.features", None)
        with pytest.raises(Unavailable, match="mahotas"):
            plugins.load_measure(self.name, {}).measure(PHOTOS["coffee"], PHOTOS["chelsea"])


class TestKaze(KeypointsContract):
    name = "keypoints-kaze"


class TestAkaze(KeypointsContract):
    name = "keypoints-akaze"

    def test_measure__build_without_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(cv2, "AKAZE_create", raising=False)
        monkeypatch.delattr(cv2.xfeatures2d, "AKAZE_create", raising=False)
        with pytest.raises(Unavailable, match="no AKAZE"):
            plugins.load_measure(self.name, {}).measure(PHOTOS["coffee"], PHOTOS["chelsea"])


class TestOrb(KeypointsContract):
    name = "keypoints-orb"


def test_mirrored_keypoints__equal_those_of_the_mirror_image() -> None:
    """SIFT's descriptors are mirrored instead of computed again: most must equal those of the mirror image."""
    pixels = PHOTOS["rocket"]
    derived = extract_keypoints(ComparisonImage(pixels), "sift", mirrored=True)
    expected = extract_keypoints(ComparisonImage(np.ascontiguousarray(pixels[:, ::-1])), "sift")
    pairs = keypoint_matching.cross_check(expected, derived)
    errors = np.linalg.norm(expected.coordinates[pairs[:, 0]] - derived.coordinates[pairs[:, 1]], axis=1)
    assert (errors < 1).mean() > 0.8


@pytest.mark.parametrize(
    "options",
    [{"matching": "cross-check"}, {"matching": "distance", "distance": 0.3}, {"proof": "ransac"}, {"ratio": 0.9}],
)
def test_options__find_a_copy(options: dict[str, object]) -> None:
    measure = plugins.load_measure("keypoints-rootsift", options)
    assert measure.measure(PHOTOS["coffee"], turned(PHOTOS["coffee"])).details["proven"] > 50
    assert measure.measure(PHOTOS["coffee"], PHOTOS["chelsea"]).details["proven"] == 0


def test_options__fewer_points() -> None:
    measure = plugins.load_measure("keypoints-orb", {"points": 50})
    assert measure.measure(PHOTOS["coffee"], PHOTOS["coffee"]).details["points"] == [50, 50]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"matching": "guess"}, "matching must be one of"),
        ({"matching": "distance"}, "needs a distance"),
        ({"proof": "belief"}, "proof must be one of"),
        ({"ratio": 0}, "ratio must be"),
        ({"points": 0}, "points must be"),
    ],
)
def test_options__out_of_range(options: dict[str, object], message: str) -> None:
    from similar_images.measures.keypoints import OrbMeasure

    with pytest.raises(ValueError, match=message):
        OrbMeasure(**options)


@pytest.mark.parametrize("few", [0, 1, 2, 7])
def test_matching__few_points(few: int) -> None:
    """There may be fewer than two neighbors, or than four points for a homography."""
    all_keypoints = extract_keypoints(ComparisonImage(draw(300, 400)), "sift")
    subset = Keypoints(all_keypoints.coordinates[:few], all_keypoints.descriptors[:few])
    for a, b in ((subset, all_keypoints), (all_keypoints, subset), (subset, subset)):
        ratio_pairs = [keypoint_matching.ratio_test(a, b, 0.75, both_ways=both_ways) for both_ways in (False, True)]
        for pairs in [
            *ratio_pairs,
            keypoint_matching.cross_check(a, b),
            keypoint_matching.match_within_distance(a, b, 100),
        ]:
            assert pairs.shape[1] == 2
            assert keypoint_matching.verify_geometry(a, b, pairs).homography is None


def test_verify_geometry__points_on_one_line() -> None:
    points = np.column_stack([np.arange(20), np.zeros(20)]).astype(np.float32)
    line = Keypoints(points, np.eye(20, dtype=np.float32))
    matches = keypoint_matching.verify_geometry(line, line, np.column_stack([np.arange(20)] * 2))
    assert matches.homography is None or is_plausible(matches.homography, points)


def test_verify_geometry__is_reproducible() -> None:
    a, b = (
        extract_keypoints(ComparisonImage(pixels), "orb") for pixels in (PHOTOS["coffee"], turned(PHOTOS["coffee"]))
    )
    pairs = keypoint_matching.ratio_test(a, b, 0.9)
    first, second = keypoint_matching.verify_geometry(a, b, pairs), keypoint_matching.verify_geometry(a, b, pairs)
    assert first.homography is not None
    assert (first.homography == second.homography).all()
    assert (first.inlier_mask == second.inlier_mask).all()


def test_keypoints__names() -> None:
    assert [
        name for name in plugins.available_measures() if isinstance(plugins.available_measures()[name], KeypointMeasure)
    ] == sorted(NAMES, key=list(measures.BUILT_IN_MEASURES).index)

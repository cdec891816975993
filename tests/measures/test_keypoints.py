"""Keypoints against OpenCV's, and against copies whose geometry is known."""

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
    is_symmetric = False  # the nearest points are looked for in the first picture, for those of the second

    def test_measure__a_picture_with_itself(self) -> None:  # not of any pixels: where there are no points, none match
        measure = plugins.load_measure(self.name, {})
        for pixels in PHOTOS.values():
            assert measure.measure(pixels, pixels.copy()).value > 0.9

    def test_measure__a_turned_copy_is_proven(self, measure: Measure) -> None:
        for pixels in PHOTOS.values():
            reading = measure.measure(pixels, turned(pixels))
            assert reading.details["proven"] >= keypoint_matching.MIN_VERIFIED
            assert measure.similarity(reading) > 70

    def test_measure__proven_lines_are_right(self, measure: Measure) -> None:
        for pixels in PHOTOS.values():
            of_a, of_b, matches = measure.measure(pixels, turned(pixels)).artifacts
            pairs = matches.inlier_pairs
            expected = cv2.transform(of_a.coordinates[pairs[:, 0]][None], TURN)[0]
            off = np.linalg.norm(expected - of_b.coordinates[pairs[:, 1]], axis=1)
            assert (off > 5).mean() < 0.05

    def test_measure__a_mirrored_copy_is_proven(self, measure: Measure) -> None:
        reading = measure.measure(PHOTOS["coffee"], np.ascontiguousarray(PHOTOS["coffee"][:, ::-1]))
        assert reading.details["mirrored"]
        assert reading.details["proven"] >= keypoint_matching.MIN_VERIFIED

    def test_measure__other_pictures_prove_nothing(self, measure: Measure) -> None:
        reading = measure.measure(PHOTOS["chelsea"], PHOTOS["coffee"])
        assert reading.value == 0
        assert measure.similarity(reading) == 0

    def test_measure__counts_add_up(self, measure: Measure) -> None:
        details = measure.measure(PHOTOS["chelsea"], turned(PHOTOS["chelsea"])).details
        matched, proven = details["matched"], details["proven"]
        assert 0 < proven <= matched <= details["points"][1]
        assert details["points"][1] - matched == details["unmatched"][1]


class TestSift(KeypointsContract):
    name = "keypoints-sift"

    def test_points__are_opencvs(self) -> None:
        view = ComparisonImage(PHOTOS["coffee"])
        found, descriptors = cv2.SIFT_create(MAX_KEYPOINTS).detectAndCompute(view.gray, None)
        ours = extract_keypoints(view, "sift")
        assert len(ours) == len(found)
        assert sorted(map(tuple, ours.coordinates.round(2))) == sorted(tuple(np.float32(p.pt).round(2)) for p in found)
        assert np.sort(ours.descriptors.sum(axis=1)) == pytest.approx(np.sort(descriptors.sum(axis=1)))


class TestRootSift(KeypointsContract):
    name = "keypoints-rootsift"

    def test_points__roots_of_shares(self) -> None:
        view = ComparisonImage(PHOTOS["coffee"])
        sift, root = extract_keypoints(view, "sift"), extract_keypoints(view, "rootsift")
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


def test_mirrored_points__are_those_of_the_mirror_image() -> None:
    """SIFT's descriptors are mirrored, not computed anew: most must be what computing anew gives."""
    pixels = PHOTOS["rocket"]
    derived = extract_keypoints(ComparisonImage(pixels), "sift", mirrored=True)
    anew = extract_keypoints(ComparisonImage(np.ascontiguousarray(pixels[:, ::-1])), "sift")
    pairs = keypoint_matching.cross_check(anew, derived)
    off = np.linalg.norm(anew.coordinates[pairs[:, 0]] - derived.coordinates[pairs[:, 1]], axis=1)
    assert (off < 1).mean() > 0.8


@pytest.mark.parametrize(
    "options",
    [{"matching": "cross-check"}, {"matching": "distance", "distance": 0.3}, {"proof": "ransac"}, {"ratio": 0.9}],
)
def test_options__prove_a_copy(options: dict[str, object]) -> None:
    measure = plugins.load_measure("keypoints-rootsift", options)
    assert measure.measure(PHOTOS["coffee"], turned(PHOTOS["coffee"])).details["proven"] > 50
    assert measure.measure(PHOTOS["coffee"], PHOTOS["chelsea"]).details["proven"] == 0


def test_options__fewer_points() -> None:
    measure = plugins.load_measure("keypoints-orb", {"points": 50})
    assert measure.measure(PHOTOS["coffee"], PHOTOS["coffee"]).details["points"] == [50, 50]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"matching": "guess"}, "matching must be one of"),
        ({"matching": "distance"}, "needs a distance"),
        ({"proof": "belief"}, "proof must be one of"),
        ({"ratio": 0}, "ratio must be"),
        ({"points": 0}, "points must be"),
    ],
)
def test_options__wrong(options: dict[str, object], told: str) -> None:
    from similar_images.measures.keypoints import OrbMeasure

    with pytest.raises(ValueError, match=told):
        OrbMeasure(**options)


@pytest.mark.parametrize("few", [0, 1, 2, 7])
def test_matching__few_points(few: int) -> None:
    """Two neighbors are not always there, nor are four points for a geometry."""
    many = extract_keypoints(ComparisonImage(draw(300, 400)), "sift")
    some = Keypoints(many.coordinates[:few], many.descriptors[:few])
    for a, b in ((some, many), (many, some), (some, some)):
        found = [keypoint_matching.ratio_test(a, b, 0.75, both_ways=both_ways) for both_ways in (False, True)]
        for pairs in [
            *found,
            keypoint_matching.cross_check(a, b),
            keypoint_matching.match_within_distance(a, b, 100),
        ]:
            assert pairs.shape[1] == 2
            assert keypoint_matching.verify_geometry(a, b, pairs).homography is None


def test_prove__points_on_one_line_prove_nothing() -> None:
    places = np.column_stack([np.arange(20), np.zeros(20)]).astype(np.float32)
    line = Keypoints(places, np.eye(20, dtype=np.float32))
    matches = keypoint_matching.verify_geometry(line, line, np.column_stack([np.arange(20)] * 2))
    assert matches.homography is None or is_plausible(matches.homography, places)


def test_prove__the_same_every_time() -> None:
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

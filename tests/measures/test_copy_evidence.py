"""The evidence on pairs of pictures: copies edited in many ways are known, and look-alikes are told apart."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from benchmarks.copy_pairs import draw_lookalikes
from benchmarks.edits import EDITS, Pixels
from benchmarks.templates import TEMPLATES, draw_pair
from similar_images.measures.base import ComparisonImage, reduce_to
from similar_images.measures.geometry.copy_probability import WEIGHTS, PairEvidence, copy_probability, evidence_terms
from similar_images.measures.geometry.evidence import FrameEvidence, examine_frame
from similar_images.measures.geometry.registration import MIN_PROBABILITY, register
from similar_images.measures.geometry.shared_frame import MIN_SHARED_PIXELS, SharedFrame, share_frame
from tests.datasets import DATASETS, needs

PHOTOS = {name: reduce_to(np.ascontiguousarray(getattr(data, name)()), 480) for name in ("coffee", "chelsea")}
OTHERS = [reduce_to(np.ascontiguousarray(getattr(data, name)()), 400) for name in ("astronaut", "rocket")] * 8

NOTHING = FrameEvidence(0.5, 0.2, 0.9, 0.0, 0.0, 0.0, 5.0, 5.0, 0.0, 4.0, 4.0)


@pytest.fixture(scope="module")
def photos() -> dict[str, ComparisonImage]:
    """The photographs, which keep the keypoints that are found in them: that takes longest."""
    return {name: ComparisonImage(photo) for name, photo in PHOTOS.items()}


def probability(a: Pixels | ComparisonImage, b: Pixels | ComparisonImage) -> float:
    registration = register(ComparisonImage.wrap(a), ComparisonImage.wrap(b))
    return registration.probability if registration else 0.0


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("edit", EDITS)
def test_mild_edits__leave_a_copy(photos: dict[str, ComparisonImage], photo: str, edit: str) -> None:
    copy = EDITS[edit](PHOTOS[photo], OTHERS)[0]
    assert probability(photos[photo], copy) >= MIN_PROBABILITY


@pytest.mark.parametrize("edit", ["negative", "duotone", "cross-process", "small JPEG", "turn in its frame"])
def test_strong_edits__leave_a_copy(photos: dict[str, ComparisonImage], edit: str) -> None:
    photo, copy = photos["coffee"], ComparisonImage(EDITS[edit](PHOTOS["coffee"], OTHERS)[2])
    assert probability(photo, copy) >= MIN_PROBABILITY
    assert probability(copy, photo) >= MIN_PROBABILITY


@pytest.mark.parametrize("template", TEMPLATES)
def test_drawings_of_one_template__are_no_copies(template: str) -> None:
    """Of 20 pairs at most one is taken for a copy; four of packages, which differ by a word and a patch of color."""
    taken = sum(probability(*draw_pair(template, 1_000 + number)) >= MIN_PROBABILITY for number in range(20))
    assert taken <= (4 if template == "package" else 1)


@needs(DATASETS / "furniture")
def test_variants_of_furniture__are_no_copies() -> None:
    """Of series that the weights were not fitted to."""
    pairs = [pair for pair in draw_lookalikes(DATASETS, 1) if pair.collection == "furniture"][:60]
    taken = sum(probability(*pair.load(DATASETS)) >= MIN_PROBABILITY for pair in pairs)
    assert taken <= 2


def test_probability__rises_with_what_agrees_and_falls_with_what_differs() -> None:
    usual = PairEvidence(NOTHING, 60, 70, 300, 1.0)
    least = copy_probability(usual)
    assert copy_probability(usual._replace(inliers=69)) > least
    for worse in (
        NOTHING._replace(differing_region=0.1),
        NOTHING._replace(differing_detail=0.05),
        NOTHING._replace(edge_agreement=0.2),
        NOTHING._replace(unexplained_region=0.2),
    ):
        assert copy_probability(usual._replace(frame=worse)) < least
    assert copy_probability(usual._replace(tilt=1.4)) < least


def test_weights__are_those_of_the_terms() -> None:
    assert list(WEIGHTS) == list(evidence_terms(PairEvidence(NOTHING, 0, 0, 0, 1.0)))


def test_share_frame__shows_the_part_that_both_have() -> None:
    photo = PHOTOS["coffee"]
    whole, part = ComparisonImage(photo), ComparisonImage(np.ascontiguousarray(photo[100:220, 150:330]))
    matrix = np.array([[1.0, 0, 150], [0, 1, 100], [0, 0, 1]])
    frame = share_frame(whole, part, matrix)
    assert frame is not None
    assert frame.a.shape == frame.b.shape
    assert frame.shared.mean() > 0.9
    assert np.abs(frame.a.astype(int) - frame.b)[frame.shared].mean() < 3
    assert share_frame(whole, part, matrix + np.array([[0, 0, 5000], [0, 0, 0], [0, 0, 0]])) is None


def test_examine_frame__of_plain_images_has_no_detail() -> None:
    plain = np.full((60, 60, 3), 200, np.uint8)
    found = examine_frame(SharedFrame(plain, plain, np.ones((60, 60), bool)))
    assert (found.detail, found.plain, found.differing_region, found.edge_agreement) == (0, 1, 0, 0)
    assert plain.shape[0] * plain.shape[1] > MIN_SHARED_PIXELS


def test_thing_in_another_color__differs_on_its_content_only() -> None:
    """Its background stays what it was, other than in a copy that was darkened."""
    thing = np.full((240, 320, 3), 250, np.uint8)
    thing[40:200, 80:240] = PHOTOS["coffee"][100:260, 100:260]
    painted = thing.copy()
    painted[40:200, 80:240] = painted[40:200, 80:240] // 2
    frame = SharedFrame(thing, painted, np.ones(thing.shape[:2], bool))
    assert examine_frame(frame).background_difference < 1 < 20 < examine_frame(frame).content_difference
    darkened = examine_frame(frame._replace(b=(thing // 2)))
    assert darkened.background_difference > darkened.content_difference > 20


def test_photo_without_background__has_one_difference_of_colors() -> None:
    photo = PHOTOS["coffee"]
    found = examine_frame(SharedFrame(photo, photo // 2, np.ones(photo.shape[:2], bool)))
    assert found.background_difference == found.content_difference

"""The verdict on two images, for copies made in known ways."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from benchmarks.edits import EDITS, collage, picture_in_picture
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.measures.base import ComparisonImage, reduce_to
from similar_images.measures.verdict import GeometricTransform, Verdict, judge_pair
from similar_images.search.ranking import image_similarity
from tests.measures.contract import MeasureContract
from tests.signatures.contract import PICTURES

CAT, COFFEE = (reduce_to(np.ascontiguousarray(pixels), 480) for pixels in (data.chelsea(), data.coffee()))

Pixels = NDArray[np.uint8]


def changed(name: str, amount: float, pixels: Pixels = COFFEE) -> Pixels:
    return np.ascontiguousarray(TRANSFORMS[name].change(pixels, amount))


def judge(a: ComparisonImage, b: ComparisonImage, **options: Any) -> Verdict:
    return judge_pair(a, b, partial(image_similarity, a, b), **options)


class TestOverlap(MeasureContract):
    name = "alignment"
    is_symmetric = False  # the second image is registered onto the first


@pytest.mark.parametrize(
    ("copy", "changes"),
    [
        (changed("JPEG", 60), {"re-encoded"}),
        (changed("resize", 0.5), {"resized"}),
        (changed("turn", 90), {"turned"}),
        (changed("turn", 180), {"turned"}),
        (changed("mirror", 0), {"mirrored"}),
        (changed("hue", 90), {"recolored"}),
        (changed("gray", 1), {"gray"}),
        (changed("contrast", 0.6), {"contrast"}),
        (changed("text", 0.08), {"retouched"}),
        (changed("border", 0.08), {"extended"}),
        (COFFEE[30:250, 60:400], {"cropped"}),
    ],
)
def test_judge_pair__copies(copy: Pixels, changes: set[str]) -> None:
    verdict = judge(ComparisonImage(COFFEE), ComparisonImage(np.ascontiguousarray(copy)))
    assert verdict.kind == ("same-picture" if changes <= {"re-encoded", "resized"} else "edited-picture")
    assert changes <= set(verdict.changes)
    assert (
        len(verdict.changes) <= len(changes) + 1
    )  # a crop or a gray copy may also count as slightly resized or retouched
    assert verdict.title == ("Same image" if verdict.kind == "same-picture" else "Edited image")
    assert "second" in verdict.text


def test_judge_pair__measures_the_crop() -> None:
    height, width = CAT.shape[:2]
    part = CAT[40:240, 90:390]
    transform = judge(ComparisonImage(CAT), ComparisonImage(np.ascontiguousarray(part))).transform
    assert transform
    assert transform.part == pytest.approx((90 / width, 40 / height, 300 / width, 200 / height), abs=0.01)
    assert transform.whole == pytest.approx((0, 0, 1, 1), abs=0.02)
    assert (transform.angle, transform.scale) == pytest.approx((0, 1), abs=0.02)


def test_judge_pair__a_crop_extended() -> None:
    verdict = judge(ComparisonImage(np.ascontiguousarray(CAT[40:240, 90:390])), ComparisonImage(CAT))
    assert verdict.changes == ("extended",)
    assert verdict.transform
    assert verdict.transform.part == pytest.approx((0, 0, 1, 1), abs=0.02)


def test_judge_pair__several_changes() -> None:
    copy = changed("JPEG", 70, changed("turn", 10, np.ascontiguousarray(CAT[20:280, 50:430, :][:, ::-1])))
    verdict = judge(ComparisonImage(CAT), ComparisonImage(copy))
    assert set(verdict.changes) >= {"mirrored", "turned", "cropped"}
    assert verdict.transform
    assert verdict.transform.angle == pytest.approx(10, abs=0.5)
    assert "mirrored, rotated 10" in verdict.text


def test_judge_pair__scale_is_in_pixels_of_the_files() -> None:
    """Large files are reduced before they are compared, each by its own factor."""
    verdict = judge(ComparisonImage(COFFEE, (4800, 3200)), ComparisonImage(changed("resize", 0.5), (1200, 800)))
    assert verdict.transform
    assert verdict.transform.scale == pytest.approx(0.25, abs=0.005)


def test_judge_pair__the_same_file() -> None:
    verdict = judge(ComparisonImage(COFFEE), ComparisonImage(COFFEE), is_same_file=True)
    assert (verdict.kind, verdict.transform) == ("same-file", None)


def test_judge_pair__another_perspective_of_the_picture() -> None:
    verdict = judge(ComparisonImage(COFFEE), ComparisonImage(changed("perspective", 0.12)))
    assert verdict.kind == "edited-picture"
    assert "tilted" in verdict.changes


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize(("columns", "share"), [(2, 0.0), (3, 0.0), (0, 0.6), (0, 0.4), (0, 0.25)])
def test_judge_pair__a_picture_inside_another(columns: int, share: float, is_reversed: bool) -> None:
    """In a collage, and in the corner of another picture: told with the box, from either side."""
    others = [np.ascontiguousarray(pixels) for pixels in (CAT, data.astronaut(), data.rocket(), CAT[::-1])] * 4
    whole = collage(COFFEE, columns, others) if columns else picture_in_picture(COFFEE, share, others)
    pair = [ComparisonImage(COFFEE), ComparisonImage(np.ascontiguousarray(whole))]
    verdict = judge(*(pair[::-1] if is_reversed else pair))
    assert verdict.kind == "contains"
    assert verdict.text.startswith("The first image contains" if is_reversed else "The second image contains")
    assert verdict.transform
    box = verdict.transform.part if is_reversed else verdict.transform.whole
    height, width = whole.shape[:2]
    if share:
        side = (
            round(0.93 * (width - round(share * width))) / width,
            round(0.92 * (height - round(share * height))) / height,
        )
        assert box == pytest.approx((*side, share, share), abs=0.05)
    else:
        assert box[2:] == pytest.approx((1 / columns, 1 / columns), abs=0.05)


def test_judge_pair__a_thing_on_white_in_a_collage_with_white_lines() -> None:
    """Colors do not jump at its sides, but plain lines run along them."""
    thing = np.full((300, 400, 3), 255, np.uint8)
    thing[50:250, 80:320] = reduce_to(COFFEE, 300)[:200, :240]
    others = [np.ascontiguousarray(pixels) for pixels in (CAT, data.astronaut(), data.rocket(), CAT[::-1])]
    verdict = judge(ComparisonImage(thing), ComparisonImage(collage(thing, 2, others)))
    assert verdict.kind == "contains"


def test_judge_pair__wide_bars_are_no_other_picture() -> None:
    """Bars with words above and below extend a picture."""
    verdict = judge(ComparisonImage(COFFEE), ComparisonImage(EDITS["meme"](COFFEE, [])[1]))
    assert verdict.kind == "edited-picture"
    assert "extended" in verdict.changes


@pytest.mark.parametrize("is_reversed", [False, True])
def test_judge_pair__a_crop_is_no_inset(is_reversed: bool) -> None:
    """What is around it goes on."""
    pair = [ComparisonImage(CAT), ComparisonImage(np.ascontiguousarray(CAT[80:240, 100:300]))]
    verdict = judge(*(pair[::-1] if is_reversed else pair))
    assert (verdict.kind, verdict.changes) == ("edited-picture", ("extended",) if is_reversed else ("cropped",))


def test_judge_pair__the_same_object_in_another_scene() -> None:
    """A cup pasted into another image does not make that image a copy."""
    scene = np.ascontiguousarray(CAT.copy())
    cup = reduce_to(np.ascontiguousarray(COFFEE[40:260, 120:420]), 220)
    scene[20 : 20 + cup.shape[0], 40 : 40 + cup.shape[1]] = cup
    assert judge(ComparisonImage(COFFEE), ComparisonImage(scene)).kind == "same-object"


def test_judge_pair__another_color_of_the_object_is_not_the_same_picture() -> None:
    """A box in white and in yellow, shot in the same pose: editing the whole image would color the ground, too."""
    box = np.full((300, 300, 3), 255, np.uint8)
    white, yellow = box.copy(), box.copy()
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 3, (180, 180, 1))
    for picture, color in ((white, (225, 222, 218)), (yellow, (235, 200, 20))):
        picture[60:240, 60:240] = np.clip(np.array(color) + grain, 0, 255)
        cv2.rectangle(picture, (60, 60), (239, 110), tuple(int(0.8 * value) for value in color), -1)
        cv2.circle(picture, (150, 180), 20, (60, 60, 60), -1)
    assert judge(ComparisonImage(white), ComparisonImage(white.copy())).kind == "same-picture"
    assert judge(ComparisonImage(white), ComparisonImage(yellow)).kind != "same-picture"


def test_judge_pair__computes_the_similarity_only_if_the_geometry_is_not_enough() -> None:
    for percent, kind in ((70.0, "alike"), (69.9, "unrelated")):
        similarity = Mock(return_value=percent)
        assert judge_pair(ComparisonImage(COFFEE), ComparisonImage(CAT), similarity).kind == kind
        similarity.assert_called_once_with()
    similarity = Mock()
    for copy in (COFFEE, changed("JPEG", 60), changed("perspective", 0.12)):
        judge_pair(ComparisonImage(COFFEE), ComparisonImage(copy), similarity)
    judge_pair(ComparisonImage(COFFEE), ComparisonImage(CAT), similarity, is_same_file=True)
    similarity.assert_not_called()


@pytest.mark.parametrize(
    ("changes", "angle", "scale", "part", "text"),
    [
        (("turned",), 90.0, 1.0, (0, 0, 1, 1), "rotated 90° counterclockwise"),
        (("mirrored", "turned"), -11.04, 1.0, (0, 0, 1, 1), "mirrored, rotated 11° clockwise"),
        (("cropped",), 0.0, 1.0, (0, 0, 0.8, 0.75), "cropped to 80% of its width and 75% of its height"),
        (("cropped",), 0.0, 1.0, (0, 0, 1.0, 0.75), "cropped to 75% of its height"),
        (("cropped",), 0.0, 1.0, (0, 0, 0.984, 0.994), "cropped to 98% of its width"),
        (("turned", "cropped"), 11.0, 1.0, (0, 0, 1.0, 0.991), "rotated 11° counterclockwise"),
        (("cropped",), 0.0, 1.0, (0, 0, 0.99, 0.99), "slightly cropped"),
        (("recolored", "retouched", "resized"), 0.0, 0.653, (0, 0, 1, 1), "recolored, partly edited, resized to 65%"),
        (("inverted",), 0.0, 1.0, (0, 0, 1, 1), "with inverted colors"),
        (("stretched", "darker"), 0.0, 1.0, (0, 0, 1, 1), "stretched, made darker"),
        (("extended", "resized"), 0.0, 0.004, (0, 0, 1, 1), "extended at the edges, resized to 0.4%"),
        (("re-encoded",), 0.0, 1.0, (0, 0, 1, 1), "re-encoded"),
    ],
)
def test_changes_text(changes: Any, angle: float, scale: float, part: Any, text: str) -> None:
    verdict = Verdict("edited-picture", changes, GeometricTransform(False, angle, scale, part, (0, 0, 1, 1)))
    assert verdict.changes_text == text
    assert verdict.text == f"The second image is an edited version of the first: {text}."


def test_text__of_the_same_picture() -> None:
    transform = GeometricTransform(False, 0.0, 12.0, (0, 0, 1, 1), (0, 0, 1, 1))
    assert Verdict("same-picture", ("re-encoded",), transform).text == (
        "The second image is a re-encoded version of the first."
    )
    assert Verdict("same-picture", ("resized",), transform).text == (
        "Both images are the same; the second is resized to 1200% of the first."
    )


@pytest.mark.parametrize(
    ("part", "whole", "changes", "text"),
    [
        ((0, 0, 1, 1), (0.5, 0.5, 0.4, 0.4), (), "The second image contains the first."),
        ((0.5, 0.5, 0.4, 0.4), (0, 0, 1, 1), (), "The first image contains the second."),
        ((0, 0, 1, 1), (0, 0, 0.5, 1), ("gray",), "The second image contains the first: in black and white."),
    ],
)
def test_text__of_a_part(part: Any, whole: Any, changes: Any, text: str) -> None:
    assert Verdict("contains", changes, GeometricTransform(False, 0.0, 1.0, part, whole)).text == text


def test_judge_pair__unrelated() -> None:
    verdict = judge(ComparisonImage(COFFEE), ComparisonImage(CAT))
    assert (verdict.kind, verdict.changes) == ("unrelated", ())


@pytest.mark.parametrize("first", PICTURES)
@pytest.mark.parametrize("second", PICTURES)
def test_judge_pair__any_images(first: str, second: str) -> None:
    verdict = judge(ComparisonImage(PICTURES[first]), ComparisonImage(PICTURES[second]))
    assert verdict.title
    assert verdict.text
    if first == second:
        assert verdict.kind == "same-picture"

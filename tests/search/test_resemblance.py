"""The sentence about two images: as sure as its evidence, and where they match."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from django.utils import translation
from PIL import Image, ImageDraw

from similar_images.measures.base import ComparisonImage
from similar_images.measures.verdict import Verdict
from similar_images.search.resemblance import describe_known, describe_pair, describe_scores
from tests import drawing


def image_of(picture: Image.Image) -> ComparisonImage:
    return ComparisonImage(np.asarray(picture.convert("RGB")))


def cup(color: tuple[int, int, int], size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A product on a white ground, in one pose: its color aside, always the same."""
    picture = Image.new("RGB", size, "white")
    detail = drawing.textured(5, (120, 140)).convert("L")
    body = Image.merge(
        "RGB", [detail.point(lambda level, c=channel: int(c * (0.4 + level / 425))) for channel in color]
    )
    picture.paste(body, (100, 60))
    return picture


@pytest.mark.parametrize(
    ("scores", "kind", "words"),
    [
        ({"embedding": 95, "color": 95}, "same-design", "Probably the same design in the same colors."),
        ({"embedding": 95, "color": 60}, "same-design", "Probably the same design."),
        ({"embedding": 95, "color": 5}, "same-design", "Probably the same design; the colors of the images differ."),
        ({"embedding": 95}, "same-design", "Probably the same design."),
        ({"embedding": 86, "color": 75}, "same-kind", "Probably the same kind of item, in similar colors."),
        ({"embedding": 75, "color": 10}, "similar-content", "Similar in content, not in colors."),
        ({"embedding": 75, "color": 50}, "similar-content", "Similar in content."),
        ({"embedding": 40, "color": 80}, "similar-colors", "Similar in colors, less so in content."),
        ({"color": 80}, "similar-colors", "Similar in colors, less so in content."),
        ({"color": 40, "phash": 95}, "similar-layout", "Light and dark areas are arranged alike."),
        ({"embedding": 40, "color": 20}, "loosely-similar", "Only loosely similar."),
        ({"mine": 99}, "loosely-similar", "Only loosely similar."),
    ],
)
def test_scores__say_no_more_than_they_know(scores: dict[str, float], kind: str, words: str) -> None:
    resemblance = describe_scores(scores)
    assert (resemblance.kind, resemblance.sentence) == (kind, words)
    assert resemblance.query_box is resemblance.match_box is None


def test_scores__are_told_in_the_language_of_the_visitor() -> None:
    with translation.override("de"):
        assert describe_scores({"embedding": 95}).sentence == "Wahrscheinlich das gleiche Design."


def test_known__takes_the_verdict_of_a_search_for_copies() -> None:
    found = describe_known({"embedding": 50}, Verdict("same-file"))
    assert found is not None
    assert found.kind == "same-file"
    other = describe_known({"embedding": 50}, Verdict("same-object"))
    assert other is not None
    assert other.kind == "loosely-similar"
    assert describe_known({}) is None


def test_pair__of_a_crop_has_the_part_of_the_image_that_it_shows() -> None:
    whole = drawing.textured(1)
    crop = whole.crop((80, 48, 288, 216))
    found = describe_pair(image_of(whole), image_of(crop), {"embedding": 80})
    assert found.kind == "same-image"
    assert found.sentence.startswith("Same image: cropped to 65% of its width and 70% of its height")
    assert found.query_box == pytest.approx((0.25, 0.2, 0.65, 0.7), abs=0.02)
    assert found.match_box == pytest.approx((0, 0, 1, 1), abs=0.02)


def test_pair__of_a_product_in_another_color_is_no_copy() -> None:
    found = describe_pair(image_of(cup((230, 60, 60))), image_of(cup((60, 90, 230))), {"embedding": 90, "color": 5})
    assert (found.kind, found.sentence) == ("other-color", "Same design in another color.")
    for box in (found.query_box, found.match_box):
        assert box == pytest.approx((100 / 320, 60 / 240, 120 / 320, 140 / 240), abs=0.08)


def test_pair__of_an_image_that_was_brightened_is_the_same_view() -> None:
    picture = drawing.textured(3)
    brighter = picture.point(lambda level: min(255, level + 30))
    found = describe_pair(image_of(picture), image_of(brighter), {})
    assert (found.kind, found.sentence) == ("same-view", "Same view in other colors or light.")


def test_pair__of_an_image_that_was_encoded_anew_is_the_same_image() -> None:
    picture = drawing.textured(3)
    data = drawing.encoded(picture, "JPEG", quality=60)
    found = describe_pair(image_of(picture), image_of(Image.open(io.BytesIO(data))), {})
    assert (found.kind, found.sentence) == ("same-image", "Same image.")


def test_pair__with_a_detail_in_common_has_it_boxed_in_both() -> None:
    detail = drawing.textured(7, (110, 110))
    one, other = drawing.scene(20, (320, 240)), drawing.scene(21, (300, 300))
    one.paste(detail, (20, 30))
    other.paste(detail, (160, 150))
    found = describe_pair(image_of(one), image_of(other), {"embedding": 40})
    assert found.kind in ("shared-details", "same-design")
    assert found.query_box == pytest.approx((20 / 320, 30 / 240, 110 / 320, 110 / 240), abs=0.12)
    assert found.match_box == pytest.approx((160 / 300, 150 / 300, 110 / 300, 110 / 300), abs=0.12)


def test_pair__without_geometry_falls_back_to_its_scores() -> None:
    plain, other = Image.new("RGB", (200, 200), "teal"), Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(other).ellipse((40, 40, 160, 160), fill="red")
    found = describe_pair(image_of(plain), image_of(other), {"embedding": 75, "color": 5})
    assert found == describe_scores({"embedding": 75, "color": 5})


def test_pair__of_the_same_file_is_not_compared() -> None:
    blank: Any = image_of(Image.new("RGB", (20, 20)))
    found = describe_pair(blank, blank, {}, is_same_file=True)
    assert (found.kind, found.sentence, found.query_box) == ("same-file", "Both files are identical.", (0, 0, 1, 1))

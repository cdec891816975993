"""Calibrated sources: percentages become stricter by themselves where too many pairs of images would be similar."""

from __future__ import annotations

import logging
from typing import Any

import cv2
import numpy as np
import pytest
from django.core.files.base import ContentFile
from numpy.typing import NDArray

import similar_images
from similar_images import tasks
from similar_images.indexing import calibration, versions
from similar_images.models import MethodVersion, Projection
from similar_images.signatures.tightening import MAX_SIMILAR_SHARE
from tests import commands, drawing
from tests.methods import Mean, Wide
from tests.testapp.models import Picture

COUNT = 60


def draw(seed: int) -> ContentFile[bytes]:
    """Draw an image of a strong pattern that all share, and a faint one of its own."""
    gray = np.random.default_rng(7).normal(100, 40, 256) + np.random.default_rng(seed).normal(0, 12, 256)
    pixels = np.kron(gray.clip(0, 255).reshape(16, 16), np.ones((4, 4))).round().astype(np.uint8)
    return ContentFile(cv2.imencode(".png", pixels)[1].tobytes(), "drawn.png")


@pytest.fixture
def shop(db: None, configure: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """Indexed pictures that look alike to the method, swept once but for the calibration."""
    monkeypatch.setattr(Wide, "curve", ((0, 100), (0.0125, 70), (0.02, 30), (0.1, 0)))
    configure(METHODS={"tests.methods.Wide": {}}, RANKING={"wide": 1}, CALIBRATE_FROM=None)
    pictures = [Picture.objects.create(image=draw(index)) for index in range(COUNT)]
    index_now()
    tasks.sweep()
    configure(METHODS={"tests.methods.Wide": {}}, RANKING={"wide": 1}, CALIBRATE_FROM=COUNT)
    return pictures


def active() -> MethodVersion:
    return MethodVersion.objects.get(source__model="picture", name="wide", is_active=True)


def share_of_similar(pictures: list[Picture]) -> float:
    found = [similar_images.similar_to(picture, limit=COUNT, fold=False) for picture in pictures]
    return sum(match.similarity >= 70 for matches in found for match in matches) / (COUNT * (COUNT - 1))


def test_sweep__makes_percentages_stricter_where_too_many_pairs_are_similar(shop: list[Picture]) -> None:
    before = share_of_similar(shop)
    firsts = [match.object for match in similar_images.similar_to(shop[0], limit=COUNT, fold=False)]
    assert before > 0.1
    tasks.sweep()
    assert 0 < share_of_similar(shop) <= MAX_SIMILAR_SHARE
    assert [match.object for match in similar_images.similar_to(shop[0], limit=COUNT, fold=False)] == firsts
    row = active()
    assert (row.measured_images, row.is_calibrated) == (COUNT, True)
    assert row.similar_share == pytest.approx(before, abs=0.01)
    assert row.similar_percent == pytest.approx(100 * before, abs=1)
    versions.register_versions()
    tasks.sweep()
    assert active().curve == row.curve


def test_sweep__leaves_percentages_that_are_strict_enough(
    db: None, make_picture: Any, index_now: Any, configure: Any
) -> None:
    configure(METHODS={"color": {}}, RANKING={"color": 1}, CALIBRATE_FROM=50)
    for seed in range(50):
        make_picture(seed)
    index_now()
    tasks.sweep()
    row = MethodVersion.objects.get(source__model="picture", name="color", is_active=True)
    assert (row.measured_images, row.is_calibrated, row.similar_percent) == (50, False, 0)


def test_copies__do_not_count(db: None, configure: Any, index_now: Any) -> None:
    """Half of the images are there twice, encoded anew: both methods say so, and percentages stay."""
    methods = {"color": {}, "tests.methods.Grid": {"side": 4}}
    configure(METHODS=methods, RANKING={"color": 1}, CALIBRATE_FROM=50)
    for seed in range(25):
        pixels = np.array(drawing.textured(seed).convert("RGB"))
        for quality in (95, 60):
            data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
            Picture.objects.create(image=ContentFile(data, "photo.jpg"))
    index_now()
    tasks.sweep()
    rows = MethodVersion.objects.filter(source__model="picture", name="color", is_active=True)
    assert [(row.measured_images, row.similar_percent) for row in rows] == [(50, 0)]


class Dots(Mean):
    """The color of one half, which is any of a few similar ones: all pairs are alike by chance."""

    name = "dots"
    curve = ((0.0, 100.0), (0.3, 70.0), (0.6, 30.0), (1.0, 0.0))

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels[:, :32].mean((0, 1), dtype=np.float32) / 255


class Kinds(Mean):
    """The color of the other half, which is that of the kind."""

    name = "kinds"
    curve = ((0.0, 100.0), (0.02, 70.0), (0.05, 30.0), (0.2, 0.0))

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels[:, 32:].mean((0, 1), dtype=np.float32) / 255


def test_method__that_can_not_tell_images_apart_counts_less_in_a_ranking(
    db: None, configure: Any, index_now: Any
) -> None:
    """A method that finds all images alike by chance puts other kinds first, until the source is calibrated."""
    methods = {f"{__name__}.Dots": {}, f"{__name__}.Kinds": {}}
    ranking = {"dots": 0.7, "kinds": 0.3}
    configure(METHODS=methods, RANKING=ranking, CALIBRATE_FROM=None)
    random = np.random.default_rng(3)
    for index in range(COUNT):
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[:, :32] = random.integers(90, 150, 3)
        pixels[:, 32:] = (8 * (index % 30), 120, 60)
        Picture.objects.create(image=ContentFile(cv2.imencode(".png", pixels)[1].tobytes(), "dots.png"))
    index_now()
    tasks.sweep()
    pictures = list(Picture.objects.order_by("pk"))

    def found() -> int:
        nearest = [similar_images.similar_to(each, limit=1, fold=False)[0].object for each in pictures]
        return sum((pictures.index(near) - index) % 30 == 0 for index, near in enumerate(nearest))

    before = found()
    configure(METHODS=methods, RANKING=ranking, CALIBRATE_FROM=COUNT)
    tasks.sweep()
    shares = dict(MethodVersion.objects.filter(source__model="picture").values_list("name", "similar_share"))
    assert shares["dots"] > 0.5 > 0.05 > shares["kinds"]
    assert before < 0.9 * COUNT
    assert found() > before + 0.05 * COUNT


def test_small_source__is_left_alone(shop: list[Picture], configure: Any) -> None:
    configure(CALIBRATE_FROM=COUNT + 1)
    tasks.sweep()
    assert active().measured_images is None


def test_switched_off__goes_back(shop: list[Picture], configure: Any) -> None:
    curve, before = active().curve, share_of_similar(shop)
    tasks.sweep()
    assert active().curve != curve
    configure(CALIBRATE_FROM=None)
    tasks.sweep()
    row = active()
    assert (row.curve, row.measured_images, row.is_calibrated) == (curve, None, False)
    assert share_of_similar(shop) == before


def test_source_that_doubled__is_measured_again(shop: list[Picture], index_now: Any) -> None:
    tasks.sweep()
    first = active()
    for seed in range(COUNT, 2 * COUNT - 1):
        Picture.objects.create(image=draw(seed))
    index_now()
    tasks.sweep()
    assert active().measured_images == COUNT
    Picture.objects.create(image=draw(2 * COUNT))
    index_now()
    tasks.sweep()
    assert active().measured_images == 2 * COUNT
    assert active().curve != first.curve


def test_calibrated_by_hand__is_left_alone_until_it_is_reset(shop: list[Picture]) -> None:
    tasks.sweep()
    stricter = active().curve
    commands.run("calibrate_similarity", model=["testapp.Picture"], method=["wide"])
    by_hand = active().curve
    assert by_hand != stricter
    tasks.sweep()
    assert (active().curve, active().measured_images) == (by_hand, None)
    commands.run("calibrate_similarity", model=["testapp.Picture"], method=["wide"], reset=True)
    tasks.sweep()
    assert active().curve == stricter


def test_centered_source__becomes_stricter_once(shop: list[Picture], configure: Any, index_now: Any) -> None:
    configure(METHODS={"tests.methods.Centered": {}}, RANKING={"wide": 1}, CENTER_FROM=COUNT, CALIBRATE_FROM=COUNT)
    tasks.sweep()
    row = active()
    assert row.projection is not None
    assert row.curve != row.projection.curve
    assert share_of_similar(shop) <= MAX_SIMILAR_SHARE
    for seed in range(COUNT, 2 * COUNT):
        Picture.objects.create(image=draw(seed))
    index_now()
    tasks.sweep()
    again = active()
    assert again.projection not in (None, row.projection)
    assert again.similar_share > 0.1, "measured by the curve as shipped, and not by the stricter one"


def test_learned_projection__keeps_its_own_curve(shop: list[Picture]) -> None:
    projection = Projection.objects.create(
        base="wide-1", mean=b"", matrix=b"", curve=[], learned_from={"label": "shelf"}, figures={}
    )
    MethodVersion.objects.filter(pk=active().pk).update(projection=projection)
    calibration.calibrate_sources()
    assert active().measured_images is None


def test_error__does_not_keep_other_sources_from_being_calibrated(
    shop: list[Picture], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(calibration, "tighten_curve", lambda *_args: 1 / 0)
    with caplog.at_level(logging.ERROR):
        tasks.sweep()
    assert "could not be calibrated" in caplog.text
    assert active().measured_images is None


def test_library__that_is_being_indexed_is_not_measured(shop: list[Picture]) -> None:
    for seed in range(COUNT, COUNT + COUNT // 8):
        Picture.objects.create(image=draw(seed))
    calibration.calibrate_sources()
    assert active().measured_images is None

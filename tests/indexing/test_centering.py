"""Centered sources: what all images share is taken off once there are enough of them, and searches go on meanwhile."""

from __future__ import annotations

import io
import logging
from typing import Any

import cv2
import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError

import similar_images
from similar_images import plugins, registry, tasks
from similar_images.indexing import centering, outbox, projections, pruning, sweep, versions
from similar_images.models import IndexedImage, MethodVersion, Projection, Signature
from similar_images.signatures.projection import ProjectedMethod
from tests import commands
from tests.methods import PX, Centered
from tests.testapp.models import Picture, Shelf

SHELVES, EACH = 12, 6
COUNT = SHELVES * EACH


def draw(shelf: int, seed: int) -> ContentFile[bytes]:
    """Draw an image of a strong pattern that all share, and the pattern of its shelf, faint or clear."""
    rng = np.random.default_rng(1000 + seed)
    shared = np.random.default_rng(7).normal(0, 20, 256)
    own = (np.random.default_rng(shelf).normal(0, 3, 256) + rng.normal(0, 4, 256)) * rng.uniform(0.5, 5)
    gray = np.kron((100 + shared + own).clip(0, 255).reshape(16, 16), np.ones((4, 4))).round().astype(np.uint8)
    return ContentFile(cv2.imencode(".png", gray)[1].tobytes(), "drawn.png")


@pytest.fixture
def shop(db: None, configure: Any, index_now: Any) -> list[Picture]:
    """Indexed pictures on shelves, swept once, in a source that is centered from so many on."""
    configure(METHODS={"tests.methods.Centered": {}}, RANKING={"wide": 1}, CENTER_FROM=COUNT)
    shelves = [Shelf.objects.create(name=f"{number}") for number in range(SHELVES)]
    pictures = [
        Picture.objects.create(image=draw(index // EACH, index), title=f"{index}", shelf=shelves[index // EACH])
        for index in range(COUNT)
    ]
    index_now()
    sweep.sweep_sources()
    return pictures


def active() -> MethodVersion:
    return MethodVersion.objects.get(source__model="picture", name="wide", is_active=True)


def signatures() -> int:
    return Signature.objects.filter(source__model="picture").count()


def hit_rate(pictures: list[Picture]) -> float:
    """The share of first matches on the shelf of their query."""
    firsts = [similar_images.similar_to(picture, limit=1, fold=False)[0].object for picture in pictures]
    return float(np.mean([match.shelf_id == picture.shelf_id for match, picture in zip(firsts, pictures, strict=True)]))


def share_above(percent: float, pictures: list[Picture]) -> float:
    found = [similar_images.similar_to(picture, limit=COUNT, fold=False) for picture in pictures]
    return float(np.mean([match.similarity >= percent for matches in found for match in matches]))


def test_sweep__centers_a_source_that_is_large_enough(shop: list[Picture]) -> None:
    before, shares = hit_rate(shop), {percent: share_above(percent, shop) for percent in (45, 70)}
    tasks.sweep()
    projection = active().projection
    assert projection.learned_from == {"centering": True, "images": COUNT, "sample": COUNT}
    assert (projection.is_enabled, bytes(projection.matrix)) == (True, b"")
    assert hit_rate(shop) > before + 0.1
    for percent, share in shares.items():
        assert share_above(percent, shop) == pytest.approx(share, abs=0.05), "percentages keep their meaning"
    assert not outbox.outdated_records(registry.get_source(Picture)).exists(), "no image is left to be read"
    tasks.sweep()
    assert active().projection == projection


@pytest.mark.parametrize("min_images", [COUNT + 1, None])
def test_sweep__leaves_a_smaller_source_alone(shop: list[Picture], configure: Any, min_images: int | None) -> None:
    configure(CENTER_FROM=min_images)
    tasks.sweep()
    assert not Projection.objects.exists()
    assert active().projection is None


def test_method__that_does_not_gain_is_left_alone(shop: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Centered, "gains_by_centering", False)
    tasks.sweep()
    assert not Projection.objects.exists()


def test_library__that_is_being_indexed_is_not_centered(shop: list[Picture]) -> None:
    for index in range(COUNT // 8):
        Picture.objects.create(image=draw(0, 500 + index))
    centering.center_sources()
    assert not Projection.objects.exists()


def test_images_that_cannot_be_read__do_not_count(shop: list[Picture], configure: Any) -> None:
    configure(CENTER_FROM=COUNT - 10)
    failed = IndexedImage.objects.filter(object_id__in=[str(picture.pk) for picture in shop[:10]])
    Signature.objects.filter(record__in=failed).delete()
    failed.update(status="failed")
    centering.center_sources()
    assert active().projection.learned_from["images"] == COUNT - 10


def test_sample__is_drawn_from_all_of_a_large_source(shop: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centering, "MAX_SAMPLE", COUNT // 2)
    centering.center_sources()
    assert COUNT // 4 < active().projection.learned_from["sample"] <= COUNT // 2


def test_upload_and_new_image__are_centered_alike(shop: list[Picture], index_now: Any) -> None:
    centering.center_sources()
    (match, *_rest) = similar_images.similar_to(io.BytesIO(draw(1, 7).read()), model=Picture)
    assert (match.object, match.similarity) == (shop[7], 100.0)
    new = Picture.objects.create(image=draw(1, 7))
    index_now()
    assert Signature.objects.filter(record__object_id=new.pk).count() == 2, "the method's own, and the centered one"
    assert similar_images.similar_to(new)[0].object == shop[7]


def test_source_that_grew__is_centered_anew_without_a_gap(
    shop: list[Picture], index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    centering.center_sources()
    first = active()
    for index in range(COUNT // 2 - 1):
        Picture.objects.create(image=draw(index % SHELVES, 200 + index))
    index_now()
    centering.center_sources()
    assert active() == first, "not yet by half"
    Picture.objects.create(image=draw(0, 300))
    index_now()
    gaps = []
    fill = versions.fill_projection
    monkeypatch.setattr(
        versions,
        "fill_projection",
        lambda *args: (gaps.append(len(similar_images.similar_to(shop[0]))) or size for size in fill(*args)),
    )
    centering.center_sources()
    assert gaps
    assert set(gaps) == {12}
    assert active().projection.learned_from["images"] == COUNT * 3 // 2
    assert list(Projection.objects.all()) == [active().projection]
    assert signatures() == COUNT * 3, "those of the former mean are gone"


def test_calibrated_percentages__survive(shop: list[Picture]) -> None:
    MethodVersion.objects.filter(pk=active().pk).update(curve=[[0, 100], [2, 99]], is_calibrated=True)
    centering.center_sources()
    assert share_above(99, shop) == 1


def test_setting__switches_centering_off_and_on_again(shop: list[Picture], configure: Any) -> None:
    before = [match.object for match in similar_images.similar_to(shop[0])]
    centering.center_sources()
    configure(CENTER_FROM=None)
    centering.center_sources()
    assert active().projection is None
    assert [match.object for match in similar_images.similar_to(shop[0])] == before
    assert (Projection.objects.count(), signatures()) == (0, COUNT)
    configure(CENTER_FROM=COUNT)
    centering.center_sources()
    assert active().projection is not None


def test_calibration_of_a_centered_source__survives_going_back(shop: list[Picture], configure: Any) -> None:
    centering.center_sources()
    MethodVersion.objects.filter(pk=active().pk).update(curve=[[0, 100], [2, 99]])
    configure(CENTER_FROM=None)
    centering.center_sources()
    assert active().projection is None
    assert active().is_calibrated
    assert share_above(99, shop) == 1


def test_calibration__is_reset_to_what_is_shipped(shop: list[Picture]) -> None:
    before = share_above(45, shop)
    MethodVersion.objects.filter(pk=active().pk).update(curve=[[0, 100], [2, 99]], is_calibrated=True)
    centering.center_sources()
    assert share_above(99, shop) == 1
    commands.run("calibrate_similarity", reset=True)
    assert share_above(45, shop) == pytest.approx(before, abs=0.05)


def test_source_that_is_far_too_small__goes_back(shop: list[Picture], configure: Any) -> None:
    centering.center_sources()
    configure(CENTER_FROM=COUNT + COUNT // 4)
    centering.center_sources()
    assert active().projection is not None, "near to it"
    configure(CENTER_FROM=2 * COUNT)
    centering.center_sources()
    assert (active().projection, Projection.objects.count(), signatures()) == (None, 0, COUNT)


def test_other_version_of_the_method__forgets_the_mean_of_the_former_one(
    shop: list[Picture], index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    centering.center_sources()
    monkeypatch.setattr(Centered, "version", "2")
    sweep.sweep_sources()
    index_now()
    sweep.sweep_sources()
    for _sweep in range(2):
        centering.center_sources()
    assert active().version.startswith("2")
    assert [projection.base for projection in Projection.objects.all()] == [f"2{PX}"]


def test_prune__leaves_what_is_being_filled(shop: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centering, "MAX_FILLED", COUNT // 2)
    monkeypatch.setattr(versions, "WRITE_CHUNK", COUNT // 6)
    centering.center_sources()
    assert sum(pruning.prune_versions(registry.get_sources())) == 0
    assert signatures() == COUNT * 3 // 2


def test_learn_projection_off__says_what_switches_centering_off(shop: list[Picture]) -> None:
    centering.center_sources()
    with pytest.raises(CommandError, match="CENTER_FROM"):
        commands.run("learn_projection", "testapp.Picture", method="wide", off=True)
    assert active().projection is not None


def test_killed_between_filling_and_enabling__goes_on(shop: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(projections, "_set_active_projection", lambda *args: 1 / 0)
        centering.center_sources()
    assert active().projection is None
    assert similar_images.similar_to(shop[0])
    centering.center_sources()
    assert active().projection == Projection.objects.get()


def test_large_source__is_filled_and_cleared_by_slices(shop: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centering, "MAX_FILLED", COUNT // 3)
    monkeypatch.setattr(versions, "WRITE_CHUNK", COUNT // 6)
    counts = []
    for _sweep in range(3):
        assert active().projection is None
        assert len(similar_images.similar_to(shop[0])) == 12
        centering.center_sources()
        counts.append(signatures() - COUNT)
    assert counts == [COUNT // 3, COUNT * 2 // 3, COUNT]
    centering.center_sources()
    assert active().projection is not None
    assert Projection.objects.count() == 1


def test_error__is_logged_and_keeps_the_sweep_going(
    shop: list[Picture], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(centering, "center", lambda *args, **options: 1 / 0)
    with caplog.at_level(logging.ERROR):
        tasks.sweep()
    assert "testapp.Picture.image could not be centered by wide." in caplog.text


def test_labels__go_before_the_mean(shop: list[Picture]) -> None:
    centering.center_sources()
    mean = active()
    learned = ProjectedMethod(
        plugins.stored_methods()["wide"],
        version="learned",
        dimensions=256,
        curve=Centered.curve,
        mean=np.zeros(256, np.float32).tobytes(),
        matrix=np.eye(256, dtype=np.float32).tobytes(),
    )
    source = registry.get_source(Picture)
    projections.activate_projection(source, learned, projections.store_projection(source, learned, {"by": "shelf"}, {}))
    centering.center_sources()
    assert active().version == "learned"
    assert not MethodVersion.objects.filter(pk=mean.pk).exists()
    assert "Switched." in commands.run("learn_projection", "testapp.Picture", method="wide", off=True)[0]
    centering.center_sources()
    assert active().projection.learned_from["centering"]

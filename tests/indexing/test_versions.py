"""A new version of a method: filled in beside the old one, switched to with no gap, pruned by command."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction

import similar_images
from similar_images import registry
from similar_images.indexing import claims, outbox, versions, worker
from similar_images.models import IndexedImage, MethodVersion, Signature
from tests import drawing
from tests.testapp.models import NamedPicture, Picture

pytestmark = pytest.mark.django_db

Deploy = Callable[[int], None]


@pytest.fixture
def deploy(configure: Any) -> Deploy:
    """Set the option that makes another version, as a new release of the site would."""

    def deploy(side: int) -> None:
        configure(METHODS={"tests.methods.Grid": {"side": side}}, RANKING={"grid": 1})

    deploy(2)
    versions.register_versions()
    return deploy


def serving(model: Any = Picture) -> dict[str, str]:
    return {name: form.version for name, form in versions.active_versions(registry.get_source(model)).items()}


def work(pictures: int) -> None:
    """Index so many pictures."""
    for _ in range(pictures):
        worker.index_records(claims.claim_batch()[:1])
        IndexedImage.objects.filter(status="pending").update(started_at=None, attempts=0)


def test_first_version__serves_at_once(deploy: Deploy) -> None:
    assert serving() == serving(NamedPicture) == {"grid": "side2"}
    row = MethodVersion.objects.get(source__model="picture", name="grid")
    assert (row.storage, row.metric, row.dimensions, row.is_active) == ("halfvec", "l1", 4, True)
    assert row.method_config == ["tests.methods.Grid", {"side": 2}]
    assert row.curve == [[0.0, 100.0], [100.0, 0.0]]


def test_new_version__serves_when_it_covers_the_source(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    pictures = [make_picture(seed) for seed in range(3)]
    index_now()
    before = similar_images.similar_to(pictures[0])
    deploy(3)
    assert outbox.sweep_sources() == 3
    for done in range(3):
        versions.switch_versions()
        assert serving() == {"grid": "side2"}
        assert similar_images.similar_to(pictures[0]) == before, f"after {done}"
        work(1)
    assert [row.version for row in versions.switch_versions() if row.source.model == "picture"] == ["side3"]
    assert serving() == {"grid": "side3"}
    after = similar_images.similar_to(pictures[0])
    assert len(after) == 2
    assert after != before
    assert versions.switch_versions() == []
    assert Signature.objects.count() == 6, "the old ones stay until they are pruned"


def test_new_version__each_source_switches_for_itself(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    deploy(3)
    versions.register_versions()
    versions.switch_versions()
    assert (serving(), serving(NamedPicture)) == ({"grid": "side2"}, {"grid": "side3"})


def test_between__a_new_picture_is_found_before_and_after_the_switch(
    deploy: Deploy, make_picture: Any, index_now: Any
) -> None:
    old = make_picture(1)
    index_now()
    deploy(3)
    outbox.sweep_sources()
    new = make_picture(1)
    worker.index_records([record for record in claims.claim_batch() if record.object_id == str(new.pk)])
    assert set(Signature.objects.filter(record__object_id=new.pk).values_list("version", flat=True)) == {
        "side2",
        "side3",
    }
    assert [match.object for match in similar_images.similar_to(old)] == [new]
    assert [match.object for match in similar_images.similar_to(new)] == [old]
    IndexedImage.objects.update(started_at=None)
    index_now()
    assert versions.switch_versions()
    assert [match.object for match in similar_images.similar_to(old)] == [new]


def test_between__an_upload_is_described_by_the_version_that_serves(
    deploy: Deploy, make_picture: Any, index_now: Any
) -> None:
    item = make_picture(1)
    index_now()
    deploy(3)
    outbox.sweep_sources()
    (match,) = similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture)
    assert (match.object, match.similarity) == (item, 100.0)


def test_between__an_old_version_that_can_not_be_made_any_more_still_serves(
    deploy: Deploy, make_picture: Any, index_now: Any
) -> None:
    pictures = [make_picture(seed) for seed in range(2)]
    index_now()
    MethodVersion.objects.update(method_config=["tests.methods.Gone", {}])
    deploy(3)
    outbox.sweep_sources()
    assert len(similar_images.similar_to(pictures[0])) == 1
    new = make_picture(1)
    index_now()
    assert similar_images.similar_to(new)[0].similarity == 100
    (best, _other, _itself) = similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture)
    assert best.similarity == 100


def test_between__a_picture_that_broke_holds_nothing_up(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    broken, _other = make_picture(1), make_picture(2)
    index_now()
    broken.image.storage.delete(broken.image.name)
    deploy(3)
    outbox.sweep_sources()
    index_now()
    assert IndexedImage.objects.filter(status="failed").count() == 1
    versions.switch_versions()
    assert serving() == {"grid": "side3"}


def test_between__a_new_version_that_fails_everywhere_takes_nothing_down(
    configure: Any, make_picture: Any, index_now: Any
) -> None:
    """The model's file is missing on the workers, say."""
    configure(METHODS={"tests.methods.Broken": {"side": 2}}, RANKING={"grid": 1}, MAX_ATTEMPTS=2)
    versions.register_versions()
    item, *_others = [make_picture(seed) for seed in range(3)]
    index_now()
    configure(METHODS={"tests.methods.Broken": {"side": 3}}, RANKING={"grid": 1}, MAX_ATTEMPTS=2)
    outbox.sweep_sources()
    for _ in range(2):
        index_now()
        IndexedImage.objects.update(retry_at=None)
    assert IndexedImage.objects.filter(status="failed", error="model.onnx").count() == 3
    versions.switch_versions()
    assert serving() == {"grid": "side2"}
    assert len(similar_images.similar_to(item)) == 2


def test_between__files_that_a_worker_does_not_see_take_nothing_down(
    deploy: Deploy, make_picture: Any, index_now: Any, settings: Any, tmp_path: Path
) -> None:
    item, *_others = [make_picture(seed) for seed in range(3)]
    index_now()
    deploy(3)
    outbox.sweep_sources()
    settings.MEDIA_ROOT = tmp_path / "not mounted"
    index_now()
    versions.switch_versions()
    assert IndexedImage.objects.filter(status="failed").count() == 3
    assert len(similar_images.similar_to(item)) == 2


def test_between__a_picture_that_was_given_up_holds_nothing_up(
    deploy: Deploy, make_picture: Any, index_now: Any, configure: Any
) -> None:
    deadly, _other = make_picture(1), make_picture(2)
    index_now()
    deploy(3)
    outbox.sweep_sources()
    IndexedImage.objects.filter(object_key=deadly.pk).update(attempts=5)
    index_now()
    assert IndexedImage.objects.get(object_key=deadly.pk).status == "failed"
    versions.switch_versions()
    assert serving() == {"grid": "side3"}


def test_between__a_method_of_a_name_of_its_own_can_be_made_again(
    configure: Any, make_picture: Any, index_now: Any
) -> None:
    def deploy(side: int) -> None:
        configure(METHODS={"mine": {"class": "tests.methods.Grid", "side": side}}, RANKING={"mine": 1})

    deploy(2)
    versions.register_versions()
    make_picture(1), make_picture(2)
    index_now()
    deploy(3)
    outbox.sweep_sources()
    assert len(similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture)) == 2


@pytest.mark.django_db(transaction=True)
def test_switch__by_two_at_a_time(deploy: Deploy, make_picture: Any, index_now: Any, run_in_thread: Any) -> None:
    """One that waited must not take it that nothing serves."""
    make_picture(1), make_picture(2)
    index_now()
    deploy(3)
    outbox.sweep_sources()
    index_now()
    deploy(4)  # covers nothing yet
    versions.register_versions()
    rows = MethodVersion.objects.filter(source__model="picture", name="grid")
    with transaction.atomic():
        assert list(rows.select_for_update().order_by("pk"))
        waiting = run_in_thread(versions.switch_versions)
        with pytest.raises(TimeoutError):
            waiting.result(1)
        rows.filter(is_active=True).update(is_active=False)
        rows.filter(version="side3").update(is_active=True)
    waiting.result(10)
    assert serving() == {"grid": "side3"}


def test_late_worker__harms_nothing(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    """It still has the old setting, and writes after the switch."""
    pictures = [make_picture(seed) for seed in range(2)]
    index_now()
    deploy(3)
    outbox.sweep_sources()
    index_now()
    versions.switch_versions()
    deploy(2)
    late = make_picture(5)
    index_now()
    deploy(3)
    assert len(similar_images.similar_to(pictures[0])) >= 1
    outbox.sweep_sources()
    index_now()
    assert serving() == {"grid": "side3"}
    assert late in [match.object for match in similar_images.similar_to(pictures[0])]


def test_back__to_the_version_before(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    deploy(3)
    outbox.sweep_sources()
    index_now()
    versions.switch_versions()
    deploy(2)
    versions.switch_versions()
    assert serving() == {"grid": "side2"}
    assert MethodVersion.objects.filter(source__model="picture", name="grid", is_active=True).count() == 1


def test_prune__deletes_what_neither_serves_nor_is_wanted(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    for seed in range(3):
        make_picture(seed)
    index_now()
    deploy(3)
    outbox.sweep_sources()
    work(1)
    assert list(versions.prune_versions(registry.get_sources())) == []
    index_now()
    versions.switch_versions()
    out = io.StringIO()
    call_command("index_images", prune=True, stdout=out)
    assert "Signatures of former versions deleted: 3." in out.getvalue()
    assert set(Signature.objects.values_list("version", flat=True)) == {"side3"}
    assert not MethodVersion.objects.filter(version="side2").exists()


def test_prune__a_method_that_went(deploy: Deploy, make_picture: Any, index_now: Any, configure: Any) -> None:
    make_picture(1)
    index_now()
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    outbox.sweep_sources()
    index_now()
    assert sum(versions.prune_versions(registry.get_sources())) == 1
    assert set(MethodVersion.objects.values_list("name", flat=True)) == {"mean"}


def test_added_method__is_blended_in_as_it_comes(
    deploy: Deploy, make_picture: Any, index_now: Any, configure: Any
) -> None:
    item, _other = make_picture(1), make_picture(2)
    index_now()
    configure(METHODS={"tests.methods.Grid": {"side": 2}, "tests.methods.Mean": {}}, RANKING={"grid": 1, "mean": 1})
    outbox.sweep_sources()
    assert set(similar_images.similar_to(item)[0].scores) == {"grid"}
    index_now()
    assert set(similar_images.similar_to(item)[0].scores) == {"grid", "mean"}


def test_curve__of_the_database_counts(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    item, _other = make_picture(1), make_picture(2)
    index_now()
    before = similar_images.similar_to(item)[0]
    MethodVersion.objects.update(curve=[[0, 100], [before.distances["grid"], 70], [1000, 0]], is_calibrated=True)
    versions.register_versions()
    assert similar_images.similar_to(item)[0].similarity == 70
    MethodVersion.objects.update(is_calibrated=False)
    versions.register_versions()
    assert similar_images.similar_to(item)[0] == before


def test_method_config__of_options_that_are_no_json_is_left_out(deploy: Deploy) -> None:
    assert versions._as_json(("x", {"a": {1, 2}})) is None


def test_check__tells_what_is_missing(
    deploy: Deploy, make_picture: Any, index_now: Any, configure: Any, capsys: Any
) -> None:
    make_picture(1), make_picture(2)
    index_now()

    def check() -> str:
        call_command("check", database=["default"])
        return "".join(capsys.readouterr())

    assert "I001" not in check()
    deploy(3)
    outbox.sweep_sources()
    IndexedImage.objects.update(status="indexed")
    told = check()
    words = (
        "testapp.Picture.image is still searched by an earlier version of grid: 2 images lack a signature of the new"
    )
    assert f"{words} version, side3, and 0 failed." in told
    configure(HNSW_MIN_ROWS=2)
    assert "testapp.picture.image has no HNSW index for grid yet, so it is searched exactly." in check()


def test_sync__index_images_switches_by_itself(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    deploy(3)
    call_command("index_images", sync=True, stdout=io.StringIO())
    assert serving() == {"grid": "side3"}

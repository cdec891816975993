"""Versions of methods: a new one is computed beside the active one, activated without a gap, and the old one pruned."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.db import transaction

import similar_images
from similar_images import plugins, registry
from similar_images.indexing import claims, pruning, sweep, versions, worker
from similar_images.models import IndexedImage, MethodVersion, Signature, Source
from similar_images.signatures.projection import ProjectedMethod
from tests import drawing, methods
from tests.databases import ALIAS
from tests.methods import PX
from tests.testapp.models import NamedPicture, Picture

pytestmark = pytest.mark.django_db

Deploy = Callable[[int], None]


@pytest.fixture
def deploy(configure: Any) -> Deploy:
    """Set the option that changes the version of a method, as a new release of the site would."""

    def deploy(side: int) -> None:
        configure(METHODS={"tests.methods.Grid": {"side": side}}, RANKING={"grid": 1})

    deploy(2)
    versions.register_versions()
    return deploy


def get_active_versions(model: Any = Picture) -> dict[str, str]:
    return {name: spec.version for name, spec in versions.active_versions(registry.get_source(model)).items()}


def index_images(count: int) -> None:
    """Index as many images and leave the others due."""
    for _ in range(count):
        worker.index_records(claims.claim_batch()[:1])
        IndexedImage.objects.filter(status="pending").update(started_at=None, attempts=0)


def test_first_version__is_active_at_once(deploy: Deploy) -> None:
    assert get_active_versions() == get_active_versions(NamedPicture) == {"grid": f"side2{PX}"}
    row = MethodVersion.objects.get(source__model="picture", name="grid")
    assert (row.storage, row.metric, row.dimensions, row.is_active) == ("halfvec", "l1", 4, True)
    assert row.method_config == ["tests.methods.Grid", {"side": 2}]
    assert row.curve == [[0.0, 100.0], [100.0, 0.0]]


def test_new_version__is_activated_when_it_covers_the_source(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    pictures = [make_picture(seed) for seed in range(3)]
    index_now()
    before = similar_images.similar_to(pictures[0])
    deploy(3)
    assert sweep.sweep_sources() == 3
    for done in range(3):
        versions.switch_versions()
        assert get_active_versions() == {"grid": f"side2{PX}"}
        assert similar_images.similar_to(pictures[0]) == before, f"after {done}"
        index_images(1)
    assert [row.version for row in versions.switch_versions() if row.source.model == "picture"] == [f"side3{PX}"]
    assert get_active_versions() == {"grid": f"side3{PX}"}
    after = similar_images.similar_to(pictures[0])
    assert len(after) == 2
    assert after != before
    assert versions.switch_versions() == []
    assert Signature.objects.count() == 6, "the old ones stay until they are pruned"


def test_new_version__waits_for_its_index_where_the_old_one_has_one(
    deploy: Deploy, make_picture: Any, index_now: Any, configure: Any
) -> None:
    """Between the switch and the index, every search would look at all signatures."""
    for seed in range(3):
        make_picture(seed)
    index_now()
    configure(HNSW_MIN_ROWS=3)
    of_pictures = MethodVersion.objects.filter(source__model="picture", name="grid")
    of_pictures.update(has_index=True)
    deploy(3)
    sweep.sweep_sources()
    index_now()
    assert [row.source.model for row in versions.switch_versions() if row.source.model == "picture"] == []
    of_pictures.filter(is_active=False).update(has_index=True)
    assert [row.version for row in versions.switch_versions() if row.source.model == "picture"] == [f"side3{PX}"]


@pytest.mark.parametrize("grid", [3, 64])
def test_new_version__waits_for_no_index_that_there_will_not_be(
    deploy: Deploy, make_picture: Any, index_now: Any, configure: Any, grid: int
) -> None:
    """Because there are too few signatures, or they have too many dimensions: 64 × 64 of at most 4,000."""
    for seed in range(3):
        make_picture(seed)
    index_now()
    configure(HNSW_MIN_ROWS=4 if grid == 3 else 3)
    MethodVersion.objects.filter(source__model="picture", name="grid").update(has_index=True)
    deploy(grid)
    sweep.sweep_sources()
    index_now()
    assert [row.version for row in versions.switch_versions() if row.source.model == "picture"] == [f"side{grid}{PX}"]


def test_new_version__each_source_switches_by_itself(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    deploy(3)
    versions.register_versions()
    versions.switch_versions()
    assert get_active_versions() == {"grid": f"side2{PX}"}
    assert get_active_versions(NamedPicture) == {"grid": f"side3{PX}"}


def add_signatures(version: str, records: Iterable[IndexedImage], method: str = "grid") -> None:
    Signature.objects.bulk_create(
        Signature(record=record, source_id=record.source_id, method=method, version=version, dense=[0, 0, 0, 0])
        for record in records
    )


@pytest.mark.parametrize(
    ("count", "lost", "is_complete"),
    [
        (20, 10, True),  # as many as ten may fail,
        (30, 11, False),
        (1099, 11, False),
        (1100, 11, True),  # or one percent,
        (4, 2, True),
        (4, 3, False),  # but no more than are indexed
    ],
)
def test_is_complete__but_for_a_few_failed_records(deploy: Deploy, count: int, lost: int, is_complete: bool) -> None:
    source_id = Source.objects.get_id(registry.get_source(Picture))
    records = IndexedImage.objects.bulk_create(
        IndexedImage(source_id=source_id, object_id=str(i), file_name="x", status="failed" if i < lost else "indexed")
        for i in range(count)
    )
    add_signatures(f"side2{PX}", records)
    add_signatures(f"side3{PX}", records[lost:])
    add_signatures(f"side3{PX}", records[:lost], method="another")
    add_signatures(f"side4{PX}", records[:lost])
    deploy(3)
    versions.register_versions()
    old, new = MethodVersion.objects.filter(source_id=source_id, name="grid").order_by("version")
    assert versions.missing_signatures(new, old).count() == lost
    assert versions.is_complete(new, old) is is_complete
    for status in ("pending", "indexed"):
        IndexedImage.objects.filter(pk=records[0].pk).update(status=status)
        assert not versions.is_complete(new, old), "the first record is not even failed"


def test_register_versions__keeps_rows_and_updates_their_options(deploy: Deploy, configure: Any) -> None:
    rows = MethodVersion.objects.filter(name="grid").order_by("pk")
    before = list(rows.values())
    versions.register_versions()
    assert list(rows.values()) == before
    rows.update(method_config=["tests.methods.Gone", {}], curve=[[0, 100], [1, 0]])
    versions.register_versions()
    assert list(rows.values()) == before


def test_register_versions__takes_two_queries_for_all_sources(db: None, django_assert_num_queries: Any) -> None:
    versions.register_versions()
    count = MethodVersion.primary.count()
    MethodVersion.primary.all().delete()
    with django_assert_num_queries(2):
        versions.register_versions()
    assert MethodVersion.primary.count() == count > 10
    with django_assert_num_queries(1):
        versions.register_versions()


def test_register_versions__a_second_version_is_not_active(deploy: Deploy) -> None:
    deploy(3)
    versions.register_versions()
    rows = MethodVersion.objects.filter(source__model="picture", name="grid").order_by("version")
    assert list(rows.values_list("version", "is_active")) == [(f"side2{PX}", True), (f"side3{PX}", False)]


def test_active_versions__of_other_methods_and_sources_are_left_out(deploy: Deploy, configure: Any) -> None:
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    assert get_active_versions() == {"mean": f"1{PX}"}


def test_methods_to_compute__registers_the_versions_of_the_setting_first(deploy: Deploy) -> None:
    deploy(3)
    methods = versions.methods_to_compute(registry.get_source(Picture))
    assert [method.version for method in methods] == [f"side3{PX}", f"side2{PX}"]
    assert MethodVersion.objects.filter(source__model="picture", version=f"side3{PX}").exists()


def test_instantiate__unknown_versions(deploy: Deploy) -> None:
    row = MethodVersion.objects.get(source__model="picture", name="grid")
    method = versions.instantiate(row)
    assert method is plugins.enabled_methods()["grid"]
    deploy(3)
    assert versions.instantiate(row).version == f"side2{PX}"
    for method_config in (
        None,
        ["grid"],
        ["tests.methods.Gone", {}],
        ["tests.methods.Grid", {"side": 5}],
        ["color", {"x": 1}],
    ):
        row.method_config = method_config
        assert versions.instantiate(row) is None, method_config
    assert versions.instantiate(methods.Mean()) is None, "a method that is not enabled"


def test_before_switch__a_new_image_is_found_before_and_after(
    deploy: Deploy, make_picture: Any, index_now: Any
) -> None:
    old = make_picture(1)
    index_now()
    deploy(3)
    sweep.sweep_sources()
    new = make_picture(1)
    worker.index_records([record for record in claims.claim_batch() if record.object_id == str(new.pk)])
    assert set(Signature.objects.filter(record__object_id=new.pk).values_list("version", flat=True)) == {
        f"side2{PX}",
        f"side3{PX}",
    }
    assert [match.object for match in similar_images.similar_to(old)] == [new]
    assert [match.object for match in similar_images.similar_to(new)] == [old]
    IndexedImage.objects.update(started_at=None)
    index_now()
    assert versions.switch_versions()
    assert [match.object for match in similar_images.similar_to(old)] == [new]


def test_before_switch__an_upload_is_described_by_the_active_version(
    deploy: Deploy, make_picture: Any, index_now: Any
) -> None:
    item = make_picture(1)
    index_now()
    deploy(3)
    sweep.sweep_sources()
    (match,) = similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture)
    assert (match.object, match.similarity) == (item, 100.0)


def test_before_switch__an_active_version_that_cannot_be_instantiated_stays_active(
    deploy: Deploy, make_picture: Any, index_now: Any
) -> None:
    pictures = [make_picture(seed) for seed in range(2)]
    index_now()
    MethodVersion.objects.update(method_config=["tests.methods.Gone", {}])
    deploy(3)
    sweep.sweep_sources()
    assert len(similar_images.similar_to(pictures[0])) == 1
    new = make_picture(1)
    index_now()
    assert similar_images.similar_to(new)[0].similarity == 100
    (match, _other, _itself) = similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture)
    assert match.similarity == 100


def test_before_switch__a_broken_image_does_not_prevent_it(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    broken, _other = make_picture(1), make_picture(2)
    index_now()
    broken.image.storage.delete(broken.image.name)
    deploy(3)
    sweep.sweep_sources()
    index_now()
    assert IndexedImage.objects.filter(status="failed").count() == 1
    versions.switch_versions()
    assert get_active_versions() == {"grid": f"side3{PX}"}


def test_before_switch__a_version_that_fails_everywhere_is_not_activated(
    configure: Any, make_picture: Any, index_now: Any
) -> None:
    """For example, because the model file is missing on the workers."""
    configure(METHODS={"tests.methods.Broken": {"side": 2}}, RANKING={"grid": 1}, MAX_ATTEMPTS=2)
    versions.register_versions()
    item, *_others = [make_picture(seed) for seed in range(3)]
    index_now()
    configure(METHODS={"tests.methods.Broken": {"side": 3}}, RANKING={"grid": 1}, MAX_ATTEMPTS=2)
    sweep.sweep_sources()
    for _ in range(2):
        index_now()
        IndexedImage.objects.update(retry_at=None)
    assert IndexedImage.objects.filter(status="failed", error="model.onnx").count() == 3
    versions.switch_versions()
    assert get_active_versions() == {"grid": f"side2{PX}"}
    assert len(similar_images.similar_to(item)) == 2


def test_before_switch__missing_files_deactivate_nothing(
    deploy: Deploy, make_picture: Any, index_now: Any, settings: Any, tmp_path: Path
) -> None:
    item, *_others = [make_picture(seed) for seed in range(3)]
    index_now()
    deploy(3)
    sweep.sweep_sources()
    settings.MEDIA_ROOT = tmp_path / "not mounted"
    index_now()
    versions.switch_versions()
    assert IndexedImage.objects.filter(status="failed").count() == 3
    assert len(similar_images.similar_to(item)) == 2


def test_before_switch__a_failed_image_does_not_prevent_it(
    deploy: Deploy, make_picture: Any, index_now: Any, configure: Any
) -> None:
    deadly, _other = make_picture(1), make_picture(2)
    index_now()
    deploy(3)
    sweep.sweep_sources()
    IndexedImage.objects.filter(object_key=deadly.pk).update(attempts=5)
    index_now()
    assert IndexedImage.objects.get(object_key=deadly.pk).status == "failed"
    versions.switch_versions()
    assert get_active_versions() == {"grid": f"side3{PX}"}


def test_before_switch__a_method_with_its_own_name_can_be_instantiated_again(
    configure: Any, make_picture: Any, index_now: Any
) -> None:
    def deploy(side: int) -> None:
        configure(METHODS={"mine": {"class": "tests.methods.Grid", "side": side}}, RANKING={"mine": 1})

    deploy(2)
    versions.register_versions()
    make_picture(1), make_picture(2)
    index_now()
    deploy(3)
    sweep.sweep_sources()
    assert len(similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture)) == 2


@pytest.mark.django_db(transaction=True)
def test_switch__by_two_processes_at_a_time(
    deploy: Deploy, make_picture: Any, index_now: Any, run_in_thread: Any
) -> None:
    """A process that waited for the lock of another one must not conclude that no version is active."""
    make_picture(1), make_picture(2)
    index_now()
    deploy(3)
    sweep.sweep_sources()
    index_now()
    deploy(4)  # covers nothing yet
    versions.register_versions()
    rows = MethodVersion.objects.filter(source__model="picture", name="grid")
    with transaction.atomic(using=ALIAS):
        assert list(rows.select_for_update().order_by("pk"))
        waiting = run_in_thread(versions.switch_versions)
        with pytest.raises(TimeoutError):
            waiting.result(1)
        rows.filter(is_active=True).update(is_active=False)
        rows.filter(version=f"side3{PX}").update(is_active=True)
    waiting.result(10)
    assert get_active_versions() == {"grid": f"side3{PX}"}


def test_switch__a_worker_with_the_old_setting_does_no_harm(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    """It writes signatures of the old version after the switch."""
    pictures = [make_picture(seed) for seed in range(2)]
    index_now()
    deploy(3)
    sweep.sweep_sources()
    index_now()
    versions.switch_versions()
    deploy(2)
    late = make_picture(5)
    index_now()
    deploy(3)
    assert len(similar_images.similar_to(pictures[0])) >= 1
    sweep.sweep_sources()
    index_now()
    assert get_active_versions() == {"grid": f"side3{PX}"}
    assert late in [match.object for match in similar_images.similar_to(pictures[0])]


def test_switch__back_to_the_former_version(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    deploy(3)
    sweep.sweep_sources()
    index_now()
    versions.switch_versions()
    deploy(2)
    versions.switch_versions()
    assert get_active_versions() == {"grid": f"side2{PX}"}
    assert MethodVersion.objects.filter(source__model="picture", name="grid", is_active=True).count() == 1


def test_prune__deletes_versions_that_are_neither_active_nor_configured(
    deploy: Deploy, make_picture: Any, index_now: Any
) -> None:
    for seed in range(3):
        make_picture(seed)
    index_now()
    deploy(3)
    sweep.sweep_sources()
    index_images(1)
    assert list(pruning.prune_versions(registry.get_sources())) == []
    index_now()
    versions.switch_versions()
    out = io.StringIO()
    call_command("index_images", prune=True, stdout=out)
    assert "Signatures of former versions deleted: 3." in out.getvalue()
    assert set(Signature.objects.values_list("version", flat=True)) == {f"side3{PX}"}
    assert not MethodVersion.objects.filter(version=f"side2{PX}").exists()


def test_prune__deletes_a_method_that_is_no_longer_enabled(
    deploy: Deploy, make_picture: Any, index_now: Any, configure: Any
) -> None:
    make_picture(1)
    index_now()
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    sweep.sweep_sources()
    index_now()
    assert sum(pruning.prune_versions(registry.get_sources())) == 1
    assert set(MethodVersion.objects.values_list("name", flat=True)) == {"mean"}


def test_prune__in_chunks_and_without_waiting_for_locked_signatures(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "WRITE_CHUNK", 1)
    source = registry.get_source(Picture)
    records = IndexedImage.objects.bulk_create(
        IndexedImage(source_id=Source.objects.get_id(source), object_id=str(i), file_name="x", status="indexed")
        for i in range(25)
    )
    add_signatures(f"side1{PX}", records)
    add_signatures(f"side2{PX}", records)
    assert list(pruning.prune_versions([registry.get_source(NamedPicture)])) == []
    assert list(pruning.prune_versions([source])) == [10, 10, 5]
    assert set(Signature.objects.values_list("version", flat=True)) == {f"side2{PX}"}


@pytest.mark.django_db(transaction=True)
def test_prune__skips_locked_signatures(deploy: Deploy, make_picture: Any, index_now: Any, run_in_thread: Any) -> None:
    make_picture(1), make_picture(2)
    index_now()
    Signature.objects.update(version=f"side1{PX}")
    locked, _free = Signature.objects.order_by("pk")
    with transaction.atomic(using=ALIAS):
        Signature.objects.select_for_update().get(pk=locked.pk)
        assert run_in_thread(lambda: list(pruning.prune_versions(registry.get_sources()))).result(5) == [1]
    assert Signature.objects.get() == locked


def test_fill_projection__in_chunks(deploy: Deploy, monkeypatch: pytest.MonkeyPatch, configure: Any) -> None:
    configure(METHODS={"tests.methods.Wide": {}}, RANKING={"wide": 1})
    versions.register_versions()
    monkeypatch.setattr(versions, "WRITE_CHUNK", 2)
    source = registry.get_source(Picture)
    records = IndexedImage.objects.bulk_create(
        IndexedImage(source_id=Source.objects.get_id(source), object_id=str(i), file_name="x", status="indexed")
        for i in range(6)
    )
    base = plugins.enabled_methods()["wide"]
    for number, record in enumerate(records[:5]):
        values = np.zeros(256)
        values[number] = 1
        Signature.objects.create(
            record=record, source_id=record.source_id, method="wide", version=base.version, dense=values
        )
    matrix = np.eye(256, 64, dtype=np.float32)
    method = ProjectedMethod(
        base,
        version="1-p1",
        dimensions=64,
        curve=((0, 100), (1, 0)),
        mean=np.zeros(256, np.float32).tobytes(),
        matrix=matrix.tobytes(),
    )
    assert list(versions.fill_projection(source, method)) == [2, 2, 1]
    assert list(versions.fill_projection(source, method)) == []
    for number, record in enumerate(records[:5]):
        signature = record.signatures.get(version="1-p1")
        assert (signature.method, signature.source_id) == ("wide", record.source_id)
        assert list(signature.dense) == list(matrix[number])


def test_added_method__is_part_of_the_scores_as_soon_as_computed(
    deploy: Deploy, make_picture: Any, index_now: Any, configure: Any
) -> None:
    item, _other = make_picture(1), make_picture(2)
    index_now()
    configure(METHODS={"tests.methods.Grid": {"side": 2}, "tests.methods.Mean": {}}, RANKING={"grid": 1, "mean": 1})
    sweep.sweep_sources()
    assert set(similar_images.similar_to(item)[0].scores) == {"grid"}
    index_now()
    assert set(similar_images.similar_to(item)[0].scores) == {"grid", "mean"}


def test_curve__of_the_database_is_used(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    item, _other = make_picture(1), make_picture(2)
    index_now()
    before = similar_images.similar_to(item)[0]
    MethodVersion.objects.update(curve=[[0, 100], [before.distances["grid"], 70], [1000, 0]], is_calibrated=True)
    versions.register_versions()
    assert similar_images.similar_to(item)[0].similarity == 70
    MethodVersion.objects.update(is_calibrated=False)
    versions.register_versions()
    assert similar_images.similar_to(item)[0] == before


def test_method_config__is_not_stored_if_options_are_no_json(deploy: Deploy) -> None:
    assert versions._as_json(("x", {"a": {1, 2}})) is None
    assert versions._as_json(("x", {"a": (1, 2)})) == ["x", {"a": [1, 2]}]


def test_check__reports_missing_signatures_and_indexes(
    deploy: Deploy, make_picture: Any, index_now: Any, configure: Any, capsys: Any
) -> None:
    make_picture(1), make_picture(2)
    index_now()

    def check() -> str:
        call_command("check", database=[ALIAS])
        return "".join(capsys.readouterr())

    assert "I001" not in check()
    deploy(3)
    sweep.sweep_sources()
    IndexedImage.objects.update(status="indexed")
    output = check()
    message = (
        "testapp.Picture.image is still searched by an earlier version of grid: 2 images lack a signature of the new"
    )
    assert f"{message} version, side3{PX}, and 0 failed." in output
    configure(HNSW_MIN_ROWS=2)
    assert "testapp.picture.image has no HNSW index for grid yet, so it is searched exactly." in check()


def test_index_images__switches_when_done(deploy: Deploy, make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    deploy(3)
    call_command("index_images", sync=True, stdout=io.StringIO())
    assert get_active_versions() == {"grid": f"side3{PX}"}

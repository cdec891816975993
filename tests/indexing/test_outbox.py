"""The outbox: requests to index, beside workers and other transactions that write, and the sweep."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connections, models, transaction
from django.test.utils import CaptureQueriesContext, isolate_apps

import similar_images
from similar_images import registry
from similar_images.indexing import claims, outbox, sweep, worker
from similar_images.models import IndexedImage, Signature, Source
from similar_images.registry import ImageSource
from tests import drawing
from tests.databases import ALIAS, connection
from tests.indexing.faults import triggers_off
from tests.methods import PX, Mean
from tests.testapp.models import NamedPicture, Picture, UuidPicture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


def statuses() -> dict[str, str]:
    """Return the status of every record, by object id."""
    return dict(IndexedImage.objects.values_list("object_id", "status"))


# --- sources ---------------------------------------------------------------------------------------------------


def labels() -> set[str]:
    return {str(source) for source in Source.objects.all()}


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.django_db(transaction=True)
def test_sources__have_their_rows_from_migrate_on(flushed: bool) -> None:
    if flushed:
        from django.core.management import call_command

        call_command("flush", database=ALIAS, interactive=False, verbosity=0)
    assert labels() == {source.label.lower() for source in registry.get_sources()}


@pytest.mark.django_db(transaction=True)
def test_sources__a_flush_leaves_no_stale_id(make_picture: Any) -> None:
    from django.core.management import call_command

    make_picture(1)
    call_command("flush", database=ALIAS, interactive=False, verbosity=0)
    item = make_picture(2)
    assert statuses() == {str(item.pk): "pending"}


@pytest.mark.django_db(transaction=True)
def test_sources__rows_are_created_by_the_sweep_but_by_no_save() -> None:
    """A save that created the row would block the others until its transaction ends."""
    Source.objects.all().delete()
    Source.objects.clear_cache()
    item = Picture.objects.create(image=drawing.file())
    item.title = "Another title"
    item.save()
    assert (labels(), statuses()) == (set(), {})
    assert sweep.sweep_sources() == 1
    assert "testapp.picture.image" in labels()
    assert statuses() == {str(item.pk): "pending"}
    other = Picture.objects.create(image=drawing.file(2))
    assert statuses() == {str(item.pk): "pending", str(other.pk): "pending"}


@pytest.mark.django_db(transaction=True)
def test_sources__saves_do_not_wait_for_each_other(run_in_thread: Any) -> None:
    """Not even if both are the first of their source."""
    for _ in range(2):
        with transaction.atomic(using=ALIAS):
            Picture.objects.create(image=drawing.file(1))
            run_in_thread(Picture.objects.create, image=drawing.file(2)).result(5)
        Source.objects.all().delete()
        Source.objects.clear_cache()


def test_sources__rows_are_not_created_by_reading() -> None:
    item = Picture.objects.create(image=drawing.file())
    Source.objects.all().delete()
    Source.objects.clear_cache()
    with CaptureQueriesContext(connection) as queries:
        assert similar_images.similar_to(item) == []
        assert IndexedImage.objects.get_status(registry.get_source(Picture), item.pk) == "missing"
    assert not [query for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert labels() == set()


def test_sources__rollbacks_leave_no_stale_id(
    django_capture_on_commit_callbacks: Any, notifications: list[None]
) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), transaction.atomic(using=ALIAS):
            with django_capture_on_commit_callbacks(execute=True):
                Picture.objects.create(image=drawing.file())
            raise ZeroDivisionError
        Source.objects.all().delete()
        Source.objects.clear_cache()
        Source.objects.create_missing(registry.get_sources())
        with django_capture_on_commit_callbacks(execute=True):
            item = Picture.objects.create(image=drawing.file())
        connection.check_constraints()
        assert statuses() == {str(item.pk): "pending"}


@pytest.fixture
def notifications(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Record the calls of `notify_workers` instead of sending anything."""
    calls: list[None] = []
    monkeypatch.setattr("similar_images.indexing.notify.notify_workers", lambda: calls.append(None))
    return calls


# --- requests beside a worker -----------------------------------------------------------------------------------


def is_anyone_waiting() -> bool:
    """Wait up to five seconds for a transaction of this database to wait for another one."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
                "WHERE NOT granted AND datname = current_database()"
            )
            if cursor.fetchone() != (0,):
                return True
        time.sleep(0.01)
    return False


@pytest.mark.django_db(transaction=True)
def test_request__a_worker_that_comes_later_writes_nothing_and_does_not_wait(
    make_picture: Any, run_in_thread: Any
) -> None:
    item = make_picture(1)
    records = claims.claim_batch()
    with transaction.atomic(using=ALIAS):
        item.image.save("new.png", drawing.file(2))
        run_in_thread(worker.index_records, records).result(5)
    assert not Signature.objects.exists()
    record = IndexedImage.objects.get()
    assert (record.status, record.file_name) == ("pending", "pictures/new.png")


@pytest.mark.django_db(transaction=True)
def test_request__deletes_what_a_worker_wrote_just_before(make_picture: Any, run_in_thread: Any) -> None:
    item = make_picture(1)
    records = claims.claim_batch()
    written = threading.Event()

    def work() -> bool:
        with transaction.atomic(using=ALIAS):
            worker.index_records(records)
            written.set()
            return is_anyone_waiting()

    is_save_waiting = run_in_thread(work)
    assert written.wait(5)
    item.image.save("new.png", drawing.file(2))
    assert is_save_waiting.result(), "the save has waited for the worker's commit"
    assert not Signature.objects.exists()
    record = IndexedImage.objects.get()
    assert (record.status, record.file_name) == ("pending", "pictures/new.png")


# --- reset and remove ------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_reset__skips_locked_records(make_picture: Any, index_now: Any, lock_records: Any) -> None:
    locked, *free = [make_picture(seed) for seed in range(3)]
    index_now()
    with lock_records(locked):
        assert IndexedImage.objects.all().reset() == 2
    assert statuses() == {str(locked.pk): "indexed"} | {str(item.pk): "pending" for item in free}


@pytest.mark.django_db(transaction=True)
def test_remove__skips_locked_records(make_picture: Any, index_now: Any, lock_records: Any) -> None:
    locked, *_free = [make_picture(seed) for seed in range(3)]
    index_now()
    with lock_records(locked):
        assert IndexedImage.objects.all().remove() == 2
    assert statuses() == {str(locked.pk): "indexed"}
    assert Signature.objects.count() == 1


@pytest.mark.parametrize(("write", "verb"), [("reset", "UPDATE"), ("remove", "DELETE")])
@pytest.mark.django_db(transaction=True)
def test_chunks__few_records_are_locked_at_a_time(
    write: str, verb: str, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("similar_images.models.WRITE_CHUNK", 2)
    for seed in range(5):
        make_picture(seed)
    with CaptureQueriesContext(connection) as queries:
        assert getattr(IndexedImage.objects.all(), write)() == 5
    steps = [query["sql"].split()[0] for query in queries]
    assert [step for step in steps if step in (verb, "COMMIT")] == [verb, "COMMIT"] * 3 + ["COMMIT"]


def test_request__starts_anew(make_picture: Any, index_now: Any) -> None:
    """Nothing of the former image stays in the record, whose id stays the same."""
    item = make_picture(1)
    index_now()
    before = IndexedImage.objects.get()
    IndexedImage.objects.update(error="x", attempts=3, retry_at=before.indexed_at, started_at=before.indexed_at)
    outbox.set_files(registry.get_source(Picture), {str(item.pk): "pictures/new.png"})
    stored = IndexedImage.objects.get()
    assert (stored.pk, stored.object_id, stored.object_key) == (before.pk, str(item.pk), item.pk)
    assert stored.revision != before.revision
    assert (stored.file_name, stored.status, stored.error, stored.attempts) == ("pictures/new.png", "pending", "", 0)
    assert (stored.sha256, stored.width, stored.height) == ("", None, None)
    assert (stored.started_at, stored.retry_at, stored.indexed_at) == (None, None, None)
    assert stored.requested_at > before.requested_at
    assert not Signature.objects.exists()


def test_enqueue__a_text_key_has_no_number() -> None:
    NamedPicture.objects.create(name="7", image=drawing.file())
    assert IndexedImage.objects.values_list("object_id", "object_key").get() == ("7", None)


def test_reset__makes_records_pending_and_keeps_what_is_known(make_picture: Any, index_now: Any) -> None:
    make_picture()
    index_now()
    before = IndexedImage.objects.get()
    IndexedImage.objects.update(error="x", retry_at=before.indexed_at, started_at=before.indexed_at)
    assert IndexedImage.objects.all().reset() == 1
    record = IndexedImage.objects.get()
    assert (record.status, record.error, record.attempts) == ("pending", "", 0)
    assert (record.started_at, record.retry_at) == (None, None)
    assert record.requested_at > before.requested_at
    for field in ("sha256", "width", "height", "indexed_at", "file_name"):
        assert getattr(record, field) == getattr(before, field), field


def test_reset__gives_every_record_a_new_revision(make_picture: Any, index_now: Any) -> None:
    for seed in range(3):
        make_picture(seed)
    index_now()
    before = set(IndexedImage.objects.values_list("revision", flat=True))
    IndexedImage.objects.all().reset()
    after = set(IndexedImage.objects.values_list("revision", flat=True))
    assert len(before | after) == 6


# --- the sweep -------------------------------------------------------------------------------------------------


def test_outdated_records__lack_a_signature_of_the_current_version(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    make_picture(1)
    index_now()
    assert sweep.sweep_sources() == 0
    monkeypatch.setattr(Mean, "version", "2")
    assert sweep.sweep_sources() == 1
    index_now()
    assert sorted(Signature.objects.values_list("version", flat=True)) == [f"1{PX}", f"2{PX}"]
    configure(METHODS={"tests.methods.Mean": {}, "color": {}})
    assert sweep.sweep_sources() == 1
    index_now()
    assert Mean.computed == 2
    assert set(Signature.objects.values_list("method", flat=True)) == {"mean", "color"}


def test_outdated_records__by_method(make_picture: Any, index_now: Any, configure: Any) -> None:
    """Of other sources, and those that are not indexed, none are outdated."""
    configure(METHODS={"tests.methods.Mean": {}, "tests.methods.Bits": {}})
    item = make_picture(1)
    failed = make_picture(2)
    NamedPicture.objects.create(name="x", image=drawing.file(3))
    index_now()
    IndexedImage.objects.filter(object_id=str(failed.pk)).update(status="failed")
    source = registry.get_source(Picture)
    assert not outbox.outdated_records(source).exists()
    Signature.objects.filter(method="bits").delete()
    for methods in (["bits"], ["mean", "bits"], ["bits", "mean"], []):
        assert [record.object_id for record in outbox.outdated_records(source, methods)] == [str(item.pk)]
    assert not outbox.outdated_records(source, ["mean"]).exists()


@pytest.mark.django_db(transaction=True)
def test_enqueue_missing__in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "WRITE_CHUNK", 2)
    with triggers_off():
        items = Picture.objects.bulk_create(Picture(image=f"pictures/{number}.png") for number in range(5))
    with CaptureQueriesContext(connection) as queries:
        assert list(outbox.enqueue_missing(registry.get_source(Picture))) == [2, 2, 1]
    assert [query["sql"] for query in queries].count("COMMIT") == 4
    assert statuses() == {str(item.pk): "pending" for item in items}
    assert list(outbox.enqueue_missing(registry.get_source(Picture))) == []


def test_missing_records__of_objects_whose_file_has_another_name(make_picture: Any) -> None:
    recorded, renamed, _without_file = make_picture(1), make_picture(2), Picture.objects.create()
    with triggers_off():
        Picture.objects.filter(pk=renamed.pk).update(image="pictures/renamed.png")
    source = registry.get_source(Picture)
    assert list(outbox.missing_records(source)) == [renamed]
    assert not outbox.orphaned_records(source).exists()
    with triggers_off():
        Picture.objects.filter(pk=recorded.pk)._raw_delete(ALIAS)
    assert [record.object_id for record in outbox.orphaned_records(source)] == [str(recorded.pk)]


def test_sweep__deletes_records_of_objects_that_are_gone_or_have_no_file(make_picture: Any, index_now: Any) -> None:
    gone, emptied, stays = make_picture(1), make_picture(2), make_picture(3)
    index_now()
    with triggers_off():
        Picture.objects.filter(pk=gone.pk)._raw_delete(ALIAS)
        Picture.objects.filter(pk=emptied.pk).update(image="")
    sweep.sweep_sources()
    assert IndexedImage.objects.get().object_id == str(stays.pk)
    assert Signature.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_sweep__skips_objects_that_are_being_saved(make_picture: Any) -> None:
    with triggers_off():
        Picture.objects.bulk_create([Picture(image="pictures/a.png")])
    other = connections.create_connection(ALIAS)
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute("UPDATE testapp_picture SET image = 'pictures/b.png'")
        sweep.sweep_sources()
        assert not IndexedImage.objects.exists()
        other.commit()
    finally:
        other.close()
    sweep.sweep_sources()
    assert IndexedImage.objects.get().file_name == "pictures/b.png"


@pytest.mark.django_db(transaction=True)
@isolate_apps("tests.testapp")
def test_sweep__goes_on_after_a_source_with_an_error(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    class Untabled(models.Model):
        image = models.ImageField()

        class Meta:
            app_label = "testapp"

    before = {(source.model, source.field_name): source for source in registry.get_sources()}
    bad = {(Untabled, "image"): ImageSource(Untabled, "image")}
    monkeypatch.setattr(registry, "_sources", bad | before)
    item, named = Picture(image="a.png"), NamedPicture(name="b", image="b.png")
    with triggers_off():
        Picture.objects.bulk_create([item])
        NamedPicture.objects.bulk_create([named])
    assert sweep.sweep_sources() == 2
    assert statuses() == {str(item.pk): "pending", "b": "pending"}
    _no_trigger, record = caplog.records
    assert record.getMessage() == "The sweep failed for testapp.Untabled.image."
    assert "does not exist" in str(record.exc_info[1])


@pytest.mark.parametrize("model", [Picture, UuidPicture])
def test_sweep__writes_nothing_if_nothing_changed(model: type[Picture], index_now: Any) -> None:
    model.objects.create(image=drawing.file())
    index_now()
    sweep.sweep_sources()
    before = IndexedImage.objects.values().get()
    with CaptureQueriesContext(connection) as queries:
        assert sweep.sweep_sources() == 0
    assert not [query for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert IndexedImage.objects.values().get() == before

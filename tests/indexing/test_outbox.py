"""Which pictures are to be indexed: what is noted, ordered, reset and dropped, beside others who write."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection, connections, models, transaction
from django.test.utils import CaptureQueriesContext, isolate_apps

import similar_images
from similar_images import registry
from similar_images.indexing import claims, outbox, worker
from similar_images.models import IndexedImage, Signature, Source
from similar_images.registry import ImageSource
from tests import drawing
from tests.methods import Mean
from tests.testapp.models import NamedPicture, Picture, UuidPicture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


def statuses() -> dict[str, str]:
    return dict(IndexedImage.objects.values_list("object_id", "status"))


# --- sources ---------------------------------------------------------------------------------------------------


def labels() -> set[str]:
    return {str(source) for source in Source.objects.all()}


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.django_db(transaction=True)
def test_sources__have_their_rows_from_migrate_on(flushed: bool) -> None:
    if flushed:
        from django.core.management import call_command

        call_command("flush", interactive=False, verbosity=0)
    assert labels() == {source.label.lower() for source in registry.get_sources()}


@pytest.mark.django_db(transaction=True)
def test_sources__a_flush_leaves_no_stale_id(make_picture: Any) -> None:
    from django.core.management import call_command

    make_picture(1)
    call_command("flush", interactive=False, verbosity=0)
    item = make_picture(2)
    assert statuses() == {str(item.pk): "pending"}


@pytest.mark.django_db(transaction=True)
def test_sources__a_save_makes_no_row_and_the_sweep_does() -> None:
    """Whoever made it would keep all others who save waiting."""
    Source.objects.all().delete()
    Source.objects.clear_cache()
    item = Picture.objects.create(image=drawing.file())
    item.title = "Another title"
    item.save()
    assert (labels(), statuses()) == (set(), {})
    assert outbox.sweep_sources() == 1
    assert "testapp.picture.image" in labels()
    assert statuses() == {str(item.pk): "pending"}
    other = Picture.objects.create(image=drawing.file(2))
    assert statuses() == {str(item.pk): "pending", str(other.pk): "pending"}


@pytest.mark.django_db(transaction=True)
def test_sources__saves_wait_for_nobody_who_saves(run_in_thread: Any) -> None:
    """Not even where both would be the first of their source."""
    for _ in range(2):
        with transaction.atomic():
            Picture.objects.create(image=drawing.file(1))
            run_in_thread(Picture.objects.create, image=drawing.file(2)).result(5)
        Source.objects.all().delete()
        Source.objects.clear_cache()


def test_sources__reading_makes_no_row() -> None:
    item = Picture.objects.create(image=drawing.file())
    Source.objects.all().delete()
    Source.objects.clear_cache()
    with CaptureQueriesContext(connection) as queries:
        assert similar_images.similar_to(item) == []
        assert IndexedImage.objects.get_status(registry.get_source(Picture), item.pk) == "missing"
    assert not [query for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert labels() == set()


def test_sources__rollbacks_leave_no_stale_id(django_capture_on_commit_callbacks: Any, wakes: list[None]) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
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
def wakes(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    calls: list[None] = []
    monkeypatch.setattr("similar_images.indexing.notify.notify_workers", lambda: calls.append(None))
    return calls


# --- orders, beside a worker -----------------------------------------------------------------------------------


def somebody_waits() -> bool:
    """Whether within some seconds a transaction of this database waits for another."""
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
def test_order__a_worker_that_comes_later_writes_nothing_and_does_not_wait(
    make_picture: Any, run_in_thread: Any
) -> None:
    item = make_picture(1)
    records = claims.claim_batch()
    with transaction.atomic():
        item.image.save("new.png", drawing.file(2))
        run_in_thread(worker.index_records, records).result(5)
    assert not Signature.objects.exists()
    record = IndexedImage.objects.get()
    assert (record.status, record.file_name) == ("pending", "pictures/new.png")


@pytest.mark.django_db(transaction=True)
def test_order__drops_what_a_worker_wrote_just_before(make_picture: Any, run_in_thread: Any) -> None:
    item = make_picture(1)
    records = claims.claim_batch()
    written = threading.Event()

    def work() -> bool:
        with transaction.atomic():
            worker.index_records(records)
            written.set()
            return somebody_waits()

    is_save_waiting = run_in_thread(work)
    assert written.wait(5)
    item.image.save("new.png", drawing.file(2))
    assert is_save_waiting.result(), "the save has waited for the worker's commit"
    assert not Signature.objects.exists()
    record = IndexedImage.objects.get()
    assert (record.status, record.file_name) == ("pending", "pictures/new.png")


# --- reset and remove ------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_reset__leaves_out_locked_records_and_waits_for_none(
    make_picture: Any, index_now: Any, lock_records: Any
) -> None:
    busy, *free = [make_picture(seed) for seed in range(3)]
    index_now()
    with lock_records(busy):
        assert IndexedImage.objects.all().reset() == 2
    assert statuses() == {str(busy.pk): "indexed"} | {str(item.pk): "pending" for item in free}


@pytest.mark.django_db(transaction=True)
def test_remove__leaves_out_locked_records_and_waits_for_none(
    make_picture: Any, index_now: Any, lock_records: Any
) -> None:
    busy, *_free = [make_picture(seed) for seed in range(3)]
    index_now()
    with lock_records(busy):
        assert IndexedImage.objects.all().remove() == 2
    assert statuses() == {str(busy.pk): "indexed"}
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


def test_reset__every_record_is_a_new_order(make_picture: Any, index_now: Any) -> None:
    for seed in range(3):
        make_picture(seed)
    index_now()
    before = set(IndexedImage.objects.values_list("revision", flat=True))
    IndexedImage.objects.all().reset()
    after = set(IndexedImage.objects.values_list("revision", flat=True))
    assert len(before | after) == 6


# --- the sweep -------------------------------------------------------------------------------------------------


def test_version__what_lacks_a_current_signature_is_outdated(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    make_picture(1)
    index_now()
    assert outbox.sweep_sources() == 0
    monkeypatch.setattr(Mean, "version", "2")
    assert outbox.sweep_sources() == 1
    index_now()
    assert sorted(Signature.objects.values_list("version", flat=True)) == ["1", "2"]
    configure(METHODS={"tests.methods.Mean": {}, "color": {}})
    assert outbox.sweep_sources() == 1
    index_now()
    assert Mean.computed == 2
    assert set(Signature.objects.values_list("method", flat=True)) == {"mean", "color"}


def test_sweep__drops_records_of_objects_that_are_gone_or_have_no_file(make_picture: Any, index_now: Any) -> None:
    gone, emptied, stays = make_picture(1), make_picture(2), make_picture(3)
    index_now()
    Picture.objects.filter(pk=gone.pk)._raw_delete("default")
    Picture.objects.filter(pk=emptied.pk).update(image="")
    outbox.sweep_sources()
    assert IndexedImage.objects.get().object_id == str(stays.pk)
    assert Signature.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_sweep__leaves_objects_that_are_being_saved_to_their_transaction(make_picture: Any) -> None:
    Picture.objects.bulk_create([Picture(image="pictures/a.png")])
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("UPDATE testapp_picture SET image = 'pictures/b.png'")
        outbox.sweep_sources()
        assert not IndexedImage.objects.exists()
        other.commit()
    finally:
        other.close()
    outbox.sweep_sources()
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
    Picture.objects.bulk_create([item])
    NamedPicture.objects.bulk_create([named])
    assert outbox.sweep_sources() == 2
    assert statuses() == {str(item.pk): "pending", "b": "pending"}
    (record,) = caplog.records
    assert record.getMessage() == "The sweep failed for testapp.Untabled.image."
    assert "does not exist" in str(record.exc_info[1])


@pytest.mark.parametrize("model", [Picture, UuidPicture])
def test_sweep__writes_nothing_where_all_is_well(model: type[Picture], index_now: Any) -> None:
    model.objects.create(image=drawing.file())
    index_now()
    outbox.sweep_sources()
    before = IndexedImage.objects.values().get()
    with CaptureQueriesContext(connection) as queries:
        assert outbox.sweep_sources() == 0
    assert not [query for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert IndexedImage.objects.values().get() == before

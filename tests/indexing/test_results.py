"""Results of indexing: what is written of a record, and what is retried."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.utils import timezone
from PIL import Image

from similar_images.imaging.files import sha256_of
from similar_images.indexing import claims, sweep, worker
from similar_images.models import IndexedImage, Signature
from similar_images.signatures.base import Method
from tests import drawing
from tests.databases import connection
from tests.indexing.faults import RED_PNG, DownStorage, make_raiser, pass_time, replace_result_for_red, set_storage
from tests.methods import PX, Bits, Mean, Sparse, Wide
from tests.testapp.models import Picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


def test_results__signatures_and_state_are_written(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    record = IndexedImage.objects.get()
    assert (record.status, record.error, record.attempts) == ("indexed", "", 1)
    assert (record.width, record.height, len(record.sha256)) == (160, 120, 64)
    assert record.requested_at <= record.indexed_at <= timezone.now()
    signature = Signature.objects.get()
    assert (signature.record, signature.source_id) == (record, record.source_id)
    assert (signature.method, signature.version) == ("mean", f"1{PX}")
    with item.image.open() as file:
        expected = Mean().compute(np.asarray(Image.open(file).convert("RGB")))
    assert list(signature.dense) == pytest.approx(expected.tolist(), abs=1e-3)


@pytest.mark.django_db(transaction=True)
def test_results__signatures_and_state_are_written_in_one_transaction(
    make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(1)
    records = claims.claim_batch()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(IndexedImage.primary.__class__, "bulk_create", fail)
    with pytest.raises(ZeroDivisionError):
        worker.index_records(records)
    assert not connection.in_atomic_block
    assert not Signature.objects.exists()


def test_signatures__are_stored_in_line() -> None:
    """A value of 2.5 kB moved out of line would cost every exact search another page."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attstorage FROM pg_attribute WHERE attrelid = 'similar_images_signature'::regclass "
            "AND attname = 'dense'"
        )
        assert cursor.fetchone() in [("m",), (b"m",)]


@pytest.mark.django_db(transaction=True)
def test_write_results__skips_locked_records(make_picture: Any, lock_records: Any) -> None:
    locked, free = make_picture(1), make_picture(2)
    records = claims.claim_batch()
    with lock_records(locked):
        worker.index_records(records)
    assert IndexedImage.objects.get(status="indexed").object_id == str(free.pk)


def test_write_results__a_record_deleted_meanwhile_stays_deleted(make_picture: Any) -> None:
    item, other = make_picture(1), make_picture(2)
    records = claims.claim_batch()
    item.delete()
    worker.index_records(records)
    assert IndexedImage.objects.get().object_id == str(other.pk)
    assert Signature.objects.count() == 1


def test_write_results__an_image_replaced_meanwhile_wins(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    stale = claims.claim_batch()
    item.image.save("new.png", drawing.file(2))
    worker.index_records(stale)
    assert IndexedImage.objects.get().status == "pending"
    assert not Signature.objects.exists()
    index_now()
    new = IndexedImage.objects.get()
    worker.index_records(stale)
    assert IndexedImage.objects.get() == new
    assert IndexedImage.objects.get().sha256 == sha256_of(drawing.encoded(drawing.scene(2)))


def test_same_image__keeps_its_signatures_and_stays_searchable(make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    assert IndexedImage.objects.all().reset() == 1
    assert Signature.objects.count() == 1
    index_now()
    assert Mean.computed == 1
    assert IndexedImage.objects.get().status == "indexed"


def test_new_image__replaces_signatures_of_all_versions_without_a_signal(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    former = Signature.objects.get()
    former.pk, former.version = None, "0"
    former.save()
    with item.image.storage.open(item.image.name, "wb") as file:
        file.write(drawing.encoded(drawing.scene(2)))
    IndexedImage.objects.all().reset()
    index_now()
    assert Mean.computed == 2
    assert Signature.objects.get().version == f"1{PX}"


def test_broken_image__loses_its_signatures(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    with item.image.storage.open(item.image.name, "wb") as file:
        file.write(b"no longer a picture")
    IndexedImage.objects.all().reset()
    index_now()
    record = IndexedImage.objects.get()
    assert (record.status, record.sha256, record.width, record.height) == ("failed", "", None, None)
    assert record.indexed_at is None
    assert not Signature.objects.exists()


def test_missing_file__keeps_signatures_and_state(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    state = IndexedImage.objects.values("sha256", "width", "height", "indexed_at").get()
    item.image.storage.delete(item.image.name)
    IndexedImage.objects.all().reset()
    index_now()
    assert IndexedImage.objects.get().status == "failed"
    assert IndexedImage.objects.values("sha256", "width", "height", "indexed_at").get() == state
    assert Signature.objects.count() == 1


def test_storage_error__is_retried_after_growing_delays(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    make_picture(1)
    configure(MAX_ATTEMPTS=2)
    set_storage(monkeypatch, DownStorage())
    delays = []
    for _ in range(10):
        assert len(index_now()) == 1
        record = IndexedImage.objects.get()
        assert (record.status, record.started_at) == ("pending", None)
        assert "the storage is down" in record.error
        delays.append((record.retry_at - timezone.now()).total_seconds())
        assert sweep.sweep_sources() == 0
        pass_time(seconds=delays[-1] + 1)
        assert sweep.sweep_sources() == 1
    for number, delay in enumerate(delays):
        least = min(max(sum(delays[:number]), 30), 3600)
        assert least - 8 <= delay <= least + 120, "the time since the request; on a slow machine, that of the test, too"
    assert delays[-1] == pytest.approx(3600, abs=8)
    set_storage(monkeypatch, FileSystemStorage())
    index_now()
    record = IndexedImage.objects.get()
    assert (record.status, record.error, record.retry_at) == ("indexed", "", None)


def test_storage_error__is_retried_after_thirty_seconds_and_at_most_an_hour(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    set_storage(monkeypatch, DownStorage())
    make_picture(1)
    index_now()
    assert IndexedImage.objects.get().retry_at == now + timedelta(seconds=30)
    IndexedImage.objects.update(requested_at=now - timedelta(seconds=31), retry_at=None)
    index_now()
    assert IndexedImage.objects.get().retry_at == now + timedelta(seconds=31)
    IndexedImage.objects.update(requested_at=now - timedelta(hours=2), retry_at=None)
    index_now()
    assert IndexedImage.objects.get().retry_at == now + timedelta(hours=1)


def test_storage_error__keeps_signatures_and_state(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(1)
    index_now()
    state = IndexedImage.objects.values("sha256", "width", "height", "indexed_at").get()
    assert None not in state.values()
    IndexedImage.objects.all().reset()
    set_storage(monkeypatch, DownStorage())
    index_now()
    assert IndexedImage.objects.get().status == "pending"
    assert IndexedImage.objects.values("sha256", "width", "height", "indexed_at").get() == state
    assert Signature.objects.count() == 1


def test_storage_error__costs_no_attempts(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    make_picture(1)
    configure(MAX_ATTEMPTS=2)
    set_storage(monkeypatch, DownStorage())
    for _ in range(10):
        index_now()
        pass_time(days=1)
    assert IndexedImage.objects.get().attempts == 0
    set_storage(monkeypatch, FileSystemStorage())
    assert len(claims.claim_batch()) == 1  # by a worker that dies
    pass_time(days=1)
    index_now()
    record = IndexedImage.objects.get()
    assert (record.status, record.attempts) == ("indexed", 2)


def test_unexpected_error__is_retried_until_attempts_are_used_up(
    index_now: Any, make_picture: Any, configure: Any, caplog: Any
) -> None:
    configure(METHODS={"tests.methods.Failing": {}}, MAX_ATTEMPTS=2)
    bad = Picture.objects.create(image=ContentFile(RED_PNG, name="red.png"))
    make_picture(1)
    index_now()
    record = IndexedImage.objects.get(object_id=bad.pk)
    assert (record.status, record.error) == ("pending", "this method dislikes red")
    assert IndexedImage.objects.filter(status="indexed").count() == 1
    pass_time(hours=2)
    index_now()
    assert IndexedImage.objects.get(object_id=bad.pk).status == "failed"
    assert [log.getMessage() for log in caplog.records] == [f"Image record {record.pk} could not be indexed."] * 2
    assert str(caplog.records[0].exc_info[1]) == "this method dislikes red"


def test_unexpected_error__without_a_message_is_stored_as_its_type(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mean, "compute", make_raiser(ZeroDivisionError()))
    make_picture(1)
    index_now()
    assert IndexedImage.objects.get().error == "ZeroDivisionError()"


@pytest.mark.parametrize(
    ("method_class", "value", "reason"),
    [
        (Mean, [np.nan, 0, 0], "The method mean gave a signature with an infinite value, or NaN."),
        (Mean, [np.inf, 0, 0], "The method mean gave a signature with an infinite value, or NaN."),
        (Mean, [1, 2], "The method mean gave no signature of 3 values."),
        (Wide, np.zeros(256), "The method wide gave a signature of zeros, which has no direction to compare."),
        (Bits, [True] * 63, "The method bits gave no signature of 64 values."),
        (Sparse, {50_000: 1.0}, "The method sparse gave no signature of 50000 values."),
        (Sparse, {-1: 1.0}, "The method sparse gave no signature of 50000 values."),
        (Sparse, {1: 1.0, 2: 1e-50}, "out of range for type sparsevec"),  # only the database detects it
    ],
)
def test_unexpected_error__an_invalid_signature_fails_its_image_alone(
    method_class: type[Method],
    value: Any,
    reason: str,
    make_picture: Any,
    index_now: Any,
    configure: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(METHODS={f"tests.methods.{method_class.__name__}": {}}, MAX_ATTEMPTS=1)
    replace_result_for_red(monkeypatch, method_class, lambda: value)
    before, bad, after = make_picture(1), make_picture(image=ContentFile(RED_PNG, name="red.png")), make_picture(2)
    assert len(index_now()) == 3
    record = IndexedImage.objects.get(status="failed")
    assert record.object_id == str(bad.pk)
    assert reason in record.error
    indexed = IndexedImage.objects.filter(status="indexed").values_list("object_id", flat=True)
    assert set(indexed) == {str(before.pk), str(after.pk)}
    assert Signature.objects.count() == 2


def test_unexpected_error__a_database_that_rejects_every_signature_fails_all(
    make_picture: Any, index_now: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(MAX_ATTEMPTS=2)
    monkeypatch.setattr(Mean, "version", "1" * 65)
    for seed in range(6):
        make_picture(seed)
    assert len(index_now()) == 6
    assert set(IndexedImage.objects.values_list("status", "attempts")) == {("pending", 1)}
    pass_time(hours=2)
    assert len(index_now()) == 6
    assert set(IndexedImage.objects.values_list("status", "attempts")) == {("failed", 2)}
    assert "too long" in IndexedImage.objects.first().error


@pytest.mark.parametrize("attempts", [1, 2])
def test_unexpected_error__a_message_with_a_nul_is_stored(
    attempts: int, make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    configure(MAX_ATTEMPTS=attempts)
    monkeypatch.setattr(Mean, "compute", make_raiser(RuntimeError("a\0b")))
    make_picture(1)
    index_now()
    record = IndexedImage.objects.get()
    assert (record.status, record.error) == ("failed" if attempts == 1 else "pending", "a\ufffdb")

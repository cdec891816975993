"""The work of a worker, step by step: what it claims, what it writes, and what it leaves alone."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image, ImageFile, PngImagePlugin

from similar_images import plugins
from similar_images.imaging.files import sha256_of
from similar_images.indexing import claims, outbox, versions, worker
from similar_images.models import IndexedImage, Signature
from similar_images.signatures.base import Method
from tests import drawing
from tests.methods import Bits, Mean, Sparse, Wide
from tests.testapp.models import Picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]

RED = drawing.encoded(Image.new("RGB", (20, 20), (255, 0, 0)))


class DownStorage(FileSystemStorage):
    """A storage that can't be reached."""

    def _open(self, name: str, mode: str = "rb") -> Any:
        raise ConnectionError("the storage is down")


def put_storage(monkeypatch: pytest.MonkeyPatch, storage: FileSystemStorage) -> None:
    monkeypatch.setattr(Picture._meta.get_field("image"), "storage", storage)


def later(**kwargs: float) -> None:
    """Let time pass for all records."""
    delta = timedelta(**kwargs)
    for record in IndexedImage.objects.all():
        for name in ("started_at", "retry_at", "requested_at"):
            if moment := getattr(record, name):
                setattr(record, name, moment - delta)
        record.save()


def test_index__writes_signatures_and_state(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    record = IndexedImage.objects.get()
    assert (record.status, record.error, record.attempts) == ("indexed", "", 1)
    assert (record.width, record.height, len(record.sha256)) == (160, 120, 64)
    assert record.requested_at <= record.indexed_at <= timezone.now()
    signature = Signature.objects.get()
    assert (signature.record, signature.source_id) == (record, record.source_id)
    assert (signature.method, signature.version) == ("mean", "1")
    with item.image.open() as file:
        expected = Mean().compute(np.asarray(Image.open(file).convert("RGB")))
    assert list(signature.dense) == pytest.approx(expected.tolist(), abs=1e-3)


def test_claim__gives_each_record_to_one_worker(make_picture: Any, configure: Any) -> None:
    for seed in range(5):
        make_picture(seed)
    configure(BATCH_SIZE=3)
    first, second, third = claims.claim_batch(), claims.claim_batch(), claims.claim_batch()
    assert (len(first), len(second), third) == (3, 2, [])
    assert not {record.pk for record in first} & {record.pk for record in second}


@pytest.mark.django_db(transaction=True)
def test_claim__does_not_wait_for_a_locked_record(make_picture: Any, lock_records: Any) -> None:
    """A host's long transaction keeps its own record only."""
    busy, free = make_picture(1), make_picture(2)
    with lock_records(busy):
        assert [record.object_id for record in claims.claim_batch()] == [str(free.pk)]


@pytest.mark.django_db(transaction=True)
def test_claim__gives_up_without_waiting_for_a_locked_record(
    make_picture: Any, lock_records: Any, configure: Any
) -> None:
    busy, free = make_picture(1), make_picture(2)
    configure(MAX_ATTEMPTS=1)
    assert len(claims.claim_batch()) == 2  # by a worker that dies
    later(hours=1)
    with lock_records(busy):
        assert claims.claim_batch() == []
        assert IndexedImage.objects.get(status="failed").object_id == str(free.pk)
    assert claims.claim_batch() == []
    assert IndexedImage.objects.filter(status="failed").count() == 2


@pytest.mark.django_db(transaction=True)
def test_index__does_not_wait_for_a_locked_record(make_picture: Any, lock_records: Any) -> None:
    busy, free = make_picture(1), make_picture(2)
    records = claims.claim_batch()
    with lock_records(busy):
        worker.index_records(records)
    assert IndexedImage.objects.get(status="indexed").object_id == str(free.pk)


def test_claim__newest_first(make_picture: Any, configure: Any) -> None:
    make_picture(1)
    later(minutes=1)
    new = make_picture(2)
    configure(BATCH_SIZE=1)
    assert [record.object_id for record in claims.claim_batch()] == [str(new.pk)]


def test_lease__a_record_whose_worker_died_comes_back(make_picture: Any, configure: Any) -> None:
    make_picture()
    configure(CLAIM_TIMEOUT=60)
    (record,) = claims.claim_batch()
    later(seconds=50)
    assert outbox.sweep_sources() == 0
    assert claims.claim_batch() == []
    later(seconds=20)
    assert outbox.sweep_sources() == 1
    (again,) = claims.claim_batch()
    assert again.pk == record.pk
    worker.index_records([again])
    assert IndexedImage.objects.get().status == "indexed"


def test_lease__records_tried_before_come_alone_and_last(make_picture: Any) -> None:
    """So that a picture that kills its worker takes no others with it more than once."""
    for seed in range(3):
        make_picture(seed)
    claims.claim_batch()  # by a worker that dies
    later(hours=1)
    fresh = make_picture(9)
    assert [record.object_id for record in claims.claim_batch()] == [str(fresh.pk)]
    assert [len(claims.claim_batch()) for _ in range(4)] == [1, 1, 1, 0]


def test_lease__a_picture_that_kills_every_worker_is_given_up(make_picture: Any, configure: Any) -> None:
    make_picture()
    configure(MAX_ATTEMPTS=3)
    for _ in range(3):
        assert len(claims.claim_batch()) == 1
        later(hours=1)
    assert claims.claim_batch() == []
    record = IndexedImage.objects.get()
    assert (record.status, record.attempts) == ("failed", 3)
    assert "crashed the worker" in record.error


def test_twice__a_task_that_runs_again_or_late_does_no_harm(make_picture: Any, index_now: Any) -> None:
    make_picture()
    records = claims.claim_batch()
    worker.index_records(records)
    before = list(Signature.objects.values_list("dense", flat=True))
    worker.index_records(records)
    assert list(Signature.objects.values_list("dense", flat=True)) == before
    assert index_now() == []


def test_twice__two_workers_with_the_same_record_agree(make_picture: Any) -> None:
    make_picture()
    (first,) = claims.claim_batch()
    later(hours=1)
    (second,) = claims.claim_batch()
    worker.index_records([second])
    worker.index_records([first])
    assert IndexedImage.objects.get().status == "indexed"
    assert Signature.objects.count() == 1


def test_twice__results_of_a_worker_that_lost_its_record_are_thrown_away(make_picture: Any) -> None:
    make_picture()
    late = claims.claim_batch()
    later(hours=1)
    now = claims.claim_batch()
    before = IndexedImage.objects.values().get()
    worker.index_records(late)
    assert IndexedImage.objects.values().get() == before
    assert not Signature.objects.exists()
    worker.index_records(now)
    assert IndexedImage.objects.get().status == "indexed"


def test_lease__a_slow_batch_keeps_what_it_has_not_begun(
    make_picture: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file takes 10 s: the last of 16 is begun when the lease of the batch would have ended long ago."""
    configure(CLAIM_TIMEOUT=90)
    begin = time.time()
    taken_meanwhile: list[IndexedImage] = []
    opened = 0

    class SlowStorage(FileSystemStorage):
        def _open(self, name: str, mode: str = "rb") -> Any:
            nonlocal opened
            opened += 1
            taken_meanwhile.extend(claims.claim_batch())
            return super()._open(name, mode)

    def now() -> datetime:
        return datetime.fromtimestamp(begin + 10 * opened, UTC)

    monkeypatch.setattr(timezone, "now", now)
    for seed in range(16):
        make_picture(seed)
    put_storage(monkeypatch, SlowStorage())
    worker.index_records(claims.claim_batch())
    assert (opened, taken_meanwhile) == (16, [])
    assert IndexedImage.objects.filter(status="indexed", attempts=1).count() == 16


def test_gone__a_record_deleted_while_it_was_worked_on_stays_deleted(make_picture: Any) -> None:
    item, other = make_picture(1), make_picture(2)
    records = claims.claim_batch()
    item.delete()
    worker.index_records(records)
    assert IndexedImage.objects.get().object_id == str(other.pk)
    assert Signature.objects.count() == 1


def test_replaced__while_it_was_worked_on_the_newest_wins(make_picture: Any, index_now: Any) -> None:
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


def test_same_bytes__are_described_once(make_picture: Any, index_now: Any) -> None:
    make_picture(1), make_picture(1)
    index_now()
    assert Mean.computed == 1
    make_picture(1)
    index_now()
    assert Mean.computed == 1
    assert Signature.objects.count() == 3
    assert IndexedImage.objects.filter(width=160, height=120).count() == 3
    make_picture(2)
    index_now()
    assert Mean.computed == 2


def test_same_bytes__known_by_an_old_version_are_described_anew(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(1)
    index_now()
    monkeypatch.setattr(Mean, "version", "2")
    twin = make_picture(1)
    index_now()
    assert Mean.computed == 2
    assert Signature.objects.get(record__object_id=twin.pk).version == "2"


def test_same_bytes__of_many_records_cost_one_row_per_method(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"tests.methods.Mean": {}, "tests.methods.Bits": {}})
    for _ in range(10):
        make_picture(1)
    index_now()
    assert Signature.objects.count() == 20
    make_picture(1)
    with CaptureQueriesContext(connection) as queries:
        index_now()
    known = [query["sql"] for query in queries if "sha256" in query["sql"] and "SELECT DISTINCT" in query["sql"]]
    assert len(known) == 1
    with connection.cursor() as cursor:
        cursor.execute(known[0])
        assert cursor.rowcount == 2


def test_again__unchanged_bytes_keep_their_signatures_and_stay_searchable(make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    assert IndexedImage.objects.all().reset() == 1
    assert Signature.objects.count() == 1
    index_now()
    assert Mean.computed == 1
    assert IndexedImage.objects.get().status == "indexed"


def test_again__bytes_changed_behind_our_back_are_described_anew(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    with item.image.storage.open(item.image.name, "wb") as file:
        file.write(drawing.encoded(drawing.scene(2)))
    IndexedImage.objects.all().reset()
    index_now()
    assert Mean.computed == 2
    assert Signature.objects.count() == 1


def test_again__a_picture_that_broke_loses_its_signatures(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    with item.image.storage.open(item.image.name, "wb") as file:
        file.write(b"no longer a picture")
    IndexedImage.objects.all().reset()
    index_now()
    assert IndexedImage.objects.get().status == "failed"
    assert not Signature.objects.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (drawing.encoded(drawing.scene(1), "JPEG")[:900], "file is incomplete"),
        (drawing.encoded(Image.new("1", (600, 500))), "pixels"),
        (drawing.encoded(drawing.scene(1), "BMP") * 5, "larger than 97.7"),
        (None, "missing"),
    ],
)
def test_refused__the_record_says_why_and_the_others_go_on(
    content: bytes | None, reason: str, index_now: Any, make_picture: Any, configure: Any
) -> None:
    configure(MAX_PIXELS=200_000, MAX_BYTES=100_000)
    bad = Picture.objects.create(image=ContentFile(b"x" if content is None else content, name="bad.png"))
    if content is None:
        bad.image.storage.delete(bad.image.name)
    good = make_picture(1)
    index_now()
    record = IndexedImage.objects.get(object_id=bad.pk)
    assert record.status == "failed"
    assert reason in record.error
    assert IndexedImage.objects.get(object_id=good.pk).status == "indexed"
    later(days=1)
    assert outbox.sweep_sources() == 0, "a broken picture is not tried again"


def test_storage_down__is_tried_again_after_growing_waits(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    make_picture(1)
    configure(MAX_ATTEMPTS=2)
    put_storage(monkeypatch, DownStorage())
    waits = []
    for _ in range(10):
        assert len(index_now()) == 1
        record = IndexedImage.objects.get()
        assert (record.status, record.started_at) == ("pending", None)
        assert "the storage is down" in record.error
        waits.append((record.retry_at - timezone.now()).total_seconds())
        assert outbox.sweep_sources() == 0
        later(seconds=waits[-1] + 1)
        assert outbox.sweep_sources() == 1
    assert [round(wait, -1) for wait in waits] == sorted(round(wait, -1) for wait in waits)
    assert waits[:4] == pytest.approx([30, 31, 62, 126], abs=8)
    assert waits[-1] == pytest.approx(3600, abs=2)
    put_storage(monkeypatch, FileSystemStorage())
    index_now()
    record = IndexedImage.objects.get()
    assert (record.status, record.error, record.retry_at) == ("indexed", "", None)


def test_storage_down__keeps_what_was_known(make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_picture(1)
    index_now()
    known = IndexedImage.objects.values("sha256", "width", "height", "indexed_at").get()
    assert None not in known.values()
    IndexedImage.objects.all().reset()
    put_storage(monkeypatch, DownStorage())
    index_now()
    assert IndexedImage.objects.get().status == "pending"
    assert IndexedImage.objects.values("sha256", "width", "height", "indexed_at").get() == known
    assert Signature.objects.count() == 1


def test_storage_down__uses_up_no_attempts(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    make_picture(1)
    configure(MAX_ATTEMPTS=2)
    put_storage(monkeypatch, DownStorage())
    for _ in range(10):
        index_now()
        later(days=1)
    assert IndexedImage.objects.get().attempts == 0
    put_storage(monkeypatch, FileSystemStorage())
    assert len(claims.claim_batch()) == 1  # by a worker that dies
    later(days=1)
    index_now()
    record = IndexedImage.objects.get()
    assert (record.status, record.attempts) == ("indexed", 2)


def test_storage__without_local_paths(make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Remote(FileSystemStorage):
        def _open(self, name: str, mode: str = "rb") -> Any:
            return ContentFile((shelf / name).read_bytes(), name=name)

        def path(self, name: str) -> str:
            raise NotImplementedError("This backend doesn't support absolute paths.")

    item = make_picture(1)
    shelf = Path(item.image.storage.location)
    put_storage(monkeypatch, Remote())
    index_now()
    assert IndexedImage.objects.get().status == "indexed"


def test_unforeseen__an_error_of_a_method_is_tried_again_and_then_given_up(
    index_now: Any, make_picture: Any, configure: Any, caplog: Any
) -> None:
    configure(METHODS={"tests.methods.Failing": {}}, MAX_ATTEMPTS=2)
    bad = Picture.objects.create(image=ContentFile(RED, name="red.png"))
    make_picture(1)
    index_now()
    record = IndexedImage.objects.get(object_id=bad.pk)
    assert (record.status, record.error) == ("pending", "this method dislikes red")
    assert IndexedImage.objects.filter(status="indexed").count() == 1
    later(hours=2)
    index_now()
    assert IndexedImage.objects.get(object_id=bad.pk).status == "failed"
    assert "could not be indexed" in caplog.text


def dislike_red(monkeypatch: pytest.MonkeyPatch, kind: type[Method], answer: Callable[[], Any]) -> None:
    """Let the method answer so for a picture whose first pixel is pure red."""
    compute = kind.compute

    def picky(self: Method, pixels: Any) -> Any:
        return answer() if tuple(pixels[0, 0]) == (255, 0, 0) else compute(self, pixels)

    monkeypatch.setattr(kind, "compute", picky)


def fails(error: BaseException) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (Mean, [np.nan, 0, 0], "The method mean gave a signature with an infinite value, or NaN."),
        (Mean, [np.inf, 0, 0], "The method mean gave a signature with an infinite value, or NaN."),
        (Mean, [1, 2], "The method mean gave no signature of 3 values."),
        (Wide, np.zeros(256), "The method wide gave a signature of zeros, which has no direction to compare."),
        (Bits, [True] * 63, "The method bits gave no signature of 64 values."),
        (Sparse, {50_000: 1.0}, "The method sparse gave no signature of 50000 values."),
        (Sparse, {-1: 1.0}, "The method sparse gave no signature of 50000 values."),
        (Sparse, {1: 1.0, 2: 1e-50}, "out of range for type sparsevec"),  # which only the database sees
    ],
)
def test_unforeseen__a_bad_signature_fails_its_picture_alone(
    kind: type[Method],
    value: Any,
    reason: str,
    make_picture: Any,
    index_now: Any,
    configure: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(METHODS={f"tests.methods.{kind.__name__}": {}}, MAX_ATTEMPTS=1)
    dislike_red(monkeypatch, kind, lambda: value)
    before, bad, after = make_picture(1), make_picture(image=ContentFile(RED, name="red.png")), make_picture(2)
    assert len(index_now()) == 3
    record = IndexedImage.objects.get(status="failed")
    assert record.object_id == str(bad.pk)
    assert reason in record.error
    indexed = IndexedImage.objects.filter(status="indexed").values_list("object_id", flat=True)
    assert set(indexed) == {str(before.pk), str(after.pk)}
    assert Signature.objects.count() == 2


def test_unforeseen__a_database_that_refuses_every_signature_ends_the_work(
    make_picture: Any, index_now: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(MAX_ATTEMPTS=2)
    monkeypatch.setattr(Mean, "version", "1" * 65)
    for seed in range(6):
        make_picture(seed)
    assert len(index_now()) == 6
    assert set(IndexedImage.objects.values_list("status", "attempts")) == {("pending", 1)}
    later(hours=2)
    assert len(index_now()) == 6
    assert set(IndexedImage.objects.values_list("status", "attempts")) == {("failed", 2)}
    assert "too long" in IndexedImage.objects.first().error


@pytest.mark.parametrize("attempts", [1, 2])
def test_unforeseen__an_error_with_a_nul_is_kept(
    attempts: int, make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    configure(MAX_ATTEMPTS=attempts)
    monkeypatch.setattr(Mean, "compute", fails(RuntimeError("a\0b")))
    make_picture(1)
    index_now()
    record = IndexedImage.objects.get()
    assert (record.status, record.error) == ("failed" if attempts == 1 else "pending", "a\ufffdb")


# --- stopped in the middle ---------------------------------------------------------------------------------------

PLACES = {
    "reading": (FileSystemStorage, "_open"),
    "opening": (PngImagePlugin.PngImageFile, "_open"),
    "decoding": (ImageFile.ImageFile, "load"),
    "metadata": (Image.Image, "getexif"),
    "describing": (Mean, "compute"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("error", [MemoryError(), SoftTimeLimitExceeded()], ids=repr)
def test_stopped__by_memory_or_time_the_batch_is_handed_back_and_comes_one_by_one(
    place: str, error: Exception, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        make_picture(seed)
    records = claims.claim_batch()
    monkeypatch.setattr(*PLACES[place], fails(error))
    with pytest.raises(type(error)):
        worker.index_records(records)
    states = IndexedImage.objects.values_list("status", "started_at", "attempts", "error", "retry_at")
    assert list(states) == [("pending", None, 1, "", None)] * 3
    fresh = make_picture(9)
    assert [record.object_id for record in claims.claim_batch()] == [str(fresh.pk)]
    assert [len(claims.claim_batch()) for _ in range(4)] == [1, 1, 1, 0]


def test_stopped__a_picture_that_always_takes_too_much_is_given_up(
    make_picture: Any, index_now: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(MAX_ATTEMPTS=3)
    dislike_red(monkeypatch, Mean, fails(MemoryError()))
    make_picture(1)
    bad = make_picture(image=ContentFile(RED, name="red.png"))
    stopped = 0
    for _ in range(10):
        try:
            index_now()
        except MemoryError:
            stopped += 1
    assert stopped == 3
    record = IndexedImage.objects.get(status="failed")
    assert record.object_id == str(bad.pk)
    assert "crashed the worker" in record.error
    assert IndexedImage.objects.filter(status="indexed").count() == 1


@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()], ids=repr)
def test_stopped__from_outside_costs_no_attempt(
    error: BaseException, attempts: int, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        make_picture(seed)
    records = claims.claim_batch()
    IndexedImage.objects.update(attempts=attempts)
    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(Mean, "compute", fails(error))
        worker.index_records(records)
    assert set(IndexedImage.objects.values_list("status", "started_at", "attempts")) == {("pending", None, 0)}
    assert len(claims.claim_batch()) == 3


def test_stopped__what_was_settled_before_stays_so(make_picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine are described, the newest of them to be tried again, when Ctrl-C is pressed at the tenth."""
    for seed in range(11):
        make_picture(seed)
    bad = make_picture(image=ContentFile(RED, name="red.png"))
    answers = iter([ZeroDivisionError("once more"), KeyboardInterrupt()])
    dislike_red(monkeypatch, Mean, lambda: fails(next(answers))())
    compute = Mean.compute
    monkeypatch.setattr(
        Mean, "compute", lambda self, pixels: compute(self, np.array([[[255, 0, 0]]]) if Mean.computed == 8 else pixels)
    )
    with pytest.raises(KeyboardInterrupt):
        worker.index_records(claims.claim_batch())
    record = IndexedImage.objects.get(object_id=str(bad.pk))
    assert (record.status, record.error, record.attempts) == ("pending", "once more", 1)
    assert record.retry_at is not None
    assert IndexedImage.objects.filter(status="indexed").count() >= 3
    others = IndexedImage.objects.filter(status="pending").exclude(pk=record.pk)
    assert set(others.values_list("started_at", "attempts")) == {(None, 0)}


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()], ids=repr)
def test_stopped__what_another_worker_has_claimed_meanwhile_is_left_to_it(
    error: BaseException, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(1)
    mine = claims.claim_batch()
    later(hours=1)
    claims.claim_batch()
    before = IndexedImage.objects.values().get()
    monkeypatch.setattr(Mean, "compute", fails(error))
    with pytest.raises(type(error)):
        worker.index_records(mine)
    assert IndexedImage.objects.values().get() == before


def test_stopped__another_order_is_left_alone(make_picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_picture(1)
    mine = claims.claim_batch()
    IndexedImage.objects.update(revision=uuid.uuid4())
    before = IndexedImage.objects.values().get()
    monkeypatch.setattr(Mean, "compute", fails(MemoryError()))
    with pytest.raises(MemoryError):
        worker.index_records(mine)
    assert IndexedImage.objects.values().get() == before


def test_unregistered__a_record_of_a_former_source_fails_with_a_reason(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(1)
    monkeypatch.setattr("similar_images.registry._sources", {})
    index_now()
    assert "no longer registered" in IndexedImage.objects.get().error


def test_queries__are_few_per_picture(make_picture: Any, django_assert_max_num_queries: Any, configure: Any) -> None:
    """One look-up each for signatures of the same bytes; the rest is shared by those written together."""
    for seed in range(12):
        make_picture(seed)
    versions.register_versions()
    with django_assert_max_num_queries(12 + 12 // worker.IMAGES_IN_FLIGHT * 6 + 8):
        worker.index_records(claims.claim_batch())


def test_storage__signatures_are_kept_in_line() -> None:
    """A value of 2.5 kB moved out of line would cost every exact search another page."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attstorage FROM pg_attribute WHERE attrelid = 'similar_images_signature'::regclass "
            "AND attname = 'dense'"
        )
        assert cursor.fetchone() in [("m",), (b"m",)]


def test_methods__real_ones_make_both_signatures(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"embedding": {}, "color": {}}, RANKING={"embedding": 1})
    make_picture(1)
    index_now()
    methods = plugins.enabled_methods()
    for signature in Signature.objects.all():
        method = methods[signature.method]
        assert signature.version == method.version
        assert len(list(signature.dense)) == method.dimensions


def test_media_folder_gone__every_record_says_so(make_picture: Any, index_now: Any, settings: Any) -> None:
    make_picture(1)
    shutil.rmtree(settings.MEDIA_ROOT)
    index_now()
    assert "missing" in IndexedImage.objects.get().error


@pytest.mark.django_db(transaction=True)
def test_atomic__signatures_and_state_come_together(make_picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_picture(1)
    records = claims.claim_batch()

    def broken(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(IndexedImage.objects.__class__, "bulk_create", broken)
    with pytest.raises(ZeroDivisionError):
        worker.index_records(records)
    assert not transaction.get_connection().in_atomic_block
    assert not Signature.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("write", ["renew", "hand_back"])
@pytest.mark.parametrize("held", [0, 1])
def test_batch__waits_for_no_record_while_it_holds_others(
    make_picture: Any, lock_records: Any, run_in_thread: Any, configure: Any, write: str, held: int
) -> None:
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1}, CLAIM_TIMEOUT=0.3)
    pictures = [make_picture(1), make_picture(2)]
    records = claims.claim_batch()
    time.sleep(0.2)
    with lock_records(pictures[held]):
        call = (
            run_in_thread(claims.renew_claims, records)
            if write == "renew"
            else run_in_thread(claims.release_claims, records, refund_attempt=True)
        )
        call.result(5)
        pictures[1 - held].image.save("new.png", drawing.file(6))

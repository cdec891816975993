"""Claims on records: given to one worker, renewed, timed out, released."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import DatabaseError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from similar_images.indexing import claims, sweep, worker
from similar_images.models import IndexedImage, Signature
from tests import drawing
from tests.databases import connection
from tests.indexing.faults import make_raiser, pass_time, set_storage
from tests.methods import Mean

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


def test_claim_batch__gives_each_record_to_one_worker(make_picture: Any, configure: Any) -> None:
    for seed in range(5):
        make_picture(seed)
    configure(BATCH_SIZE=3)
    first, second, third = claims.claim_batch(), claims.claim_batch(), claims.claim_batch()
    assert (len(first), len(second), third) == (3, 2, [])
    assert not {record.pk for record in first} & {record.pk for record in second}


def test_claim_batch__claims_in_the_database_and_in_memory(make_picture: Any) -> None:
    make_picture()
    before = timezone.now()
    (record,) = claims.claim_batch()
    stored = IndexedImage.objects.get()
    assert (record.attempts, record.started_at) == (stored.attempts, stored.started_at)
    assert record.attempts == 1
    assert before <= record.started_at <= timezone.now()


def test_claim_batch__within_a_queryset(make_picture: Any) -> None:
    first, second = make_picture(1), make_picture(2)
    records = IndexedImage.objects.filter(object_id=str(first.pk))
    assert [record.object_id for record in claims.claim_batch(records)] == [str(first.pk)]
    assert claims.claim_batch(records) == []
    assert [record.object_id for record in claims.claim_batch()] == [str(second.pk)]


def test_claim_batch__newest_requests_first(make_picture: Any, configure: Any) -> None:
    make_picture(1)
    pass_time(minutes=1)
    new = make_picture(2)
    configure(BATCH_SIZE=1)
    assert [record.object_id for record in claims.claim_batch()] == [str(new.pk)]


def test_claim_batch__does_not_walk_past_those_that_wait_for_their_retry(make_picture: Any) -> None:
    """After an outage of the storage, a million may."""
    make_picture()
    record = IndexedImage.objects.get()
    waiting = {"source": record.source, "file_name": "waits.png", "retry_at": timezone.now() + timedelta(hours=1)}
    IndexedImage.objects.bulk_create(
        IndexedImage(object_id=f"x{number}", requested_at=record.requested_at, **waiting) for number in range(3000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE similar_images_indexedimage")
    with CaptureQueriesContext(connection) as queries:
        assert [claimed.pk for claimed in claims.claim_batch()] == [record.pk]
    locks = [query["sql"] for query in queries if "SKIP LOCKED" in query["sql"]]
    assert locks
    for sql in locks:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE) {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        removed = re.findall(r"Rows Removed by Filter: (\d+)", plan)
        assert all(int(count) <= 1 for count in removed), plan


def test_claim_batch__retries_that_are_due_come_after_new_requests(make_picture: Any, configure: Any) -> None:
    old, new = make_picture(1), make_picture(2)
    IndexedImage.objects.filter(object_id=str(old.pk)).update(retry_at=timezone.now())
    assert [record.object_id for record in claims.claim_batch()] == [str(new.pk), str(old.pk)]


@pytest.mark.django_db(transaction=True)
def test_claim_batch__skips_locked_records(make_picture: Any, lock_records: Any) -> None:
    """A long transaction of the project holds up its own record only."""
    locked, free = make_picture(1), make_picture(2)
    with lock_records(locked):
        assert [record.object_id for record in claims.claim_batch()] == [str(free.pk)]


@pytest.mark.django_db(transaction=True)
def test_claim_batch__fails_exhausted_records_and_skips_locked_ones(
    make_picture: Any, lock_records: Any, configure: Any
) -> None:
    locked, free = make_picture(1), make_picture(2)
    configure(MAX_ATTEMPTS=1)
    assert len(claims.claim_batch()) == 2  # by a worker that dies
    pass_time(hours=1)
    with lock_records(locked):
        assert claims.claim_batch() == []
        assert IndexedImage.objects.get(status="failed").object_id == str(free.pk)
    assert claims.claim_batch() == []
    assert IndexedImage.objects.filter(status="failed").count() == 2


def test_claim_timeout__returns_the_records_of_a_dead_worker(make_picture: Any, configure: Any) -> None:
    make_picture()
    configure(CLAIM_TIMEOUT=60)
    (record,) = claims.claim_batch()
    pass_time(seconds=50)
    assert sweep.sweep_sources() == 0
    assert claims.claim_batch() == []
    pass_time(seconds=20)
    assert sweep.sweep_sources() == 1
    (reclaimed,) = claims.claim_batch()
    assert reclaimed.pk == record.pk
    worker.index_records([reclaimed])
    assert IndexedImage.objects.get().status == "indexed"


def test_claim_batch__attempted_records_come_last_and_alone(make_picture: Any) -> None:
    """An image that kills its worker affects others no more than once."""
    for seed in range(3):
        make_picture(seed)
    claims.claim_batch()  # by a worker that dies
    pass_time(hours=1)
    fresh = make_picture(9)
    assert [record.object_id for record in claims.claim_batch()] == [str(fresh.pk)]
    assert [len(claims.claim_batch()) for _ in range(4)] == [1, 1, 1, 0]


def test_claim_batch__fails_an_image_that_kills_every_worker(make_picture: Any, configure: Any) -> None:
    make_picture()
    configure(MAX_ATTEMPTS=3)
    for _ in range(3):
        assert len(claims.claim_batch()) == 1
        pass_time(hours=1)
    assert claims.claim_batch() == []
    record = IndexedImage.objects.get()
    assert (record.status, record.attempts) == ("failed", 3)
    assert record.error == "The worker crashed or was killed each time it indexed this image."


def test_claim_batch__fails_all_exhausted_records_in_one_call(make_picture: Any, configure: Any) -> None:
    """Otherwise, `while claim_batch()` would stop before the records behind a batch of exhausted ones."""
    make_picture(1), make_picture(2)
    configure(MAX_ATTEMPTS=1)
    claims.claim_batch()  # by a worker that dies
    pass_time(hours=1)
    configure(BATCH_SIZE=1)
    assert claims.claim_batch() == []
    assert IndexedImage.objects.filter(status="failed").count() == 2


def test_claim_batch__an_image_of_many_attempts_can_be_the_last_of_a_batch(make_picture: Any, configure: Any) -> None:
    make_picture(1), make_picture(2)
    configure(MAX_ATTEMPTS=3)
    IndexedImage.objects.update(attempts=2)
    assert [record.attempts for record in claims.claim_batch()] == [3]
    assert not IndexedImage.objects.filter(status="failed").exists()


@pytest.mark.parametrize(
    ("field", "seconds", "is_due"),
    [
        ("started_at", 60, False),
        ("started_at", 60.000001, True),
        ("retry_at", -0.000001, False),
        ("retry_at", 0, True),
    ],
)
def test_due__to_the_microsecond(
    field: str, seconds: float, is_due: bool, make_picture: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim lasts for CLAIM_TIMEOUT, and a retry is due at its time."""
    make_picture()
    configure(CLAIM_TIMEOUT=60)
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    IndexedImage.objects.update(**{field: now - timedelta(seconds=seconds)})
    assert IndexedImage.objects.due().exists() is is_due
    IndexedImage.objects.update(status="failed")
    assert not IndexedImage.objects.due().exists()


def test_lost_claim__two_workers_with_one_record_agree(make_picture: Any) -> None:
    make_picture()
    (first,) = claims.claim_batch()
    pass_time(hours=1)
    (second,) = claims.claim_batch()
    worker.index_records([second])
    worker.index_records([first])
    assert IndexedImage.objects.get().status == "indexed"
    assert Signature.objects.count() == 1


def test_lost_claim__results_are_discarded(make_picture: Any) -> None:
    make_picture()
    lost = claims.claim_batch()
    pass_time(hours=1)
    current = claims.claim_batch()
    before = IndexedImage.objects.values().get()
    worker.index_records(lost)
    assert IndexedImage.objects.values().get() == before
    assert not Signature.objects.exists()
    worker.index_records(current)
    assert IndexedImage.objects.get().status == "indexed"


SLOW = 5
"""Seconds that a file or a method takes; claims time out after two."""


def read_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowStorage(FileSystemStorage):
        def _open(self, name: str, mode: str = "rb") -> Any:
            time.sleep(SLOW)
            return super()._open(name, mode)

    set_storage(monkeypatch, SlowStorage())


def describe_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Mean.compute
    monkeypatch.setattr(Mean, "compute", lambda self, pixels: (time.sleep(SLOW), compute(self, pixels))[1])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("slow_down", [read_slowly, describe_slowly])
def test_renew_claims__no_record_is_taken_twice_while_its_worker_lives(
    slow_down: Callable[[pytest.MonkeyPatch], None],
    make_picture: Any,
    configure: Any,
    run_in_thread: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long a storage or a method takes."""
    configure(CLAIM_TIMEOUT=2, METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    make_picture()
    slow_down(monkeypatch)
    records = claims.claim_batch()
    assert len(records) == 1
    work = run_in_thread(worker.index_records, records)
    while not work.done():
        assert claims.claim_batch() == []
        time.sleep(0.05)
    work.result()
    record = IndexedImage.objects.get()
    assert (record.status, record.attempts) == ("indexed", 1)


def test_renew_claims__after_a_third_of_the_timeout(
    make_picture: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        make_picture(seed)
    configure(CLAIM_TIMEOUT=90)
    recent, aged, replaced = claims.claim_batch()
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    recent.started_at = now - timedelta(seconds=30)
    aged.started_at = replaced.started_at = now - timedelta(seconds=30, microseconds=1)
    IndexedImage.objects.bulk_update([recent, aged, replaced], ["started_at"])
    IndexedImage.objects.filter(pk=replaced.pk).update(revision=uuid.uuid4())
    claims.renew_claims([recent, aged, replaced])
    times = [now - timedelta(seconds=30), now, now - timedelta(seconds=30, microseconds=1)]
    assert [record.started_at for record in (recent, aged, replaced)] == times
    assert [IndexedImage.objects.get(pk=record.pk).started_at for record in (recent, aged, replaced)] == times


def test_renew_claims__of_recent_ones_needs_no_query(make_picture: Any, django_assert_num_queries: Any) -> None:
    make_picture()
    records = claims.claim_batch()
    with django_assert_num_queries(0):
        claims.renew_claims(records)


@pytest.mark.parametrize(("refund_attempt", "attempts"), [(True, 0), (False, 1)])
def test_release_claims__makes_records_due_at_once(refund_attempt: bool, attempts: int, make_picture: Any) -> None:
    make_picture()
    claims.release_claims(claims.claim_batch(), refund_attempt=refund_attempt)
    assert IndexedImage.objects.values_list("started_at", "attempts").get() == (None, attempts)
    assert len(claims.claim_batch()) == 1


def test_release_claims__leaves_what_was_written(make_picture: Any) -> None:
    """A written record has no claim in memory; another one may wait for its retry."""
    make_picture()
    (record,) = claims.claim_batch()
    record.started_at = None
    IndexedImage.objects.update(started_at=None)
    claims.release_claims([record], refund_attempt=True)
    assert IndexedImage.objects.get().attempts == 1


def test_release_claims__a_database_error_is_logged(
    make_picture: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error that stopped the worker must not be replaced by that of a lost connection."""
    make_picture()
    records = claims.claim_batch()
    monkeypatch.setattr(claims, "lock_claimed", make_raiser(DatabaseError("the connection is lost")))
    claims.release_claims(records, refund_attempt=True)
    assert "could not be released" in caplog.text
    assert "the connection is lost" in caplog.text


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()], ids=repr)
def test_release_claims__leaves_the_claim_of_another_worker(
    error: BaseException, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(1)
    records = claims.claim_batch()
    pass_time(hours=1)
    claims.claim_batch()
    before = IndexedImage.objects.values().get()
    monkeypatch.setattr(Mean, "compute", make_raiser(error))
    with pytest.raises(type(error)):
        worker.index_records(records)
    assert IndexedImage.objects.values().get() == before


def test_release_claims__leaves_a_new_request(make_picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_picture(1)
    records = claims.claim_batch()
    IndexedImage.objects.update(revision=uuid.uuid4())
    before = IndexedImage.objects.values().get()
    monkeypatch.setattr(Mean, "compute", make_raiser(MemoryError()))
    with pytest.raises(MemoryError):
        worker.index_records(records)
    assert IndexedImage.objects.values().get() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("write", ["renew", "release"])
@pytest.mark.parametrize("held", [0, 1])
def test_locks__wait_for_no_record_while_holding_others(
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

"""Claims on records: given to one worker, renewed, timed out, released."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.utils import timezone

from similar_images.indexing import claims, outbox, worker
from similar_images.models import IndexedImage, Signature
from tests import drawing
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


def test_claim_batch__newest_requests_first(make_picture: Any, configure: Any) -> None:
    make_picture(1)
    pass_time(minutes=1)
    new = make_picture(2)
    configure(BATCH_SIZE=1)
    assert [record.object_id for record in claims.claim_batch()] == [str(new.pk)]


@pytest.mark.django_db(transaction=True)
def test_claim_batch__skips_locked_records(make_picture: Any, lock_records: Any) -> None:
    """A host's long transaction keeps its own record only."""
    busy, free = make_picture(1), make_picture(2)
    with lock_records(busy):
        assert [record.object_id for record in claims.claim_batch()] == [str(free.pk)]


@pytest.mark.django_db(transaction=True)
def test_claim_batch__fails_exhausted_records_and_skips_locked_ones(
    make_picture: Any, lock_records: Any, configure: Any
) -> None:
    busy, free = make_picture(1), make_picture(2)
    configure(MAX_ATTEMPTS=1)
    assert len(claims.claim_batch()) == 2  # by a worker that dies
    pass_time(hours=1)
    with lock_records(busy):
        assert claims.claim_batch() == []
        assert IndexedImage.objects.get(status="failed").object_id == str(free.pk)
    assert claims.claim_batch() == []
    assert IndexedImage.objects.filter(status="failed").count() == 2


def test_claim_timeout__returns_the_records_of_a_dead_worker(make_picture: Any, configure: Any) -> None:
    make_picture()
    configure(CLAIM_TIMEOUT=60)
    (record,) = claims.claim_batch()
    pass_time(seconds=50)
    assert outbox.sweep_sources() == 0
    assert claims.claim_batch() == []
    pass_time(seconds=20)
    assert outbox.sweep_sources() == 1
    (again,) = claims.claim_batch()
    assert again.pk == record.pk
    worker.index_records([again])
    assert IndexedImage.objects.get().status == "indexed"


def test_claim_batch__attempted_records_come_last_and_alone(make_picture: Any) -> None:
    """So that a picture that kills its worker takes no others with it more than once."""
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
    assert "crashed the worker" in record.error


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
    late = claims.claim_batch()
    pass_time(hours=1)
    now = claims.claim_batch()
    before = IndexedImage.objects.values().get()
    worker.index_records(late)
    assert IndexedImage.objects.values().get() == before
    assert not Signature.objects.exists()
    worker.index_records(now)
    assert IndexedImage.objects.get().status == "indexed"


def test_renew_claims__a_slow_batch_keeps_what_it_has_not_started(
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
    set_storage(monkeypatch, SlowStorage())
    worker.index_records(claims.claim_batch())
    assert (opened, taken_meanwhile) == (16, [])
    assert IndexedImage.objects.filter(status="indexed", attempts=1).count() == 16


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()], ids=repr)
def test_release_claims__leaves_the_claim_of_another_worker(
    error: BaseException, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(1)
    mine = claims.claim_batch()
    pass_time(hours=1)
    claims.claim_batch()
    before = IndexedImage.objects.values().get()
    monkeypatch.setattr(Mean, "compute", make_raiser(error))
    with pytest.raises(type(error)):
        worker.index_records(mine)
    assert IndexedImage.objects.values().get() == before


def test_release_claims__leaves_a_new_request(make_picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_picture(1)
    mine = claims.claim_batch()
    IndexedImage.objects.update(revision=uuid.uuid4())
    before = IndexedImage.objects.values().get()
    monkeypatch.setattr(Mean, "compute", make_raiser(MemoryError()))
    with pytest.raises(MemoryError):
        worker.index_records(mine)
    assert IndexedImage.objects.values().get() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("write", ["renew", "hand_back"])
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

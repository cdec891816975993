"""A worker's batch as a whole: twice, few queries, interrupted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage

from similar_images.imaging.decoders import DecoderPool
from similar_images.indexing import claims, versions, worker
from similar_images.models import IndexedImage, Signature
from tests.indexing.faults import RED_PNG, make_raiser, replace_result_for_red
from tests.methods import Mean

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


def test_index_records__twice_changes_nothing(make_picture: Any, index_now: Any) -> None:
    make_picture()
    records = claims.claim_batch()
    worker.index_records(records)
    before = list(Signature.objects.values_list("dense", flat=True))
    worker.index_records(records)
    assert list(Signature.objects.values_list("dense", flat=True)) == before
    assert index_now() == []


def test_index_records__needs_few_queries_per_image(
    make_picture: Any, django_assert_max_num_queries: Any, configure: Any
) -> None:
    """One look-up each for signatures of the same bytes; the rest is shared by those written together."""
    for seed in range(12):
        make_picture(seed)
    versions.register_versions()
    with django_assert_max_num_queries(12 + 12 // worker.IMAGES_IN_FLIGHT * 6 + 9):
        worker.index_records(claims.claim_batch())


INTERRUPTION_POINTS = {
    "reading": (FileSystemStorage, "_open"),
    "decoding": (DecoderPool, "decode"),
    "describing": (Mean, "compute"),
}


STOPS = {MemoryError: "ran out of memory", SoftTimeLimitExceeded: "reached its time limit"}


@pytest.mark.parametrize("place", INTERRUPTION_POINTS)
@pytest.mark.parametrize("error", [MemoryError(), SoftTimeLimitExceeded()], ids=repr)
def test_interruption__by_memory_or_time_releases_the_batch_to_be_attempted_one_by_one(
    place: str, error: Exception, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        make_picture(seed)
    records = claims.claim_batch()
    monkeypatch.setattr(*INTERRUPTION_POINTS[place], make_raiser(error))
    with pytest.raises(type(error)):
        worker.index_records(records)
    states = IndexedImage.objects.values_list("status", "started_at", "attempts", "error", "retry_at")
    reason = f"The worker {STOPS[type(error)]} while it indexed this image."
    assert list(states) == [("pending", None, 1, reason, None)] * 3
    fresh = make_picture(9)
    assert [record.object_id for record in claims.claim_batch()] == [str(fresh.pk)]
    assert [len(claims.claim_batch()) for _ in range(4)] == [1, 1, 1, 0]


@pytest.mark.parametrize("error", STOPS)
def test_interruption__an_image_that_always_causes_it_fails_and_says_so(
    error: type[Exception], make_picture: Any, index_now: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(MAX_ATTEMPTS=3)
    replace_result_for_red(monkeypatch, Mean, make_raiser(error()))
    make_picture(1)
    bad = make_picture(image=ContentFile(RED_PNG, name="red.png"))
    stopped = 0
    for _ in range(10):
        try:
            index_now()
        except error:
            stopped += 1
    assert stopped == 3
    record = IndexedImage.objects.get(status="failed")
    assert record.object_id == str(bad.pk)
    assert record.error == f"The worker {STOPS[error]} while it indexed this image."
    assert IndexedImage.objects.filter(status="indexed").count() == 1


@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()], ids=repr)
def test_interruption__from_outside_costs_no_attempt(
    error: BaseException, attempts: int, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        make_picture(seed)
    records = claims.claim_batch()
    IndexedImage.objects.update(attempts=attempts)
    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(Mean, "compute", make_raiser(error))
        worker.index_records(records)
    assert set(IndexedImage.objects.values_list("status", "started_at", "attempts")) == {("pending", None, 0)}
    assert len(claims.claim_batch()) == 3


def test_interruption__keeps_what_was_written_before(make_picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine are described, the newest of them to be tried again, when Ctrl-C is pressed at the tenth."""
    for seed in range(11):
        make_picture(seed)
    bad = make_picture(image=ContentFile(RED_PNG, name="red.png"))
    answers = iter([ZeroDivisionError("once more"), KeyboardInterrupt()])
    replace_result_for_red(monkeypatch, Mean, lambda: make_raiser(next(answers))())
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

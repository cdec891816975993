"""Searches for duplicates that are requested, and run by a worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from similar_images.duplicates import scan_worker, scans
from similar_images.duplicates.scans import ScanProgress, ScanReplaced, request_scan
from similar_images.models import DuplicateGroup, DuplicateScan, Source
from similar_images.tasks import find_due_duplicates, sweep
from tests import commands
from tests.drawing import textured
from tests.items import save_image

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(index_now: Any) -> Source:
    """The source of two images that are one file."""
    for title in ("one", "twin"):
        save_image(textured(1), title)
    index_now()
    return Source.objects.get(app_label="testapp", model="picture")


def the_scan() -> DuplicateScan:
    return DuplicateScan.objects.get(source__model="picture")


def test_scan__requested_once_is_run_once(source: Source) -> None:
    request_scan(source)
    request_scan(source)
    assert the_scan().status == "waiting"
    assert find_due_duplicates() == 1
    scan = the_scan()
    assert (scan.status, scan.percent, scan.is_complete) == ("done", 100, True)
    assert scan.finished_at is not None
    assert DuplicateGroup.objects.get().kind == "exact"
    assert find_due_duplicates() == 0


def test_scan__one_that_is_under_way_is_enough(source: Source) -> None:
    ScanProgress.begin(source.pk)
    request_scan(source)
    assert the_scan().status == "running"
    assert find_due_duplicates() == 0


def test_scan__of_a_lost_worker_is_taken_over(source: Source) -> None:
    lost = ScanProgress.begin(source.pk)
    DuplicateScan.objects.update(changed_at=timezone.now() - 2 * scans.LOST_AFTER)
    assert find_due_duplicates() == 1
    assert the_scan().status == "done"
    with pytest.raises(ScanReplaced):
        lost.report("pairs", 1, 2)
    lost.fail()
    assert the_scan().status == "done"


def test_scan__its_error_is_logged_and_told(source: Source, monkeypatch: Any, caplog: Any) -> None:
    request_scan(source)
    with monkeypatch.context() as patch:
        patch.setattr(scan_worker, "save_groups", lambda *args, **options: 1 / 0)
        assert find_due_duplicates() == 1
    assert the_scan().status == "failed"
    assert "ZeroDivisionError" in caplog.text
    request_scan(source)
    assert find_due_duplicates() == 1
    assert the_scan().status == "done"


def test_scan__of_a_source_that_is_no_longer_registered_is_forgotten(source: Source) -> None:
    gone = Source.objects.create(app_label="shop", model="gone", field="photo")
    request_scan(gone)
    assert find_due_duplicates() == 1
    assert not DuplicateScan.objects.filter(source=gone).exists()


def test_scan__the_one_that_waits_longest_comes_first(source: Source) -> None:
    photos = Source.objects.get(app_label="testapp", model="photo")
    request_scan(photos)
    request_scan(source)
    DuplicateScan.objects.filter(source=source).update(changed_at=timezone.now() - timedelta(hours=1))
    scan_worker.run_due_scan()
    assert DuplicateScan.objects.get(source=photos).status == "waiting"
    assert the_scan().status == "done"


def test_progress__tells_the_share_that_is_done_from_the_first_candidates_on(source: Source, monkeypatch: Any) -> None:
    monkeypatch.setattr(scans, "BEAT_SECONDS", 0)
    progress = ScanProgress.begin(source.pk)
    told = []
    for stage, done, total in (("candidates", 40, 200), ("candidates", 200, 200), ("pairs", 0, 0), ("pairs", 9, 9)):
        progress.report(stage, done, total)
        told.append(the_scan().percent)
    assert told == [5, 25, 25, 99]
    assert the_scan().status == "running"


def test_scan__a_lost_message_is_sent_again_by_the_sweep(source: Source, monkeypatch: Any) -> None:
    request_scan(source)
    sent: list[str] = []
    monkeypatch.setattr("similar_images.indexing.notify.notify_workers", lambda name="": sent.append(name))
    sweep()
    assert "similar_images.tasks.find_due_duplicates" in sent


def test_scan__reports_both_of_its_stages(source: Source, index_now: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(scans, "BEAT_SECONDS", 0)
    told: list[tuple[str, int, int]] = []
    report = ScanProgress.report
    monkeypatch.setattr(ScanProgress, "report", lambda self, *stage: (told.append(stage), report(self, *stage)))
    request_scan(source)
    assert find_due_duplicates() == 1
    assert {stage for stage, _done, _total in told} == {"candidates"}
    save_image(textured(1), "one")
    save_image(textured(1).resize((160, 120)), "small")
    index_now()
    request_scan(source)
    find_due_duplicates()
    assert told[-1] == ("pairs", 1, 1)


def test_command__is_told_as_a_search(source: Source) -> None:
    commands.run("find_duplicates", "testapp.Picture.image", "--save")
    scan = the_scan()
    assert (scan.status, scan.percent) == ("done", 100)

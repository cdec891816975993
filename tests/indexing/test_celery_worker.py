"""The asynchronous path as it is used: a real Celery worker process, over a real queue."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from PIL import Image

import similar_images
from project import services
from project.celery import app
from similar_images.duplicates.scans import request_scan
from similar_images.imaging.files import sha256_of
from similar_images.indexing import notify
from similar_images.models import DuplicateGroup, DuplicateScan, IndexedImage, MethodVersion, Signature, Source
from tests import drawing
from tests.databases import connection
from tests.methods import PX
from tests.testapp.models import Picture

ROOT = Path(__file__).parents[2]
MEAN = {"METHODS": {"tests.methods.Mean": {}}, "RANKING": {"mean": 1}}

pytestmark = pytest.mark.django_db(transaction=True)

StartWorker = Callable[..., "subprocess.Popen[bytes]"]


def until(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {seconds} s")


def indexed() -> int:
    return IndexedImage.objects.filter(status="indexed").count()


def environment(data: Path, keys: dict[str, Any]) -> dict[str, str]:
    """What another process needs to work on this test's database."""
    return {
        "DATABASE_URL": os.environ["DATABASE_URL"].replace("/postgres?", f"/{connection.settings_dict['NAME']}?"),
        "DEMO_DATA": str(data),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_SIMILAR_IMAGES": json.dumps(keys),
    }


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Start a worker on this test's database, queue, media and settings; it is stopped after the test."""
    with app.connection_for_write() as queue:
        queue.default_channel.queue_purge("celery") if queue.default_channel._size("celery") else None
    with ExitStack() as stack:

        def start_worker(*options: str, **keys: Any) -> subprocess.Popen[bytes]:
            log = tmp_path / f"worker{time.monotonic_ns()}.log"
            env = environment(tmp_path, keys)
            command = [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "project",
                "worker",
                "--loglevel=INFO",
                "--concurrency=1",
                *options,
            ]
            worker = stack.enter_context(services.process(command, cwd=ROOT, env=env, log=log))
            until(lambda: b" ready." in log.read_bytes(), "the worker is up")
            return worker

        yield start_worker
        assert notify._sender.wait(20)


def kill(worker: subprocess.Popen[bytes]) -> None:
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def test_saved_one_after_another__become_findable(
    start_worker: StartWorker, record_property: Callable[[str, object], None]
) -> None:
    """With the real methods; prints the time from commit to findable."""
    start_worker()
    Picture.objects.create(image=drawing.file(0))
    until(lambda: indexed() == 1, "the worker has loaded its model")
    saved = {}
    for seed in range(1, 101):
        item = Picture.objects.create(image=drawing.file(seed))
        saved[str(item.pk)] = time.time()
    until(lambda: indexed() == 101, "all are indexed", 120)
    times = dict(IndexedImage.objects.values_list("object_id", "indexed_at"))
    waits = sorted(times[pk].timestamp() - moment for pk, moment in saved.items())
    figure = f"median {statistics.median(waits):.2f} s, 95th percentile {waits[94]:.2f} s"
    record_property("figure", f"from commit to findable, 100 saves in a row: {figure}")
    assert len(similar_images.similar_to(item, limit=100)) == 100


def test_killed_in_the_middle__another_worker_picks_the_record_up(start_worker: StartWorker, tmp_path: Path) -> None:
    slow = {"METHODS": {"tests.methods.Slow": {"folder": str(tmp_path)}}, "RANKING": {"mean": 1}, "CLAIM_TIMEOUT": 1}
    (tmp_path / "hold").touch()
    worker = start_worker(**slow)
    Picture.objects.create(image=drawing.file())
    until((tmp_path / "started").exists, "the worker has begun")
    kill(worker)
    assert IndexedImage.objects.get().status == "pending"
    assert not Signature.objects.exists()
    (tmp_path / "hold").unlink()
    time.sleep(1)  # the lease
    start_worker(**slow)
    app.send_task("similar_images.tasks.sweep")
    until(lambda: indexed() == 1, "the record is picked up")
    assert IndexedImage.objects.get().attempts == 2


def test_deadly_picture__is_given_up_and_the_others_are_indexed(start_worker: StartWorker, tmp_path: Path) -> None:
    keys = {"METHODS": {"tests.methods.Deadly": {}}, "RANKING": {"mean": 1}, "CLAIM_TIMEOUT": 0.5, "MAX_ATTEMPTS": 2}
    red = drawing.encoded(Image.new("RGB", (20, 20), (255, 0, 0)))
    Picture.objects.create(image=ContentFile(red, name="deadly.png"))
    for seed in range(3):
        Picture.objects.create(image=drawing.file(seed))
    start_worker(**keys)

    def settled() -> bool:
        app.send_task("similar_images.tasks.sweep")
        time.sleep(0.5)
        return not IndexedImage.objects.filter(status="pending").exists()

    until(settled, "all are settled", 60)
    assert indexed() == 3
    assert "crashed or was killed" in IndexedImage.objects.get(status="failed").error


def test_worker_gone__what_was_saved_meanwhile_is_caught_up(start_worker: StartWorker) -> None:
    for seed in range(3):
        Picture.objects.create(image=drawing.file(seed))
    Picture.objects.bulk_create([Picture(image=Picture.objects.first().image.name)])
    start_worker(**MEAN)
    app.send_task("similar_images.tasks.sweep")
    until(lambda: indexed() == 4, "all are indexed")


def test_beat__sweeps_by_itself(start_worker: StartWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No message ever says that the object is there."""
    monkeypatch.setenv("TEST_SWEEP", "1")
    start_worker("-B", f"--schedule={tmp_path / 'schedule'}", **MEAN)
    Picture.objects.bulk_create([Picture(image=drawing.file())])
    until(lambda: indexed() == 1, "the sweep has found it")


def test_one_wake__sets_every_worker_to_work(start_worker: StartWorker, tmp_path: Path) -> None:
    """Batches are handed on from task to task, so that one lost or single message is enough."""
    names = [Picture(image=drawing.file(seed)) for seed in range(60)]
    Picture.objects.bulk_create(names)
    start_worker("--concurrency=2", **MEAN)
    app.send_task("similar_images.tasks.sweep")
    until(lambda: indexed() == 60, "all are indexed")


def test_replaced_while_it_is_read__the_newest_wins(start_worker: StartWorker, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    start_worker(METHODS={"tests.methods.Slow": {"folder": str(tmp_path)}}, RANKING={"mean": 1})
    item = Picture.objects.create(image=drawing.file(1))
    until((tmp_path / "started").exists, "the worker has begun")
    item.image.save("new.png", drawing.file(2))
    (tmp_path / "hold").unlink()
    until(lambda: indexed() == 1, "the new picture is indexed")
    record = IndexedImage.objects.get()
    assert record.file_name == item.image.name
    with item.image.open() as file:
        assert record.sha256 == sha256_of(file.read())


def test_new_version__is_switched_to_while_searches_run(start_worker: StartWorker, tmp_path: Path) -> None:
    """Two other processes search all the time, one with the setting of before and one with the new one."""
    old, new = ({"METHODS": {"tests.methods.Grid": {"side": side}}, "RANKING": {"grid": 1}} for side in (4, 6))
    worker = start_worker(**old)
    pictures = [Picture.objects.create(image=drawing.file(seed)) for seed in range(60)]
    app.send_task("similar_images.tasks.sweep")
    until(lambda: indexed() == 60, "all are indexed")
    kill(worker)
    stop = tmp_path / "stop"
    command = [sys.executable, "-m", "tests.search.continuous_search", str(pictures[0].pk), str(stop)]
    searchers = [
        subprocess.Popen(command, cwd=ROOT, env=os.environ | environment(tmp_path, keys), stdout=subprocess.PIPE)
        for keys in (old, new)
    ]
    try:
        for searcher in searchers:
            assert searcher.stdout
            assert searcher.stdout.readline() == b"searching\n"
        start_worker(**new)
        versions_serving = MethodVersion.objects.filter(source__model="picture", name="grid", is_active=True)

        def is_switched() -> bool:
            app.send_task("similar_images.tasks.sweep")
            time.sleep(0.3)
            return versions_serving.get().version == f"side6{PX}"

        until(is_switched, "the new version serves", 60)
        time.sleep(0.5)
    finally:
        stop.touch()
        reports = [json.loads(searcher.communicate(timeout=30)[0]) for searcher in searchers]
    for report in reports:
        assert report["searches"] > 20
        assert report["empty"] == 0
        assert sorted(report["versions"]) == [f"side4{PX}", f"side6{PX}"]
        assert report["wrong"] == 0


def test_settings__are_those_of_this_test() -> None:
    """The workers above must not share a queue with those of other test processes."""
    assert settings.CELERY_BROKER_URL.endswith(f"/{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:]}")


def test_requested_search_for_duplicates__is_run_by_the_worker(start_worker: StartWorker) -> None:
    start_worker(**MEAN)
    for _copy in range(2):
        Picture.objects.create(image=drawing.file(1))
    until(lambda: indexed() == 2, "both are indexed")
    request_scan(Source.objects.get(app_label="testapp", model="picture"))
    until(lambda: DuplicateScan.objects.filter(status="done").exists(), "the search is done")
    assert DuplicateGroup.objects.get().size == 2

"""Waking a worker: sent soon, from any thread or process, and never in the caller's way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from project.celery import app
from similar_images.indexing import notify
from similar_images.models import IndexedImage
from tests import drawing
from tests.testapp.models import Picture

ROOT = Path(__file__).parents[2]
TASK = "similar_images.tasks.index_due"


@pytest.fixture
def queue() -> Iterator[redis.Redis]:
    """The empty queue of this test process."""
    with closing(redis.Redis.from_url(settings.CELERY_BROKER_URL)) as client:
        client.delete("celery")
        yield client
        notify._sender.wait(10)
        client.delete("celery")


def tasks(queue: redis.Redis) -> list[str]:
    assert notify._sender.wait(10)
    return [json.loads(message)["headers"]["task"] for message in queue.lrange("celery", 0, -1)]


def use_broker(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setitem(app.conf.maps[0], "broker_url", url)
    monkeypatch.setitem(app.conf.maps[0], "broker_write_url", url)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A broker that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture
def refused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.mark.django_db(transaction=True)
def test_wake__a_saved_picture_brings_one_message(queue: redis.Redis) -> None:
    Picture.objects.create(image=drawing.file())
    assert tasks(queue) == [TASK]


def test_wake__many_at_once_are_few_messages(queue: redis.Redis) -> None:
    for _ in range(1000):
        notify.notify_workers()
    assert 1 <= len(tasks(queue)) < 100


def test_wake__keeps_the_connection_from_one_message_to_the_next(
    queue: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send() -> int:
        before = queue.info("stats")["total_connections_received"]
        notify._send_or_log()
        return int(queue.info("stats")["total_connections_received"] - before)

    notify._broker.close()
    assert send() > 0
    assert send() == 0
    monkeypatch.setattr(notify, "KEPT_SECONDS", 0)
    assert send() > 0
    assert tasks(queue) == [TASK] * 3


def test_wake__by_a_connection_that_the_broker_has_closed(queue: redis.Redis, caplog: Any) -> None:
    notify._send_or_log()
    queue.client_kill_filter(_type="normal", skipme=True)
    notify._send_or_log()
    assert tasks(queue) == [TASK] * 2
    assert not caplog.records


def test_wake__messages_do_not_pile_up_while_nobody_takes_them(queue: redis.Redis) -> None:
    queue.rpush("celery", *[b"{}"] * notify.SHORT_QUEUE)
    for _ in range(500):
        notify.notify_workers()
        time.sleep(0.002)
    assert notify._sender.wait(30)
    assert 1 <= queue.llen("celery") - notify.SHORT_QUEUE < 50


def test_wake__a_long_queue_of_other_tasks_delays_but_loses_nothing(
    queue: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "MAX_DELAY", 0.5)
    queue.rpush("celery", *[b"{}"] * 10_000)
    for count in range(1, 4):
        notify.notify_workers()
        assert notify._sender.wait(30)
        assert queue.llen("celery") == 10_000 + count


def test_wake__the_length_of_the_task_s_own_queue_counts(queue: redis.Redis, configure: Any) -> None:
    configure(QUEUE="pictures")
    try:
        queue.rpush("pictures", *[b"{}"] * 7)
        assert notify._send_or_log() == 8
    finally:
        queue.delete("pictures")


def test_wake__messages_carry_no_data(queue: redis.Redis) -> None:
    notify.notify_workers()
    assert tasks(queue)
    (message,) = queue.lrange("celery", 0, -1)
    assert json.loads(message)["headers"]["argsrepr"] == "()"


def test_wake__from_another_thread_finds_the_project_s_broker(queue: redis.Redis) -> None:
    """A thread's current Celery app is not the project's unless somebody says so."""
    thread = threading.Thread(target=notify.notify_workers)
    thread.start()
    thread.join()
    assert tasks(queue) == [TASK]


def test_wake__the_queue_is_a_setting(queue: redis.Redis, configure: Any) -> None:
    configure(QUEUE="pictures")
    notify.notify_workers()
    assert tasks(queue) == []
    assert queue.llen("pictures") == 1
    queue.delete("pictures")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["refused", "silent_server"])
def test_broker_gone__a_save_is_neither_broken_nor_held_up(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "BROKER_TIMEOUT", 1)
    use_broker(monkeypatch, request.getfixturevalue(kind))
    start = time.monotonic()
    for seed in range(5):
        Picture.objects.create(image=drawing.file(seed))
    assert time.monotonic() - start < BROKER_PATIENCE
    assert IndexedImage.objects.filter(status="pending").count() == 5
    assert notify._sender.wait(20)


BROKER_PATIENCE = 0.9
"""Less than one silence of the broker in these tests: five saves that waited would take five times as long."""


@pytest.mark.parametrize("kind", ["refused", "silent_server"])
def test_broker_gone__is_logged_and_the_next_wake_gets_through(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, caplog: Any, queue: redis.Redis
) -> None:
    monkeypatch.setattr(notify, "BROKER_TIMEOUT", 0.5)
    with monkeypatch.context() as patch:
        use_broker(patch, request.getfixturevalue(kind))
        notify.notify_workers()
        assert notify._sender.wait(20)
    assert "the next sweep will" in caplog.text
    notify.notify_workers()
    assert tasks(queue) == [TASK]


@pytest.mark.django_db(transaction=True)
def test_eager__the_picture_is_indexed_at_once(monkeypatch: pytest.MonkeyPatch, configure: Any) -> None:
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    monkeypatch.setitem(app.conf.maps[0], "task_always_eager", True)
    Picture.objects.create(image=drawing.file())
    assert IndexedImage.objects.get().status == "indexed"


@pytest.mark.django_db(transaction=True)
def test_eager__one_wake_indexes_more_than_a_batch(
    make_picture: Any, monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1}, BATCH_SIZE=2)
    for seed in range(5):
        make_picture(seed)
    assert notify._sender.wait(20)
    monkeypatch.setitem(app.conf.maps[0], "task_always_eager", True)
    notify.notify_workers()
    assert IndexedImage.objects.filter(status="indexed").count() == 5


@pytest.mark.django_db(transaction=True)
def test_eager__an_error_does_not_break_the_save(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setitem(app.conf.maps[0], "task_always_eager", True)
    monkeypatch.setitem(app.conf.maps[0], "task_eager_propagates", True)
    monkeypatch.setattr("similar_images.indexing.claims.claim_batch", lambda: 1 / 0)
    Picture.objects.create(image=drawing.file())
    assert "ZeroDivisionError" in caplog.text


def run(script: str) -> None:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    code = f"import django; django.setup()\nfrom similar_images.indexing import notify\n{script}"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=env, check=True, timeout=60)


def test_exit__a_process_that_ends_at_once_still_sends(queue: redis.Redis) -> None:
    run("notify.notify_workers()")
    assert tasks(queue) == [TASK]


def test_exit__a_process_that_ends_at_once_still_sends_to_a_long_queue(queue: redis.Redis) -> None:
    queue.rpush("celery", *[b"{}"] * 10_000)
    run("notify.notify_workers()\nassert notify._sender.wait(10)\nnotify.notify_workers()")
    assert queue.llen("celery") == 10_002


def test_exit__is_not_held_up_by_a_silent_broker(silent_server: str) -> None:
    start = time.monotonic()
    run(
        "from project.celery import app\n"
        f"app.conf.broker_url = app.conf.broker_write_url = {silent_server!r}\n"
        "notify.BROKER_TIMEOUT = 60\n"
        "notify.notify_workers()"
    )
    assert time.monotonic() - start < 30


def test_fork__a_child_sends_for_itself(queue: redis.Redis) -> None:
    run(
        "import os\n"
        "notify.notify_workers()\n"
        "assert notify._sender.wait(10)\n"
        "child = os.fork()\n"
        "notify.notify_workers()\n"
        "assert notify._sender.wait(10)\n"
        "assert child == 0 or os.waitpid(child, 0)[1] == 0"
    )
    assert tasks(queue) == [TASK] * 3

"""Tell a worker that records are due, without ever holding up or failing the caller.

Talking to a broker can take seconds when it is gone, and forever when it is silent. So a thread of
its own does it, once for all the calls that came meanwhile. A wake that gets lost is no harm:
`sweep` finds the records.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import Any

import celery

logger = logging.getLogger("similar_images")

BROKER_TIMEOUT = 5
"""Seconds without an answer after which the broker counts as gone."""

_EXIT_TIMEOUT = 2
_celery_app: celery.Celery | None = None


def remember_celery_app() -> None:
    """Keep the project's Celery app, which threads made later would not find as the current one."""
    global _celery_app
    _celery_app = celery.current_app._get_current_object()


def celery_app() -> celery.Celery:
    app = celery.current_app._get_current_object()
    return app if _celery_app is None or app.main != "default" else _celery_app


def notify_workers() -> None:
    """Have a worker look for due records, soon."""
    if celery_app().conf.task_always_eager:
        _send_or_log()
    else:
        _sender.wake()


def send_task(connection: Any = None) -> None:
    """Queue the task that indexes due records; raises what the broker raises."""
    from .. import conf, tasks

    task = celery_app().tasks[tasks.index_due.name]
    task.apply_async(queue=conf.get().queue, connection=connection, retry=False, ignore_result=True)


def _send_or_log() -> None:
    app = celery_app()
    try:
        if app.conf.task_always_eager:
            send_task()
        else:
            with app.connection_for_write(transport_options=_impatient(app)) as connection:
                send_task(connection)
    except Exception as error:  # whatever the broker's client raises: the records wait for the sweep
        logger.warning("No worker could be told of new images, the next sweep will: %r", error)


def _impatient(app: celery.Celery) -> dict[str, Any]:
    options: dict[str, Any] = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
    if str(app.conf.broker_write_url or app.conf.broker_url).startswith(("redis", "valkey", "sentinel")):
        options |= {"socket_timeout": BROKER_TIMEOUT, "socket_connect_timeout": BROKER_TIMEOUT}
    return options


class _Sender:
    """A thread, started on first use, that sends one message for all the wakes since its last."""

    def __init__(self) -> None:
        self._due = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        with self._lock:
            self._idle.clear()
            self._due.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="similar_images", daemon=True)
                self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is left to send, at most so many seconds; tell whether it is so."""
        return self._idle.wait(timeout)

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            _send_or_log()
            with self._lock:
                if not self._due.is_set():
                    self._idle.set()


_sender = _Sender()


def _reset() -> None:
    global _sender
    _sender = _Sender()


os.register_at_fork(after_in_child=_reset)  # threads do not live on in a forked process
atexit.register(lambda: _sender.wait(_EXIT_TIMEOUT))

"""Notify the workers that there is work, such as records that are due, without ever delaying or failing the caller.

Talking to a broker can take seconds when it is down, and forever when it does not answer. So a thread of its own
does it, once for all calls that came meanwhile, and less often while messages pile up, as when no worker runs. Lost
notifications are harmless: the periodic sweep finds pending records.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from typing import Any

import celery

from .. import conf

logger = logging.getLogger("similar_images")

INDEX_TASK = "similar_images.tasks.index_due"
"""Name of the task that indexes due records."""

SCAN_TASK = "similar_images.tasks.find_due_duplicates"
"""Name of the task that runs requested searches for duplicates."""

MAP_TASK = "similar_images.tasks.update_maps"
"""Name of the task that makes requested updates of maps."""

BROKER_TIMEOUT = 5
"""Seconds without an answer after which the broker counts as down."""

SHORT_QUEUE = 100
"""Messages in the queue, whoever sent them, up to which a process sends its own without delay."""

DELAY_PER_MESSAGE = 0.1
"""Seconds that a process waits between two messages for every one in the queue above SHORT_QUEUE."""

MAX_DELAY = 30
"""Seconds that it waits at most: a queue that is always long because of other tasks must not keep images waiting."""

KEPT_SECONDS = 20
"""Seconds for which a connection to the broker is kept; a broker may close one that is idle for a minute or so."""

_EXIT_TIMEOUT = 2
"""Seconds that the end of a process may be delayed by a notification that is being sent."""

_celery_app: celery.Celery | None = None


def remember_celery_app() -> None:
    """Remember the project's Celery app, which is the current one of this thread, but not of threads started later."""
    global _celery_app
    _celery_app = celery.current_app._get_current_object()


def get_celery_app() -> celery.Celery:
    """Return the current Celery app, or the remembered one if the current one is Celery's default."""
    app = celery.current_app._get_current_object()
    return app if _celery_app is None or app.main != "default" else _celery_app


def notify_workers(task_name: str = INDEX_TASK) -> None:
    """Have a worker run a task soon: by default, look for due records."""
    if get_celery_app().conf.task_always_eager:
        _send_or_log(task_name)
    else:
        _sender.request(task_name)


def _send_task(task_name: str, connection: Any = None) -> None:
    # Not by send_task(), which would not run the task when task_always_eager is set.
    task = get_celery_app().tasks[task_name]
    task.apply_async(queue=conf.get().queue, connection=connection, retry=False, ignore_result=True)


def _send_or_log(task_name: str = INDEX_TASK) -> int:
    """Send a message, and return how many are then in the queue; 0 where that is not known."""
    app = get_celery_app()
    try:
        if app.conf.task_always_eager:
            _send_task(task_name)
            return 0
        return _broker.send(app, task_name)
    except Exception as error:  # whatever the broker's client raises: the work waits for the sweep
        logger.warning("The workers could not be notified of new work; the next sweep will do so: %r", error)
        return 0


def _count_messages(app: celery.Celery, connection: Any, task_name: str) -> int:
    """Return the number of messages that wait in the queue of the task; 0 where the broker does not say."""
    queue = app.amqp.router.route({"queue": conf.get().queue}, task_name).get("queue") or app.conf.task_default_queue
    try:
        declared = connection.default_channel.queue_declare(getattr(queue, "name", queue), passive=True)
        return int(declared.message_count)
    except Exception:  # the queue is empty, or this kind of broker can't count; the message has been sent
        return 0


def _broker_address(app: celery.Celery) -> str:
    return str(app.conf.broker_write_url or app.conf.broker_url)


def _transport_options(app: celery.Celery) -> dict[str, Any]:
    options: dict[str, Any] = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
    if _broker_address(app).startswith(("redis", "valkey", "sentinel")):
        options |= {"socket_timeout": BROKER_TIMEOUT, "socket_connect_timeout": BROKER_TIMEOUT}
    return options


class _Broker:
    """The broker, by a connection that is kept from one message to the next: to open one takes longer than to send."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._opened_for: tuple[celery.Celery, str] | None = None
        self._used_at = 0.0

    def send(self, app: celery.Celery, task_name: str) -> int:
        """Send a message, and return how many are then in the queue; 0 where that is not known.

        Raises:
            Exception: whatever the broker's client raises.
        """
        wanted = app, _broker_address(app)
        if self._opened_for != wanted or time.monotonic() - self._used_at > KEPT_SECONDS:
            self.close()
        if self._connection is not None:
            try:
                return self._send_by(app, task_name)
            except Exception:  # it has been closed at the other end
                self.close()
        self._connection = app.connection_for_write(transport_options=_transport_options(app))
        self._opened_for = wanted
        try:
            return self._send_by(app, task_name)
        except Exception:
            self.close()
            raise

    def _send_by(self, app: celery.Celery, task_name: str) -> int:
        _send_task(task_name, self._connection)
        self._used_at = time.monotonic()
        return _count_messages(app, self._connection, task_name)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()


_broker = _Broker()
"""The broker of this process; after a fork, a new one, as a socket is one process's."""


class _Sender:
    """A thread, started on first use, that sends one message for all requests of a task since its last one."""

    def __init__(self) -> None:
        self._due = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._is_exiting = threading.Event()
        self._lock = threading.Lock()
        self._task_names: set[str] = set()
        self._thread: threading.Thread | None = None

    def request(self, task_name: str) -> None:
        """Have a message sent, without waiting for it."""
        with self._lock:
            self._task_names.add(task_name)
            self._idle.clear()
            self._due.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="similar_images", daemon=True)
                self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until nothing is left to send; return False if something still is."""
        return self._idle.wait(timeout)

    def finish(self) -> None:
        """Send what is left without delay, as the process is about to end."""
        self._is_exiting.set()
        self.wait(_EXIT_TIMEOUT)

    def _run(self) -> None:
        next_message = 0.0
        while True:
            self._due.wait()
            self._is_exiting.wait(max(next_message - time.monotonic(), 0))
            self._due.clear()
            with self._lock:
                task_names, self._task_names = self._task_names, set()
            excess = max(0, *(_send_or_log(name) - SHORT_QUEUE for name in task_names), 0)
            next_message = time.monotonic() + min(excess * DELAY_PER_MESSAGE, MAX_DELAY)
            with self._lock:
                if not self._due.is_set():
                    self._idle.set()


_sender = _Sender()


def _replace_sender() -> None:
    global _broker, _sender
    _broker, _sender = _Broker(), _Sender()


os.register_at_fork(after_in_child=_replace_sender)  # threads do not survive in a forked process
atexit.register(lambda: _sender.finish())

from __future__ import annotations

import contextvars
import os
import threading

import pytest
from django.utils.translation import get_language, override

from similar_images.imaging.timeouts import POOL_THREADS, SearchTimeout, run_for_request, run_with_timeout


def test_run_with_timeout__returns_the_result() -> None:
    assert run_with_timeout(10, "results", divmod, 7, 2) == (3, 1)


def test_run_with_timeout__passes_on_errors() -> None:
    with pytest.raises(ZeroDivisionError):
        run_with_timeout(10, "results", divmod, 7, 0)


def test_run_with_timeout__work_has_the_language_of_the_caller() -> None:
    with override("de"):
        assert run_with_timeout(10, "languages", get_language) == "de"
    with override("fr"):  # on threads that are there already
        assert run_with_timeout(10, "languages", get_language) == "fr"


def test_run_with_timeout__work_has_the_context_variables_of_the_caller() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    for value in ("first", "second"):
        variable.set(value)
        assert run_with_timeout(10, "variables", variable.get) == value


def test_run_with_timeout__pools_do_not_wait_for_each_other() -> None:
    hold = threading.Event()
    try:
        for _ in range(POOL_THREADS):
            with pytest.raises(TimeoutError):
                run_with_timeout(0.05, "busy", hold.wait, 10)
        with pytest.raises(TimeoutError):
            run_with_timeout(0.05, "busy", int)
        assert run_with_timeout(10, "idle", int) == 0
    finally:
        hold.set()


def test_run_with_timeout__cancels_work_that_has_not_started() -> None:
    hold, started = threading.Event(), threading.Event()
    try:
        for _ in range(POOL_THREADS):
            with pytest.raises(TimeoutError):
                run_with_timeout(0.05, "cancelled", hold.wait, 10)
        with pytest.raises(TimeoutError):
            run_with_timeout(0.05, "cancelled", started.set)
    finally:
        hold.set()
    assert run_with_timeout(10, "cancelled", int) == 0
    assert not started.is_set()


def test_run_for_request__message_is_for_visitors() -> None:
    hold = threading.Event()
    try:
        with pytest.raises(SearchTimeout, match=r"^This took too long\. Please try again later"):
            run_for_request(0.05, hold.wait, 10)
    finally:
        hold.set()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_run_with_timeout__works_in_a_forked_process() -> None:
    run_with_timeout(10, "forked", int)
    if (process := os.fork()) == 0:
        os._exit(run_with_timeout(10, "forked", int, 42))
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 42

from __future__ import annotations

import contextvars
import threading
from collections.abc import Generator
from typing import cast

import pytest
from django.utils.translation import activate, get_language, override

from similar_images.imaging.threads import map_in_threads


def test_map_in_threads__keeps_the_order() -> None:
    second_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(10)
        else:
            second_is_done.set()
        return number * 10

    assert list(map_in_threads(work, range(2), 2)) == [0, 10]


def test_map_in_threads__work_has_the_language_of_the_caller() -> None:
    with override("de"):
        assert list(map_in_threads(lambda number: get_language(), range(4), 2)) == ["de"] * 4
    with override(None):
        assert list(map_in_threads(lambda number: get_language(), range(2), 2)) == [None] * 2


def test_map_in_threads__work_has_the_context_variables_of_the_caller() -> None:
    """Each entry has a copy of its own: what work sets reaches neither other entries nor the caller."""
    variable = contextvars.ContextVar("variable", default="unset")

    def work(value: str) -> tuple[str, str | None]:
        before = variable.get(), get_language()
        variable.set(value)
        activate(value)
        return before

    variable.set("caller")
    with override("de"):
        assert list(map_in_threads(work, ["fr", "es", "it"], 1)) == [("caller", "de")] * 3
        assert (variable.get(), get_language()) == ("caller", "de")


def test_map_in_threads__closing_cancels_pending_items() -> None:
    started: list[int] = []
    hold = threading.Event()

    def work(number: int) -> int:
        started.append(number)
        if number:
            hold.wait(10)
        return number

    results = cast(Generator[int], map_in_threads(work, range(1_000), 1))
    assert next(results) == 0
    threading.Timer(0.1, hold.set).start()
    results.close()
    assert len(started) <= 3


def test_map_in_threads__passes_on_errors() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(lambda number: 1 // number, [1, 0], 2))

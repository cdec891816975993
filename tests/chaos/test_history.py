"""The judge of the chaos: what it must accept, and what it must not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos import pictures
from tests.chaos.history import History, Register

BLUE, RED, GREEN = 1, 2, 3


def test_register__a_finished_write_supersedes_what_was_over_when_it_began() -> None:
    register = Register()
    register.add("a", 1, 2, certain=True)
    register.add("b", 3, 4, certain=True)
    assert register.possible(0, 0.5) == {None}
    assert register.possible(1.5, 1.6) == {None, "a"}
    assert register.possible(2.5, 2.6) == {"a"}
    assert register.possible(2.5, 3.5) == {"a", "b"}
    assert register.possible(4.5, 9) == {"b"}


def test_register__of_writes_at_the_same_time_either_may_be_the_last() -> None:
    register = Register()
    register.add("a", 1, 3, certain=True)
    register.add("b", 2, 4, certain=True)
    assert register.possible(5, 6) == {"a", "b"}


def test_register__an_uncertain_write_supersedes_nothing_until_it_is_looked_at() -> None:
    register = Register()
    register.add("a", 1, 2, certain=True)
    register.add("b", 3, 4, certain=False)
    assert register.possible(5, 6) == {"a", "b"}
    register.add("b", 7, 7.1, certain=True)
    assert register.possible(8, 9) == {"b"}


def journal(*events: tuple[float, str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"t": moment, "event": event, **values} for moment, event, values in events]


def step(moment: float, key: str, name: str | None, *, content: int | None = None) -> list[dict[str, Any]]:
    """A step that takes from `moment` to `moment` + 1, and writes a file if it has content."""
    written = [(moment + 0.3, "write", {"file": name, "content": content}), (moment + 0.6, "written", {"file": name})]
    return journal(
        (moment, "step", {"step": str(moment), "mode": "autocommit"}),
        (moment + 0.1, "change", {"step": str(moment), "operation": "", "names": {key: name}}),
        *(written if content is not None else ()),
        (moment + 1, "end", {"step": str(moment), "names": {key: name}}),
    )


def answer(start: float, query: Any, *matches: tuple[str, str, float]) -> dict[str, Any]:
    return {"start": start, "t": start + 0.1, "way": "Python", "query": query, "matches": matches}


def faults(history: History, *answers: dict[str, Any]) -> list[str]:
    return [kind for each in answers for kind, _story in history.find_faults(each)]


def test_history__accepts_what_was_there_and_nothing_else() -> None:
    history = History([step(1, "a", "x.png", content=BLUE)])
    assert faults(history, answer(3, BLUE, ("a", "x.png", 0))) == []
    assert faults(history, answer(3, RED, ("a", "x.png", pictures.distance(BLUE, RED)))) == []
    assert faults(history, answer(3, ["a", "x.png"], ("a", "x.png", 0))) == []
    assert faults(history, answer(3, RED, ("a", "x.png", 0))) == ["stale match"]
    assert faults(history, answer(3, BLUE, ("b", "x.png", 0))) == ["deleted match"]


@pytest.mark.parametrize("shared", [False, True])
def test_history__notices_the_signature_of_overwritten_bytes(shared: bool) -> None:
    key = "b" if shared else "a"
    history = History([step(1, "a", "x.png", content=BLUE) + step(3, key, "x.png", content=RED)])
    assert faults(history, answer(3.5, BLUE, ("a", "x.png", 0))) == []
    assert faults(history, answer(4.5, BLUE, ("a", "x.png", 0))) == ["stale match"]


def test_history__notices_deleted_objects_and_former_names() -> None:
    history = History([step(1, "a", "x.png", content=BLUE) + step(3, "a", "y.png") + step(5, "a", None)])
    assert faults(history, answer(4.5, BLUE, ("a", "x.png", 0))) == ["match by a former name"]
    assert faults(history, answer(6.5, BLUE, ("a", "y.png", 0))) == ["deleted match"]


def test_history__of_a_killed_step_both_outcomes_are_accepted_until_one_is_found() -> None:
    killed = step(3, "a", "y.png", content=RED)[:-1]
    found = journal((7, "recovered", {"start": 6.9, "names": {"a": "y.png"}, "files": {}}))
    history = History([step(1, "a", "x.png", content=BLUE) + killed + found])
    old, new = ("a", "x.png", 0.0), ("a", "y.png", 0.0)
    assert faults(history, answer(5, BLUE, old), answer(5, RED, new), answer(8, RED, new)) == []
    assert faults(history, answer(8, BLUE, old)) == ["match by a former name"]


def test_history__rolled_back_names_are_never_accepted_but_the_bytes_are_new() -> None:
    undone = step(3, "a", "x.png", content=RED)
    undone[-1]["names"] = {}
    history = History([step(1, "a", "x.png", content=BLUE) + undone])
    assert faults(history, answer(5, RED, ("a", "x.png", 0))) == []
    assert faults(history, answer(5, BLUE, ("a", "x.png", 0))) == ["stale match"]

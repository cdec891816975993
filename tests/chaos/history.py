"""What can have been the case at a moment, by the journals of those who brought it about, and what can't."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from math import inf
from typing import Any

from . import pictures

TOLERANCE = 0.002
"""What half-precision numbers may add to a distance; two colors differ by at least 1/255."""

Event = dict[str, Any]


@dataclass(frozen=True)
class Write:
    """A value that was written between two moments; perhaps not, unless it is `certain`."""

    value: Any
    start: float
    end: float
    certain: bool


@dataclass
class Register:
    """The values over time of something that several processes write: what each may have read, and when."""

    writes: list[Write] = field(default_factory=lambda: [Write(None, -inf, -inf, True)])

    def add(self, value: Any, start: float, end: float, *, certain: bool) -> None:
        self.writes.append(Write(value, start, end, certain))

    def possible(self, start: float, end: float) -> set[Any]:
        """Return the values that it can have had at some moment between two."""
        # The latest write that was over at `start` has superseded all that were over when it began.
        latest = max((write for write in self.writes if write.certain and write.end <= start), key=lambda w: w.start)
        return {
            write.value for write in self.writes if write is latest or (write.start <= end and write.end > latest.start)
        }


class History:
    """The names of files in the fields of objects, and the contents of files, over time."""

    def __init__(self, journals: Iterable[list[Event]]) -> None:
        self.names: dict[str, Register] = defaultdict(Register)
        self.contents: dict[str, Register] = defaultdict(Register)
        for events in journals:
            self._read(events)

    def _read(self, events: list[Event]) -> None:
        """Read the journal of one writer."""
        steps: dict[str, list[tuple[str, Any, float]]] = {}
        files: dict[str, tuple[Any, float]] = {}
        for event in events:
            moment = event["t"]
            if event["event"] == "step":
                steps[event["step"]] = []
            elif event["event"] == "change":
                steps[event["step"]] += [(key, name, moment) for key, name in event["names"].items()]
            elif event["event"] == "end":
                changes = steps.pop(event["step"])
                for key, name in event["names"].items():
                    start = min(started for changed, _name, started in changes if changed == key)
                    self.names[key].add(name, start, moment, certain=True)
            elif event["event"] == "write":
                if event["file"] in files:
                    self._add_file(event["file"], *files.pop(event["file"]), inf, certain=False)
                files[event["file"]] = event["content"], moment
            elif event["event"] == "written":
                self._add_file(event["file"], *files.pop(event["file"]), moment, certain=True)
            elif event["event"] == "recovered":
                self._end(steps, files, moment)
                for key, name in event["names"].items():
                    self.names[key].add(name, event["start"], moment, certain=True)
                for file, content in event["files"].items():
                    self.contents[file].add(content, event["start"], moment, certain=True)
        self._end(steps, files, inf)

    def _end(self, steps: dict[str, Any], files: dict[str, Any], moment: float) -> None:
        """Add what was cut short, with the moment from which nothing of it can go on."""
        for changes in steps.values():
            for key, name, start in changes:
                self.names[key].add(name, start, moment, certain=False)
        for file, (content, start) in files.items():
            self._add_file(file, content, start, moment, certain=False)
        steps.clear()
        files.clear()

    def _add_file(self, file: str, content: Any, start: float, end: float, *, certain: bool) -> None:
        self.contents[file].add(content, start, end, certain=certain)

    def find_faults(self, answer: Event) -> Iterator[tuple[str, str]]:
        """Yield the kind and the story of each match of an answer that can't have been true."""
        start, end, query = answer["start"], answer["t"], answer["query"]
        if isinstance(query, int):
            queries: set[Any] = {query}
        else:
            key, name = query
            names = {name} if name else self.names[key].possible(start, end)
            queries = {content for each in names for content in self.contents[each].possible(start, end)}
        for key, name, distance in answer["matches"]:
            names = self.names[key].possible(start, end)
            contents = self.contents[name].possible(start, end)
            story = f"{answer['way']} {start:.3f}–{end:.3f} by {query}: {key} {name} at {distance:.4f}; "
            if name not in names:
                kind = "deleted match" if names <= {None, ""} else "match by a former name"
                yield kind, f"{story}its name was one of {names}"
            elif not any(is_distance(distance, a, b) for a, b in product(queries, contents)):
                yield "stale match", f"{story}its content was one of {contents}, the query's one of {queries}"


def is_distance(distance: float, a: pictures.Content, b: pictures.Content) -> bool:
    """Check that two contents are pictures with this distance."""
    if a is None or b is None or a < 0 or b < 0:
        return False
    return abs(pictures.distance(a, b) - distance) <= TOLERANCE

"""The judgment of a run: answers and errors checked by the journals, figures, and the faults of every kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .conductor import Report
from .history import Event, History
from .journal import read_journal

SHOWN = 5
"""Stories of a kind of fault that are told."""

STORY = 900
"""Characters of a story that are told."""

LONGEST_STEP = 30
"""Seconds above which a writer counts as stuck: the slowest storage takes less for all saves of a transaction."""


@dataclass
class Summary:
    lines: list[str]
    faults: list[tuple[str, str]]


def summarize(folder: Path, report: Report) -> Summary:
    """Judge a run by its journals and by the state that was found at its end."""
    writers = [list(read_journal(path)) for path in sorted(folder.glob("writer*.jsonl"))]
    readers = [list(read_journal(path)) for path in sorted(folder.glob("reader*.jsonl"))]
    history = History(writers)
    faults = list(report.findings.faults)
    answers = [event for events in readers for event in events if event["event"] == "answer"]
    for answer in answers:
        faults += history.find_faults(answer)
    outages = list(find_outages(list(read_journal(folder / "conductor.jsonl"))))
    errors = [event for events in (*writers, *readers) for event in events if event["event"] == "error"]
    faults += [
        (f"error of a writer in {error['mode']}" if "mode" in error else "error of a reader", error["text"])
        for error in errors
        if not is_excused(error, outages)
    ]
    operations, endings = Counter[str](), Counter[str]()
    for events in writers:
        for step, ending, duration in steps_of(events):
            endings[ending] += 1
            if duration > LONGEST_STEP:
                faults.append(("stuck writer", f"a step took {duration:.1f} s: {step}"))
        operations.update(event["operation"] for event in events if event["event"] == "change")
        report.kills.update(f"writers, {event['place']}" for event in events if event["event"] == "death")
    faults += compare_with_journals(history, report)
    counts = report.findings.counts
    ways = Counter(answer["way"] for answer in answers)
    matches = sum(len(answer["matches"]) for answer in answers)
    kinds = Counter(kind for kind, _story in faults)
    lines = [
        f"{report.seconds:.0f} s of chaos; everything in place {report.recovery:.1f} s after",
        f"objects' fields ever: {len(history.names)}; at the end: {_list(counts)}",
        f"operations: {sum(operations.values())}: {_list(operations)}",
        f"transactions and single operations: {_list(endings)}",
        f"killed: {_list(Counter({k: n for k, n in report.kills.items() if not k.startswith('storage')}))}",
        f"weather: {_list(Counter({k: n for k, n in report.kills.items() if k.startswith('storage')}))}",
        f"answers checked: {_list(ways)}, with {matches} matches",
        f"errors of the storage and of the killed database: {sum(is_excused(error, outages) for error in errors)}",
        f"faults: {_list(kinds) or 'none'}",
    ]
    for kind in kinds:
        lines += [f"{kind}: {story[-STORY:]}" for other, story in faults if other == kind][:SHOWN]
    return Summary(lines, faults)


def steps_of(events: list[Event]) -> list[tuple[str, str, float]]:
    """Return the steps of a writer, how each ended, and how long it took, deaths and recoveries excluded."""
    steps, running = [], {}
    for event in events:
        if event["event"] == "step":
            running[event["step"]] = event
        elif event["event"] == "end":
            begun = running.pop(event["step"])
            ending = "rolled back" if begun["mode"] == "rolled back" else f"done in {begun['mode']}"
            steps.append((event["step"], ending, event["t"] - begun["t"]))
        elif event["event"] == "recovered":
            steps += [(step, "cut short", 0.0) for step in running]
            running.clear()
    return steps


def find_outages(events: list[Event]) -> list[tuple[float, float]]:
    """Return when the database was down."""
    downs = [event["t"] for event in events if event["event"] == "postgres down"]
    ups = [event["t"] for event in events if event["event"] == "postgres up"]
    return list(zip(downs, ups, strict=True))


def is_excused(error: Event, outages: list[tuple[float, float]]) -> bool:
    """Check that an error came from the storage of this run, or from the database while it was down."""
    is_outage = any(down <= error["t"] and error["start"] <= up + 1 for down, up in outages)
    return error["is_weather"] or (error["is_database"] and is_outage)


def compare_with_journals(history: History, report: Report) -> list[tuple[str, str]]:
    """Check that the journals tell the truth: else they could excuse, or accuse, anything."""
    end = float("1e18")
    findings, faults = report.findings, []
    for key, register in history.names.items():
        name, possible = findings.names.get(key), register.possible(end, end)
        if name not in possible:
            faults.append(("wrong journal", f"{key} is {name}, not one of {possible}"))
    for name, content in findings.contents.items():
        possible = history.contents[name].possible(end, end)
        if content not in possible:
            faults.append(("wrong journal", f"{name} holds {content}, not one of {possible}"))
    return faults


def _list(counts: Counter[Any]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())

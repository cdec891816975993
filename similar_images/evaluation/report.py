"""Results as tables and as JSON."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from .description import DescribedSet
from .retrieval import METRICS, Retrieval
from .robustness import COPY_METRICS, Robustness
from .transforms import TRANSFORMS

MARKS = "<!-- evaluation -->", "<!-- /evaluation -->"


@dataclass(frozen=True)
class EvaluationResult:
    """What was measured on one set of pictures: retrieval by label and ranking, robustness by ranking."""

    name: str
    described: DescribedSet
    retrieval: dict[str, dict[str, Retrieval]] = field(default_factory=dict)
    robustness: dict[str, Robustness] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        """The table in Markdown, with columns that are also aligned in a terminal."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [
            "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
            for row in (self.columns, rule, *self.rows)
        ]
        return "\n".join([self.title, "", *lines, ""])


def mean_metrics(results: Iterable[EvaluationResult]) -> dict[str, dict[str, float]]:
    """By ranking, every metric that was measured: its mean over all labeled sets, or over all sets of copies."""
    found: dict[str, dict[str, list[float]]] = {}
    for result in results:
        parts: list[Mapping[str, Retrieval | Robustness]] = [*result.retrieval.values(), result.robustness]
        for part in parts:
            for ranking, measured in part.items():
                for metric, value in measured.means.items():
                    found.setdefault(ranking, {}).setdefault(metric, []).append(value)
    return {ranking: {metric: fmean(values) for metric, values in by.items()} for ranking, by in found.items()}


def result_tables(results: Sequence[EvaluationResult]) -> list[Table]:
    """Everything that was measured, the best ranking first."""
    mean = mean_metrics(results)
    made = []
    tasks = [(result, label) for result in results for label in result.retrieval]
    if tasks:
        rankings = _best_first(mean, "mAP")
        columns = [f"{result.name}, {label}" for result, label in tasks]
        rows = [
            [name, *(_share(result.retrieval[label][name].means["mAP"]) for result, label in tasks), _share(value)]
            for name, value in ((name, mean[name]["mAP"]) for name in rankings)
        ]
        made.append(Table("Mean average precision (mAP)", ["", *columns, "mean"], rows))
        rows = [[name, *(_share(mean[name][metric]) for metric in METRICS)] for name in rankings]
        made.append(Table("All metrics, means over these sets", ["", *METRICS], rows))
    for result in results:
        if result.robustness:
            made.append(_copies(result))
    milliseconds, size = costs(results)
    rows = [[name, f"{milliseconds[name]:.1f}" if name in milliseconds else "–", f"{size[name]:,.0f}"] for name in size]
    made.append(Table("What a picture costs", ["", "milliseconds", "bytes"], rows))
    return made


def _copies(result: EvaluationResult) -> Table:
    rankings = sorted(result.robustness, key=lambda name: -result.robustness[name].means["copy-recall@1"])
    found = {name: result.robustness[name].values[..., 1].mean(axis=(0, 2)) for name in rankings}
    rows = [[kind, *(_share(found[name][i]) for name in rankings)] for i, kind in enumerate(TRANSFORMS)]
    for title, metric in (("all: recall@1", COPY_METRICS[1]), ("all: AP", COPY_METRICS[0])):
        rows.append([title, *(_share(result.robustness[name].means[metric]) for name in rankings)])
    count = len(result.robustness[rankings[0]].queries)
    title = f"{result.name}: recall@1 of {count} changed pictures among {len(result.described.items)}"
    return Table(title, ["", *rankings], rows)


def _best_first(mean: dict[str, dict[str, float]], metric: str) -> list[str]:
    return sorted((name for name in mean if metric in mean[name]), key=lambda name: -mean[name][metric])


def _share(value: float) -> str:
    return f"{value:.3f}"


def costs(results: Sequence[EvaluationResult]) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds and bytes of a picture by method, means over all pictures."""
    milliseconds: dict[str, list[tuple[float, int]]] = {}
    size: dict[str, list[tuple[float, int]]] = {}
    for result in results:
        count = len(result.described.items)
        for name, signatures in result.described.signatures.items():
            size.setdefault(name, []).append((signatures.bytes_each(), count))
        for name, taken in result.described.milliseconds.items():
            milliseconds.setdefault(name, []).append((taken, count))
    return _weighted(milliseconds), _weighted(size)


def _weighted(values: dict[str, list[tuple[float, int]]]) -> dict[str, float]:
    return {
        name: sum(value * count for value, count in pairs) / sum(count for _value, count in pairs)
        for name, pairs in values.items()
    }


def results_as_json(results: Sequence[EvaluationResult]) -> dict[str, Any]:
    """Everything that was measured, for scripts: shares from 0 to 1, times in milliseconds."""
    milliseconds, size = costs(results)
    return {
        "sets": [
            {
                "name": result.name,
                "pictures": len(result.described.items),
                "unreadable": result.described.unreadable,
                "retrieval": {
                    label: {name: {"queries": len(found.queries), **found.means} for name, found in by.items()}
                    for label, by in result.retrieval.items()
                },
                "robustness": {name: _robustness_json(found) for name, found in result.robustness.items()},
            }
            for result in results
        ],
        "means": mean_metrics(results),
        "costs": {name: {"milliseconds": milliseconds.get(name), "bytes": size[name]} for name in size},
    }


def _robustness_json(found: Robustness) -> dict[str, Any]:
    mean = found.values.mean(axis=0)
    return {
        "queries": len(found.queries),
        **found.means,
        "transforms": {
            kind: [
                {"strength": strength, **dict(zip(COPY_METRICS, mean[i, j].tolist(), strict=True))}
                for j, strength in enumerate(transform.strengths)
            ]
            for i, (kind, transform) in enumerate(TRANSFORMS.items())
        },
    }


def machine() -> str:
    """The processor's name and the number of cores."""
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file() and (found := re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE)):
        model = found[1].strip()
    return f"{os.cpu_count()} cores ({model})"


def write_markdown(path: Path, text: str) -> None:
    """Write a file, or, where it has both MARKS, only what is between them."""
    before, after = "", ""
    if path.is_file():
        old = path.read_text(encoding="utf-8")
        if MARKS[0] in old and MARKS[1] in old:
            before = old.partition(MARKS[0])[0] + MARKS[0] + "\n"
            after = MARKS[1] + old.partition(MARKS[1])[2]
    path.write_text(before + text + after, encoding="utf-8")

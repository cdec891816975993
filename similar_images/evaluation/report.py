"""Evaluation results as Markdown tables and as JSON."""

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

MARKDOWN_MARKERS = "<!-- evaluation -->", "<!-- /evaluation -->"
"""Lines of a Markdown file between which the tables are written."""


@dataclass(frozen=True)
class EvaluationResult:
    """Results for one set of images: retrieval by label and ranking, robustness by ranking."""

    name: str
    described: DescribedSet
    retrieval: dict[str, dict[str, Retrieval]] = field(default_factory=dict)
    robustness: dict[str, Robustness] = field(default_factory=dict)


@dataclass(frozen=True)
class MarkdownTable:
    """A table with a title; `str()` is Markdown whose columns also align in a terminal."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        """Return the table in Markdown."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [
            "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
            for row in (self.columns, rule, *self.rows)
        ]
        return "\n".join([self.title, "", *lines, ""])


def mean_metrics(results: Iterable[EvaluationResult]) -> dict[str, dict[str, float]]:
    """Return means of all metrics by ranking: over all labels of all sets, or over all sets with modified copies."""
    values: dict[str, dict[str, list[float]]] = {}
    for result in results:
        parts: list[Mapping[str, Retrieval | Robustness]] = [*result.retrieval.values(), result.robustness]
        for part in parts:
            for ranking, measurement in part.items():
                for metric, value in measurement.means.items():
                    values.setdefault(ranking, {}).setdefault(metric, []).append(value)
    return {
        ranking: {metric: fmean(by_set) for metric, by_set in metrics.items()} for ranking, metrics in values.items()
    }


def result_tables(results: Sequence[EvaluationResult]) -> list[MarkdownTable]:
    """Return tables of all results, the best ranking first."""
    tables = _retrieval_tables(results)
    tables += [_robustness_table(result) for result in results if result.robustness]
    milliseconds, size = mean_costs(results)
    rows = [[name, f"{milliseconds[name]:.1f}" if name in milliseconds else "–", f"{size[name]:,.0f}"] for name in size]
    return [*tables, MarkdownTable("Cost per image", ["", "milliseconds", "bytes"], rows)]


def _retrieval_tables(results: Sequence[EvaluationResult]) -> list[MarkdownTable]:
    tasks = [(result.name, label, by) for result in results for label, by in result.retrieval.items()]
    if not tasks:
        return []
    means = {ranking: metrics for ranking, metrics in mean_metrics(results).items() if "mAP" in metrics}
    rankings = sorted(means, key=lambda ranking: -means[ranking]["mAP"])
    by_task = [
        [ranking, *map(_format_share, [*(by[ranking].means["mAP"] for *_name, by in tasks), means[ranking]["mAP"]])]
        for ranking in rankings
    ]
    by_metric = [[ranking, *(_format_share(means[ranking][metric]) for metric in METRICS)] for ranking in rankings]
    return [
        MarkdownTable(
            "Mean average precision (mAP)", ["", *(f"{name}, {label}" for name, label, _by in tasks), "mean"], by_task
        ),
        MarkdownTable("All metrics, means over these sets", ["", *METRICS], by_metric),
    ]


def _robustness_table(result: EvaluationResult) -> MarkdownTable:
    means = {ranking: robustness.means for ranking, robustness in result.robustness.items()}
    rankings = sorted(means, key=lambda ranking: -means[ranking]["copy-recall@1"])
    recalls = {ranking: result.robustness[ranking].recall_by_transform for ranking in rankings}
    rows = [[name, *(_format_share(recalls[ranking][i]) for ranking in rankings)] for i, name in enumerate(TRANSFORMS)]
    for title, metric in (("all: recall@1", "copy-recall@1"), ("all: AP", "copy-AP")):
        rows.append([title, *(_format_share(means[ranking][metric]) for ranking in rankings)])
    count = len(result.robustness[rankings[0]].queries)
    title = f"{result.name}: recall@1 of {count} modified images among {len(result.described.images)}"
    return MarkdownTable(title, ["", *rankings], rows)


def _format_share(value: float) -> str:
    return f"{value:.3f}"


def mean_costs(results: Sequence[EvaluationResult]) -> tuple[dict[str, float], dict[str, float]]:
    """Return milliseconds and bytes per image by method, means over all images."""
    milliseconds: dict[str, list[tuple[float, int]]] = {}
    size: dict[str, list[tuple[float, int]]] = {}
    for result in results:
        count = len(result.described.images)
        for name, signatures in result.described.signatures.items():
            size.setdefault(name, []).append((signatures.mean_bytes(), count))
        for name, median in result.described.milliseconds.items():
            milliseconds.setdefault(name, []).append((median, count))
    return _weighted_means(milliseconds), _weighted_means(size)


def _weighted_means(values: dict[str, list[tuple[float, int]]]) -> dict[str, float]:
    return {
        name: sum(value * count for value, count in pairs) / sum(count for _value, count in pairs)
        for name, pairs in values.items()
    }


def results_as_json(results: Sequence[EvaluationResult]) -> dict[str, Any]:
    """Return all results for scripts: shares from 0 to 1, times in milliseconds."""
    milliseconds, size = mean_costs(results)
    return {
        "sets": [
            {
                "name": result.name,
                "pictures": len(result.described.images),
                "unreadable": result.described.unreadable,
                "retrieval": {
                    label: {ranking: {"queries": len(part.queries), **part.means} for ranking, part in by.items()}
                    for label, by in result.retrieval.items()
                },
                "robustness": {ranking: _robustness_as_json(part) for ranking, part in result.robustness.items()},
            }
            for result in results
        ],
        "means": mean_metrics(results),
        "costs": {name: {"milliseconds": milliseconds.get(name), "bytes": size[name]} for name in size},
    }


def _robustness_as_json(robustness: Robustness) -> dict[str, Any]:
    means = robustness.values.mean(axis=0)
    return {
        "queries": len(robustness.queries),
        **robustness.means,
        "transforms": {
            name: [
                {"strength": strength, **dict(zip(COPY_METRICS, means[i, j].tolist(), strict=True))}
                for j, strength in enumerate(transform.strengths)
            ]
            for i, (name, transform) in enumerate(TRANSFORMS.items())
        },
    }


def describe_machine() -> str:
    """Return the number of cores and the processor's name."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and (line := re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE)):
        model = line[1].strip()
    return f"{os.cpu_count()} cores ({model})"


def write_markdown(path: Path, text: str) -> None:
    """Write a file; if it exists and has both MARKDOWN_MARKERS, replace only the text between them."""
    before, after = "", ""
    if path.is_file():
        content = path.read_text(encoding="utf-8")
        start, end = MARKDOWN_MARKERS
        if start in content and end in content:
            before = content.partition(start)[0] + start + "\n"
            after = end + content.partition(end)[2]
    path.write_text(before + text + after, encoding="utf-8")

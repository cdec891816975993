from __future__ import annotations

import json
import os
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from similar_images import conf, ranking_presets, signatures
from similar_images.evaluation import plots, report
from similar_images.evaluation.description import DescribedSet, decode_item, describe_items
from similar_images.evaluation.keypoint_reranking import KeypointReranker
from similar_images.evaluation.labeled_images import LABELS, BadFolder, Item, read_folder, sample_indices
from similar_images.evaluation.retrieval import METRICS, RANDOM, Retrieval, retrieve, searchable
from similar_images.evaluation.robustness import COPY_METRICS, Robustness, evaluate_robustness
from similar_images.evaluation.stored import describe_source
from similar_images.evaluation.transforms import Pixels
from similar_images.imaging.decode import UnreadableImage
from similar_images.imaging.opencv import single_core
from similar_images.management.base import progress_bar, source_by_label
from similar_images.signatures.base import Method

from ... import plugins

TRANSFORMED = 100
"""Pictures without labels that are changed, where the caller does not say."""

UNREADABLE_SHOWN = 20


@dataclass(frozen=True)
class Floor:
    """A mean that must not fall below a value."""

    ranking: str
    metric: str
    least: float


class Command(BaseCommand):
    help = (
        "Measure how well the methods find what they should: over folders of pictures, or over the stored signatures "
        "of a source. A folder may have a labels.csv with the columns path, group (the same thing) and class (the same "
        "kind of thing): mAP, precision and recall say whether pictures with the same label come first. Pictures "
        "without labels are changed in 15 ways at 3 strengths, and it is measured whether the original comes first. "
        "Also tells milliseconds and bytes per picture. Reads and reports only: nothing is stored."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="Pictures, with or without labels.")
        parser.add_argument("--source", metavar="app.Model.field", help="In place of folders: the indexed pictures.")
        parser.add_argument("--label", metavar="FIELD", help="What groups a source, e.g. category or category__name.")
        parser.add_argument(
            "--method",
            action="append",
            metavar="NAME",
            help="Only this method; may be repeated. Default: all built-in ones for folders, all enabled ones for a "
            "source.",
        )
        parser.add_argument(
            "--ranking",
            action="append",
            metavar="NAME:WEIGHT,NAME:WEIGHT",
            help="A blend to measure beside the methods, e.g. embedding:0.9,color:0.1; may be repeated. Default: "
            "SIMILAR_IMAGES['RANKING'].",
        )
        parser.add_argument(
            "--rerank",
            choices=["keypoints"],
            help="Also measure every blend with its best 100 ranked again by keypoints; of folders with labels. Slow.",
        )
        parser.add_argument(
            "--every", type=_step, default=1, metavar="N", help="Search with every Nth picture that has a label."
        )
        parser.add_argument(
            "--by", choices=[*LABELS, "both"], default="both", help="Which labels of a folder count; default both."
        )
        parser.add_argument(
            "--transforms",
            type=_count,
            metavar="N",
            help=f"How many pictures of each set are changed; 0 for none. Default: {TRANSFORMED} where there are no "
            "labels, otherwise none.",
        )
        parser.add_argument(
            "--limit", type=_count, metavar="N", help="At most N pictures of each set, always the same."
        )
        parser.add_argument(
            "--floor",
            action="append",
            default=[],
            metavar="METHOD:METRIC:VALUE",
            help="Fail when a mean is below the value, e.g. embedding:mAP:0.5; may be repeated. Metrics: "
            f"{', '.join((*METRICS, *COPY_METRICS))}.",
        )
        parser.add_argument("--json", metavar="FILE", help="Write all figures as JSON; - for standard output.")
        parser.add_argument(
            "--markdown",
            type=Path,
            metavar="FILE",
            help="Write the tables; where the file has the lines {} and {}, only between them.".format(*report.MARKS),
        )
        parser.add_argument("--plot", type=Path, metavar="FILE", help="Draw the figures, as PNG, SVG or PDF.")
        parser.add_argument(
            "--misses",
            type=Path,
            metavar="FILE",
            help="Draw a contact sheet, as JPEG or PNG, of the worst misses: of the first --ranking, of the setting's, "
            "or of the first method.",
        )

    def run_from_argv(self, argv: list[str]) -> None:
        self._command = shlex.join(["python", *argv])
        super().run_from_argv(argv)

    _command = ""

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["folders"]) == bool(options["source"]):
            raise CommandError("Name the folders to evaluate on, or a --source; see --help.")
        if options["label"] and not options["source"]:
            raise CommandError("--label is for a --source; the labels of a folder are in its labels.csv.")
        self._check_files(options)
        if options["rerank"] and options["source"]:
            raise CommandError("--rerank reads pictures: name folders in place of a --source.")
        methods = self._methods(options)
        rankings = {**self._blends(options, methods), **{name: {name: 1.0} for name in methods}}
        again = [f"{name} + keypoints" for name, weights in rankings.items() if options["rerank"] and len(weights) > 1]
        floors = [_floor(text, [*rankings, *again]) for text in options["floor"]]
        results = [self._evaluate(*found, rankings, options) for found in self._sets(methods, options)]
        if not any(result.described.items for result in results):
            raise CommandError("There was no picture to evaluate on.")
        self._write(results, next(iter(rankings)), options)
        self._check(floors, report.mean_metrics(results))

    def _check_files(self, options: dict[str, Any]) -> None:
        """Say at once, and not after all the work, that a file can't be written."""
        for name, suffixes in {"json": (), "markdown": (), "plot": plots.PLOTS, "misses": plots.SHEETS}.items():
            path = Path(options[name] or "-")
            if not path.parent.is_dir():
                raise CommandError(f"--{name}: there is no folder {path.parent}.")
            if options[name] and suffixes and path.suffix.lower() not in suffixes:
                raise CommandError(f"--{name}: the file's name must end in one of {', '.join(suffixes)}.")
        if options["plot"] and find_spec("matplotlib") is None:
            raise CommandError('--plot needs Matplotlib: pip install "similar_images[evaluate]".')

    def _methods(self, options: dict[str, Any]) -> dict[str, Method]:
        """By name, those that are asked for: of the setting where it has them, otherwise with default options."""
        enabled = plugins.enabled_methods()
        names = options["method"] or (
            enabled if options["source"] else dict.fromkeys([*enabled, *signatures.BUILT_IN_METHODS])
        )
        methods: dict[str, Method] = {}
        for name in names:
            try:
                method = enabled[name] if name in enabled else plugins.load_method(name, {})
            except ImproperlyConfigured as error:
                if options["method"]:
                    raise CommandError(str(error)) from error
                self.stderr.write(f"{name} is left out: {error}")
                continue
            methods[method.name] = method
        return methods

    def _blends(self, options: dict[str, Any], methods: dict[str, Method]) -> dict[str, dict[str, float]]:
        """The rankings of several methods, by how they are written."""
        if options["ranking"]:
            rankings = [_ranking(text) for text in options["ranking"]]
            if lacking := {name for weights in rankings for name in weights} - methods.keys():
                raise CommandError(f"--ranking weighs methods that are not evaluated: {', '.join(sorted(lacking))}.")
        else:
            usual = ranking_presets.resolve_preset(conf.get().ranking, plugins.enabled_methods())
            rankings = [{name: weight for name, weight in usual.items() if weight}]
            rankings = [weights for weights in rankings if weights.keys() <= methods.keys()]
        return {
            ",".join(f"{name}:{weight:g}" for name, weight in weights.items()): weights
            for weights in rankings
            if len(weights) > 1
        }

    def _sets(self, methods: dict[str, Method], options: dict[str, Any]) -> Iterator[tuple[str, DescribedSet]]:
        if options["source"]:
            yield options["source"], self._stored(methods, options)
            return
        try:
            sets = [(folder, read_folder(folder)) for folder in options["folders"]]
        except BadFolder as error:
            raise CommandError(str(error)) from error
        for (folder, items), name in zip(sets, _names(options["folders"]), strict=True):
            chosen = [items[place] for place in sample_indices(len(items), options["limit"])]
            shown = progress_bar(options, chosen, unit="picture", desc=f"{name}: describing")
            described = describe_items(shown, methods, conf.get().max_pixels)
            self._tell_unreadable(folder, described.unreadable)
            yield name, described

    def _stored(self, methods: dict[str, Method], options: dict[str, Any]) -> DescribedSet:
        source = source_by_label(options["source"])
        try:
            described, missing = describe_source(source, options["label"], methods, options["limit"])
        except FieldError as error:
            raise CommandError(f"--label: {error}") from error
        for name, count in missing.items():
            if count:
                self.stderr.write(f"{count} pictures are left out, for want of a current signature by {name}.")
        return described

    def _tell_unreadable(self, folder: Path, unreadable: dict[str, str]) -> None:
        for name, reason in list(unreadable.items())[:UNREADABLE_SHOWN]:
            self.stderr.write(f"{folder / name}: {reason}")
        if unreadable:
            self.stderr.write(f"{len(unreadable)} pictures of {folder} can't be read and are left out.")

    def _evaluate(
        self, name: str, described: DescribedSet, rankings: dict[str, dict[str, float]], options: dict[str, Any]
    ) -> report.EvaluationResult:
        retrieval: dict[str, dict[str, Retrieval]] = {}
        proofs: KeypointReranker | None = None
        for label, labels in _labels(described.items, options):
            ways = {**rankings, RANDOM: {}}.items()
            retrieval[label] = {
                ranking: retrieve(weights, described.signatures, labels, every=options["every"])
                for ranking, weights in progress_bar(options, ways, unit="method", desc=f"{name}: by {label}")
            }
            blends = {ranking: weights for ranking, weights in rankings.items() if len(weights) > 1}
            if options["rerank"] and blends:
                proofs = proofs or KeypointReranker(described.items, conf.get().max_pixels)
                for ranking, weights in progress_bar(
                    options, blends.items(), unit="ranking", desc=f"{name}: by keypoints"
                ):
                    retrieval[label][f"{ranking} + keypoints"] = retrieve(
                        weights, described.signatures, labels, every=options["every"], rerank=proofs.ranked
                    )
        asked = options["transforms"]
        count = asked if asked is not None else TRANSFORMED * (not retrieval)
        robustness = self._withstand(name, described, rankings, count, options) if described.items and count else {}
        return report.EvaluationResult(name, described, retrieval, robustness)

    def _withstand(
        self,
        name: str,
        described: DescribedSet,
        rankings: dict[str, dict[str, float]],
        count: int,
        options: dict[str, Any],
    ) -> dict[str, Robustness]:
        places = progress_bar(
            options, sample_indices(len(described.items), count), unit="picture", desc=f"{name}: changing"
        )
        with single_core():
            return evaluate_robustness(rankings, described.signatures, self._pixels(described.items, places))

    def _pixels(self, items: list[Item], places: Iterable[int]) -> Iterator[tuple[int, Pixels]]:
        for place in places:
            try:
                yield place, decode_item(items[place], conf.get().max_pixels)
            except (UnreadableImage, OSError) as error:
                self.stderr.write(f"{items[place].name}: {error}")

    def _write(self, results: list[report.EvaluationResult], shown: str, options: dict[str, Any]) -> None:
        about = {"date": date.today().isoformat(), "machine": report.machine(), "command": self._command}
        text = "\n".join(map(str, report.result_tables(results)))
        if options["json"] != "-":
            self.stdout.write(text, ending="")
        try:
            if options["json"]:
                document = json.dumps({**about, **report.results_as_json(results)}, indent=2)
                if options["json"] == "-":
                    self.stdout.write(document)
                else:
                    Path(options["json"]).write_text(document + "\n", encoding="utf-8")
            if options["markdown"]:
                made = f"Made on {about['date']}, on {about['machine']}, by\n\n```sh\n{about['command']}\n```\n"
                report.write_markdown(options["markdown"], f"{made}\n{text}")
            if options["plot"]:
                plots.plot(results, options["plot"])
            if options["misses"]:
                plots.sheet(plots.misses(results, shown), options["misses"], conf.get().max_pixels)
        except (OSError, ValueError) as error:
            raise CommandError(f"A file can't be written: {error}") from error

    def _check(self, floors: Iterable[Floor], means: dict[str, dict[str, float]]) -> None:
        failed = []
        for floor in floors:
            value = means[floor.ranking].get(floor.metric)
            if value is None:
                failed.append(f"{floor.ranking} {floor.metric} was not measured on these pictures.")
            elif value < floor.least:
                failed.append(f"{floor.ranking} {floor.metric} is {value:.4f}, below the floor of {floor.least:g}.")
        if failed:
            raise CommandError("\n".join(failed))


def _labels(items: list[Item], options: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """What tells pictures apart: labels that some pictures share, but not all."""
    names = dict.fromkeys(name for item in items for name in item.labels)
    for name in names:
        if options["source"] or options["by"] in (name, "both"):
            labels = [item.labels[name] for item in items]
            if len(searchable(labels)) and len(set(labels)) > 1:
                yield name, labels


def _names(folders: list[Path]) -> list[str]:
    """Short names of folders: the last part, and the whole path where that is not enough."""
    short = [Path(os.path.abspath(folder)).name for folder in folders]
    return [name if short.count(name) == 1 else str(folder) for name, folder in zip(short, folders, strict=True)]


def _ranking(text: str) -> dict[str, float]:
    pairs = [part.rpartition(":") for part in text.split(",")]
    try:
        weights = {name.strip(): float(weight) for name, _colon, weight in pairs}
    except ValueError:
        weights = {}
    if not conf.is_valid_ranking(weights) or len(weights) < len(pairs):
        raise CommandError(f"--ranking {text!r} is not of the form embedding:0.9,color:0.1.")
    return {name: weight for name, weight in weights.items() if weight}


def _floor(text: str, rankings: Iterable[str]) -> Floor:
    match = re.fullmatch(r"(.+):([^:]+):([0-9.]+)", text)
    try:
        floor = Floor(match[1], match[2], float(match[3])) if match else None
    except ValueError:
        floor = None
    if floor is None:
        raise CommandError(f"--floor {text!r} is not of the form embedding:mAP:0.5.")
    if floor.ranking not in rankings:
        raise CommandError(f"--floor {text!r}: {floor.ranking} is not evaluated; there are {', '.join(rankings)}.")
    if floor.metric not in (*METRICS, *COPY_METRICS):
        raise CommandError(f"--floor {text!r}: the metrics are {', '.join((*METRICS, *COPY_METRICS))}.")
    return floor


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _step(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number

"""Measure how well the methods find what they should, and what they cost."""

from __future__ import annotations

import json
import os
import shlex
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.management.base import CommandError

from similar_images import conf, marks, plugins, ranking_presets, signatures
from similar_images.evaluation import report
from similar_images.evaluation.confidence import MIN_UNITS
from similar_images.evaluation.description import DescribedSet, calibrate_set, center_set, describe_images
from similar_images.evaluation.evaluator import DEFAULT_MODIFIED, Evaluator
from similar_images.evaluation.labeled_images import LABEL_COLUMNS, InvalidFolder, read_folder, sample_indices
from similar_images.evaluation.marked_labels import label_by_marks
from similar_images.evaluation.metric_floors import ALL_METRICS, find_failures, parse_floor
from similar_images.evaluation.stored import describe_source
from similar_images.indexing import versions
from similar_images.management.base import PrintableCommand, progress_bar, select_source_by_label
from similar_images.management.ranking_options import (
    SettingsToCompare,
    parse_ranking_option,
    select_settings,
    title_of_ranking,
)
from similar_images.management.similarity_answer import answer_for
from similar_images.printable import make_printable
from similar_images.signatures.base import Method

MAX_UNREADABLE_SHOWN = 20

MAX_ANSWERED_IMAGES = 5_000
"""Images of a source that its answer rests on, unless --limit says otherwise."""


class Command(PrintableCommand):
    """Evaluates methods and rankings on labeled images and on modified copies."""

    help = (
        "Measure how well each method finds the right images, in folders of images or among the stored signatures of "
        "a source. Of a source, it first answers in plain words how good its similar items are, where they fail, which "
        "of three settings would be better, and how sure that is; --page writes the same as a page with pictures. A "
        "source’s own truth is a field (--label), or pairs that editors have marked, or else copies of its images. A "
        "folder may have a labels.csv with the columns path, group (the same object) and class (the same "
        "kind of object): mAP, precision and recall tell whether images with the same label rank first. Images "
        "without labels are modified in 15 ways at 3 strengths each, to see whether the original ranks first. Also "
        "reports milliseconds and bytes per image. Nothing is stored in the database."
    )

    output_suffixes: ClassVar[Mapping[str, Sequence[str]]] = {
        "json": (),
        "markdown": (),
        "page": (".html", ".htm"),
    }
    """The options that name a file to write, with the suffixes that are allowed; empty for any."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options for what is evaluated, how, and where the results go."""
        self._add_input_arguments(parser)
        self._add_evaluation_arguments(parser)
        self.add_output_arguments(parser)

    def _add_input_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="Images, with or without labels.")
        parser.add_argument("--source", metavar="app.Model.field", help="Use the indexed images instead of folders.")
        parser.add_argument("--label", metavar="FIELD", help="Label of a source, e.g. category or category__name.")
        parser.add_argument(
            "--limit",
            type=partial(_parse_integer, 0),
            metavar="N",
            help=f"Use at most N images of each set. Default: all, or {MAX_ANSWERED_IMAGES:,} for a source's answer.",
        )
        parser.add_argument(
            "--method",
            action="append",
            metavar="NAME",
            help="Evaluate only this method; may be repeated. Default: all built-in methods for folders, all enabled "
            "methods for a source.",
        )
        parser.add_argument(
            "--ranking",
            action="append",
            metavar="RANKING",
            help="Also evaluate this ranking, e.g. embedding:0.9,color:0.1, or a preset; may be repeated. Default: "
            "SIMILAR_IMAGES['RANKING'].",
        )

    def _add_evaluation_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rerank",
            action="append",
            default=[],
            choices=["keypoints", "neighbors"],
            help="Also evaluate each blend re-ranked; may be repeated. Keypoints are slow, and need labeled folders.",
        )
        parser.add_argument(
            "--no-centering",
            dest="centering",
            action="store_false",
            help="Leave embeddings as they are, even where there are so many images that a source would be centered.",
        )
        parser.add_argument(
            "--no-calibration",
            dest="calibration",
            action="store_false",
            help="Leave curves as they are, even where those of a source would be made stricter.",
        )
        parser.add_argument(
            "--every",
            type=partial(_parse_integer, 1),
            default=1,
            metavar="N",
            help="Search with every Nth labeled image only.",
        )
        parser.add_argument(
            "--by", choices=[*LABEL_COLUMNS, "both"], default="both", help="Label of a folder to use. Default: both."
        )
        parser.add_argument(
            "--transforms",
            type=partial(_parse_integer, 0),
            metavar="N",
            help=f"Number of images of each set to modify; 0 for none. Default: {DEFAULT_MODIFIED} for sets without "
            "labels, otherwise none.",
        )

    def add_output_arguments(self, parser: ArgumentParser) -> None:
        """Add the options for the results."""
        parser.add_argument(
            "--floor",
            action="append",
            default=[],
            metavar="METHOD:METRIC:VALUE",
            help="Fail if a mean is below the value, e.g. embedding:mAP:0.5; may be repeated. Metrics: "
            f"{', '.join(ALL_METRICS)}.",
        )
        parser.add_argument(
            "--page",
            type=Path,
            metavar="FILE",
            help="Write a page about a source in plain words, with the worst misses as pictures; without the tables.",
        )
        parser.add_argument("--json", metavar="FILE", help="Write all results as JSON; - for standard output.")
        parser.add_argument(
            "--markdown",
            type=Path,
            metavar="FILE",
            help="Write the tables; if the file has the lines {} and {}, only between them.".format(
                *report.MARKDOWN_MARKERS
            ),
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Remember the command line, which the reports quote."""
        self._command_line = shlex.join(["python", *argv])
        super().run_from_argv(argv)

    _command_line = ""

    def handle(self, *args: Any, **options: Any) -> None:
        """Evaluate, report, and fail if a mean is below its floor."""
        if bool(options["folders"]) == bool(options["source"]):
            raise CommandError("Give either folders to evaluate on or a --source; see --help.")
        if options["label"] and not options["source"]:
            raise CommandError("--label requires --source; the labels of a folder are in its labels.csv.")
        if options["page"] and not options["source"]:
            raise CommandError("--page requires --source: it shows a site's own images, and compares its settings.")
        if "keypoints" in options["rerank"] and options["source"]:
            raise CommandError("--rerank keypoints reads image files: give folders instead of a --source.")
        self.check_output_files(options)
        methods = self._load_methods(options)
        blends = self._parse_blends(options, methods)
        compared = None
        if self._answers(options) and methods:
            compared = select_settings(blends if options["ranking"] else {}, methods)
            if options["page"] and not options["method"] and not options["floor"]:
                used = {name for weights in compared.rankings.values() for name in weights}
                methods = {name: method for name, method in methods.items() if name in used}
        rankings = {**blends, **(compared.rankings if compared else {}), **{name: {name: 1.0} for name in methods}}
        evaluator = Evaluator(
            rankings,
            partial(progress_bar, options),
            self.stderr.write,
            label=None if options["source"] or options["by"] == "both" else options["by"],
            every=options["every"],
            reranked_by=options["rerank"] or (["neighbors"] if compared else []),
            modified=options["transforms"],
            reranked_title=compared.present if compared and not options["rerank"] else None,
        )
        try:
            floors = [parse_floor(text, evaluator.titles) for text in options["floor"]]
        except ValueError as error:
            raise CommandError(f"--floor {error}") from error
        results = [evaluator.evaluate(*named_set) for named_set in self._described_sets(methods, options)]
        if not any(result.described.images for result in results):
            raise CommandError("There are no images to evaluate on.")
        if compared:
            self._answer(results[0], compared, options)
        try:
            self.write_results(results, next(iter(rankings)), options)
        except (OSError, ValueError) as error:
            raise CommandError(f"Could not write a file: {error}") from error
        if failures := find_failures(floors, report.mean_metrics(results)):
            raise CommandError("\n".join(failures))

    @staticmethod
    def _answers(options: dict[str, Any]) -> bool:
        """Tell whether the images are a source's, and the output is not for scripts only."""
        return bool(options["source"]) and (options["json"] != "-" or bool(options["page"]))

    def _answer(self, result: report.EvaluationResult, compared: SettingsToCompare, options: dict[str, Any]) -> None:
        """Tell in plain words how good the similar items of a source are, and write the page."""
        answer = answer_for(result, compared, select_source_by_label(options["source"]))
        if answer is None:
            if options["page"]:
                raise CommandError("Nothing could be measured, so that there is no page.")
            return
        if options["json"] != "-":
            self.stdout.write("\n".join(answer.lines()) + "\n")
        if options["page"]:
            try:
                options["page"].write_text(answer.page(), encoding="utf-8", errors="backslashreplace")
            except OSError as error:
                raise CommandError(f"--page can't be written: {error}") from error

    def check_output_files(self, options: dict[str, Any]) -> None:
        """Check before all the work that the files can be written.

        Raises:
            CommandError: a folder does not exist, or a suffix is not supported.
        """
        for name, suffixes in self.output_suffixes.items():
            path = Path(options[name] or "-")
            if not path.parent.is_dir():
                raise CommandError(f"--{name}: the folder {path.parent} does not exist.")
            if options[name] and suffixes and path.suffix.lower() not in suffixes:
                raise CommandError(f"--{name}: the file name must end in one of {', '.join(suffixes)}.")

    def _load_methods(self, options: dict[str, Any]) -> dict[str, Method]:
        """Return the methods to evaluate by name: as configured if they are enabled, else with default options."""
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
                self.stderr.write(f"{name} is skipped: {error}")
                continue
            methods[method.name] = method
        return methods

    def _parse_blends(self, options: dict[str, Any], methods: dict[str, Method]) -> dict[str, dict[str, float]]:
        """Return the rankings of several methods by their titles, e.g. "embedding:0.9,color:0.1"."""
        if options["ranking"]:
            rankings = dict(parse_ranking_option(text, methods) for text in options["ranking"])
            if missing := {name for weights in rankings.values() for name in weights} - methods.keys():
                raise CommandError(f"--ranking uses methods that are not evaluated: {', '.join(sorted(missing))}.")
        else:
            configured = ranking_presets.resolve_preset(conf.get().ranking, plugins.enabled_methods())
            weights = {name: weight for name, weight in configured.items() if weight}
            rankings = {title_of_ranking(weights): weights} if weights.keys() <= methods.keys() else {}
        return {title: weights for title, weights in rankings.items() if len(weights) > 1}

    def _described_sets(
        self, methods: dict[str, Method], options: dict[str, Any]
    ) -> Iterator[tuple[str, DescribedSet]]:
        """Yield the name and the signatures of each set."""
        if options["source"]:
            yield options["source"], _calibrate_as_source(self._describe_source(methods, options), options)
            return
        try:
            sets = [(folder, read_folder(folder)) for folder in options["folders"]]
        except InvalidFolder as error:
            raise CommandError(str(error)) from error
        for (folder, images), name in zip(sets, _short_names(options["folders"]), strict=True):
            sample = [images[index] for index in sample_indices(len(images), options["limit"])]
            progress = progress_bar(options, sample, unit=" images", desc=f"{name}: signatures")
            described = describe_images(progress, methods, conf.get().max_pixels)
            self._report_unreadable(folder, described.unreadable)
            described = center_set(described, conf.get().center_from if options["centering"] else None)
            yield name, _calibrate_as_source(described, options)

    def _describe_source(self, methods: dict[str, Method], options: dict[str, Any]) -> DescribedSet:
        source = select_source_by_label(options["source"])
        if options["centering"]:
            methods = {name: versions.configured_methods(source).get(name, method) for name, method in methods.items()}
        limit = MAX_ANSWERED_IMAGES if options["limit"] is None and self._answers(options) else options["limit"]
        try:
            described, missing = describe_source(source, options["label"], methods, limit)
        except FieldError as error:
            raise CommandError(f"--label: {error}") from error
        for name, count in missing.items():
            if count:
                self.stderr.write(f"Images skipped for lack of a current signature by {name}: {count}.")
        if options["label"] or options["transforms"] is not None or options["floor"] or not self._answers(options):
            return described
        labeled, groups = label_by_marks(described, marks.marked_pairs(source))
        return labeled if groups >= MIN_UNITS else described

    def _report_unreadable(self, folder: Path, unreadable: dict[str, str]) -> None:
        for name, reason in list(unreadable.items())[:MAX_UNREADABLE_SHOWN]:
            self.stderr.write(make_printable(f"{folder / name}: {reason}"))
        if unreadable:
            self.stderr.write(f"Unreadable images skipped in {folder}: {len(unreadable)}.")

    def write_results(self, results: list[report.EvaluationResult], main_ranking: str, options: dict[str, Any]) -> None:
        """Write the tables to standard output, and the files that the options name.

        Args:
            results: results by set.
            main_ranking: title of the first ranking, for what shows only one.
            options: options of the command.

        Raises:
            OSError, ValueError: a file can't be written.
        """
        about = {
            "date": date.today().isoformat(),
            "machine": report.describe_machine(),
            "command": self._command_line,
        }
        text = "\n".join(map(str, report.result_tables(results)))
        if options["json"] != "-" and not options["page"]:
            self.stdout.write(text, ending="")
        if options["json"]:
            document = json.dumps({**about, **report.results_as_json(results)}, indent=2)
            if options["json"] == "-":
                self.stdout.write(document)
            else:
                Path(options["json"]).write_text(document + "\n", encoding="utf-8")
        if options["markdown"]:
            origin = f"Measured on {about['date']}, on {about['machine']}, by\n\n```sh\n{about['command']}\n```\n"
            report.write_markdown(options["markdown"], f"{origin}\n{text}")


def _calibrate_as_source(described: DescribedSet, options: dict[str, Any]) -> DescribedSet:
    return calibrate_set(described, conf.get().calibrate_from if options["calibration"] else None)


def _short_names(folders: list[Path]) -> list[str]:
    """Return the last part of each folder's path, or the whole path if another folder has the same last part."""
    short = [Path(os.path.abspath(folder)).name for folder in folders]
    return [name if short.count(name) == 1 else str(folder) for name, folder in zip(short, folders, strict=True)]


def _parse_integer(minimum: int, text: str) -> int:
    if not text.isdecimal() or int(text) < minimum:
        raise ArgumentTypeError(f"{text!r} is not an integer of at least {minimum}.")
    return int(text)

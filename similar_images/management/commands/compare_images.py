"""Compare two images, or find duplicates in a folder or a source and write a report."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import time
from argparse import ArgumentParser
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from similar_images import conf
from similar_images.comparison import compare
from similar_images.duplicates.candidates import CANDIDATE_THRESHOLD, NEAREST
from similar_images.duplicates.detection import STAGES, find_duplicates
from similar_images.duplicates.folder import SCAN_CACHE_NAME, FolderImages, describe_files, list_image_files
from similar_images.duplicates.images import ImageCollection
from similar_images.duplicates.report import MAX_LISTED_PROBLEMS, write_report
from similar_images.duplicates.scan_cache import ScanCache
from similar_images.duplicates.source import SourceImages
from similar_images.imaging.decode import UnreadableImage
from similar_images.imaging.opencv import single_core
from similar_images.management.base import (
    PrintableCommand,
    StageProgress,
    progress_bar,
    select_methods,
    select_source_by_label,
)
from similar_images.measures.verdict import COPY_KINDS, VerdictKind
from similar_images.printable import make_printable

from ... import plugins

FOLDER_METHODS = ("embedding", "color", "phash")
"""Methods that propose candidates in a folder. `embedding` finds crops and recolored images, `color` turned ones, and
`phash` those that were both turned by right angles and recolored."""

REPORTED_KINDS = [kind for kind in get_args(VerdictKind) if kind != "unrelated"]
DEFAULT_KINDS = ",".join(COPY_KINDS)


class Command(PrintableCommand):
    """Compare two image files by measures, or report the duplicates of a folder or a source."""

    help = (
        "Compare two images by every measure: compare_images A B. Or find duplicates among all images of a folder or "
        "a source: candidates are found by their signatures and verified by comparing the images, and the result is "
        "written as an HTML report with a table and drawings. Can be stopped and started again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments of the command."""
        parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="Two images, or one folder.")
        parser.add_argument("--source", metavar="app.Model.field", help="Use the indexed images of a source.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")
        two = parser.add_argument_group("two images")
        two.add_argument(
            "--measures",
            metavar="NAME,NAME",
            help="Measures, or “all”. Default: SIMILAR_IMAGES['COMPARE_MEASURES'].",
        )
        two.add_argument(
            "--pictures", type=Path, metavar="FOLDER", help="Write the drawings that explain the measures, as PNG."
        )
        self._add_report_arguments(parser)

    def _add_report_arguments(self, parser: ArgumentParser) -> None:
        many = parser.add_argument_group("a folder or a source")
        many.add_argument(
            "--output",
            type=Path,
            metavar="FOLDER",
            default=Path("comparison"),
            help="Folder for the report; default: ./comparison.",
        )
        many.add_argument(
            "--kinds",
            metavar="KIND,KIND",
            default=DEFAULT_KINDS,
            help=f"Verdicts to report, of {', '.join(REPORTED_KINDS)}. Default: {DEFAULT_KINDS}.",
        )
        many.add_argument(
            "--threshold",
            type=float,
            metavar="PERCENT",
            default=CANDIDATE_THRESHOLD,
            help=f"Minimum similarity of candidates by any method; default: {CANDIDATE_THRESHOLD:g}.",
        )
        many.add_argument(
            "--nearest",
            type=int,
            metavar="N",
            default=NEAREST,
            help=f"Most similar images that each method proposes for an image; default: {NEAREST}.",
        )
        many.add_argument(
            "--method",
            action="append",
            metavar="NAME",
            help="Method that proposes candidates; may be repeated. Default: "
            f"{', '.join(FOLDER_METHODS)} in a folder, all enabled methods in a source.",
        )
        many.add_argument("--jobs", type=int, metavar="N", default=2, help="Number of threads; default: 2.")
        many.add_argument("--again", action="store_true", help="Discard the results of former runs.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare two images, or find duplicates, as the arguments say."""
        paths = options["paths"]
        if len(paths) == 2 and not options["source"]:
            self._compare(paths[0], paths[1], options)
        elif len(paths) + bool(options["source"]) == 1:
            self._report(options)
        else:
            raise CommandError("Name two images, a folder, or a --source; see --help.")

    def _compare(self, a: Path, b: Path, options: dict[str, Any]) -> None:
        names = options["measures"].split(",") if options["measures"] else conf.get().compare_measures
        try:
            result = compare.compare(a, b, measures=None if list(names) == ["all"] else names)
        except (UnreadableImage, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(_comparison_as_json(result), indent=2))
        else:
            self.stdout.write(f"{result.verdict.title}\n{result.verdict.text}\n")
            self._print_measures(result)
        if options["pictures"]:
            self._save_drawings(result, options["pictures"])

    def _save_drawings(self, result: compare.Comparison, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, _title, data in result.pictures():
                (folder / f"{name}.png").write_bytes(data)
        except OSError as error:
            raise CommandError(f"--pictures can't be written: {error}") from error

    def _print_measures(self, result: compare.Comparison) -> None:
        width = max(map(len, result))
        self.stdout.write(f"{'measure':{width}}  {'value':>12}  {'percent':>7}  {'ms':>6}")
        for name, row in result.items():
            figures = row.problem if row.value is None else f"{row.value:12.4f}  {row.similarity:7.1f}"
            self.stdout.write(f"{name:{width}}  {figures}  {1000 * row.seconds:6.0f}")

    def _report(self, options: dict[str, Any]) -> None:
        started = time.monotonic()
        kinds = options["kinds"].split(",")
        self._check(kinds, options)
        output = options["output"]
        try:
            output.mkdir(parents=True, exist_ok=True)
            if options["again"]:
                for stale in [*output.glob(f"{SCAN_CACHE_NAME}*"), *output.glob("pictures/*.png")]:
                    stale.unlink()
            with closing(ScanCache(output / SCAN_CACHE_NAME)) as cache, single_core():
                result, problems = self._find(cache, kinds, options)
        except sqlite3.OperationalError as error:
            message = f"{output / SCAN_CACHE_NAME} can't be used; another run may have it open: {error}"
            raise CommandError(message) from error
        except sqlite3.DatabaseError as error:
            raise CommandError(f"{output / SCAN_CACHE_NAME} is damaged ({error}); use --again.") from error
        except OSError as error:
            raise CommandError(f"--output can't be written: {error}") from error
        except KeyboardInterrupt:
            message = "Stopped. Results so far are saved; run the same command again to continue."
            raise CommandError(message, returncode=130) from None
        self._print(result | {"seconds": round(time.monotonic() - started, 1)}, options)
        for problem in problems[:MAX_LISTED_PROBLEMS]:
            self.stderr.write(make_printable(problem))
        if problems:
            raise CommandError(f"Images or pairs that could not be compared: {len(problems)}. All others were.")

    def _check(self, kinds: list[str], options: dict[str, Any]) -> None:
        """Refuse wrong options before any work is done."""
        if unknown := set(kinds) - set(REPORTED_KINDS):
            raise CommandError(f"--kinds: unknown {', '.join(sorted(unknown))}. Choices: {', '.join(REPORTED_KINDS)}.")
        if not 0 < options["threshold"] <= 100:
            raise CommandError("--threshold must be above 0 and at most 100.")
        if options["nearest"] < 1 or options["jobs"] < 1:
            raise CommandError("--nearest and --jobs must be at least 1.")
        if options["measures"] or options["pictures"]:
            raise CommandError("--measures and --pictures are for two images.")
        for folder in options["paths"]:
            if not folder.is_dir():
                raise CommandError(f"{folder} is not a folder. To compare two images, name both.")
        output = options["output"]
        if output.exists() and not output.is_dir():
            raise CommandError(f"--output: {output} is not a folder.")
        if output.is_dir() and any(output.iterdir()) and not (output / SCAN_CACHE_NAME).exists():
            raise CommandError(f"--output: {output} contains other files; name a new or empty folder.")

    def _find(self, cache: ScanCache, kinds: list[Any], options: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Find duplicates and write the report; return the result as JSON takes it, and problems."""
        images, problems = self._source_images(options) if options["source"] else self._folder_images(cache, options)
        with StageProgress(options, STAGES) as bars:
            duplicates = find_duplicates(
                images,
                kinds=kinds,
                jobs=options["jobs"],
                threshold=options["threshold"],
                nearest=options["nearest"],
                is_exhaustive=not set(kinds).issubset(COPY_KINDS),
                verdicts=cache,
                report=bars,
            )
        problems += duplicates.problems
        pages = write_report(options["output"], duplicates, problems, options["jobs"])
        for _name in progress_bar(options, pages, unit="page"):
            pass
        result = {
            "pictures": images.count,
            "candidates": duplicates.candidates,
            "found": Counter(pair.kind for pair in duplicates.pairs),
            "groups": len(duplicates.copies),
            "plain": [image.name for image in duplicates.plain],
            "left_out": duplicates.left_out,
            "report": str(options["output"] / "index.html"),
        }
        return result, problems

    def _folder_images(self, cache: ScanCache, options: dict[str, Any]) -> tuple[ImageCollection, list[str]]:
        folder = options["paths"][0]
        files = list_image_files(folder)
        if not files:
            raise CommandError(f"{folder} contains no images.")
        enabled = plugins.enabled_methods()
        try:
            names = options["method"] or FOLDER_METHODS
            methods = [enabled[name] if name in enabled else plugins.load_method(name, {}) for name in names]
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        images, problems = [], []
        described = describe_files(files, methods, cache, options["jobs"])
        for image in progress_bar(options, described, total=len(files), unit="image"):
            if isinstance(image, str):
                problems.append(image)
            else:
                images.append(image)
        return FolderImages(folder.resolve().name, images, methods, cache), problems

    def _source_images(self, options: dict[str, Any]) -> tuple[ImageCollection, list[str]]:
        images = SourceImages(select_source_by_label(options["source"]), select_methods(options["method"]))
        if images.missing_message:
            self.stderr.write(images.missing_message)
        return images, []

    def _print(self, result: dict[str, Any], options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(result, indent=2))
            return
        kinds = ", ".join(f"{count} {kind}" for kind, count in result["found"].items()) or "none"
        self.stdout.write(
            f"{result['pictures']} images, {result['candidates']} pairs compared in {result['seconds']:.0f} s. "
            f"Found: {kinds}; groups of copies: {result['groups']}; too plain to tell apart: {len(result['plain'])}."
        )
        if result["left_out"]:
            self.stdout.write(f"Less promising pairs that were not compared: {result['left_out']}.")
        self.stdout.write(f"Report: {result['report']}")


def _comparison_as_json(result: compare.Comparison) -> dict[str, Any]:
    verdict = result.verdict
    return {
        "verdict": {**dataclasses.asdict(verdict), "title": verdict.title, "text": verdict.text},
        "complete": result.is_complete,
        "measures": {
            name: {
                "value": row.value,
                "similarity": row.similarity,
                "seconds": round(row.seconds, 4),
                "details": row.result.details if row.result else {},
                "problem": row.problem,
            }
            for name, row in result.items()
        },
    }

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
from django.core.management.base import BaseCommand, CommandError

from similar_images import comparison, conf
from similar_images.duplicates import collection, report, verification
from similar_images.duplicates.candidates import find_candidate_pairs
from similar_images.duplicates.collection import SCAN_CACHE_NAME, ImageCollection
from similar_images.duplicates.scan_cache import ScanCache
from similar_images.imaging.decode import UnreadableImage
from similar_images.imaging.opencv import single_core
from similar_images.management.base import methods_by_name, progress_bar, source_by_label
from similar_images.measures.verdict import VerdictKind

from ... import plugins

METHODS = ("embedding", "color", "phash")
"""What puts candidates forward: the first what was cropped or recolored, the second what was turned, the third both."""

THRESHOLD = 50.0
NEAREST = 3
KINDS = [kind for kind in get_args(VerdictKind) if kind != "unrelated"]
COPIES = KINDS[:2]
PROBLEMS_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Compare two pictures by every measure: compare_images A B. Or find what is there more than once among all "
        "pictures of a folder, or of a source: signatures put pairs forward, comparing the pictures proves them, and "
        "a report in HTML with a table and pictures tells of them. Can be stopped and started again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="Two pictures, or one folder.")
        parser.add_argument("--source", metavar="app.Model.field", help="In place of a folder: the indexed pictures.")
        parser.add_argument("--json", action="store_true", help="Tell what was found as JSON.")
        two = parser.add_argument_group("two pictures")
        two.add_argument(
            "--measures",
            metavar="NAME,NAME",
            help="Compare by these; all for every one. Default: SIMILAR_IMAGES['COMPARE_MEASURES'].",
        )
        two.add_argument(
            "--pictures", type=Path, metavar="FOLDER", help="Write the pictures that explain the measures, as PNG."
        )
        many = parser.add_argument_group("a folder or a source")
        many.add_argument(
            "--output", type=Path, metavar="FOLDER", default=Path("comparison"), help="Where to write; ./comparison."
        )
        many.add_argument(
            "--kinds",
            metavar="KIND,KIND",
            default=",".join(COPIES),
            help=f"What is told of: some of {', '.join(KINDS)}. Default: {','.join(COPIES)}.",
        )
        many.add_argument(
            "--threshold",
            type=float,
            metavar="PERCENT",
            default=THRESHOLD,
            help=f"How much alike two pictures must be by a signature to be compared; default {THRESHOLD:g}.",
        )
        many.add_argument(
            "--nearest",
            type=int,
            metavar="N",
            default=NEAREST,
            help=f"How many others each method puts forward for a picture, the likest; default {NEAREST}.",
        )
        many.add_argument(
            "--method",
            action="append",
            metavar="NAME",
            help="Find candidates by this method's signatures; may be repeated. Default: "
            f"{', '.join(METHODS)} in a folder, all that are enabled of these in a source.",
        )
        many.add_argument("--jobs", type=int, metavar="N", default=2, help="Threads that work; default 2.")
        many.add_argument("--again", action="store_true", help="Forget what a former run found out.")

    def handle(self, *args: Any, **options: Any) -> None:
        paths = options["paths"]
        if len(paths) == 2 and not options["source"]:
            self._compare(paths[0], paths[1], options)
        elif len(paths) + bool(options["source"]) == 1:
            self._audit(options)
        else:
            raise CommandError("Name two pictures, a folder, or a --source; see --help.")

    def _compare(self, a: Path, b: Path, options: dict[str, Any]) -> None:
        names = options["measures"].split(",") if options["measures"] else conf.get().compare_measures
        try:
            found = comparison.compare(a, b, measures=None if list(names) == ["all"] else names)
        except (UnreadableImage, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        verdict = found.verdict
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(found), indent=2))
        else:
            self.stdout.write(f"{verdict.title}\n{verdict.text}\n")
            self._table(found)
        if options["pictures"]:
            self._draw(found, options["pictures"])

    def _draw(self, found: comparison.Comparison, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, _title, data in found.pictures():
                (folder / f"{name}.png").write_bytes(data)
        except OSError as error:
            raise CommandError(f"--pictures can't be written: {error}") from error

    def _table(self, found: comparison.Comparison) -> None:
        width = max(map(len, found))
        self.stdout.write(f"{'measure':{width}}  {'value':>12}  {'percent':>7}  {'ms':>6}")
        for name, row in found.items():
            told = row.problem if row.value is None else f"{row.value:12.4f}  {row.similarity:7.1f}"
            self.stdout.write(f"{name:{width}}  {told}  {1000 * row.seconds:6.0f}")

    def _audit(self, options: dict[str, Any]) -> None:
        started = time.monotonic()
        kinds = options["kinds"].split(",")
        self._refuse(kinds, options)
        output = options["output"]
        try:
            output.mkdir(parents=True, exist_ok=True)
            if options["again"]:
                for stale in [*output.glob(f"{SCAN_CACHE_NAME}*"), *output.glob("pictures/*.png")]:
                    stale.unlink()
            with closing(ScanCache(output / SCAN_CACHE_NAME)) as memory, single_core():
                told = self._find(memory, kinds, options)
        except sqlite3.OperationalError as error:
            message = f"{output / SCAN_CACHE_NAME} can't be used, maybe as another run works with it: {error}"
            raise CommandError(message) from error
        except sqlite3.DatabaseError as error:
            raise CommandError(f"{output / SCAN_CACHE_NAME} is broken ({error}); --again begins anew.") from error
        except OSError as error:
            raise CommandError(f"--output can't be written: {error}") from error
        except KeyboardInterrupt:
            message = "Stopped. What was found out is kept: the same command goes on from there."
            raise CommandError(message, returncode=130) from None
        problems = told.pop("problems")
        told["seconds"] = round(time.monotonic() - started, 1)
        self._tell(told, options)
        for problem in problems[:PROBLEMS_SHOWN]:
            self.stderr.write(problem)
        if problems:
            raise CommandError(f"{len(problems)} pictures or pairs could not be compared; all others were.")

    def _refuse(self, kinds: list[str], options: dict[str, Any]) -> None:
        """Say at once, and not after all the work, what can't be done."""
        if unknown := set(kinds) - set(KINDS):
            raise CommandError(f"--kinds: there is no {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}.")
        if not 0 < options["threshold"] <= 100:
            raise CommandError("--threshold must be above 0 and at most 100.")
        if options["nearest"] < 1 or options["jobs"] < 1:
            raise CommandError("--nearest and --jobs must be at least 1.")
        if options["measures"] or options["pictures"]:
            raise CommandError("--measures and --pictures are for two pictures.")
        for folder in options["paths"]:
            if not folder.is_dir():
                raise CommandError(f"{folder} is no folder; two pictures are compared by naming both.")
        output = options["output"]
        if output.exists() and not output.is_dir():
            raise CommandError(f"--output: {output} is no folder.")
        if output.is_dir() and any(output.iterdir()) and not (output / SCAN_CACHE_NAME).exists():
            raise CommandError(f"--output: {output} holds other files; name a new or empty folder.")

    def _find(self, memory: ScanCache, kinds: list[str], options: dict[str, Any]) -> dict[str, Any]:
        found, problems = self._stored(options) if options["source"] else self._described(memory, options)
        pairs = find_candidate_pairs(found.looks, threshold=options["threshold"], nearest=options["nearest"])
        findings = list(verification.exact_duplicate_pairs(found.twins))
        for proven in progress_bar(
            options, verification.verify_pairs(found, pairs, memory, options["jobs"]), total=len(pairs), unit="pair"
        ):
            if isinstance(proven, str):
                problems.append(proven)
            else:
                findings.append(proven)
        findings = [finding for finding in findings if finding.kind in kinds]
        count = len(found.pictures) + len(found.twins)
        name = options["source"] or options["paths"][0].resolve().name
        summary = report.Summary(name, count, len(pairs), problems)
        pages = report.write_report(options["output"], summary, findings, options["jobs"])
        for _name in progress_bar(options, pages, unit="page"):
            pass
        return {
            "pictures": count,
            "candidates": len(pairs),
            "found": Counter(finding.kind for finding in findings),
            "groups": sum(group[0].is_copy for group in verification.group_pairs(findings)),
            "report": str(options["output"] / "index.html"),
            "problems": problems,
        }

    def _described(self, memory: ScanCache, options: dict[str, Any]) -> tuple[ImageCollection, list[str]]:
        files = collection.list_image_files(options["paths"][0])
        if not files:
            raise CommandError(f"{options['paths'][0]} holds no pictures.")
        enabled = plugins.enabled_methods()
        try:
            names = options["method"] or METHODS
            methods = [enabled[name] if name in enabled else plugins.load_method(name, {}) for name in names]
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        pictures, problems = [], []
        described = collection.describe_files(files, methods, memory, options["jobs"])
        for picture, problem in progress_bar(options, described, total=len(files), unit="picture"):
            if picture is None:
                problems.append(problem)
            else:
                pictures.append(picture)
        found = ImageCollection.of(pictures, methods, lambda picture, method: memory.signature(picture.sha256, method))
        return found, problems

    def _stored(self, options: dict[str, Any]) -> tuple[ImageCollection, list[str]]:
        source = source_by_label(options["source"])
        enabled = plugins.enabled_methods()
        methods = methods_by_name(options["method"] or [name for name in METHODS if name in enabled])
        found, lacking = collection.source_collection(source, list(methods.values()))
        if lacking:
            self.stderr.write(
                f"{lacking} objects of {source.label} are left out: they have no signature by {' and '.join(methods)}. "
                "Run “manage.py index_images”."
            )
        return found, []

    def _tell(self, told: dict[str, Any], options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(told, indent=2))
            return
        kinds = ", ".join(f"{count} {kind}" for kind, count in told["found"].items()) or "none"
        self.stdout.write(
            f"{told['pictures']} pictures, {told['candidates']} pairs compared in {told['seconds']:.0f} s. "
            f"Found: {kinds}; {told['groups']} pictures are there more than once.\n"
            f"The report is {told['report']}."
        )


def _as_json(found: comparison.Comparison) -> dict[str, Any]:
    verdict = found.verdict
    return {
        "verdict": {**dataclasses.asdict(verdict), "title": verdict.title, "text": verdict.text},
        "measures": {
            name: {
                "value": row.value,
                "similarity": row.similarity,
                "seconds": round(row.seconds, 4),
                "details": row.reading.details if row.reading else {},
                "problem": row.problem,
            }
            for name, row in found.items()
        },
    }

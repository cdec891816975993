"""Find copies and series among the indexed images of sources."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from similar_images import registry
from similar_images.duplicates.detection import STAGES, FoundDuplicates, Stage
from similar_images.duplicates.images import ScannedImage
from similar_images.duplicates.report import MAX_LISTED_PROBLEMS, render_groups
from similar_images.duplicates.scans import ScanProgress, ScanReplaced
from similar_images.duplicates.source import StoredImage, find_shared_files
from similar_images.duplicates.source_search import find_in_source
from similar_images.duplicates.store import save_groups
from similar_images.imaging.opencv import single_core
from similar_images.management.base import PrintableCommand, StageProgress, select_source_by_label
from similar_images.models import Source
from similar_images.printable import make_printable

from ...sources.source import ImageSource


class Command(PrintableCommand):
    """List the groups of copies, and the series, in one or more sources."""

    help = (
        "Find copies among the indexed images of a source, and series: images of the same object, taken one shot "
        "after the other. Candidates are found by their signatures and verified by comparing the images. Changes "
        "nothing but, with --save, the groups that are to be reviewed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments of the command."""
        parser.add_argument("sources", nargs="*", metavar="app.Model.field", help="Sources; default: all.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")
        parser.add_argument("--output", type=Path, metavar="FILE", help="Also write an HTML page with thumbnails.")
        parser.add_argument("--save", action="store_true", help="Also save the groups, for their review in the admin.")
        parser.add_argument("--jobs", type=int, metavar="N", default=2, help="Number of threads; default: 2.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Find and print the duplicates of each source."""
        if options["jobs"] < 1:
            raise CommandError("--jobs must be at least 1.")
        if options["output"] and not options["output"].parent.is_dir():
            raise CommandError(f"--output: there is no folder {options['output'].parent}.")
        with single_core():
            sources = [select_source_by_label(label) for label in options["sources"]] or registry.get_sources()
            find = self._find_and_save if options["save"] else self._find
            results = [find(source, options) for source in sources]
        if options["output"]:
            try:
                options["output"].write_text(render_groups(results), encoding="utf-8", errors="backslashreplace")
            except OSError as error:
                raise CommandError(f"--output can't be written: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps([_duplicates_as_json(duplicates) for duplicates in results], indent=2))
        else:
            for duplicates in results:
                self._print(duplicates)
        if failed := sum(len(duplicates.problems) for duplicates in results):
            raise CommandError(f"Pairs that could not be compared: {failed}. All others were.")

    def _find_and_save(self, source: ImageSource, options: dict[str, Any]) -> FoundDuplicates:
        """Find duplicates while the page in the admin shows the progress, and save them for it."""
        progress = ScanProgress.begin(Source.objects.get_id(source))
        try:
            duplicates = self._find(source, options, progress)
            count = save_groups(source, duplicates, beat=progress.beat)
            progress.finish(is_complete=duplicates.is_complete)
        except ScanReplaced:
            raise CommandError(f"{source.label}: another search for duplicates was started meanwhile.") from None
        except BaseException:
            progress.fail()
            raise
        self.stderr.write(f"{source.label}: groups to review in the admin: {count}.")
        return duplicates

    def _find(
        self, source: ImageSource, options: dict[str, Any], progress: ScanProgress | None = None
    ) -> FoundDuplicates:
        with StageProgress(options, STAGES, source.label) as bars:

            def report(stage: Stage, done: int, total: int) -> None:
                bars(stage, done, total)
                if progress:
                    progress.report(stage, done, total)

            duplicates = find_in_source(source, jobs=options["jobs"], report=report)
        if missing_message := duplicates.collection.missing_message:
            self.stderr.write(missing_message)
        for problem in duplicates.problems[:MAX_LISTED_PROBLEMS]:
            self.stderr.write(make_printable(problem))
        return duplicates

    def _print(self, duplicates: FoundDuplicates) -> None:
        copies, series, plain = duplicates.copies, duplicates.series, duplicates.plain
        self.stdout.write(
            f"{duplicates.collection.name}: {duplicates.collection.count} images; groups of copies: {len(copies)}, "
            f"series: {len(series)}, too plain to tell apart: {len(plain)}."
        )
        if duplicates.left_out:
            self.stdout.write(f"Less promising pairs that were not compared: {duplicates.left_out}.")
        for title, groups in (("Copies", copies), ("Series", series), ("Too plain to tell apart", [plain])):
            for group in filter(None, groups):
                self.stdout.write(f"{title}:")
                sharing = find_shared_files(group)
                for image in group:
                    shared = f"  (same stored file as {sharing[image.name]})" if image.name in sharing else ""
                    self.stdout.write(f"  {image.name}  {image.width} × {image.height}{shared}")


def _duplicates_as_json(duplicates: FoundDuplicates) -> dict[str, Any]:
    return {
        "source": duplicates.collection.name,
        "pictures": duplicates.collection.count,
        "copies": [_images_as_json(group) for group in duplicates.copies],
        "series": [_images_as_json(group) for group in duplicates.series],
        "plain": _images_as_json(duplicates.plain),
        "left_out": duplicates.left_out,
        "complete": duplicates.is_complete,
        "problems": duplicates.problems,
    }


def _images_as_json(images: list[ScannedImage]) -> list[dict[str, Any]]:
    sharing = find_shared_files(images)
    return [
        {
            "object": image.object_id,
            "file": image.file.name,
            "width": image.width,
            "height": image.height,
            "shares_file": image.name in sharing,
        }
        for image in images
        if isinstance(image, StoredImage)
    ]

"""Find copies and series among the indexed images of sources."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from similar_images import registry
from similar_images.duplicates.detection import FoundDuplicates, find_duplicates
from similar_images.duplicates.images import ScannedImage
from similar_images.duplicates.report import MAX_LISTED_PROBLEMS, render_groups
from similar_images.duplicates.scan_worker import GROUPED_KINDS
from similar_images.duplicates.scans import ScanProgress, ScanReplaced
from similar_images.duplicates.source import SourceImages, StoredImage
from similar_images.duplicates.store import save_groups
from similar_images.imaging.opencv import single_core
from similar_images.management.base import PrintableCommand, progress_bar, select_source_by_label
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
        images = SourceImages(source)
        with progress_bar(options, total=images.distinct_count, unit="image", desc=source.label) as bar:

            def advance(count: int) -> None:
                bar.update(count)
                if progress:
                    progress.advance(count)

            if progress:
                progress.total = images.distinct_count
            duplicates = find_duplicates(images, kinds=GROUPED_KINDS, jobs=options["jobs"], advance=advance)
        if images.missing_message:
            self.stderr.write(images.missing_message)
        for problem in duplicates.problems[:MAX_LISTED_PROBLEMS]:
            self.stderr.write(make_printable(problem))
        return duplicates

    def _print(self, duplicates: FoundDuplicates) -> None:
        copies, series = duplicates.copies, duplicates.series
        self.stdout.write(
            f"{duplicates.collection.name}: {duplicates.collection.count} images; groups of copies: {len(copies)}, "
            f"series: {len(series)}."
        )
        for title, groups in (("Copies", copies), ("Series", series)):
            for group in groups:
                self.stdout.write(f"{title}:")
                for image in group:
                    self.stdout.write(f"  {image.name}  {image.width} × {image.height}")


def _duplicates_as_json(duplicates: FoundDuplicates) -> dict[str, Any]:
    return {
        "source": duplicates.collection.name,
        "pictures": duplicates.collection.count,
        "copies": [_images_as_json(group) for group in duplicates.copies],
        "series": [_images_as_json(group) for group in duplicates.series],
        "complete": duplicates.is_complete,
        "problems": duplicates.problems,
    }


def _images_as_json(images: list[ScannedImage]) -> list[dict[str, Any]]:
    return [
        {"object": image.object_id, "file": image.file.name, "width": image.width, "height": image.height}
        for image in images
        if isinstance(image, StoredImage)
    ]

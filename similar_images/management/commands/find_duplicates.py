from __future__ import annotations

import json
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from similar_images import registry
from similar_images.duplicates import source_scan
from similar_images.duplicates.collection import StoredImage
from similar_images.imaging.opencv import single_core
from similar_images.management.base import progress_bar, source_by_label
from similar_images.models import IndexedImage

PROBLEMS_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Tell which indexed pictures of a source are copies of each other, in groups, and apart from them which are a "
        "series: the same thing taken one shot after the other. Found by signature, proven by comparing the pictures. "
        "Reads and reports only."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("sources", nargs="*", metavar="app.Model.field", help="Default: all sources.")
        parser.add_argument("--json", action="store_true", help="Tell what was found as JSON.")
        parser.add_argument("--output", type=Path, metavar="FILE", help="Also write a page with thumbnails, in HTML.")
        parser.add_argument("--jobs", type=int, metavar="N", default=2, help="Threads that work; default 2.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["jobs"] < 1:
            raise CommandError("--jobs must be at least 1.")
        if options["output"] and not options["output"].parent.is_dir():
            raise CommandError(f"--output: there is no folder {options['output'].parent}.")
        with single_core():
            sources = [source_by_label(label) for label in options["sources"]] or registry.get_sources()
            found = [self._find(source, options) for source in sources]
        if options["output"]:
            try:
                options["output"].write_text(source_scan.as_html(found), encoding="utf-8", errors="backslashreplace")
            except OSError as error:
                raise CommandError(f"--output can't be written: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(one) for one in found], indent=2))
        else:
            for one in found:
                self._tell(one)

    def _find(self, source: registry.ImageSource, options: dict[str, Any]) -> source_scan.Duplicates:
        progress = partial(progress_bar, options, unit=f"×{source_scan.SCAN_BATCH} pictures", desc=source.label)
        found = source_scan.find_duplicates(source, options["jobs"], progress)
        records = IndexedImage.objects.for_source(source)
        if left := records.exclude(status=IndexedImage.Status.INDEXED).count():
            self.stderr.write(f"{left} pictures of {source.label} are left out: they are not indexed.")
        for problem in found.problems[:PROBLEMS_SHOWN]:
            self.stderr.write(problem)
        if found.problems:
            self.stderr.write(f"{len(found.problems)} pairs of {source.label} could not be compared; all others were.")
        return found

    def _tell(self, found: source_scan.Duplicates) -> None:
        self.stdout.write(
            f"{found.source.label}: {found.pictures} pictures; groups of copies: {len(found.copies)}, "
            f"series: {len(found.series)}."
        )
        for title, groups in (("Copies", found.copies), ("A series", found.series)):
            for group in groups:
                self.stdout.write(f"{title}:")
                for picture in group:
                    self.stdout.write(f"  {picture.name}  {picture.width} × {picture.height}")


def _as_json(found: source_scan.Duplicates) -> dict[str, Any]:
    def told(groups: list[list[StoredImage]]) -> list[list[dict[str, Any]]]:
        return [
            [{"object": p.object_id, "file": p.file_name, "width": p.width, "height": p.height} for p in group]
            for group in groups
        ]

    return {
        "source": found.source.label,
        "pictures": found.pictures,
        "copies": told(found.copies),
        "series": told(found.series),
        "problems": found.problems,
    }

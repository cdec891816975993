from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError

from similar_images import conf, registry
from similar_images.evaluation.calibration import MIN_IMAGES, fit_curve
from similar_images.evaluation.stored import describe_source
from similar_images.imaging.decode import UnreadableImage
from similar_images.imaging.opencv import single_core
from similar_images.indexing import versions
from similar_images.management.base import methods_by_name, progress_bar, sources_for_labels
from similar_images.models import MethodVersion, Source
from similar_images.registry import ImageSource
from similar_images.signatures.base import Method, similarity_from_distance


class Command(BaseCommand):
    help = (
        "Measure on the indexed pictures of a site what distances mean, and keep it: copies that it makes of them get "
        "90 percent at the median, one pair of different pictures in 10,000 gets 70, half of them at most 2. The maps "
        "that are shipped were measured on photos of all kinds of things; where all pictures are of one kind, their "
        "own map tells them apart better. Similarities change at once, stored signatures do not."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--model", action="append", metavar="app.Model", help="Only this model's sources; may be repeated."
        )
        parser.add_argument("--method", action="append", metavar="NAME", help="Only this method; may be repeated.")
        parser.add_argument("--pictures", type=int, default=300, metavar="N", help="How many to measure on (300).")
        parser.add_argument("--dry-run", action="store_true", help="Only tell what would be kept.")
        parser.add_argument("--reset", action="store_true", help="Go back to the maps that are shipped.")

    def handle(self, *args: Any, **options: Any) -> None:
        names = list(methods_by_name(options["method"]))
        if options["pictures"] < MIN_IMAGES:
            raise CommandError(f"--pictures must be at least {MIN_IMAGES}.")
        sources = sources_for_labels(options["model"])
        Source.objects.create_missing(registry.get_sources())
        versions.register_versions()
        measured = 0
        for source in sources:
            for row, method in self._rows(source, names):
                if options["reset"]:
                    self._keep(row, method, None, options)
                    continue
                measured += self._calibrate(source, row, method, options)
        if not measured and not options["reset"]:
            raise CommandError(
                f"There is nothing to measure on: no source has {MIN_IMAGES} pictures indexed by the methods of the "
                "setting. Run “manage.py index_images” first."
            )

    def _rows(self, source: ImageSource, names: list[str]) -> Iterator[tuple[MethodVersion, Method]]:
        """The versions that are wanted."""
        wanted = versions.configured_methods(source)
        for method in (wanted[name] for name in names):
            rows = MethodVersion.objects.filter(source_id=Source.objects.get_id(source), name=method.name)
            yield rows.get(version=method.version), method

    def _calibrate(self, source: ImageSource, row: MethodVersion, method: Method, options: dict[str, Any]) -> bool:
        described, _missing = describe_source(source, None, {row.name: method}, options["pictures"])
        count = len(described.items)
        if count < MIN_IMAGES:
            self.stderr.write(f"{source.label}, {row.name}: left alone, only {count} pictures of {MIN_IMAGES}.")
            return False
        items = progress_bar(options, described.items, desc=f"{source.label} {row.name}", unit="picture")
        with single_core():
            try:
                found = fit_curve(items, described.signatures[row.name], method, conf.get().max_pixels)
            except UnreadableImage as error:
                raise CommandError(f"{source.label}: {error}") from error
        curve = found.curve
        pairs = len(found.pairs)
        self.stdout.write(f"{source.label}, {row.name}, {count} pictures, {pairs} pairs; percent before and after:")
        for title, distance in (
            ("a copy, at the median", float(np.median(found.copies))),
            ("two pictures, the nearest of 1,000 pairs", float(np.quantile(found.pairs, 0.001))),
            ("two pictures, the nearest of 100 pairs", float(np.quantile(found.pairs, 0.01))),
            ("two pictures, at the median", float(np.median(found.pairs))),
        ):
            before, after = similarity_from_distance(row.curve, distance), similarity_from_distance(curve, distance)
            self.stdout.write(f"  {title}: {before:.1f} → {after:.1f}")
        self._keep(row, method, curve, options)
        return True

    def _keep(
        self, row: MethodVersion, method: Method, curve: list[list[float]] | None, options: dict[str, Any]
    ) -> None:
        if options["dry_run"]:
            return
        shipped = [list(point) for point in method.curve]
        MethodVersion.objects.filter(pk=row.pk).update(curve=curve or shipped, is_calibrated=curve is not None)

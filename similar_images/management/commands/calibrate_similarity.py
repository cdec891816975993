"""Measure the map from distance to similarity on the images of a site."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import numpy as np
from django.core.management.base import CommandError

from similar_images import conf, registry
from similar_images.evaluation.calibration import MIN_IMAGES, CurveFit, fit_curve
from similar_images.evaluation.stored import describe_source
from similar_images.imaging.decode import UnreadableImage
from similar_images.imaging.opencv import single_core
from similar_images.indexing import centering, versions
from similar_images.management.base import PrintableCommand, progress_bar, select_methods, select_sources
from similar_images.models import MethodVersion, Source
from similar_images.signatures.base import Method, similarity_from_distance
from similar_images.sources.source import ImageSource


class Command(PrintableCommand):
    """Fits the curves that map distances to percent on a site's own images."""

    help = (
        "Calibrate similarities on the indexed images of this site: the median of copies made of them gets 90 percent, "
        "one pair of different images in 10,000 gets 70, half of the pairs get at most 2. The built-in curves were "
        "measured on photos of all kinds of objects; on images of one kind, their own curve separates them better. "
        "Similarities change at once; stored signatures do not."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--model", action="append", metavar="app.Model", help="Calibrate only this model; may be repeated."
        )
        parser.add_argument(
            "--method", action="append", metavar="NAME", help="Calibrate only this method; may be repeated."
        )
        parser.add_argument("--pictures", type=int, default=300, metavar="N", help="Number of images to use (300).")
        parser.add_argument("--dry-run", action="store_true", help="Report the new similarities without saving them.")
        parser.add_argument("--reset", action="store_true", help="Go back to the built-in curves.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Calibrate every selected method of every selected source."""
        names = list(select_methods(options["method"]))
        if options["pictures"] < MIN_IMAGES:
            raise CommandError(f"--pictures must be at least {MIN_IMAGES}.")
        sources = select_sources(options["model"])
        Source.objects.create_missing(registry.get_sources())
        versions.register_versions()
        calibrated = 0
        for source in sources:
            for version, method in self._select_versions(source, names):
                if options["reset"]:
                    shipped = [list(point) for point in centering.shipped_curve(source, method)]
                    self._save_curve(version, shipped, options, is_calibrated=False)
                else:
                    calibrated += self._calibrate(source, version, method, options)
        if not calibrated and not options["reset"]:
            raise CommandError(
                f"No source has {MIN_IMAGES} images indexed by these methods. Run “manage.py index_images” first."
            )

    def _select_versions(self, source: ImageSource, names: list[str]) -> Iterator[tuple[MethodVersion, Method]]:
        configured = versions.configured_methods(source)
        for method in (configured[name] for name in names):
            rows = MethodVersion.primary.filter(source_id=Source.objects.get_id(source), name=method.name)
            yield rows.get(version=method.version), method

    def _calibrate(self, source: ImageSource, version: MethodVersion, method: Method, options: dict[str, Any]) -> bool:
        """Fit, report and save a curve; return False if there are too few images."""
        title = f"{source.label}, {version.name}"
        described, _missing = describe_source(source, None, {version.name: method}, options["pictures"])
        count = len(described.images)
        if count < MIN_IMAGES:
            self.stderr.write(f"{title}: skipped, as it has {count} indexed images and needs {MIN_IMAGES}.")
            return False
        images = progress_bar(options, described.images, desc=title, unit=" images")
        with single_core():
            try:
                fit = fit_curve(images, described.signatures[version.name], method, conf.get().max_pixels)
            except UnreadableImage as error:
                raise CommandError(f"{source.label}: {error}") from error
        self.stdout.write(f"{title}: {count} images, {len(fit.pair_distances)} pairs; similarity before and after:")
        self._report(fit, version)
        self._save_curve(version, fit.curve, options, is_calibrated=True)
        return True

    def _report(self, fit: CurveFit, version: MethodVersion) -> None:
        for title, distance in (
            ("median copy", np.median(fit.copy_distances)),
            ("most similar of 1,000 pairs", np.quantile(fit.pair_distances, 0.001)),
            ("most similar of 100 pairs", np.quantile(fit.pair_distances, 0.01)),
            ("median pair", np.median(fit.pair_distances)),
        ):
            before, after = (similarity_from_distance(curve, float(distance)) for curve in (version.curve, fit.curve))
            self.stdout.write(f"  {title}: {before:.1f}% → {after:.1f}%")

    def _save_curve(
        self, version: MethodVersion, curve: list[list[float]], options: dict[str, Any], *, is_calibrated: bool
    ) -> None:
        if not options["dry_run"]:
            MethodVersion.primary.filter(pk=version.pk).update(
                curve=curve, is_calibrated=is_calibrated, measured_images=None, similar_share=None
            )

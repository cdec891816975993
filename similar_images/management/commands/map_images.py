"""Bring the maps of sources up to date."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from similar_images.management.base import PrintableCommand, progress_bar, select_sources
from similar_images.similarity_map.update import update_map


class Command(PrintableCommand):
    """Lays out the images of sources, and makes their thumbnails."""

    help = (
        "Bring the map of the admin up to date, on which similar images lie near each other: new images are added "
        "beside their nearest neighbors, or all are laid out anew, and missing thumbnails are made. Needs scikit-learn."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("models", nargs="*", metavar="app.Model", help="Models whose images to map; default: all.")
        parser.add_argument("--anew", action="store_true", help="Lay out all images, not only new ones.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Update the map of each source."""
        problems = []
        for source in select_sources(options["models"]):
            with progress_bar(options, unit="thumbnail", desc=source.label) as bar:
                result = update_map(source, anew=options["anew"], advance=bar.update)
            if result is None:
                problems.append(f"{source.label}: another worker is busy with the map.")
            elif result.error:
                problems.append(f"{source.label}: {result.error}")
            else:
                self.stdout.write(
                    f"{source.label}: {result.mapped} of {result.count} images on the map"
                    f"{', all laid out anew' if result.is_laid_out and result.mapped else ''}"
                    f"{f'; without a thumbnail: {result.without_tile}' if result.without_tile else ''}."
                )
        if problems:
            raise CommandError("\n".join(problems))

from __future__ import annotations

from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from benchmarks import plots
from similar_images import conf
from similar_images.evaluation.report import EvaluationResult
from similar_images.management.commands import evaluate_similarity


class Command(evaluate_similarity.Command):
    """The command of the app, which can also draw its results."""

    output_suffixes = {
        **evaluate_similarity.Command.output_suffixes,
        "plot": plots.PLOT_SUFFIXES,
        "misses": plots.SHEET_SUFFIXES,
    }

    def add_output_arguments(self, parser: ArgumentParser) -> None:
        """Add the options for drawings."""
        super().add_output_arguments(parser)
        parser.add_argument("--plot", type=Path, metavar="FILE", help="Plot the results, as PNG, SVG or PDF.")
        parser.add_argument(
            "--misses",
            type=Path,
            metavar="FILE",
            help="Draw a contact sheet, as JPEG, PNG or WebP, of the worst misses of the first --ranking, of the "
            "setting's ranking, or of the first method.",
        )

    def check_output_files(self, options: dict[str, Any]) -> None:
        """Check before all the work that the files can be written."""
        super().check_output_files(options)
        if options["plot"] and find_spec("matplotlib") is None:
            raise CommandError('--plot requires Matplotlib: pip install -e ".[test]".')

    def write_results(self, results: list[EvaluationResult], main_ranking: str, options: dict[str, Any]) -> None:
        """Write the results, and draw what the options name."""
        super().write_results(results, main_ranking, options)
        if options["plot"]:
            plots.plot_results(results, options["plot"])
        if options["misses"]:
            plots.draw_misses(plots.worst_misses(results, main_ranking), options["misses"], conf.get().max_pixels)

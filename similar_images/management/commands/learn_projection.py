"""Learn a projection of the stored signatures from labels, pairs or marks."""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError

from similar_images import marks
from similar_images.evaluation.cross_validation import MIN_GAIN, CrossValidation, NotEnoughData, cross_validate
from similar_images.evaluation.projection_learning import LabeledPair, fit_projection, read_training_set
from similar_images.evaluation.stored import read_field_labels
from similar_images.evaluation.training_set import TrainingSet
from similar_images.imaging.decode import UnreadableImage
from similar_images.indexing import centering, versions
from similar_images.indexing.projections import (
    activate_projection,
    deactivate_projection,
    is_centered,
    store_projection,
)
from similar_images.management.base import PrintableCommand, select_methods, select_source
from similar_images.models import Source
from similar_images.signatures.base import Method
from similar_images.signatures.projection import can_project
from similar_images.sources.source import ImageSource

NOT_ACTIVATED = 3
"""Exit code if the command ran well, but the projection is not good enough to be activated."""

INPUTS = ("by", "labels", "pairs", "marks")


class Command(PrintableCommand):
    """Learns a projection of stored signatures, and activates it if it finds more similar images."""

    help = (
        "Learn from labels, clicks or marks what makes images similar on this site: a linear projection of the stored "
        "signatures. It is evaluated on groups of images that it was not learned from, and activated only if it finds "
        "significantly more similar images there. No image is indexed again; searches continue meanwhile. "
        f"Exits with {NOT_ACTIVATED} if the projection is not good enough."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("model", metavar="app.Model", help="Model whose images to learn from.")
        parser.add_argument("--field", metavar="NAME", help="Image field, if the model has several.")
        parser.add_argument("--method", default="embedding", metavar="NAME", help="Method to project (embedding).")
        parser.add_argument(
            "--by",
            metavar="FIELD",
            help="Field whose equal values mark images as similar, e.g. category_id or brand__name.",
        )
        parser.add_argument("--labels", type=Path, metavar="FILE", help="CSV file with the columns pk and label.")
        parser.add_argument(
            "--pairs", type=Path, metavar="FILE", help="CSV file with the columns pk_a, pk_b and alike (1 or 0)."
        )
        parser.add_argument("--marks", action="store_true", help="Learn from the marks of editors.")
        parser.add_argument("--dry-run", action="store_true", help="Evaluate only, do not activate.")
        parser.add_argument("--off", action="store_true", help="Go back to the method's own signatures.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Learn, evaluate and activate a projection, or deactivate the active one."""
        source = select_source(options["model"], options["field"])
        name = options["method"]
        method = select_methods([name])[name]
        Source.objects.create_missing([source])
        versions.register_versions()
        if options["off"]:
            if is_centered(source, name):
                raise CommandError(
                    f"{name} is not projected, but centered: SIMILAR_IMAGES['CENTER_FROM'] = None switches that off."
                )
            self._report_switch(deactivate_projection(source, name))
            return
        if find_spec("sklearn") is None:
            raise CommandError('learn_projection needs scikit-learn: pip install "similar_images[learn]".')
        if not can_project(method):
            raise CommandError(
                f"{name} can't be projected: only methods with a cosine distance and no text encoder can."
            )
        if not any(options[key] for key in INPUTS):
            raise CommandError("Choose what to learn from: --by, --labels, --pairs or --marks.")
        try:
            self._learn(source, method, options)
        except NotEnoughData as error:
            raise CommandError(f"Not activated: {error}", returncode=NOT_ACTIVATED) from error
        except UnreadableImage as error:
            raise CommandError(f"{source.label}: {error}") from error

    def _learn(self, source: ImageSource, method: Method, options: dict[str, Any]) -> None:
        labels, pairs = self._read_labels(source, options), self._read_pairs(source, options)
        training_set = read_training_set(source, method, labels, pairs)
        validation = cross_validate(training_set, is_centered=centering.is_large_enough(source, method))
        self._report_validation(training_set, validation)
        if not validation.has_significant_gain:
            reason = f"Not activated: the gain is below {MIN_GAIN}, or may be due to chance."
            raise CommandError(reason, returncode=NOT_ACTIVATED)
        if options["dry_run"]:
            return
        learned_from = {
            **{key: str(options[key]) for key in INPUTS if options[key]},
            "pictures": len(training_set.groups),
            "groups": len(set(training_set.groups.tolist())),
        }
        projected = fit_projection(source, method, training_set)
        base_mean, learned_mean = validation.means
        figures = {"mAP": {"base": base_mean, "projection": learned_mean}, "gain": validation.gain_interval}
        projection = store_projection(source, projected, learned_from, figures)
        self._report_switch(activate_projection(source, projected, projection))

    def _read_labels(self, source: ImageSource, options: dict[str, Any]) -> dict[str, str]:
        labels: dict[str, str] = {}
        if options["by"]:
            try:
                labels = read_field_labels(source, options["by"])
            except FieldError as error:
                raise CommandError(f"--by: {error}") from error
        rows = _read_csv(options["labels"], "pk", "label")
        return labels | {self._parse_key(source, row["pk"]): row["label"].strip() for row in rows}

    def _read_pairs(self, source: ImageSource, options: dict[str, Any]) -> list[LabeledPair]:
        pairs = [
            (
                self._parse_key(source, row["pk_a"]),
                self._parse_key(source, row["pk_b"]),
                _parse_flag(row["alike"]),
            )
            for row in _read_csv(options["pairs"], "pk_a", "pk_b", "alike")
        ]
        return pairs + (marks.marked_pairs(source) if options["marks"] else [])

    def _parse_key(self, source: ImageSource, text: str) -> str:
        try:
            return source.object_id(text.strip())
        except ValidationError as error:
            raise CommandError(f"{text!r} is not a primary key of {source.model._meta.label}.") from error

    def _report_validation(self, training_set: TrainingSet, validation: CrossValidation) -> None:
        base, learned = validation.means
        low, high = validation.gain_interval
        self.stdout.write(
            f"{len(training_set.groups)} images in {len(set(training_set.groups.tolist()))} groups. Mean average "
            f"precision on groups it was not learned from: {base:.3f} before, {learned:.3f} with the projection; "
            f"gain {learned - base:+.3f} (95% confidence interval {low:+.3f} to {high:+.3f})."
        )

    def _report_switch(self, is_complete: bool) -> None:
        self.stdout.write("Switched." if is_complete else "Searches switch once every image has its signature.")


def _parse_flag(text: str) -> bool:
    if text.strip() not in ("0", "1"):
        raise CommandError(f"The column alike must be 1 or 0 in every row, not {text!r}.")
    return text.strip() == "1"


def _read_csv(path: Path | None, *columns: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file that has these columns; none without a file."""
    if path is None:
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{path} can't be read: {error}") from error
    if missing := set(columns) - set(reader.fieldnames or ()):
        raise CommandError(f"{path} lacks the columns {', '.join(sorted(missing))}.")
    return rows

from __future__ import annotations

import csv
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import BaseCommand, CommandError

from similar_images import marks
from similar_images.evaluation import projection_learning
from similar_images.imaging.decode import UnreadableImage
from similar_images.indexing import versions
from similar_images.management.base import methods_by_name, source_for_options
from similar_images.models import Source
from similar_images.registry import ImageSource
from similar_images.signatures.projection import can_project

REFUSED = 3
"""Exit code where all went well, but no projection is worth to be switched on."""


class Command(BaseCommand):
    help = (
        "Learn from labels, clicks or marks what makes pictures alike on this site: a linear map of the signatures "
        "that are stored. It is tried on groups of pictures that it has not seen, and switched on only where it surely "
        "finds more of what is alike there. No picture is indexed again; searches go on meanwhile. "
        f"Exits with {REFUSED} where it is not worth it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", metavar="app.Model", help="Whose pictures.")
        parser.add_argument("--field", metavar="NAME", help="The image field, where the model has several.")
        parser.add_argument("--method", default="embedding", metavar="NAME", help="Whose signatures (embedding).")
        parser.add_argument("--by", metavar="FIELD", help="Alike has the same value of it: category_id, brand__name.")
        parser.add_argument("--labels", type=Path, metavar="FILE", help="A CSV file with the columns pk and label.")
        parser.add_argument(
            "--pairs", type=Path, metavar="FILE", help="A CSV file with the columns pk_a, pk_b and alike (1 or 0)."
        )
        parser.add_argument("--marks", action="store_true", help="Alike is what editors marked so.")
        parser.add_argument("--dry-run", action="store_true", help="Only tell what it would bring.")
        parser.add_argument("--off", action="store_true", help="Go back to the signatures as they were.")

    def handle(self, *args: Any, **options: Any) -> None:
        source = source_for_options(options["model"], options["field"])
        name = options["method"]
        method = methods_by_name([name])[name]
        Source.objects.create_missing([source])
        versions.register_versions()
        if options["off"]:
            self._tell(projection_learning.switch_off(source, name))
            return
        if find_spec("sklearn") is None:
            raise CommandError('learn_projection needs scikit-learn: pip install "similar_images[learn]".')
        if not can_project(method):
            raise CommandError(f"The signatures of {name} can't be projected: it takes a cosine, and no text encoder.")
        if not any(options[key] for key in ("by", "labels", "pairs", "marks")):
            raise CommandError("Say what is alike: --by, --labels, --pairs or --marks.")
        labels = self._labels(source, options)
        pairs = [
            (self._id(source, row["pk_a"]), self._id(source, row["pk_b"]), _is_alike(row["alike"]))
            for row in _rows(options["pairs"], "pk_a", "pk_b", "alike")
        ]
        if options["marks"]:
            pairs += marks.marked_pairs(source)
        try:
            lesson = projection_learning.read_training_set(source, method, labels, pairs)
            trial = projection_learning.cross_validate(lesson)
            self._figures(lesson, trial)
            if not trial.wins:
                reason = f"Not switched on: the gain is below {projection_learning.MIN_GAIN}, or may be chance."
                raise CommandError(reason, returncode=REFUSED)
            if options["dry_run"]:
                return
            made = projection_learning.fit_projection(source, method, lesson)
        except projection_learning.NotEnoughData as error:
            raise CommandError(f"Not switched on: {error}", returncode=REFUSED) from error
        except UnreadableImage as error:
            raise CommandError(f"{source.label}: {error}") from error
        inputs = {key: str(options[key]) for key in ("by", "labels", "pairs", "marks") if options[key]}
        learned_from = {**inputs, "pictures": len(lesson.groups), "groups": len(set(lesson.groups.tolist()))}
        self._tell(projection_learning.switch_on(source, made, learned_from, trial))

    def _labels(self, source: ImageSource, options: dict[str, Any]) -> dict[str, str]:
        labels: dict[str, str] = {}
        if field := options["by"]:
            try:
                for pk, value in source.with_file().order_by(field).values_list("pk", field):
                    labels.setdefault(source.object_id(pk), "" if value is None else str(value))
            except FieldError as error:
                raise CommandError(f"--by: {error}") from error
        if options["labels"]:
            rows = _rows(options["labels"], "pk", "label")
            labels |= {self._id(source, row["pk"]): row["label"].strip() for row in rows}
        return labels

    def _id(self, source: ImageSource, pk: str) -> str:
        try:
            return source.object_id(pk.strip())
        except ValidationError as error:
            raise CommandError(f"{pk!r} is no key of {source.model._meta.label}.") from error

    def _figures(self, lesson: projection_learning.TrainingSet, trial: projection_learning.CrossValidation) -> None:
        base, learned = trial.means
        low, high = trial.interval
        self.stdout.write(
            f"{len(lesson.groups)} pictures in {len(set(lesson.groups.tolist()))} groups; mean average precision on "
            f"groups it had not seen: {base:.3f} before, {learned:.3f} with the projection; "
            f"gain {learned - base:+.3f}, with 95 % between {low:+.3f} and {high:+.3f}."
        )

    def _tell(self, done: bool) -> None:
        self.stdout.write("Switched." if done else "The sweep switches when every picture is described.")


def _is_alike(text: str) -> bool:
    if text.strip() not in ("0", "1"):
        raise CommandError(f"alike is 1 or 0 in every row, not {text!r}.")
    return text.strip() == "1"


def _rows(path: Path | None, *columns: str) -> list[dict[str, str]]:
    """The rows of a CSV file with these columns; of no file, none."""
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

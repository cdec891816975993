"""The images to evaluate on, and their labels."""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..imaging.formats import accepted_suffixes

LABELS_FILE = "labels.csv"
LABEL_COLUMNS = ("group", "class")


class InvalidFolder(ValueError):
    """A folder or its labels.csv is unusable; the message is meant for people."""


@dataclass(frozen=True)
class LabeledImage:
    """An image: its name, a function that reads its bytes, and its labels by column; "" means unknown.

    `object_id` is the key of the source's object that has it, "" where it is of a folder.
    """

    name: str
    read: Callable[[], bytes]
    labels: Mapping[str, str] = field(default_factory=dict)
    object_id: str = ""


def read_folder(folder: Path) -> list[LabeledImage]:
    """List the images that the folder's labels.csv names; without one, all images in and below the folder, unlabeled.

    labels.csv has the columns path (relative to the folder) and group, class or both: images of one group show the
    same object, those of one class the same kind of object.

    Raises:
        InvalidFolder: the folder does not exist or has no images, or labels.csv names none or wrong ones.
    """
    if not folder.is_dir():
        raise InvalidFolder(f"{folder} is not a folder.")
    table = folder / LABELS_FILE
    if table.is_file():
        return _read_labels(folder, table)
    suffixes = accepted_suffixes()
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    if not paths:
        raise InvalidFolder(f"{folder} contains neither {LABELS_FILE} nor images ({', '.join(suffixes)}).")
    return [LabeledImage(path.relative_to(folder).as_posix(), path.read_bytes) for path in paths]


def _read_labels(folder: Path, table: Path) -> list[LabeledImage]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidFolder(f"{table} is not a CSV file in UTF-8: {error}.") from error
    labels = [label for label in LABEL_COLUMNS if label in columns]
    if "path" not in columns or not labels:
        raise InvalidFolder(
            f"{table} needs the columns path and group or class; it has {', '.join(columns) or 'none'}."
        )
    paths = [row["path"] or "" for row in rows]
    if not paths:
        raise InvalidFolder(f"{table} lists no images.")
    if repeated := [path for path, count in Counter(paths).items() if count > 1]:
        raise InvalidFolder(f"{table} lists {_first_of(repeated)} more than once.")
    if outside := [path for path in paths if not (folder / path).resolve().is_relative_to(folder.resolve())]:
        raise InvalidFolder(f"{table} lists {_first_of(outside)} outside its folder.")
    if missing := [path for path in paths if not (folder / path).is_file()]:
        raise InvalidFolder(f"{table} lists {_first_of(missing)}, which does not exist.")
    return [
        LabeledImage(
            path, partial(Path.read_bytes, folder / path), {label: (row[label] or "").strip() for label in labels}
        )
        for path, row in zip(paths, rows, strict=True)
    ]


def _first_of(paths: Sequence[str]) -> str:
    return repr(paths[0]) + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def sample_indices(count: int, limit: int | None) -> list[int]:
    """Return at most `limit` of the indices below `count`, in ascending order; the same ones in every run."""
    if limit is None or limit >= count:
        return list(range(count))
    return sorted(random.Random(0).sample(range(count), limit))  # noqa: S311 - a repeatable sample; no secret

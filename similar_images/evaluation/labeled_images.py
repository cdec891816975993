"""The pictures to evaluate on, and their labels."""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..imaging.formats import SUFFIXES

LABELS_FILE = "labels.csv"
LABELS = ("group", "class")


class BadFolder(ValueError):
    """A folder or its labels.csv can't be used; the message says why, for people."""


@dataclass(frozen=True)
class Item:
    """One picture: its name, how to read its bytes, and its labels by what they label; "" is unknown."""

    name: str
    read: Callable[[], bytes]
    labels: Mapping[str, str] = field(default_factory=dict)


def read_folder(folder: Path) -> list[Item]:
    """The pictures that the folder's labels.csv names, or all in it and below where there is none, without labels.

    labels.csv has the columns path (relative to the folder) and group, class or both: pictures of one group show
    the same thing, those of one class the same kind of thing.

    Raises:
        BadFolder: there is no such folder, no picture, or labels.csv names no or wrong files.
    """
    if not folder.is_dir():
        raise BadFolder(f"{folder} is no folder.")
    table = folder / LABELS_FILE
    if table.is_file():
        return _labeled(folder, table)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise BadFolder(f"{folder} holds neither {LABELS_FILE} nor pictures ({', '.join(SUFFIXES)}).")
    return [Item(path.relative_to(folder).as_posix(), path.read_bytes) for path in paths]


def _labeled(folder: Path, table: Path) -> list[Item]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadFolder(f"{table} is no table in UTF-8: {error}.") from error
    labels = [label for label in LABELS if label in columns]
    if "path" not in columns or not labels:
        raise BadFolder(f"{table} needs the columns path and group or class; it has {', '.join(columns) or 'none'}.")
    paths = [row["path"] or "" for row in rows]
    if not paths:
        raise BadFolder(f"{table} names no pictures.")
    if twice := [path for path, count in Counter(paths).items() if count > 1]:
        raise BadFolder(f"{table} names {_some(twice)} more than once.")
    if outside := [path for path in paths if not (folder / path).resolve().is_relative_to(folder.resolve())]:
        raise BadFolder(f"{table} names {_some(outside)} outside its folder.")
    if missing := [path for path in paths if not (folder / path).is_file()]:
        raise BadFolder(f"{table} names {_some(missing)}, which is not there.")
    return [
        Item(path, partial(Path.read_bytes, folder / path), {label: (row[label] or "").strip() for label in labels})
        for path, row in zip(paths, rows, strict=True)
    ]


def _some(paths: Sequence[str]) -> str:
    return repr(paths[0]) + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def sample_indices(count: int, limit: int | None) -> list[int]:
    """The places of at most `limit` of `count` things, in order, always the same ones."""
    if limit is None or limit >= count:
        return list(range(count))
    return sorted(random.Random(0).sample(range(count), limit))  # noqa: S311 - the same ones in every run; no secret

"""Image files described without a database: their vectors and labels, written for NumPy and as a table."""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from similar_images import conf
from similar_images.image_labels import Label, classify_pixels
from similar_images.imaging import decode
from similar_images.imaging.files import read_bounded, sha256_of
from similar_images.imaging.formats import accepted_suffixes
from similar_images.imaging.threads import map_in_threads
from similar_images.printable import make_printable
from similar_images.signatures.base import Method

if TYPE_CHECKING:
    from similar_images.signatures.base import Value

FILE_ARRAYS = ("path", "sha256", "size", "label", "score", "method", "version")
"""Arrays of an .npz file beside those of methods, which therefore can't have these names."""


@dataclass(frozen=True)
class VectorizedFile:
    """An image file: its path, size in pixels, one value for each method, and its labels, best first."""

    path: str
    sha256: str
    width: int
    height: int
    values: list[Value]
    labels: list[Label]


def match_files(pattern: str) -> list[str]:
    """Return the files of a pattern, in the order of their paths: a path, a folder, or a glob, also with `**`.

    What a path names is taken whatever it is called; of folders, and of what a glob matches, files whose names end as
    those of images do.
    """
    if Path(pattern).is_file():
        return [pattern]
    is_folder = Path(pattern).is_dir()
    found = glob.glob(os.path.join(glob.escape(pattern), "**") if is_folder else pattern, recursive=True)
    suffixes = accepted_suffixes()
    return sorted(path for path in found if path.lower().endswith(suffixes) and Path(path).is_file())


def vectorize_files(
    paths: Sequence[str], methods: Sequence[Method], label_count: int, jobs: int
) -> Iterator[VectorizedFile | str]:
    """Describe files on `jobs` threads; yield each in order, or a message why a file can't be described."""
    return map_in_threads(lambda path: _try_vectorizing(path, methods, label_count), paths, jobs)


def _try_vectorizing(path: str, methods: Sequence[Method], label_count: int) -> VectorizedFile | str:
    try:
        return _vectorize(path, methods, label_count)
    except decode.INTERRUPTIONS:
        raise
    except Exception as error:  # one file that fails must not stop the others
        return f"{path}: {error}"


def _vectorize(path: str, methods: Sequence[Method], label_count: int) -> VectorizedFile:
    settings = conf.get()
    with open(path, "rb") as file:
        data = read_bounded(file, max_bytes=settings.max_bytes)
    image = decode.decode(data, max_pixels=settings.max_pixels)
    values = [method.compute(image.pixels) for method in methods]
    labels = classify_pixels(image.pixels, label_count) if label_count else []
    return VectorizedFile(make_printable(path), sha256_of(data), image.width, image.height, values, labels)


def write_arrays(file: Path, images: Sequence[VectorizedFile], methods: Mapping[str, Method]) -> None:
    """Write an .npz file: FILE_ARRAYS, and the vectors of each method under its name, a row for each image.

    Dense vectors are float32 (n, dimensions), those of bits bool. Sparse ones are those of a SciPy `csr_matrix`, as
    the arrays `NAME.data`, `NAME.indices`, `NAME.indptr` and `NAME.shape`.

    Raises:
        OSError: it can't be written; then the file is as it was.
    """
    arrays: dict[str, Any] = {
        "path": np.array([image.path for image in images]),
        "sha256": np.array([image.sha256 for image in images]),
        "size": np.array([(image.width, image.height) for image in images], np.int32),
        "label": np.array([[label.name for label in image.labels] for image in images], str),
        "score": np.array([[label.score for label in image.labels] for image in images], np.float32),
        "method": np.array(list(methods)),
        "version": np.array([method.version for method in methods.values()]),
    }
    for index, (name, method) in enumerate(methods.items()):
        arrays |= _arrays_of(name, method, [image.values[index] for image in images])
    with _replace_whole(file, "wb") as opened:
        np.savez(opened, **arrays)


def _arrays_of(name: str, method: Method, values: Sequence[Any]) -> dict[str, Any]:
    if method.storage != "sparsevec":
        return {name: np.stack(values)}
    rows = [sorted(value.items()) for value in values]
    return {
        f"{name}.data": np.array([number for row in rows for _index, number in row], np.float32),
        f"{name}.indices": np.array([index for row in rows for index, _number in row], np.int32),
        f"{name}.indptr": np.cumsum([0, *map(len, rows)], dtype=np.int64),
        f"{name}.shape": np.array([len(rows), method.dimensions], np.int64),
    }


def write_table(
    file: Path, images: Sequence[VectorizedFile], methods: Mapping[str, Method], label_count: int, *, has_vectors: bool
) -> None:
    """Write a CSV file in UTF-8, a row for each image: path, SHA-256, size, labels with scores, maybe vectors.

    Raises:
        OSError: it can't be written; then the file is as it was.
    """
    header = ["path", "sha256", "width", "height"]
    header += [f"{name}_{number}" for number in range(1, label_count + 1) for name in ("label", "score")]
    if has_vectors:
        header += [f"{name}_{index}" for name, method in methods.items() for index in range(method.dimensions)]
    with _replace_whole(file, "w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened)
        table.writerow(header)
        for image in images:
            labels = [cell for label in image.labels for cell in (label.name, f"{label.score:.6f}")]
            numbers = np.concatenate(cast("list[Any]", image.values)).astype(np.float32) if has_vectors else ()
            table.writerow([image.path, image.sha256, image.width, image.height, *labels, *map(str, numbers)])


@contextmanager
def _replace_whole(file: Path, mode: str, **options: Any) -> Iterator[IO[Any]]:
    """Open a file beside `file`, which it replaces at the end, so that an error leaves no part of one."""
    partial_file = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with partial_file.open(mode, **options) as opened:
            yield opened
        partial_file.replace(file)
    finally:
        partial_file.unlink(missing_ok=True)

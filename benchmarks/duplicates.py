"""A search for duplicates in a large source: `python -m benchmarks duplicates DATASETS [--pictures N] [--folder DIR]`.

DATASETS is the folder of the sets, of which a library with planted copies is made (see `library`), in DIR if that is
given: a second run finds it there, with its signatures. The library is searched twice, the second time with the
verdicts of the first. Seconds are told with processor seconds, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any
from unittest.mock import patch

import psutil
from django.test import override_settings

from similar_images import plugins
from similar_images.duplicates import verification
from similar_images.duplicates.detection import FoundDuplicates
from similar_images.duplicates.folder import describe_files, list_image_files
from similar_images.duplicates.images import ImageCache, ScannedImage
from similar_images.duplicates.scan_cache import ScanCache
from similar_images.duplicates.source import SourceImages
from similar_images.duplicates.source_search import find_in_source
from similar_images.evaluation.report import MarkdownTable
from similar_images.imaging.opencv import single_core
from similar_images.models import IndexedImage, Source
from similar_images.signatures import storage
from similar_images.sources.source import ImageSource
from tests import commands

from .library import make_library
from .scaling import Item, build_indexes, copy_signatures, temporary_source

PARTS: Mapping[str, tuple[Any, str]] = {
    "proposing pairs (SQL)": (SourceImages, "_join"),
    "similarities of pairs (SQL)": (SourceImages, "_similarities"),
    "reading and decoding": (ImageCache, "load"),
    "first look": (verification, "may_be_duplicates"),
    "comparing": (verification, "_compare_pair"),
}
"""The parts of a search that are timed: an owner, and the name of its function."""


class Times:
    """Seconds, processor seconds of this process, and calls by part; safe to share between threads."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.wall: dict[str, float] = defaultdict(float)
        self.processor: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._lock = Lock()

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with its time taken; what it yields is taken at once."""

        def timed(*args: Any, **options: Any) -> Any:
            wall, processor = time.perf_counter(), time.thread_time()
            result = function(*args, **options)
            result = list(result) if isinstance(result, Iterator) else result
            with self._lock:
                self.wall[part] += time.perf_counter() - wall
                self.processor[part] += time.thread_time() - processor
                self.calls[part] += 1
            return result

        return timed


@contextmanager
def timed_parts() -> Iterator[Times]:
    """Take the times of all parts."""
    times = Times()
    with ExitStack() as stack:
        for part, (owner, name) in PARTS.items():
            stack.enter_context(patch.object(owner, name, times.wrap(part, getattr(owner, name))))
        yield times


def describe_library(folder: Path, jobs: int) -> tuple[list[ScannedImage], ScanCache]:
    """Describe all pictures by the enabled methods, unless a former run did."""
    cache = ScanCache(folder / "signatures.sqlite3")
    files, methods = list_image_files(folder / "pictures"), list(plugins.stored_methods().values())
    with single_core():
        images = [image for image in describe_files(files, methods, cache, jobs) if isinstance(image, ScannedImage)]
    return images, cache


def store_library(source: ImageSource, images: list[ScannedImage], cache: ScanCache) -> None:
    """Create an object, a record and signatures for each picture."""
    source_id = Source.objects.get_id(source)
    items = Item._base_manager.bulk_create(Item(image=image.name, share=0.5) for image in images)
    records = IndexedImage.objects.bulk_create(
        IndexedImage(
            source_id=source_id,
            object_id=str(item.pk),
            object_key=item.pk,
            file_name=image.name,
            sha256=image.sha256,
            width=image.width,
            height=image.height,
            status="indexed",
        )
        for item, image in zip(items, images, strict=True)
    )
    for method in plugins.stored_methods().values():
        values = ((record, cache.get_signatures(record.sha256, method)) for record in records)
        packed = ((record, storage.pack(method, value[0])) for record, value in values if value)
        copy_signatures(source_id, method, packed)


def count_found(found: FoundDuplicates, planted: Mapping[str, str]) -> tuple[int, int]:
    """Return the number of planted copies in a group with their original, and of groups with pictures of several."""
    groups = [{image.name.split(": ")[1] for image in group} for group in found.copies]
    whole = sum(any({copy, original} <= group for group in groups) for copy, original in planted.items())
    mixed = sum(len({planted.get(name, name) for name in group}) > 1 for group in groups)
    return whole, mixed


def processor_seconds() -> float:
    """Return the processor seconds of this process, and of the processes that decode for it."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    times = [process.cpu_times() for process in processes if not process.name().startswith("postgres")]
    return sum(each.user + each.system for each in times)


def main() -> None:
    """Make the library, search it twice, and print the figures as tables in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks duplicates", description=__doc__)
    parser.add_argument("datasets", type=Path, metavar="DATASETS")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--copies", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    commands.run("migrate", verbosity=0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        planted = make_library(options.datasets, folder / "pictures", options.pictures, options.copies)
        images, cache = describe_library(folder, options.jobs)
        with override_settings(MEDIA_ROOT=folder / "pictures"), temporary_source() as (source, connection):
            store_library(source, images, cache)
            build_indexes(connection, source, lambda entries, **_options: entries)
            for title in ("first search", "second search"):
                print(measure_search(title, source, planted, options.jobs), flush=True)


def measure_search(title: str, source: ImageSource, planted: Mapping[str, str], jobs: int) -> str:
    """Search once, and return the figures as a table in Markdown."""
    wall, processor = time.perf_counter(), processor_seconds()
    with timed_parts() as times, single_core():
        found = find_in_source(source, jobs=jobs)
    rows = [
        (part, f"{times.calls[part]:,}", f"{times.wall[part]:.0f}", f"{times.processor[part]:.0f}") for part in PARTS
    ]
    total = f"{time.perf_counter() - wall:.0f}", f"{processor_seconds() - processor:.0f}"
    rows.append(("all, with the decoders", f"{found.candidates:,} pairs", *total))
    whole, mixed = count_found(found, planted)
    head = (
        f"{title}: {found.collection.count:,} pictures, {whole} of {len(planted)} planted copies found, "
        f"{len(found.copies)} groups of copies, {mixed} with other pictures, {len(found.series)} series, "
        f"{len(found.plain)} too plain, {found.left_out:,} pairs left out, {len(found.problems)} problems"
    )
    return str(MarkdownTable(head, ["part", "calls", "seconds, all threads", "processor seconds"], rows))

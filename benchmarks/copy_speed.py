"""Times of searches for copies by stored objects: `python -m benchmarks copy_speed DATASETS [--pictures N]`.

DATASETS is the folder of the sets, of which a library with planted copies is made (see `library`). It is searched by
planted copies, and by pictures without one, with stored keypoints and without, one search after the other.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from django.test import override_settings

from similar_images.evaluation.report import MarkdownTable
from similar_images.imaging.files import read_stored
from similar_images.imaging.opencv import single_core
from similar_images.search.matches import similar_to
from similar_images.search.rerank import copies, image_pairs
from tests import commands

from .duplicates import describe_library, store_library
from .library import make_library
from .scaling import Item, build_indexes, temporary_source


def search_by(items: list[Any], originals: dict[str, str]) -> tuple[list[float], int, int, int]:
    """Search by each object; return the milliseconds, the files read, the originals found, and the other matches."""
    milliseconds, found, others, files = [], 0, 0, 0
    with patch.object(image_pairs, "read_stored", wraps=read_stored) as read:
        for item in items:
            begin = time.perf_counter()
            matches = similar_to(item, mode="copy")
            milliseconds.append(1000 * (time.perf_counter() - begin))
            names = {match.image.name for match in matches}
            found += originals.get(item.image.name) in names
            others += len(names - {originals.get(item.image.name)})
        files = read.call_count
    return milliseconds, files, found, others


def main() -> None:
    """Make the library, search it, and print the figures as a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks copy_speed", description=__doc__)
    parser.add_argument("datasets", type=Path, metavar="DATASETS")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--copies", type=int, default=500)
    parser.add_argument("--searches", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    commands.run("migrate", verbosity=0)
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        planted = make_library(options.datasets, folder / "pictures", options.pictures, options.copies)
        with_keypoints = {"STORE_KEYPOINTS": True}
        stack.enter_context(override_settings(SIMILAR_IMAGES=with_keypoints, MEDIA_ROOT=folder / "pictures"))
        images, cache = describe_library(folder, options.jobs)
        source, connection = stack.enter_context(temporary_source())
        store_library(source, images, cache)
        build_indexes(connection, source, lambda entries, **_options: entries)
        stack.enter_context(single_core())
        print(measure(options.searches, planted, with_keypoints))


def measure(searches: int, planted: dict[str, str], setting: dict[str, Any]) -> MarkdownTable:
    """Search by as many copies, and other pictures, in all ways."""
    chance = random.Random(6)
    with_copy, without = planted.keys(), planted.keys() | set(planted.values())
    queries = {
        "planted copies": chance.sample(sorted(Item._base_manager.filter(image__in=with_copy), key=str), searches),
        "others": chance.sample(sorted(Item._base_manager.exclude(image__in=without), key=str), searches),
    }
    rows = []
    for title, items in queries.items():
        for is_stored in (False, True):
            with override_settings(SIMILAR_IMAGES={**setting, "STORE_KEYPOINTS": is_stored}):
                similar_to(items[0], mode="copy")  # what is loaded once
                milliseconds, files, found, others = search_by(items, planted)
            p50, p95 = np.percentile(milliseconds, (50, 95))
            kept = "stored keypoints" if is_stored else "files alone"
            rows.append((title, kept, f"{p50:.0f}", f"{p95:.0f}", f"{files / searches:.1f}", str(found), str(others)))
    head = f"{searches} searches each; at most {copies.MAX_VERIFIED} candidates are compared"
    columns = ["searched by", "with", "p50, ms", "p95, ms", "files read", "originals found", "other matches"]
    return MarkdownTable(head, columns, rows)

"""What re-ranking by neighbors takes: `python -m benchmarks rerank_speed DATASETS [--pictures N] [--folder DIR]`.

DATASETS is the folder of the sets, of which a library is made (see `library`), in DIR if that is given. Each object is
searched by without re-ranking and with it, in turns.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from django.test import override_settings

from similar_images.evaluation.report import MarkdownTable
from similar_images.search.matches import similar_to
from similar_images.search.rerank.neighbors import MAX_SMOOTHED
from tests import commands

from .duplicates import describe_library, store_library
from .library import make_library
from .scaling import Item, build_indexes, temporary_source


def main() -> None:
    """Make the library, search it, and print the figures as a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rerank_speed", description=__doc__)
    parser.add_argument("datasets", type=Path, metavar="DATASETS")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=60)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    commands.run("migrate", verbosity=0)
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_library(options.datasets, folder / "pictures", options.pictures, options.pictures // 20)
        images, cache = describe_library(folder, jobs=2)
        stack.enter_context(override_settings(MEDIA_ROOT=folder / "pictures"))
        source, connection = stack.enter_context(temporary_source())
        store_library(source, images, cache)
        build_indexes(connection, source, lambda entries, **_options: entries)
        print(measure(options.searches))


SEARCHES: dict[str, dict[str, Any]] = {
    "none": {},
    "none, as many matches": {"limit": MAX_SMOOTHED},
    "neighbors": {"rerank": "neighbors"},
}


def measure(searches: int) -> MarkdownTable:
    """Search by as many objects in all ways."""
    items = random.Random(3).sample(list(Item._base_manager.order_by("pk")), searches + 3)
    milliseconds: dict[str, list[float]] = {title: [] for title in SEARCHES}
    for number, item in enumerate(items):
        for title in random.Random(number).sample(sorted(SEARCHES), len(SEARCHES)):
            begin = time.perf_counter()
            similar_to(item, **SEARCHES[title])
            if number >= 3:  # what is loaded once is there
                milliseconds[title].append(1000 * (time.perf_counter() - begin))
    rows = [
        (title, *(f"{value:.1f}" for value in np.percentile(times, (50, 95)))) for title, times in milliseconds.items()
    ]
    return MarkdownTable(f"{searches} searches each", ["re-ranking", "p50, ms", "p95, ms"], rows)

"""Searches by Milvus Lite among made-up records: `python -m benchmarks search_backend [--records N] [--queries N]`.

It fills a copy of the default embedding, and compares what is found with exact search, without a filter and through
one that leaves a tenth. Milvus Lite shows that the copy is right; how fast a server is, it does not show.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from statistics import fmean, median
from typing import Any
from unittest.mock import patch

from django.test import override_settings
from tqdm import tqdm

from benchmarks import scaling
from similar_images import plugins
from similar_images.evaluation.report import MarkdownTable
from similar_images.indexing import backend_copies, backend_feed
from similar_images.models import MethodVersion
from similar_images.search import selectivity
from similar_images.search.matches import similar_to
from similar_images.sources.source import ImageSource
from tests import commands

METHOD = "embedding"

FILTERS = {"none": 1.0, "10%": 0.1}
"""Shares of the records that filters leave, by title; they are decided in PostgreSQL."""


def search(item: Any, share: float, **options: Any) -> tuple[set[Any], float]:
    """Return the keys of the matches of an item, and the milliseconds that they took."""
    objects = scaling.Item._base_manager.filter(share__lt=share)
    began = time.perf_counter()
    matches = similar_to(item, method=METHOD, limit=scaling.LIMIT, fold=False, queryset=objects, **options)
    return {match.object.pk for match in matches}, 1000 * (time.perf_counter() - began)


def fill(source: ImageSource) -> tuple[MethodVersion, float]:
    """Fill the copy, and switch to it; return the version, and the seconds that it took."""
    backend = plugins.search_backend()
    assert backend is not None
    (version,) = [each for each in backend_copies.copies_of([source], backend) if each.is_active]
    began = time.perf_counter()
    backend_copies.begin_fill(backend, version)
    with tqdm(total=backend_copies.count_signatures(version), desc="fill", unit=" signatures") as progress:
        for size in backend_feed.fill(backend, version):
            progress.update(size)
    seconds = time.perf_counter() - began
    backend_copies.switch([version])
    return version, seconds


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=20)
    options = parser.parse_args()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    rows = []
    with tempfile.TemporaryDirectory() as folder, scaling.temporary_source() as (source, connection):
        backend = {"class": "milvus", "uri": f"{folder}/milvus.db", "timeout": 600}
        setting = {"METHODS": {METHOD: {}}, "RANKING": {METHOD: 1}, "SEARCH_BACKEND": backend}
        with override_settings(SIMILAR_IMAGES=setting):
            methods = [plugins.enabled_methods()[METHOD]]
            scaling.generate_records(source, methods, options.records, tqdm)
            with connection.cursor() as cursor:
                cursor.execute(f"VACUUM ANALYZE {scaling.TABLES}")
            _version, seconds = fill(source)
            print(f"{options.records:,} records of {methods[0].dimensions} dimensions filled in {seconds:.0f} s.")
            items = list(scaling.Item._base_manager.order_by("share")[:: options.records // options.queries])
            for title, share in FILTERS.items():
                shares, times, exact_times = [], [], []
                for item in tqdm(items[: options.queries], desc=title):
                    exact, exact_ms = search(item, share, exact=True)
                    with patch.object(selectivity, "VISIT_COST", 0):  # no filter is left to PostgreSQL
                        found, ms = search(item, share)
                    shares.append(len(found & exact) / len(exact))
                    times.append(ms)
                    exact_times.append(exact_ms)
                rows.append([title, f"{fmean(shares):.3f}", f"{median(times):.0f}", f"{median(exact_times):.0f}"])
    columns = ["filter", f"recall@{scaling.LIMIT}", "by Milvus Lite, ms", "exactly, ms"]
    print(MarkdownTable(f"{options.records:,} records", columns, rows))


if __name__ == "__main__":
    main()

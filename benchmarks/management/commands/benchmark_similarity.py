from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from benchmarks import scaling
from similar_images.management.base import progress_bar


class Command(BaseCommand):
    """Measures how searches scale."""

    help = (
        "Measure how searches scale: generate records with signatures of the enabled methods, in clusters, and search "
        "them through filters that leave 100, 10, 1 and 0.1 percent, exactly and by index. Reports how many of 12 "
        "matches are found, how many of them an exact search finds, and median times of the whole call and of its SQL "
        "alone. Everything is generated in a separate schema, which is dropped at the end. With 200,000 records and "
        "the default methods it needs 2 GB of disk, 1 GB of memory while an index is built, and about ten minutes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--records", type=int, default=200_000, metavar="N", help="Number of records (200,000).")
        parser.add_argument("--queries", type=int, default=30, metavar="N", help="Searches of every kind (30).")
        parser.add_argument("--json", action="store_true", help="Print JSON instead of a table in Markdown.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the benchmark and print the results."""
        records, queries = options["records"], options["queries"]
        if not 1 <= queries <= records:
            raise CommandError("--queries must be at least 1 and at most --records.")
        benchmark = scaling.run(records, queries, partial(progress_bar, options))
        if options["json"]:
            self.stdout.write(json.dumps(asdict(benchmark), indent=2))
        else:
            self.stdout.write(scaling.tables(benchmark))

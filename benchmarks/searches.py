"""Searches among made-up records: `python -m benchmarks searches [--records N] [--queries N] [--json FILE]`.

What `benchmark_similarity` measures, on a server of its own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tqdm import tqdm

from benchmarks import scaling
from tests import commands

TITLES = {"none": "no filter", "10%": "10% left", "1%": "1% left", "0.1%": "0.1% left"}
"""Titles of the searches in the JSON, by their names in it."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write times and recall of the default ranking")
    options = parser.parse_args()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    benchmark = scaling.run(options.records, options.queries, tqdm)
    print(scaling.tables(benchmark))
    if options.json:
        rows = {row.title: row for row in benchmark.rows}
        figures = {
            name: {
                "call_ms": round(rows[title].call_ms, 2),
                "sql_ms": round(rows[title].sql_ms, 2),
                "recall": round(rows[title].recall, 3),
            }
            for name, title in TITLES.items()
        }
        options.json.write_text(json.dumps({"search": figures}))

"""What the triggers cost: `python -m benchmarks writes [--rows N]`.

Times of whole statements on one table, with its triggers off and on in turn, in one run; and of Django's `save()`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from django.core.files.base import ContentFile
from django.db import connection

from benchmarks.timing import median_ms
from tests import commands, drawing
from tests.indexing.faults import triggers_off
from tests.testapp.models import Picture

ONE = 1000
"""Statements of a single row, of which the median is told."""

INSERT = (
    "INSERT INTO testapp_picture (title, image, published) SELECT '', {name}, true FROM generate_series(1, {n}) AS n"
)

PREPARE = [
    "TRUNCATE testapp_picture, similar_images_indexedimage, similar_images_signature, similar_images_mark CASCADE",
]


def run(sql: str) -> None:
    """Run a statement in autocommit."""
    with connection.cursor() as cursor:
        cursor.execute(sql)


def statements(rows: int) -> dict[str, tuple[str, int]]:
    """Return each statement and how often it is run, by what it does."""
    return {
        "insert one row": (INSERT.format(name="'pictures/one.png'", n=1), ONE),
        "update another column of one row": (
            "UPDATE testapp_picture SET title = md5(title) WHERE id = (SELECT min(id) FROM testapp_picture)",
            ONE,
        ),
        "update the image of one row": (
            "UPDATE testapp_picture SET image = md5(image) WHERE id = (SELECT min(id) FROM testapp_picture)",
            ONE,
        ),
        f"insert {rows:,} rows": (INSERT.format(name="'pictures/' || n || '.png'", n=rows), 1),
        f"update another column of {rows:,} rows": ("UPDATE testapp_picture SET title = 'x'", 3),
        f"update the image of {rows:,} rows": ("UPDATE testapp_picture SET image = 'new/' || id || '.png'", 1),
        f"delete {rows:,} rows": ("DELETE FROM testapp_picture", 1),
    }


def measure(rows: int) -> dict[str, float]:
    """Return the median times of the statements in milliseconds."""
    for sql in PREPARE:
        run(sql)
    times = {}
    for name, (sql, count) in statements(rows).items():
        times[name] = median_ms(partial(run, sql), count)
        run("VACUUM ANALYZE testapp_picture")
    return times


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    with triggers_off():
        without = measure(options.rows)
    with_triggers = measure(options.rows)
    print("| Statement | without, ms | with, ms |\n| --- | ---: | ---: |")
    for name, value in without.items():
        print(f"| {name} | {value:,.1f} | {with_triggers[name]:,.1f} |")
    content = drawing.file(1).read()
    item = Picture.objects.create(image=ContentFile(content, name="saved.png"))
    saves: dict[str, Callable[[], object]] = {
        "create": lambda: Picture.objects.create(image=ContentFile(content, name="saved.png")),
        "save, image unchanged": item.save,
        "save(update_fields=…)": lambda: item.save(update_fields=["title"]),
    }
    for name, action in saves.items():
        print(f"{name}: {median_ms(action, 300):.2f} ms")

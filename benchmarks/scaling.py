"""How searches scale: a made-up source of any size, searched exactly and by index, through filters.

Its tables are in a schema of their own, which comes first on the search path of the connection and is dropped at the
end: the tables of the host are never written to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median
from typing import Any
from unittest.mock import patch

import numpy as np
import psycopg
from django.apps.registry import Apps
from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext
from pgvector import Bit
from pgvector.psycopg import register_vector
from psycopg.types.numeric import Int8

from similar_images import plugins, registry
from similar_images.evaluation.report import MarkdownTable
from similar_images.indexing import hnsw, versions
from similar_images.models import IndexedImage, Mark, MethodVersion, Signature, Source
from similar_images.registry import ImageSource
from similar_images.search.matches import Match, similar_to
from similar_images.signatures import storage
from similar_images.signatures.base import Method

SCHEMA = "similar_images_benchmark"
LIMIT = 12
SHARES = (1.0, 0.1, 0.01, 0.001)
"""How much of the source the filters leave."""

CLUSTERED = 400
"""Records to a cluster."""

CHUNK = 2_000
TIMED_EXACTLY = 5
"""Queries by which exact searches are timed, which take long."""

Bar = Callable[..., Iterable[Any]]
"""Shows progress over an iterable, as tqdm does."""


class Item(models.Model):
    """The model of the made-up source, unknown to the host's migrations."""

    image = models.ImageField()
    share = models.FloatField(db_index=True)

    class Meta:
        app_label = SCHEMA
        apps = Apps()

    def __str__(self) -> str:
        return f"Item {self.pk}"


OF_THE_APP = (Source, MethodVersion, IndexedImage, Signature, Mark)
TABLES = ", ".join(model._meta.db_table for model in (*OF_THE_APP, Item))


@dataclass
class Row:
    """What was measured of one kind of search, over all queries; times are medians in milliseconds.

    `there_are` so many matches to be found, and the `fewest` that were. `sql_ms` is the time of sending the very
    statements of a call, BEGIN and COMMIT among them, by a cursor of psycopg's own and fetching all rows; `call_ms` is
    that of the whole call, which puts them together and makes matches of the rows.
    """

    title: str
    records: int
    there_are: int = LIMIT
    fewest: int = LIMIT
    recall: float = 0
    by_index: bool = False
    queries: int = 0
    sql_ms: float = 0
    call_ms: float = 0
    exact_sql_ms: float = 0
    exact_call_ms: float = 0


@dataclass(frozen=True)
class Benchmark:
    records: int
    dimensions: dict[str, int]
    build_s: float
    rows: list[Row]


@dataclass(frozen=True)
class Timed:
    """The times of one search in milliseconds, its number of queries, and whether it went by an index."""

    sql_ms: float
    call_ms: float
    queries: int
    by_index: bool


def run(records: int, queries: int, bar: Bar) -> Benchmark:
    """Make a source of so many records, and measure so many searches of every kind."""
    methods = list(plugins.enabled_methods().values())
    with own_source() as (source, connection):
        fill(source, methods, records, bar)
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM ANALYZE {TABLES}")
        searches = kinds(methods, records)
        items = list(Item._base_manager.order_by("share")[:: records // queries][:queries])
        best = []
        for row, search in searches:
            best.append([exact_scores(item, search) for item in bar(items, desc=f"exactly: {row.title}")])
            timed = [timed_search(connection, item, search) for item in items[:TIMED_EXACTLY]]
            row.exact_sql_ms, row.exact_call_ms = medians(timed)
        build_s = build(connection, source, bar)
        for (row, search), of_row in zip(searches, best, strict=True):
            measure(connection, row, search, bar(items, desc=row.title), of_row)
        dimensions = {method.name: method.dimensions for method in methods}
        return Benchmark(records, dimensions, build_s, [row for row, _search in searches])


Search = Callable[..., list[Match]]


def kinds(methods: Iterable[Method], records: int) -> list[tuple[Row, Search]]:
    """What is measured: without a filter, through filters, and by each method alone."""
    found: list[tuple[Row, Search]] = [(Row("no filter", records), partial(similar_to, fold=False))]
    for share in SHARES:
        objects = Item._base_manager.filter(share__lt=share)
        found.append(
            (Row(f"{100 * share:g}% left", objects.count()), partial(similar_to, queryset=objects, fold=False))
        )
    return found + [
        (Row(f"no filter, `{method.name}` alone", records), partial(similar_to, method=method.name, fold=False))
        for method in methods
    ]


@contextmanager
def own_source() -> Iterator[tuple[ImageSource, BaseDatabaseWrapper]]:
    """The made-up source, in tables like those of the app, and in place of all others, for as long as the block."""
    connection = connections[router.db_for_write(Signature)]
    name = f"{SCHEMA}_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        search_path = f"{name},{cursor.fetchone()[0]}"
        cursor.execute(f'CREATE SCHEMA "{name}"')
    options = connection.settings_dict["OPTIONS"]
    try:
        with connection.cursor() as cursor:
            for model in OF_THE_APP:
                table = model._meta.db_table
                cursor.execute(f'CREATE UNLOGGED TABLE "{name}"."{table}" (LIKE "{table}" INCLUDING ALL)')
        connection.close()  # a connection that is made again must not end up in the tables of the host
        path = "-c search_path=" + search_path.replace(" ", "")
        connection.settings_dict["OPTIONS"] = {**options, "options": f"{options.get('options', '')} {path}"}
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            if cursor.fetchone() != (name,):
                raise RuntimeError("The server does not let a connection choose its search path.")
        with connection.schema_editor() as editor:
            editor.create_model(Item)
        source = ImageSource(Item, "image")
        with patch.dict(registry._sources, {(Item, "image"): source}, clear=True):
            Source.objects.clear_cache()
            Source.objects.create_missing([source])
            versions.register_versions()
            yield source, connection
    finally:
        Source.objects.clear_cache()
        connection.close()
        connection.settings_dict["OPTIONS"] = options
        with connection.cursor() as cursor:
            cursor.execute(f'DROP SCHEMA "{name}" CASCADE')


def fill(source: ImageSource, methods: Sequence[Method], records: int, bar: Bar) -> None:
    """Objects with records and signatures, in clusters as pictures of like things are."""
    rng = np.random.default_rng(1)
    source_id = Source.objects.get_id(source)
    clusters = max(2, records // CLUSTERED)
    makers = [(method, maker(method, clusters, rng)) for method in methods]
    for start in bar(range(0, records, CHUNK), desc="records", unit="chunk"):
        numbers = range(start, min(start + CHUNK, records))
        items = Item._base_manager.bulk_create(Item(image=f"{n}.png", share=rng.random()) for n in numbers)
        images = IndexedImage.objects.bulk_create(
            IndexedImage(
                source_id=source_id, object_id=str(i.pk), object_key=i.pk, file_name=str(i.image), status="indexed"
            )
            for i in items
        )
        for method, make in makers:
            values = (storage.pack(method, make(number % clusters)) for number in numbers)
            copy(source_id, method, zip(images, values, strict=True))


def copy(source_id: int, method: Method, rows: Iterable[tuple[IndexedImage, Any]]) -> None:
    """Write signatures in the binary format of the server, which spares both sides the text.

    By a connection of its own: what is registered with it changes how vectors are read.
    """
    connection = connections[router.db_for_write(Signature)]
    columns = f"record_id, source_id, method, version, low_detail, {storage.column_name(method)}"
    with connection.get_new_connection(connection.get_connection_params()) as own:
        register_vector(own)
        with own.cursor().copy(f"COPY {Signature._meta.db_table} ({columns}) FROM STDIN (FORMAT BINARY)") as target:
            for image, packed in rows:
                value = Bit(packed) if isinstance(packed, str) else packed
                target.write_row((Int8(image.pk), Int8(source_id), method.name, method.version, False, value))


def maker(method: Method, clusters: int, rng: np.random.Generator) -> Callable[[int], Any]:
    """Makes signatures of one cluster or another.

    Dense ones have a cosine of about 0.2 to those of other clusters and 0.8 to those of their own, in some 60
    directions that matter, as those of networks do; bits differ in 1 of 12, sparse ones share 6 in 10 places.
    """
    size = method.dimensions
    if method.storage == "bit":
        bits = rng.random((clusters, size)) < 0.5
        return lambda cluster: bits[cluster] ^ (rng.random(size) < 1 / 12)
    if method.storage == "sparsevec":
        count = min(180, size // 4)
        places = np.array([rng.choice(size, count, replace=False) for _ in range(clusters)])

        def sparse(cluster: int) -> dict[int, float]:
            kept = places[cluster][rng.random(count) < 0.6]
            return dict.fromkeys(map(int, rng.choice(size, count - len(kept))), 0.5) | dict.fromkeys(
                map(int, kept), 0.7
            )

        return sparse
    directions = rng.normal(size=(60, size))
    centers = rng.normal(size=(clusters, 60)) @ directions + 4 * np.abs(rng.normal(size=size))

    def dense(cluster: int) -> Any:
        value = centers[cluster] + rng.normal(size=60) @ directions * 0.5
        return (np.abs(value) if method.metric == "l1" else value) / np.linalg.norm(value)

    return dense


def build(connection: BaseDatabaseWrapper, source: ImageSource, bar: Bar) -> float:
    """Build the indexes with room for all of their graphs; return how many seconds it took."""
    start = time.perf_counter()
    of_source = MethodVersion.objects.filter(source_id=Source.objects.get_id(source))
    count = IndexedImage.objects.count()
    with connection.cursor() as cursor:
        for version in bar(list(of_source), desc="indexes", unit="index"):
            kilobytes = 64 * 1024 + count * (2 * version.dimensions + 1024) // 1024
            cursor.execute(f"SET maintenance_work_mem = '{kilobytes}kB'")
            cursor.execute(hnsw.index_sql(version))
        of_source.update(has_index=True)
        cursor.execute(f"ANALYZE {TABLES}")
    return time.perf_counter() - start


def exact_scores(item: Item, search: Search) -> list[float]:
    """The similarities of the best matches, from many times the candidates; while there is no index."""
    return [match.similarity for match in search(item, limit=20 * LIMIT)[:LIMIT]]


def measure(
    connection: BaseDatabaseWrapper, row: Row, search: Search, items: Iterable[Item], best: Sequence[Sequence[float]]
) -> None:
    """Search by index, and compare to what there is to be found."""
    found, timed = [], []
    for item in items:
        timed.append(timed_search(connection, item, search))
        found.append([match.similarity for match in search(item, limit=LIMIT)])
    row.there_are, row.fewest = min(map(len, best)), min(map(len, found))
    # By similarity: of pictures that are equally like, any is right.
    row.recall = fmean(
        sum(score >= right[-1] for score in some) / len(right) for some, right in zip(found, best, strict=True) if right
    )
    row.by_index = any(one.by_index for one in timed)
    row.queries = max(one.queries for one in timed)
    row.sql_ms, row.call_ms = medians(timed)


def medians(timed: Sequence[Timed]) -> tuple[float, float]:
    return median(one.sql_ms for one in timed), median(one.call_ms for one in timed)


def timed_search(connection: BaseDatabaseWrapper, item: Item, search: Search) -> Timed:
    """Search once to see the statements and to warm the caches, then by the call, then by its statements alone."""
    with CaptureQueriesContext(connection) as captured:
        search(item, limit=LIMIT)
    statements = [query["sql"] for query in captured]
    start = time.perf_counter()
    search(item, limit=LIMIT)
    called = time.perf_counter()
    cursor = psycopg.Cursor(connection.connection)
    for statement in statements:
        send(cursor, statement)
    sent = time.perf_counter()
    plans = [
        send(cursor, f"EXPLAIN {text}" if text.lstrip("(").startswith(("SELECT", "WITH")) else text)
        for text in statements
    ]
    return Timed(
        sql_ms=1000 * (sent - called),
        call_ms=1000 * (called - start),
        queries=len([text for text in statements if text not in ("BEGIN", "COMMIT")]),
        by_index=hnsw.PREFIX in str(plans),
    )


def send(cursor: psycopg.Cursor[Any], statement: str) -> list[Any]:
    cursor.execute(statement.encode())
    return cursor.fetchall() if cursor.description else []


def tables(benchmark: Benchmark) -> str:
    """The results in Markdown."""
    unfiltered = benchmark.rows[0]
    columns = ["search", "records", "matches", "recall@12", "plan", "queries", "SQL, ms", "call, ms", "call : SQL"]
    columns += ["SQL : no filter", "call : no filter", "exact SQL, ms", "exact call, ms"]
    rows = [
        (
            row.title,
            f"{row.records:,}",
            f"{row.fewest} of {row.there_are}",
            f"{row.recall:.3f}",
            "HNSW" if row.by_index else "exact",
            str(row.queries),
            f"{row.sql_ms:.1f}",
            f"{row.call_ms:.1f}",
            f"{row.call_ms / row.sql_ms:.2f}",
            f"{row.sql_ms / unfiltered.sql_ms:.2f}",
            f"{row.call_ms / unfiltered.call_ms:.2f}",
            f"{row.exact_sql_ms:.0f}",
            f"{row.exact_call_ms:.0f}",
        )
        for row in benchmark.rows
    ]
    of = ", ".join(f"{name} of {count:,}" for name, count in benchmark.dimensions.items())
    made = f"{benchmark.records:,} records with signatures by {of} dimensions"
    return str(MarkdownTable(f"{made}; indexes built in {benchmark.build_s:.0f} s", columns, rows))

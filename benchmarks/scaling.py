"""Scaling of searches: a generated source of any size is searched exactly and by index, through filters.

Its tables are in a separate schema, which comes first on the search path of the connection and is dropped at the end:
the tables of the site are never written to.
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
from similar_images.models import IndexedImage, Mark, MethodVersion, PairVerdict, Signature, Source
from similar_images.search import neighbors
from similar_images.search.matches import Match, similar_to
from similar_images.signatures import storage
from similar_images.signatures.base import Method
from similar_images.sources.source import ImageSource

SCHEMA = "similar_images_benchmark"
LIMIT = 12
SHARES = (1.0, 0.1, 0.01, 0.001)
"""Shares of the records that the filters leave."""

CLUSTER_SHARES = (0.1, 0.01)
"""Shares of the clusters that other filters leave, most of them without what is similar to the query."""

CLUSTER_SIZE = 400
"""Records in a cluster."""

INSERTED_AT_ONCE = 2_000
TIMED_EXACT = 5
"""Number of queries to time exact searches with, which are slow."""

Progress = Callable[..., Iterable[Any]]
"""Wraps an iterable to show progress, as tqdm does."""


class Item(models.Model):
    """The model of the generated source, without a migration."""

    image = models.ImageField()
    share = models.FloatField(db_index=True)
    cluster = models.IntegerField(default=0, db_index=True)

    class Meta:
        """A registry of its own hides the model from the site."""

        app_label = SCHEMA
        apps = Apps()

    def __str__(self) -> str:
        """Return a title."""
        return f"Item {self.pk}"


APP_MODELS = (Source, MethodVersion, IndexedImage, Signature, Mark, PairVerdict)
TABLES = ", ".join(model._meta.db_table for model in (*APP_MODELS, Item))


@dataclass
class SearchFigures:
    """Measurements of one kind of search, over all queries; times are medians in milliseconds.

    `there_are`: minimum number of matches that exist; `fewest`: that were found. `sql_ms`: time to send the statements
    of a call, BEGIN and COMMIT included, by a plain psycopg cursor, and to fetch all rows; `call_ms`: time of the whole
    call, which composes the statements and makes matches of the rows.
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
    """The results; `dimensions` by method, `build_s`: seconds to build the indexes."""

    records: int
    dimensions: dict[str, int]
    build_s: float
    rows: list[SearchFigures]


@dataclass(frozen=True)
class Timing:
    """Times of one search in milliseconds, its number of queries, and whether it used an index."""

    sql_ms: float
    call_ms: float
    queries: int
    by_index: bool


def run(records: int, queries: int, progress: Progress) -> Benchmark:
    """Generate a source with so many records, and measure so many searches of every kind."""
    methods = list(plugins.enabled_methods().values())
    with temporary_source() as (source, connection):
        generate_records(source, methods, records, progress)
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM ANALYZE {TABLES}")
        searches = search_kinds(methods, records)
        items = list(Item._base_manager.order_by("share")[:: records // queries][:queries])
        best = []
        for row, search in searches:
            best.append([exact_scores(item, search) for item in progress(items, desc=f"exactly: {row.title}")])
            timings = [time_search(connection, item, search) for item in items[:TIMED_EXACT]]
            row.exact_sql_ms, row.exact_call_ms = median_times(timings)
        build_s = build_indexes(connection, source, progress)
        for (row, search), exact in zip(searches, best, strict=True):
            measure_indexed(connection, row, search, progress(items, desc=row.title), exact)
        dimensions = {method.name: method.dimensions for method in methods}
        return Benchmark(records, dimensions, build_s, [row for row, _search in searches])


Search = Callable[..., list[Match]]


def search_kinds(methods: Iterable[Method], records: int) -> list[tuple[SearchFigures, Search]]:
    """Return the kinds of searches: without a filter, through filters, and by each method alone."""
    searches: list[tuple[SearchFigures, Search]] = [
        (SearchFigures("no filter", records), partial(similar_to, fold=False))
    ]
    for share in SHARES:
        objects = Item._base_manager.filter(share__lt=share)
        searches.append(
            (
                SearchFigures(f"{100 * share:g}% left", objects.count()),
                partial(similar_to, queryset=objects, fold=False),
            )
        )
    clusters = cluster_count(records)
    for share in CLUSTER_SHARES:
        objects = Item._base_manager.filter(cluster__lt=share * clusters)
        title = f"{100 * share:g}% left, whole clusters"
        searches.append((SearchFigures(title, objects.count()), partial(similar_to, queryset=objects, fold=False)))
    return searches + [
        (
            SearchFigures(f"no filter, `{method.name}` alone", records),
            partial(similar_to, method=method.name, fold=False),
        )
        for method in methods
    ]


@contextmanager
def temporary_source() -> Iterator[tuple[ImageSource, BaseDatabaseWrapper]]:
    """Provide the generated source in copies of the app's tables, instead of all other sources, for the block."""
    connection = connections[router.db_for_write(Signature)]
    name = f"{SCHEMA}_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        search_path = f"{name},{cursor.fetchone()[0]}"
        cursor.execute(f'CREATE SCHEMA "{name}"')
    options = connection.settings_dict["OPTIONS"]
    try:
        with connection.cursor() as cursor:
            for model in APP_MODELS:
                table = model._meta.db_table
                cursor.execute(f'CREATE UNLOGGED TABLE "{name}"."{table}" (LIKE "{table}" INCLUDING ALL)')
        connection.close()  # a new connection must not use the tables of the site either
        path = "-c search_path=" + search_path.replace(" ", "")
        connection.settings_dict["OPTIONS"] = {**options, "options": f"{options.get('options', '')} {path}"}
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            if cursor.fetchone() != (name,):
                raise RuntimeError("The server does not let a connection choose its search path.")
        with connection.schema_editor() as editor:
            editor.create_model(Item)
        source = ImageSource(Item, "image")
        registered = patch.dict(registry._sources, {(Item, "image"): source}, clear=True)
        with registered, patch.object(neighbors, "MAX_ROWS", 0):  # each search is one, and nothing is remembered
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


def generate_records(source: ImageSource, methods: Sequence[Method], records: int, progress: Progress) -> None:
    """Generate objects with records and signatures, in clusters like images of similar objects."""
    rng = np.random.default_rng(1)
    source_id = Source.objects.get_id(source)
    clusters = cluster_count(records)
    generators = [(method, value_generator(method, clusters, rng)) for method in methods]
    for start in progress(range(0, records, INSERTED_AT_ONCE), desc="records", unit="chunk"):
        numbers = range(start, min(start + INSERTED_AT_ONCE, records))
        items = Item._base_manager.bulk_create(
            Item(image=f"{n}.png", share=rng.random(), cluster=n % clusters) for n in numbers
        )
        images = IndexedImage.objects.bulk_create(
            IndexedImage(
                source_id=source_id, object_id=str(i.pk), object_key=i.pk, file_name=str(i.image), status="indexed"
            )
            for i in items
        )
        for method, make in generators:
            values = (storage.pack(method, make(number % clusters)) for number in numbers)
            copy_signatures(source_id, method, zip(images, values, strict=True))


def cluster_count(records: int) -> int:
    """Return the number of clusters of so many records."""
    return max(2, records // CLUSTER_SIZE)


def copy_signatures(source_id: int, method: Method, rows: Iterable[tuple[IndexedImage, Any]]) -> None:
    """Write signatures in the binary format of COPY, which avoids the conversion to text.

    Uses a separate connection, as the registered types change how vectors are read.
    """
    connection = connections[router.db_for_write(Signature)]
    columns = f"record_id, source_id, method, version, low_detail, {storage.column_name(method)}"
    with connection.get_new_connection(connection.get_connection_params()) as separate:
        register_vector(separate)
        with separate.cursor().copy(
            f"COPY {Signature._meta.db_table} ({columns}) FROM STDIN (FORMAT BINARY)"
        ) as target:
            for image, packed in rows:
                value = Bit(packed) if isinstance(packed, str) else packed
                target.write_row((Int8(image.pk), Int8(source_id), method.name, method.version, False, value))


def value_generator(method: Method, clusters: int, rng: np.random.Generator) -> Callable[[int], Any]:
    """Return a function that generates signatures of a cluster.

    Dense ones have a cosine of about 0.2 to those of other clusters and 0.8 to those of their own, in about 60
    directions, like embeddings; bits differ in 1 of 12, sparse ones share 6 of 10 dimensions.
    """
    size = method.dimensions
    if method.storage == "bit":
        bits = rng.random((clusters, size)) < 0.5
        return lambda cluster: bits[cluster] ^ (rng.random(size) < 1 / 12)
    if method.storage == "sparsevec":
        count = min(180, size // 4)
        dimensions_of_cluster = np.array([rng.choice(size, count, replace=False) for _ in range(clusters)])

        def sparse(cluster: int) -> dict[int, float]:
            kept = dimensions_of_cluster[cluster][rng.random(count) < 0.6]
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


def build_indexes(connection: BaseDatabaseWrapper, source: ImageSource, progress: Progress) -> float:
    """Build the indexes, with memory for their whole graphs; return how many seconds it took."""
    start = time.perf_counter()
    method_versions = MethodVersion.objects.filter(
        source_id=Source.objects.get_id(source), name__in=plugins.enabled_methods()
    )
    count = IndexedImage.objects.count()
    with connection.cursor() as cursor:
        for version in progress(list(method_versions), desc="indexes", unit="index"):
            kilobytes = 64 * 1024 + count * (2 * version.dimensions + 1024) // 1024
            cursor.execute(f"SET maintenance_work_mem = '{kilobytes}kB'")
            cursor.execute(hnsw.index_sql(version))
        method_versions.update(has_index=True)
        cursor.execute(f"ANALYZE {TABLES}")
    return time.perf_counter() - start


def exact_scores(item: Item, search: Search) -> list[float]:
    """Return the similarities of the best matches, from many times the candidates, before there is an index."""
    return [match.similarity for match in search(item, limit=20 * LIMIT)[:LIMIT]]


def measure_indexed(
    connection: BaseDatabaseWrapper,
    row: SearchFigures,
    search: Search,
    items: Iterable[Item],
    best: Sequence[Sequence[float]],
) -> None:
    """Search by index, and compare the matches with those of the exact search."""
    found, timings = [], []
    for item in items:
        timings.append(time_search(connection, item, search))
        found.append([match.similarity for match in search(item, limit=LIMIT)])
    row.there_are, row.fewest = min(map(len, best)), min(map(len, found))
    # Compared by similarity: of equally similar images, any is right.
    row.recall = fmean(
        sum(score >= right[-1] for score in some) / len(right) for some, right in zip(found, best, strict=True) if right
    )
    row.by_index = any(timing.by_index for timing in timings)
    row.queries = max(timing.queries for timing in timings)
    row.sql_ms, row.call_ms = median_times(timings)


def median_times(timings: Sequence[Timing]) -> tuple[float, float]:
    """Return the median times of the SQL and of the calls, in milliseconds."""
    return median(timing.sql_ms for timing in timings), median(timing.call_ms for timing in timings)


def time_search(connection: BaseDatabaseWrapper, item: Item, search: Search) -> Timing:
    """Search once to capture the statements and warm the caches, then time the call, then its statements alone."""
    with CaptureQueriesContext(connection) as captured:
        search(item, limit=LIMIT)
    statements = [query["sql"] for query in captured]
    start = time.perf_counter()
    search(item, limit=LIMIT)
    called = time.perf_counter()
    cursor = psycopg.Cursor(connection.connection)
    for statement in statements:
        send_statement(cursor, statement)
    sent = time.perf_counter()
    plans = [
        send_statement(cursor, f"EXPLAIN {text}" if text.lstrip("(").startswith(("SELECT", "WITH")) else text)
        for text in statements
    ]
    return Timing(
        sql_ms=1000 * (sent - called),
        call_ms=1000 * (called - start),
        queries=len([text for text in statements if text not in ("BEGIN", "COMMIT")]),
        by_index=hnsw.PREFIX in str(plans),
    )


def send_statement(cursor: psycopg.Cursor[Any], statement: str) -> list[Any]:
    cursor.execute(statement.encode())
    return cursor.fetchall() if cursor.description else []


def tables(benchmark: Benchmark) -> str:
    """Return the results as a table in Markdown."""
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
    sizes = ", ".join(f"{name} of {count:,}" for name, count in benchmark.dimensions.items())
    title = f"{benchmark.records:,} records with signatures by {sizes} dimensions"
    return str(MarkdownTable(f"{title}; indexes built in {benchmark.build_s:.0f} s", columns, rows))

"""The SQL of a search, written by hand: the ORM takes longer to compose it than Postgres to answer it.

A statement is made of numbers and of the names of tables and columns; whatever callers say goes by parameters, and the
names of versions are quoted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Self

from django.db import connections, models, router, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Expression
from django.db.models.functions import Cast

from ..models import IndexedImage, Mark, ReindexRequest, Signature
from ..signatures import storage
from ..signatures.base import VectorSpec
from ..sources.source import ImageSource

SIGNATURES = Signature._meta.db_table
MARKS, RECORDS, REINDEX_REQUESTS = (model._meta.db_table for model in (Mark, IndexedImage, ReindexRequest))

Statement = tuple[str, list[Any]]
"""SQL and its parameters."""

NO_HITS: Mapping[int, Sequence[int]] = MappingProxyType({})

GENERATION = f"""
CASE WHEN pg_current_xact_id_if_assigned() IS NULL AND NOT pg_is_in_recovery() THEN
    concat_ws(' ', pg_relation_filepath('{SIGNATURES}'), (SELECT max(id) FROM {SIGNATURES}))
END
"""
"""A text that changes when signatures are added; NULL where that can't be told.

That is the case in a transaction that has written itself, and on a replica, where `is_settled` knows nothing. The file
of the table is another one after TRUNCATE, which may have ids begin again, and in each database.
"""

SCAN_SETTINGS = {
    "hnsw.iterative_scan": "relaxed_order",  # strict_order drops rows found out of order, which lowers recall
    "hnsw.ef_search": "100",
    "random_page_cost": "1.1",  # by default the planner would rather read all records than look up some thousand
    "max_parallel_workers_per_gather": "0",  # starting a process takes longer than most searches
    "jit": "off",  # of tables that are not analyzed yet, the estimate is high enough for it to compile for 0.2 seconds
}
"""Settings of Postgres and pgvector for a search; a transaction-level pooler allows them in a transaction only."""


class VectorOperand(Protocol):
    """A value to compute distances from: that of a stored signature, or a literal where there is no record id."""

    @property
    def spec(self) -> VectorSpec:
        """The version that the value is of."""

    @property
    def record_id(self) -> int:
        """Id of the record whose signature it is; 0 for a literal."""

    @property
    def literal(self) -> str:
        """The value as Postgres reads it."""


class KnnRow(NamedTuple):
    """A record with its distances to the operands of a statement.

    `found_by` has the indexes of the operands that put the record forward; `distances` one value an operand, None where
    the record has no signature of its version. `width` and `height` are those of the image in pixels, `sha256` is the
    hash of its file.
    """

    record_id: int
    object_id: str
    file_name: str
    found_by: Sequence[int]
    distances: Sequence[float | None]
    width: int | None = None
    height: int | None = None
    sha256: str = ""


class KnnRows(list[KnnRow]):
    """Rows of a statement; `is_complete` is False where the search was cut short, so that there may be others."""

    is_complete = True


class _Fragments(NamedTuple):
    """SQL of one version of a method in one source.

    `condition` is that on its signatures, `distance` has a placeholder {} for the operand, `column` holds the values,
    and `literal` is a parameter of pgvector's type.
    """

    condition: str
    distance: str
    column: str
    literal: str


@contextmanager
def search_cursor() -> Iterator[CursorWrapper]:
    """Open a cursor in a transaction whose index scans go on until enough rows have passed all filters.

    Within a transaction of the caller's, the settings hold up to a savepoint only, to which it is rolled back: a search
    writes nothing, and one that fails, such as by a timeout of statements, leaves that transaction usable.
    """
    alias = router.db_for_read(Signature)
    settings = ", ".join("set_config(%s, %s, true)" for _name in SCAN_SETTINGS)
    is_nested = not connections[alias].get_autocommit()
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {settings}", [text for setting in SCAN_SETTINGS.items() for text in setting])
        yield cursor
        if is_nested:
            transaction.set_rollback(True, using=alias)


def is_settled(cursor: CursorWrapper) -> bool:
    """Tell whether what is read from now on has all signatures with ids up to the `GENERATION` that was read before.

    Not while a transaction runs that writes some, whose ids may be smaller than others': it holds a lock from before it
    takes an id until it ends. Nor in a transaction that sees no more than it saw at first.
    """
    cursor.execute(
        "SELECT current_setting('transaction_isolation') = 'read committed' AND NOT EXISTS ("
        f"SELECT 1 FROM pg_locks WHERE relation = '{SIGNATURES}'::regclass "
        "AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
    return bool(cursor.fetchone()[0])


def read_rows(rows: Sequence[Sequence[Any]]) -> KnnRows:
    """Return the rows of `knn_sql` or `distances_sql`."""
    return KnnRows(
        [
            KnnRow(record_id, object_id, file_name, found_by, distances, width, height, sha256)
            for record_id, object_id, file_name, width, height, sha256, found_by, *distances in rows
        ]
    )


def knn_sql(
    source_id: int,
    operands: Sequence[VectorOperand],
    records: models.QuerySet[IndexedImage],
    pool_sizes: Mapping[str, int],
    exact_methods: Collection[str] = (),
    *,
    gathers: bool = False,
    hits: Mapping[int, Sequence[int]] = NO_HITS,
) -> Statement:
    """Select the records nearest to any operand, with their distances to all of them, as rows of `KnnRow`.

    Args:
        source_id: id of the source.
        operands: query vectors.
        records: the records that may come back.
        pool_sizes: number of candidates by method.
        exact_methods: methods that must be scanned exactly: adding 0 to the distance keeps the planner from using
            HNSW, and the record id breaks ties.
        gathers: whether the records are looked up before all else, once for all methods: if they are few.
        hits: ids of records near to operands, by index, the nearest first, where a search backend has found them.

    Raises:
        EmptyResultSet: `records` can hold nothing.
    """
    allowed, allowed_parameters = subquery(records)
    query, query_parameters = _query_cte(source_id, operands)
    searches, distances = [], []
    # What was looked up is joined in its order, which is mostly that of the signatures in their index and table.
    is_allowed = "record_id = allowed.id" if gathers else "record_id IN (SELECT id FROM allowed)"
    for index, operand in enumerate(operands):
        name = operand.spec.name
        distance, of_version = _distance_and_from(source_id, index, operand.spec)
        order = f"{distance} + 0, record_id" if name in exact_methods else distance
        among = of_version.replace(" WHERE ", ", allowed WHERE ", 1) if gathers else of_version
        if index in hits:
            searches.append(
                f"(SELECT hit.id AS record_id, {index} AS operand "
                f"FROM unnest('{{{','.join(map(str, hits[index]))}}}'::bigint[]) WITH ORDINALITY AS hit (id, rank) "
                f"WHERE hit.id IN (SELECT id FROM allowed) AND EXISTS (SELECT 1 {of_version} AND record_id = hit.id) "
                f"ORDER BY rank LIMIT {pool_sizes[name]})"
            )
        elif pool_sizes[name]:
            searches.append(
                f"(SELECT record_id, {index} AS operand {among} AND {is_allowed} "
                f"ORDER BY {order} LIMIT {pool_sizes[name]})"
            )
        distances.append(f"(SELECT {distance} {of_version} AND record_id = record.id)")
    sql = (
        f"WITH {query}, allowed (id) AS {'' if gathers else 'NOT '}MATERIALIZED ({allowed}), "
        f"nearest AS ({' UNION ALL '.join(searches)}), "
        "found AS (SELECT record_id, array_agg(operand) AS operands FROM nearest GROUP BY record_id) "
        f"SELECT record.id, object_id, file_name, width, height, sha256, operands, {', '.join(distances)} "
        f"FROM found JOIN {RECORDS} record ON record.id = record_id"
    )
    return sql, [*query_parameters, *allowed_parameters]


def estimate_sql(source_id: int, records: models.QuerySet[IndexedImage]) -> Statement:
    """Ask the planner for its plan of selecting these records ("allowed"), and those of a source ("every"), in JSON.

    Raises:
        EmptyResultSet: `records` can hold nothing.
    """
    allowed, parameters = subquery(records)
    sql = (
        f"EXPLAIN (FORMAT JSON) WITH allowed AS MATERIALIZED ({allowed}), "
        f"every AS MATERIALIZED (SELECT id FROM {RECORDS} WHERE source_id = %s) SELECT 1 FROM allowed, every"
    )
    return sql, [*parameters, source_id]


def probe_sql(source_id: int, operand: VectorOperand, records: models.QuerySet[IndexedImage], count: int) -> Statement:
    """Count these records among the so many that are nearest to an operand in a source.

    Raises:
        EmptyResultSet: `records` can hold nothing.
    """
    allowed, allowed_parameters = subquery(records)
    query, query_parameters = _query_cte(source_id, [operand])
    distance, of_version = _distance_and_from(source_id, 0, operand.spec)
    sql = (
        f"WITH {query}, nearest AS MATERIALIZED (SELECT record_id {of_version} ORDER BY {distance} LIMIT {count}) "
        f"SELECT count(*) FROM nearest WHERE record_id IN ({allowed})"
    )
    return sql, [*query_parameters, *allowed_parameters]


def distances_sql(
    source_id: int, operands: Sequence[VectorOperand], records: models.QuerySet[IndexedImage]
) -> Statement:
    """Select all these records with their distances to the operands, as rows of `KnnRow`, in no order.

    Raises:
        EmptyResultSet: `records` can hold nothing.
    """
    allowed, allowed_parameters = subquery(records)
    query, query_parameters = _query_cte(source_id, operands)
    columns = []
    for index, operand in enumerate(operands):
        distance, of_version = _distance_and_from(source_id, index, operand.spec)
        columns.append(f"(SELECT {distance} {of_version} AND record_id = record.id)")
    sql = (
        f"WITH {query} SELECT record.id, object_id, file_name, width, height, sha256, '{{}}'::integer[], "
        f"{', '.join(columns)} "
        f"FROM {RECORDS} record WHERE record.id IN ({allowed})"
    )
    return sql, [*query_parameters, *allowed_parameters]


def pairs_sql(
    source_id: int, specs: Sequence[VectorSpec], record_ids: Sequence[int], max_distances: Sequence[float] | None = None
) -> Statement:
    """Select the pairs among these records with their distances by each version.

    Each row: two record ids, the smaller first; whether they are marked as not alike; and a distance a version, NULL
    where it did not describe both, and in the rows of marks. With `max_distances`, one a version, only pairs within
    all of them.
    """
    sql = _cached_pairs_sql(source_id, tuple(_spec_key(spec) for spec in specs), max_distances is not None)
    ids = list(record_ids)
    return sql, [ids, *(max_distances or ()), source_id, ids, ids]


def pair_distances_sql(source_id: int, specs: Sequence[VectorSpec], pairs: Sequence[tuple[int, int]]) -> Statement:
    """Select the distances of these pairs of record ids by each version, NULL where it did not describe both.

    Each row: the two record ids as given, and a distance a version.
    """
    described, distances = _described_cte(source_id, [_spec_key(spec) for spec in specs])
    ids = sorted({record_id for pair in pairs for record_id in pair})
    sql = (
        f"WITH {described} SELECT a.picture, b.picture, {', '.join(distances)} "
        "FROM unnest(%s::bigint[], %s::bigint[]) AS pair (first, second) "
        "JOIN described a ON a.picture = first JOIN described b ON b.picture = second"
    )
    return sql, [ids, [a for a, _b in pairs], [b for _a, b in pairs]]


def neighbors_sql(
    source_id: int, spec: VectorSpec, record_ids: Sequence[int], count: int, among: Sequence[int] | None = None
) -> Statement:
    """Select the nearest records to each of these by a version, in one scan a record, itself among them.

    Each row: the record id, a neighbor's, and their distance. A record that the version did not describe has no row.

    Args:
        source_id: id of the source.
        spec: the version.
        record_ids: records whose neighbors are looked for.
        count: number of neighbors of each.
        among: ids of the records that may be neighbors, which are compared exactly, ties broken by record id; by
            default, all of them, by the approximate index where there is one.
    """
    fragments = _cached_fragments(source_id, _spec_key(spec))
    value = storage.cast_sql(spec, fragments.column)
    of_version = f"FROM {SIGNATURES} WHERE {fragments.condition} AND NOT low_detail"
    item = f"item AS MATERIALIZED (SELECT record_id, {value} AS value {of_version} AND record_id = ANY(%s))"
    parameters: list[Any] = [list(record_ids)]
    if among is None:
        ctes, distance = item, fragments.distance.format("item.value")
        nearest = f"SELECT record_id, {distance} AS distance {of_version} ORDER BY {distance} LIMIT {count}"
    else:
        # Values are made ready once for all records, not for each again.
        ctes = (
            f"{item}, other AS MATERIALIZED (SELECT record_id, {value} AS value {of_version} AND record_id = ANY(%s))"
        )
        parameters.append(list(among))
        distance = storage.distance_sql(spec, "other.value", "item.value")
        nearest = f"SELECT record_id, {distance} AS distance FROM other ORDER BY distance, record_id LIMIT {count}"
    sql = (
        f"WITH {ctes} SELECT item.record_id, near.record_id, near.distance "
        f"FROM item CROSS JOIN LATERAL ({nearest}) AS near"
    )
    return sql, parameters


def union_sql(statements: Sequence[Statement], columns: Sequence[int]) -> Statement:
    """Select the rows of several statements, each row with the index of its statement before it.

    Args:
        statements: the statements.
        columns: the number of columns of each; where one has fewer than another, numbers that are NULL follow.
    """
    widest = max(columns)
    parts = []
    for index, ((sql, _parameters), count) in enumerate(zip(statements, columns, strict=True)):
        padding = ", NULL::double precision" * (widest - count)
        parts.append(f"SELECT {index}, part.*{padding} FROM ({sql}) AS part")
    return " UNION ALL ".join(parts), [value for _sql, parameters in statements for value in parameters]


def subquery(records: models.QuerySet[IndexedImage]) -> Statement:
    """Return the statement that selects the ids of records.

    Raises:
        EmptyResultSet: there can be no such records.
    """
    sql, parameters = records.values("pk").query.get_compiler(router.db_for_read(Signature)).as_sql()
    return sql, list(parameters)


class RecordCondition(Expression):
    """A condition on records in SQL, which the ORM takes as it is: filter by filter, it takes longer to compose.

    `{record}` stands for the table of the records.
    """

    conditional = True
    output_field: Any = models.BooleanField()

    def __init__(self, template: str, parameters: Sequence[Any]) -> None:
        super().__init__()
        self.template = template
        self.parameters = list(parameters)
        self.alias = RECORDS

    def also(self, other: RecordCondition) -> RecordCondition:
        """Return the condition that both hold."""
        return RecordCondition(f"{self.template} AND {other.template}", [*self.parameters, *other.parameters])

    def on(self, table: str) -> str:
        """Return the SQL of the condition on a table, or on an alias of it."""
        return f"({self.template.format(record=table)})"

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """Return the SQL and its parameters."""
        return self.on(connection.ops.quote_name(self.alias)), self.parameters

    def resolve_expression(self, *args: Any, **kwargs: Any) -> Self:
        """Return itself: no name is left to look up."""
        return self

    def relabeled_clone(self, change_map: Mapping[str, str]) -> Self:
        """Return the condition on the table under another alias."""
        clone = copy(self)
        clone.alias = change_map.get(self.alias, self.alias)
        return clone


def searchable_condition(
    source_id: int, excluded: Collection[str] = (), queried: Collection[str] = ()
) -> RecordCondition:
    """Return the condition on records that they may come back, whoever may see their objects.

    Args:
        source_id: id of the source.
        excluded: ids of objects that must not come back.
        queried: ids of objects that are searched by; those marked as not alike with one stay out.
    """
    condition = RecordCondition("{record}.source_id = %s", [source_id]).also(unrequested_condition(source_id))
    if excluded:
        condition = condition.also(RecordCondition("{record}.object_id <> ALL(%s)", [list(excluded)]))
    return condition.also(unmarked_condition(source_id, queried)) if queried else condition


def file_condition(files: Mapping[str, str]) -> RecordCondition:
    """Return the condition on records that they are of these files, by object id."""
    pairs = "SELECT * FROM unnest(%s::text[], %s::text[])"
    template = f"({{record}}.object_id, {{record}}.file_name) IN ({pairs})"
    return RecordCondition(template, [list(files), [*files.values()]])


def id_condition(record_ids: Iterable[int]) -> RecordCondition:
    """Return the condition on records that they have one of these ids, written as Postgres reads an array."""
    return RecordCondition("{record}.id = ANY(%s::bigint[])", [f"{{{','.join(map(str, record_ids))}}}"])


def objects_condition(source: ImageSource, *querysets: models.QuerySet[Any]) -> RecordCondition:
    """Return the condition on records that their objects are in all of these querysets of the source's model.

    It is that of `IndexedImageQuerySet.for_objects`.

    Raises:
        EmptyResultSet: one can hold nothing.
    """
    column = "object_key" if source.has_integer_key else "object_id"
    alias = router.db_for_read(Signature)
    templates, parameters = [], []
    for objects in map(source.as_filterable, querysets):
        key = "pk" if source.has_integer_key else Cast("pk", models.CharField())
        query = objects.using(None).order_by().values_list(key).query
        sql, own = query.get_compiler(alias).as_sql()
        templates.append(f"{{record}}.{column} IN ({sql.replace('{', '{{').replace('}', '}}')})")
        parameters += own
    return RecordCondition(" AND ".join(templates) or "true", parameters)


def unmarked_condition(source_id: int, object_ids: Collection[str]) -> RecordCondition:
    """Return the condition on records that their objects are not marked as not alike with any of these."""
    of_source = f"FROM {MARKS} WHERE source_id = %s AND NOT is_alike"
    marked = (
        f"SELECT second_id {of_source} AND first_id = ANY(%s) UNION ALL "
        f"SELECT first_id {of_source} AND second_id = ANY(%s)"
    )
    return _not_among("object_id", marked, [source_id, list(object_ids)] * 2)


def unrequested_condition(source_id: int) -> RecordCondition:
    """Return the condition on records that no request to look at their files anew waits: they may be out of date."""
    objects = f"SELECT object_id FROM {REINDEX_REQUESTS} WHERE source_id = %s"
    files = f"SELECT file_name FROM {REINDEX_REQUESTS} WHERE file_name <> ''"
    return _not_among("object_id", objects, [source_id]).also(_not_among("file_name", files, []))


def _not_among(column: str, texts: str, parameters: list[Any]) -> RecordCondition:
    """Return the condition on records that a column is not among the texts of a statement.

    They are made the keys of a JSON object, in which one is found without looking at all. Of NOT IN, Postgres assumes
    that it leaves out half of all records, and uses no index for the rest; of an array, it looks at every element.
    """
    keys = f"coalesce((SELECT jsonb_object_agg(text, 1) FROM ({texts}) AS found (text)), '{{{{}}}}')"
    return RecordCondition(f"NOT ({keys} ? {{record}}.{column})", parameters)


def _query_cte(source_id: int, operands: Sequence[VectorOperand]) -> Statement:
    columns, parameters = [], []
    for index, operand in enumerate(operands):
        spec, fragments = operand.spec, _cached_fragments(source_id, _spec_key(operand.spec))
        if operand.record_id:
            value = (
                f"(SELECT {fragments.column} FROM {SIGNATURES} WHERE record_id = %s AND method = %s AND version = %s)"
            )
            parameters += [operand.record_id, spec.name, spec.version]
        else:
            value = fragments.literal
            parameters += [operand.literal]
        columns.append(f"{value} AS value_{index}")
    return f"query AS MATERIALIZED (SELECT {', '.join(columns)})", parameters


def _distance_and_from(source_id: int, index: int, spec: VectorSpec) -> tuple[str, str]:
    fragments = _cached_fragments(source_id, _spec_key(spec))
    return (
        fragments.distance.format(f"(SELECT value_{index} FROM query)"),
        f"FROM {SIGNATURES} WHERE {fragments.condition} AND NOT low_detail",
    )


class _SpecKey(NamedTuple):
    """The parts of a `MethodSpec` that statements depend on, as a key of a cache."""

    name: str
    version: str
    storage: str
    metric: str
    dimensions: int


def _spec_key(spec: VectorSpec) -> _SpecKey:
    return _SpecKey(spec.name, spec.version, spec.storage, spec.metric, spec.dimensions)


@lru_cache(maxsize=256)
def _cached_fragments(source_id: int, spec: _SpecKey) -> _Fragments:
    condition = _version_condition(source_id, spec).replace("%", "%%")
    column = storage.column_name(spec)
    return _Fragments(condition, storage.distance_sql(spec, column, "{}"), column, storage.cast_sql(spec, "%s"))


@lru_cache(maxsize=256)
def _cached_pairs_sql(source_id: int, specs: tuple[_SpecKey, ...], is_bounded: bool) -> str:
    described, distances = _described_cte(source_id, specs)
    near = "".join(f" AND ({distance} <= %s) IS NOT FALSE" for distance in distances) if is_bounded else ""
    return (
        f"WITH {described} SELECT a.picture, b.picture, false, {', '.join(distances)} "
        f"FROM described a JOIN described b ON a.picture < b.picture{near} "
        f"UNION ALL SELECT a.id, b.id, true, {', '.join(['NULL'] * len(specs))} FROM {MARKS} mark "
        f"JOIN {RECORDS} a ON a.source_id = mark.source_id AND a.object_id = first_id "
        f"JOIN {RECORDS} b ON b.source_id = mark.source_id AND b.object_id = second_id "
        "WHERE mark.source_id = %s AND NOT is_alike AND a.id = ANY(%s) AND b.id = ANY(%s)"
    )


def _described_cte(source_id: int, specs: Sequence[VectorSpec]) -> tuple[str, list[str]]:
    """Return the values of records by each version, and the distances of two of its rows, a and b."""
    values, distances = [], []
    for index, spec in enumerate(specs):
        condition = _cached_fragments(source_id, _spec_key(spec)).condition
        column = storage.cast_sql(spec, storage.column_name(spec))
        values.append(
            f"(SELECT {column} FROM {SIGNATURES} WHERE {condition} AND NOT low_detail AND record_id = picture) "
            f"AS value_{index}"
        )
        distances.append(storage.distance_sql(spec, f"a.value_{index}", f"b.value_{index}"))
    picture = f"SELECT picture, {', '.join(values)} FROM unnest(%s::bigint[]) AS picture"
    return f"described AS MATERIALIZED ({picture})", distances


def _version_condition(source_id: int, spec: VectorSpec) -> str:
    """Return the condition on the signatures of a version, with literals.

    Postgres uses a partial index only where its predicate is implied at planning time; under a generic plan, a
    parameter would never imply it.
    """
    name, version = (text.replace("'", "''") for text in (spec.name, spec.version))
    return f"source_id = {source_id} AND method = '{name}' AND version = '{version}'"

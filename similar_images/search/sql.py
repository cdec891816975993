"""The SQL of a search, written by hand: the ORM takes longer to put it together than Postgres to answer it.

A statement is made of numbers and the names of tables and columns; all that callers say goes by parameters, and the
names of versions are quoted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import models, router

from ..indexing import hnsw
from ..models import IndexedImage, Mark, MethodVersion, Signature
from ..signatures import storage
from ..signatures.base import MethodSpec

if TYPE_CHECKING:
    from .query_vectors import QueryVector

MARKS, RECORDS, SIGNATURES, VERSIONS = (
    model._meta.db_table for model in (Mark, IndexedImage, Signature, MethodVersion)
)

Statement = tuple[str, list[Any]]
"""SQL and its parameters."""


def versions_sql(record: models.QuerySet[IndexedImage], names: Iterable[str]) -> Statement:
    """The versions of these methods that described a record, and as `record_id` the record; the serving ones last.

    Raises:
        EmptyResultSet: there can't be such a record.
    """
    own, of_own = _ids(record)
    sql = (
        f"SELECT version.*, record_id FROM {VERSIONS} version JOIN {SIGNATURES} signature "
        "ON version.source_id = signature.source_id AND name = method AND version.version = signature.version "
        f"WHERE name = ANY(%s) AND NOT low_detail AND record_id = ({own}) ORDER BY is_active"
    )
    return sql, [list(names), *of_own]


def knn_sql(
    source_id: int,
    operands: Sequence[QueryVector],
    records: models.QuerySet[IndexedImage],
    pools: Mapping[str, int],
    exactly: Collection[str] = (),
) -> Statement:
    """The records that are nearest by any operand, with their distances by all of them.

    Each row: record id, object id, file name, the numbers of the operands that put it forward, and a distance by each
    operand. `pools`: how many a method puts forward. `exactly`: methods that shall use no approximate index; of what is
    equally near by these, the oldest records come first.

    Raises:
        EmptyResultSet: there can be no such records.
    """
    allowed, of_allowed = _ids(records)
    query, of_query = _query(operands)
    searches, distances = [], []
    for number, operand in enumerate(operands):
        form = operand.form
        distance, of_version = _distance(source_id, number, operand)
        order = f"{distance} + 0, record_id" if form.name in exactly else distance  # no index is on a sum
        searches.append(
            f"(SELECT record_id, {number} AS operand {of_version} AND record_id IN (SELECT id FROM allowed) "
            f"ORDER BY {order} LIMIT {pools[form.name]})"
        )
        distances.append(f"(SELECT {distance} {of_version} AND record_id = record.id)")
    sql = (
        f"WITH {query}, allowed (id) AS NOT MATERIALIZED ({allowed}), "
        f"nearest AS ({' UNION ALL '.join(searches)}), "
        "found AS (SELECT record_id, array_agg(operand) AS operands FROM nearest GROUP BY record_id) "
        f"SELECT record.id, object_id, file_name, operands, {', '.join(distances)} "
        f"FROM found JOIN {RECORDS} record ON record.id = record_id"
    )
    return sql, [*of_query, *of_allowed]


def distances_sql(source_id: int, operands: Sequence[QueryVector], records: models.QuerySet[IndexedImage]) -> Statement:
    """Rows as of `nearest`, but of all these records, in no order and put forward by none.

    Raises:
        EmptyResultSet: there can be no such records.
    """
    allowed, of_allowed = _ids(records)
    query, of_query = _query(operands)
    by_each = []
    for number, operand in enumerate(operands):
        distance, of_version = _distance(source_id, number, operand)
        by_each.append(f"(SELECT {distance} {of_version} AND record_id = record.id)")
    sql = (
        f"WITH {query} SELECT record.id, object_id, file_name, '{{}}'::integer[], {', '.join(by_each)} "
        f"FROM {RECORDS} record WHERE record.id IN ({allowed})"
    )
    return sql, [*of_query, *of_allowed]


def _distance(source_id: int, number: int, operand: QueryVector) -> tuple[str, str]:
    """The distance from the query's signature by an operand, and where to take it from."""
    form = operand.form
    condition = hnsw.version_condition(source_id, form).replace("%", "%%")
    return (
        storage.distance_sql(form, storage.column_name(form), f"(SELECT value_{number} FROM query)"),
        f"FROM {SIGNATURES} WHERE {condition} AND NOT low_detail",
    )


def _query(operands: Sequence[QueryVector]) -> Statement:
    """The query's signatures, as something to select from."""
    values = [_value(operand) for operand in operands]
    columns = ", ".join(f"{value} AS value_{number}" for number, (value, _of_value) in enumerate(values))
    return f"query AS MATERIALIZED (SELECT {columns})", [one for _value, of_value in values for one in of_value]


def pairs_sql(
    source_id: int, forms: Sequence[MethodSpec], record_ids: Sequence[int], reaches: Sequence[float] | None = None
) -> Statement:
    """The pairs of these records, and their distances by each of these versions of methods.

    Each row: two record ids, whether they are marked as not alike, and a distance by each; NULL where the version did
    not describe both, and where they are marked. `reaches`: the largest distance by each of the pairs that are wanted;
    all of them without it.
    """
    values, distances = [], []
    for number, form in enumerate(forms):
        condition = hnsw.version_condition(source_id, form).replace("%", "%%")
        values.append(
            f"(SELECT {storage.cast_sql(form, storage.column_name(form))} FROM {SIGNATURES} "
            f"WHERE {condition} AND NOT low_detail AND record_id = picture) AS value_{number}"
        )
        distances.append(storage.distance_sql(form, f"a.value_{number}", f"b.value_{number}"))
    near = "".join(f" AND ({distance} <= %s) IS NOT FALSE" for distance in distances) if reaches else ""
    sql = (
        f"WITH described AS MATERIALIZED (SELECT picture, {', '.join(values)} FROM unnest(%s::bigint[]) AS picture) "
        f"SELECT a.picture, b.picture, false, {', '.join(distances)} "
        f"FROM described a JOIN described b ON a.picture < b.picture{near} "
        f"UNION ALL SELECT a.id, b.id, true, {', '.join(['NULL'] * len(forms))} FROM {MARKS} mark "
        f"JOIN {RECORDS} a ON a.source_id = mark.source_id AND a.object_id = first_id "
        f"JOIN {RECORDS} b ON b.source_id = mark.source_id AND b.object_id = second_id "
        "WHERE mark.source_id = %s AND NOT is_alike AND a.id = ANY(%s) AND b.id = ANY(%s)"
    )
    ids = list(record_ids)
    return sql, [ids, *(reaches or ()), source_id, ids, ids]


def _value(operand: QueryVector) -> Statement:
    """The query's signature: one that is stored, or one that was made for this search."""
    form = operand.form
    if not operand.record_id:
        return storage.cast_sql(form, "%s"), [operand.literal]
    sql = (
        f"(SELECT {storage.column_name(form)} FROM {SIGNATURES} WHERE record_id = %s AND method = %s AND version = %s)"
    )
    return sql, [operand.record_id, form.name, form.version]


def _ids(records: models.QuerySet[IndexedImage]) -> Statement:
    sql, parameters = records.values("pk").query.get_compiler(router.db_for_read(Signature)).as_sql()
    return sql, list(parameters)

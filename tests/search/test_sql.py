"""The SQL of a search: its parameters, its rows, and the settings of its transaction."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, connections, router

import similar_images
from similar_images import registry
from similar_images.models import IndexedImage, Signature, Source
from similar_images.search import sql
from similar_images.search.query_vectors import QueryVector
from similar_images.signatures.base import similarities_on_curve
from tests.databases import connection
from tests.items import save_gray
from tests.methods import PX, Bits, Mean, loaded
from tests.search.samples import HALF, METHODS, save_cells
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

BLACK, WHITE = "[0,0,0]", "[1,1,1]"


@pytest.fixture
def records(mean_method: None, index_now: Any) -> list[int]:
    """Index three grays; return the ids of their records."""
    for level in (51, 102, 204):
        save_gray(level)
    index_now()
    return list(IndexedImage.objects.order_by("pk").values_list("pk", flat=True))


def source_id() -> int:
    return Source.objects.get_id(registry.get_source(Picture))


def operand(literal: str = "", record_id: int = 0, method: Any = None) -> QueryVector:
    method = method or loaded(Mean)
    return QueryVector(method, partial(similarities_on_curve, method.curve), literal, record_id=record_id)


def execute(statement: sql.Statement) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(*statement)
        return cursor.fetchall()


def knn(operands: list[QueryVector], records: Any = None, exact: Any = (), **pools: int) -> list[sql.KnnRow]:
    records = IndexedImage.objects.all() if records is None else records
    rows = sql.read_rows(execute(sql.knn_sql(source_id(), operands, records, pools or {"mean": 9}, exact)))
    return sorted(rows)


# Nearest neighbors


def test_knn__selects_the_nearest_records_to_each_operand(records: list[int]) -> None:
    first, second, third = records
    rows = knn([operand(BLACK), operand(WHITE)], mean=1)
    assert [(row.record_id, list(row.found_by)) for row in rows] == [(first, [0]), (third, [1])]
    assert rows[0].distances == pytest.approx([0.6, 2.4], abs=1e-3)
    assert rows[1].distances == pytest.approx([2.4, 0.6], abs=1e-3)
    rows = knn([operand(BLACK), operand(WHITE)], mean=2)
    assert [(row.record_id, sorted(row.found_by)) for row in rows] == [(first, [0]), (second, [0, 1]), (third, [1])]
    record = IndexedImage.objects.get(pk=first)
    assert (rows[0].object_id, rows[0].file_name) == (record.object_id, record.file_name)


def test_knn__takes_the_stored_signature_of_a_record(records: list[int]) -> None:
    (nearest,) = knn([operand(record_id=records[1])], IndexedImage.objects.exclude(pk=records[1]), mean=1)
    assert (nearest.record_id, nearest.distances) == (records[0], pytest.approx([0.6], abs=1e-3))
    (nearest,) = knn([operand(record_id=records[1])], mean=1)
    assert (nearest.record_id, nearest.distances) == (records[1], [0])


def test_knn__restricts_the_records(records: list[int]) -> None:
    assert [row.record_id for row in knn([operand(BLACK)], IndexedImage.objects.filter(pk=records[2]))] == records[2:]
    with pytest.raises(EmptyResultSet):
        knn([operand(BLACK)], IndexedImage.objects.none())


def test_knn__leaves_out_signatures_without_detail_and_of_other_versions(records: list[int]) -> None:
    first, second, third = records
    Signature.objects.filter(record=first).update(low_detail=True)
    Signature.objects.filter(record=second).update(version="other")
    assert [row.record_id for row in knn([operand(BLACK)])] == [third]
    Signature.objects.filter(record=third).update(source_id=Source.objects.exclude(pk=source_id()).first())
    assert knn([operand(BLACK)]) == []


def test_knn__has_no_distance_where_a_method_did_not_describe_a_record(records: list[int], configure: Any) -> None:
    operands = [operand(BLACK), operand("0" * 64, method=loaded(Bits))]
    rows = knn(operands, mean=1, bits=1)
    assert rows[0].distances == [pytest.approx(0.6, abs=1e-3), None]


def test_knn__of_exact_methods_bypasses_the_index_and_breaks_ties_by_record_id(
    records: list[int], index_now: Any
) -> None:
    arguments = source_id(), [operand(BLACK)], IndexedImage.objects.all(), {"mean": 1}
    statement, _parameters = sql.knn_sql(*arguments, ["mean"])
    assert statement.count(" + 0, record_id LIMIT 1)") == 1
    statement, _parameters = sql.knn_sql(*arguments)
    assert " + 0" not in statement
    for _ in range(3):
        save_gray(51)
    index_now()
    assert [row.record_id for row in knn([operand(BLACK)], exact=["mean"], mean=1)] == records[:1]


def test_knn__passes_values_as_parameters(records: list[int]) -> None:
    operands = [operand("[0.123,0,0]"), operand(record_id=987654)]
    statement, parameters = sql.knn_sql(
        source_id(), operands, IndexedImage.objects.filter(file_name="x'y"), {"mean": 1}
    )
    assert parameters == ["[0.123,0,0]", 987654, "mean", f"1{PX}", "x'y"]
    for text in ("0.123", "987654", "x'y"):
        assert text not in statement


# Distances


def test_distances__are_those_of_all_records_to_all_operands(records: list[int]) -> None:
    statement = sql.distances_sql(
        source_id(), [operand(BLACK), operand(record_id=records[2])], IndexedImage.objects.all()
    )
    rows = sorted(sql.read_rows(execute(statement)))
    assert [row.record_id for row in rows] == records
    assert [list(row.found_by) for row in rows] == [[], [], []]
    assert [row.distances for row in rows] == [
        pytest.approx(distances, abs=1e-3) for distances in ([0.6, 1.8], [1.2, 1.2], [2.4, 0])
    ]
    statement = sql.distances_sql(source_id(), [operand(BLACK)], IndexedImage.objects.filter(pk=records[1]))
    ((record_id, *_rest),) = execute(statement)
    assert record_id == records[1]
    Signature.objects.filter(record=records[1]).update(low_detail=True)
    ((*_rest, distance),) = execute(statement)
    assert distance is None


# Pairs


@pytest.fixture
def cells(configure: Any, index_now: Any) -> list[int]:
    """Index three images, the upper half of two of which is bright, of one the lower half."""
    configure(METHODS=METHODS, RANKING={"mean": 1, "bits": 1})
    for bright, level in ((HALF, 255), (HALF, 204), (1 - HALF, 255)):
        save_cells(bright, level)
    index_now()
    return list(IndexedImage.objects.order_by("pk").values_list("pk", flat=True))


def pairs(ids: list[int], bounds: list[float] | None = None, specs: Any = None) -> list[tuple[Any, ...]]:
    return sorted(execute(sql.pairs_sql(source_id(), specs or [loaded(Bits), loaded(Mean)], ids, bounds)))


def test_pairs__have_each_pair_once_with_its_distance_by_each_version(cells: list[int]) -> None:
    a, b, c = cells
    assert [row[:3] for row in pairs(cells)] == [(a, b, False), (a, c, False), (b, c, False)]
    assert [row[3] for row in pairs(cells)] == [0, 64, 64]
    assert [row[4] for row in pairs(cells)] == pytest.approx([0.3, 0, 0.3], abs=1e-3)
    assert [row[:2] for row in pairs([c, a])] == [(a, c)]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([64, 1], [(0, 1), (0, 2), (1, 2)]),
        ([64, 0.2], [(0, 2)]),
        ([63, 1], [(0, 1)]),
        ([0, 1], [(0, 1)]),
        ([63, 0.2], []),
    ],
)
def test_pairs__within_bounds_are_within_all_of_them(
    bounds: list[float], expected: list[tuple[int, int]], cells: list[int]
) -> None:
    assert [(cells.index(row[0]), cells.index(row[1])) for row in pairs(cells, bounds)] == expected


def test_pairs__that_a_version_did_not_describe_pass_its_bound(cells: list[int]) -> None:
    Signature.objects.filter(record=cells[0], method="mean").delete()
    Signature.objects.filter(record=cells[1], method="mean").update(low_detail=True)
    assert [(row[0], row[1], row[4]) for row in pairs(cells, [64, 0])] == [
        (cells[0], cells[1], None),
        (cells[0], cells[2], None),
        (cells[1], cells[2], None),
    ]


def test_pairs__have_a_row_more_for_each_that_is_marked_as_not_similar(cells: list[int]) -> None:
    records = [IndexedImage.objects.get(pk=pk) for pk in cells]
    items = [Picture.objects.get(pk=record.object_id) for record in records]
    similar_images.mark(items[0], items[1], alike=False)
    similar_images.mark(items[1], items[2], alike=True)
    marked = [row for row in pairs(cells) if row[2]]
    assert [(set(row[:2]), row[3:]) for row in marked] == [({cells[0], cells[1]}, (None, None))]
    assert [row[2] for row in pairs(cells[1:])] == [False]
    assert [row[2] for row in pairs([cells[0], cells[2]])] == [False]


def test_unmarked_condition__leaves_out_objects_marked_with_any_of_these(records: list[int]) -> None:
    a, b, c = (Picture.objects.get(pk=record.object_id) for record in IndexedImage.objects.order_by("pk"))
    similar_images.mark(a, b, alike=False)
    similar_images.mark(b, c, alike=True)

    def unmarked(*items: Picture) -> list[int]:
        condition = sql.unmarked_condition(source_id(), [str(item.pk) for item in items])
        return list(IndexedImage.objects.filter(condition).order_by("pk").values_list("pk", flat=True))

    assert unmarked() == records
    assert unmarked(a) == [records[0], records[2]]
    assert unmarked(b) == records[1:]
    assert unmarked(c) == records
    assert unmarked(a, b) == records[2:]


# Rows, settings and cache


def test_read_rows__collects_the_distances() -> None:
    rows = sql.read_rows(
        [(1, "12", "a.png", 40, 30, "f00", [0], 0.5, None), (2, "13", "b.png", None, None, "", [], 1.0)]
    )
    assert rows == [
        sql.KnnRow(1, "12", "a.png", [0], [0.5, None], 40, 30, "f00"),
        sql.KnnRow(2, "13", "b.png", [], [1.0]),
    ]


def test_search_cursor__sets_its_settings_for_the_transaction() -> None:
    with sql.search_cursor() as cursor:
        values = {}
        for name in sql.SCAN_SETTINGS:
            cursor.execute("SELECT current_setting(%s)", [name])
            values[name] = cursor.fetchone()[0]
    assert values == sql.SCAN_SETTINGS
    assert sql.SCAN_SETTINGS == {
        "hnsw.iterative_scan": "relaxed_order",
        "hnsw.ef_search": "100",
        "random_page_cost": "1.1",
        "max_parallel_workers_per_gather": "0",
        "jit": "off",
    }


@pytest.mark.django_db(transaction=True)
def test_search_cursor__leaves_no_setting_behind() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW random_page_cost")
        before = cursor.fetchone()
    with sql.search_cursor() as cursor:
        cursor.execute("SHOW random_page_cost")
        assert cursor.fetchone() != before
    with connection.cursor() as cursor:
        cursor.execute("SHOW random_page_cost")
        assert cursor.fetchone() == before


def scan_settings() -> dict[str, str]:
    with reading_connection().cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(sql.SCAN_SETTINGS)])
        return dict(cursor.fetchall())


def reading_connection() -> Any:
    return connections[router.db_for_read(Signature)]


def test_search_cursor__leaves_no_setting_behind_in_a_transaction_of_the_host(records: list[int]) -> None:
    with reading_connection().cursor() as cursor:
        cursor.execute("SET LOCAL hnsw.ef_search = 77; SET LOCAL random_page_cost = 3")
    before = scan_settings()
    with sql.search_cursor():
        assert scan_settings() == sql.SCAN_SETTINGS
    assert scan_settings() == before
    assert (before["hnsw.ef_search"], before["random_page_cost"]) == ("77", "3")
    assert len(similar_images.similar_to(Picture.objects.first())) == 2
    assert scan_settings() == before


@pytest.mark.parametrize("error", [DatabaseError, ZeroDivisionError])
def test_search_cursor__that_fails_leaves_the_transaction_of_the_host_usable(
    error: type[Exception], records: list[int]
) -> None:
    before = scan_settings()
    with pytest.raises(error), sql.search_cursor() as cursor:
        if error is DatabaseError:
            cursor.execute("SELECT 1 / 0")
        raise error
    assert scan_settings() == before
    assert IndexedImage.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_search_cursor__asks_nothing_more_outside_a_transaction(django_assert_num_queries: Any) -> None:
    statements: list[str] = []

    def note(execute: Any, statement: str, *args: Any) -> Any:
        statements.append(statement)
        return execute(statement, *args)

    with reading_connection().execute_wrapper(note), sql.search_cursor():
        pass
    assert len(statements) == 1


def test_statements__are_cached_by_everything_that_they_depend_on() -> None:
    base = sql._spec_key(Mean())
    assert base == ("mean", "1", "halfvec", "l1", 3)
    fragments = {
        sql._cached_fragments(source, spec)
        for source in (1, 2)
        for spec in (base, base._replace(name="x"), base._replace(version="2"), base._replace(dimensions=4))
    }
    assert len(fragments) == 8
    assert sql._cached_fragments(1, base._replace(metric="cosine")) != sql._cached_fragments(1, base)
    assert "version = 'it''s'" in sql._cached_fragments(1, base._replace(version="it's")).condition
    assert sql._cached_fragments(1, base._replace(version="5%")).condition.count("5%%") == 1
    bounded = sql._cached_pairs_sql(1, (base,), True)
    assert bounded.count("IS NOT FALSE") == 1
    assert "IS NOT FALSE" not in sql._cached_pairs_sql(1, (base,), False)


def test_unrequested_condition__many_requests_do_not_stop_searches(records: list[int]) -> None:
    """As after an import that overwrote files while no worker ran; a look at every request took a minute."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO similar_images_indexedimage "
            "(source_id, object_id, file_name, revision, sha256, status, error, attempts, requested_at) "
            "SELECT %s, 'x' || number, number || '.png', gen_random_uuid(), '', 'indexed', '', 0, now() "
            "FROM generate_series(1, 20000) AS number",
            [source_id()],
        )
        cursor.execute(
            "INSERT INTO similar_images_reindexrequest (source_id, object_id, file_name, due_at) "
            "SELECT source_id, object_id, file_name, now() FROM similar_images_indexedimage WHERE object_id ~ 'x'"
        )
        cursor.execute("SET LOCAL statement_timeout = '10s'")
    unrequested = IndexedImage.objects.filter(sql.unrequested_condition(source_id()))
    assert set(unrequested.values_list("pk", flat=True)) == set(records)

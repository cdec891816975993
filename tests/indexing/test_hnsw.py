"""Approximate indexes: built when there are enough signatures, used by the planner, dropped when nothing uses them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import similar_images
from similar_images import registry
from similar_images.indexing import hnsw, versions
from similar_images.models import IndexedImage, MethodVersion, Signature, Source
from similar_images.search import candidates, query_vectors, recall, selectivity
from similar_images.search import sql as statements
from similar_images.signatures import storage
from tests import commands, drawing, methods
from tests.databases import ALIAS, VARIANT, await_replica, connection, read_connection
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 5000
CLUSTERS = 60


@pytest.fixture(autouse=True)
def _no_index_left() -> Iterator[None]:
    """Indexes outlive the rows that the test takes away."""
    yield
    with connection.cursor() as cursor:
        for name in hnsw.existing_indexes():
            cursor.execute(f'DROP INDEX "{name}"')


@pytest.fixture
def crowd(configure: Any) -> list[Picture]:
    """Pictures with made-up signatures by a dense and a bit method, in clusters."""
    configure(
        METHODS={"tests.methods.Wide": {}, "tests.methods.Bits": {}},
        RANKING={"wide": 1, "bits": 1},
        HNSW_MIN_ROWS=COUNT,
    )
    pictures = kept_crowd() or make_crowd()
    versions.register_versions()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return pictures


KEPT = {f"kept_{model._meta.model_name}": model for model in (Picture, IndexedImage, Signature)}
"""Tables with a copy of the rows: to make them takes seconds."""


def kept_crowd() -> list[Picture]:
    """Write the rows that were kept, past all triggers, and return the pictures; none where nothing was kept."""
    source_id = Source.objects.get_id(registry.get_source(Picture))
    with transaction.atomic(using=ALIAS), connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [[*KEPT][-1]])
        if cursor.fetchone()[0] is None:
            return []
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table, model in KEPT.items():
            if model is not Picture:
                update = f"UPDATE {table} SET source_id = %s"  # noqa: S608 - a name of ours
                cursor.execute(update, [source_id])
            cursor.execute(f"INSERT INTO {model._meta.db_table} SELECT * FROM {table}")  # noqa: S608 - as above
    return list(Picture.objects.order_by("pk"))


def make_crowd() -> list[Picture]:
    rng = np.random.default_rng(7)
    source = registry.get_source(Picture)
    source_id = Source.objects.get_id(source)
    pictures = Picture.objects.bulk_create(
        [Picture(title=str(i), image=f"made/{i}.png", published=i % 250 == 0 or i % 2 == 0) for i in range(COUNT)]
    )
    IndexedImage.objects.update(status="indexed")
    records = list(IndexedImage.objects.order_by("object_key"))
    wide, bits = methods.loaded(methods.Wide), methods.loaded(methods.Bits)
    centers = rng.normal(size=(CLUSTERS, wide.dimensions))
    for method, make in (
        (wide, lambda i: centers[i % CLUSTERS] + rng.normal(size=wide.dimensions)),
        (bits, lambda i: (centers[i % CLUSTERS][:64] + rng.normal(size=64) / 2) > 0),
    ):
        Signature.objects.bulk_create(
            (
                Signature(
                    record=record,
                    source_id=source_id,
                    method=method.name,
                    version=method.version,
                    **{storage.column_name(method): storage.pack(method, make(i))},
                )
                for i, record in enumerate(records)
            ),
            batch_size=500,
        )
    with connection.cursor() as cursor:
        for table, model in KEPT.items():
            cursor.execute(f"CREATE TABLE {table} AS TABLE {model._meta.db_table}")
    return pictures


def plan(action: Any) -> str:
    """How Postgres would run the ranking query of an action."""
    await_replica()
    with CaptureQueriesContext(read_connection) as queries:
        action()
    sql = next(query["sql"] for query in queries if query["sql"].startswith("WITH query"))
    with statements.search_cursor() as cursor:
        cursor.execute("EXPLAIN " + sql)
        return "\n".join(row[0] for row in cursor.fetchall())


def titles(matches: list[Any]) -> list[str]:
    return [match.title for match in matches]


def test_sync__builds_uses_and_drops(crowd: list[Picture], configure: Any, client: Any) -> None:
    query = crowd[0]
    exact = {name: similar_images.similar_to(query, method=name, limit=10) for name in ("wide", "bits")}
    assert "hnsw" not in plan(lambda: similar_images.similar_to(query))
    built = hnsw.sync_indexes()
    assert len(built) == 2
    assert hnsw.existing_indexes() == dict.fromkeys(built, True)
    assert hnsw.sync_indexes() == []
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for name in ("wide", "bits"):
        assert hnsw.PREFIX in plan(lambda name=name: similar_images.similar_to(query, method=name)), name
        found = similar_images.similar_to(query, method=name, limit=10)
        assert len(found) == 10
        assert [m.similarity for m in found] == sorted((m.similarity for m in found), reverse=True)
    wide = set(titles(exact["wide"])) & set(titles(similar_images.similar_to(query, method="wide", limit=10)))
    assert len(wide) >= 9
    rows = client.get("/api/similar-images/status/").json()["indexes"]
    row = {"method": "wide", "version": f"1{methods.PX}", "next_version": ""}
    assert row | {"source": "testapp.Picture.image", "search": "hnsw"} in rows
    assert row | {"source": "testapp.Couple.front", "search": "exact"} in rows
    configure(METHODS={"tests.methods.Bits": {}}, RANKING={"bits": 1}, HNSW_MIN_ROWS=COUNT)
    assert len(hnsw.sync_indexes()) == 1
    assert len(hnsw.existing_indexes()) == 1
    Signature.objects.filter(record__object_key__lt=crowd[10].pk).delete()
    assert len(hnsw.sync_indexes()) == 1
    assert hnsw.existing_indexes() == {}


def test_filters__fill_the_page_whatever_they_leave(crowd: list[Picture]) -> None:
    """What is visible, and a queryset, are part of the scan and not of what comes out of it."""
    hnsw.sync_indexes()
    query = crowd[0]
    for queryset, expected in (
        (Picture.objects.all(), 12),
        (Picture.objects.filter(pk__lt=crowd[600].pk), 12),
        (Picture.objects.filter(pk__in=[picture.pk for picture in crowd[::500]]), 9),
        (Picture.objects.filter(pk=crowd[500].pk), 1),
    ):
        matches = similar_images.similar_to(query, queryset=queryset, limit=12)
        assert len(matches) == expected
        assert all(match.object.published for match in matches)


def test_filters__plan_and_recall(crowd: list[Picture]) -> None:
    """By index where much is left, exactly where little is; either way what an exact search finds."""
    ranking = {"wide": 0.95, "bits": 0.05}
    left = {share: Picture.objects.filter(pk__in=[p.pk for p in crowd[::share]]) for share in (2, 10, 250)}

    def search(query: Picture, share: int, limit: int = 12) -> list[float]:
        found = similar_images.similar_to(query, queryset=left[share], ranking=ranking, limit=limit)
        return [match.similarity for match in found[:12]]

    queries = crowd[:200:20]
    best = {(query.pk, share): search(query, share, limit=100) for query in queries for share in left}
    hnsw.sync_indexes()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for share in left:
        found = {query.pk: search(query, share) for query in queries}
        assert {len(scores) for scores in found.values()} == {12}
        right = [score >= best[pk, share][-1] for pk, scores in found.items() for score in scores]
        assert sum(right) / len(right) >= 0.95, share
    assert hnsw.PREFIX in plan(lambda: search(crowd[0], 2))
    assert hnsw.PREFIX not in plan(lambda: search(crowd[0], 250))


def hidden_cluster(crowd: list[Picture]) -> Any:
    """Half of all pictures, none of the clusters next to that of the first one."""
    far = [picture.pk for index, picture in enumerate(crowd) if index % CLUSTERS >= CLUSTERS // 2]
    return Picture.objects.filter(pk__in=far)


def similarities(matches: list[Any]) -> list[float]:
    return [match.similarity for match in matches]


@pytest.mark.parametrize(("count", "is_few"), [(2000, False), (1000, False), (800, True), (20, True)])
def test_selectivity__few_are_looked_up_and_many_are_met_in_the_graph(
    count: int, is_few: bool, crowd: list[Picture]
) -> None:
    """On both sides of the line, at some 900 of 5,000 for 63 candidates, all that an exact search finds is found."""
    hnsw.sync_indexes()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    await_replica()
    left, ranking = Picture.objects.filter(pk__lt=crowd[count].pk), {"wide": 0.95, "bits": 0.05}
    source = registry.get_source(Picture)
    records = IndexedImage.objects.for_source(source).for_objects(source, left)
    with statements.search_cursor() as cursor:
        estimate = selectivity.estimate_selectivity(cursor, Source.objects.get_id(source), records)
    assert estimate is not None
    assert estimate.leaves_few({"wide": 63, "bits": 0}) is is_few
    queries = crowd[: 2 * CLUSTERS : 12]
    shares = []
    for query in queries:
        options = {"queryset": left, "ranking": ranking}
        exact = similarities(similar_images.similar_to(query, exact=True, **options))
        found = similarities(similar_images.similar_to(query, **options))
        assert len(found) == len(exact)
        shares += [score >= exact[-1] for score in found]
    assert sum(shares) / len(shares) >= (1 if is_few else 0.95)


def test_selectivity__what_is_visible_is_a_filter_and_everything_is_none(crowd: list[Picture]) -> None:
    source = registry.get_source(Picture)
    records = IndexedImage.objects.for_source(source)
    assert not selectivity.has_filter(records)
    assert not selectivity.has_filter(records.for_objects(source, Picture.objects.all()))
    assert selectivity.has_filter(records.for_objects(source, source.visible_to(None)))
    assert selectivity.has_filter(records.for_objects(source, Picture.objects.all()[:5]))


def test_selectivity__the_planner_is_asked_where_there_is_a_filter_and_an_index(crowd: list[Picture]) -> None:
    def is_asked(**options: Any) -> bool:
        with CaptureQueriesContext(read_connection) as queries:
            similar_images.similar_to(crowd[0], method="wide", **options)
        return any(query["sql"].startswith("EXPLAIN") for query in queries)

    some = Picture.objects.filter(pk__lt=crowd[800].pk)
    assert not is_asked(queryset=some)
    hnsw.sync_indexes()
    await_replica()
    assert is_asked(queryset=some)
    assert not is_asked(queryset=some, exact=True)


def test_filters__that_hide_all_that_is_similar_are_searched_exactly(
    crowd: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of all is left, so that the graph is walked, but it has no paths among what is far from the query."""
    monkeypatch.setattr(selectivity, "PROBE_SIZE", COUNT // CLUSTERS // 2)
    hnsw.sync_indexes()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    await_replica()

    def is_exact(query: Picture, left: Any) -> bool:
        options = {"queryset": left, "ranking": {"wide": 0.95, "bits": 0.05}}
        exact = similar_images.similar_to(query, exact=True, **options)
        with CaptureQueriesContext(read_connection) as queries:
            found = similar_images.similar_to(query, **options)
        if is_last_exact := " + 0, record_id" in [q["sql"] for q in queries if " AS operand " in q["sql"]][-1]:
            assert similarities(found) == similarities(exact)
        return is_last_exact

    far = hidden_cluster(crowd)
    near = Picture.objects.exclude(pk__in=far.values("pk"))
    for query in crowd[: 5 * CLUSTERS : CLUSTERS]:
        assert is_exact(query, far)
        assert not is_exact(query, near)


def test_filters__what_the_main_method_did_not_describe_fills_the_page(crowd: list[Picture]) -> None:
    """A method of little weight puts little forward, but not where nobody else does."""
    hnsw.sync_indexes()
    some = Picture.objects.filter(pk__in=[picture.pk for picture in crowd[2:2000:2]])
    undescribed = list(some.order_by("pk").values_list("pk", flat=True)[5:])
    Signature.objects.filter(method="wide", record__object_key__in=undescribed).delete()
    matches = similar_images.similar_to(crowd[0], queryset=some, ranking={"wide": 0.95, "bits": 0.05})
    assert len(matches) == 12
    assert any(match.scores.keys() == {"bits"} for match in matches)


def test_pools__by_weight_and_at_least_as_many_as_are_wanted(crowd: list[Picture]) -> None:
    operands = query_vectors.stored_queries(registry.get_source(Picture), [crowd[0]], ["wide", "bits"])[crowd[0]]
    for weights, limit, expected in (
        ({"wide": 1, "bits": 1}, 12, {"wide": 100, "bits": 100}),
        ({"wide": 0.95, "bits": 0.05}, 12, {"wide": 63, "bits": 0}),
        ({"wide": 3, "bits": 1}, 100, {"wide": 350, "bits": 39}),
        ({"wide": 1, "bits": 1}, 1000, {"wide": 1500, "bits": 1500}),
    ):
        assert candidates.pool_sizes(operands, weights, limit) == expected
    assert candidates.pool_sizes(operands[:1], {"wide": 1}, 12) == {"wide": 32}


def test_filters__what_the_approximate_scan_gave_up_on_is_searched_exactly(crowd: list[Picture]) -> None:
    """The planner takes the index for a filter that leaves five of thousands, and the scan stops before it met them."""
    query = crowd[0]
    few = Picture.objects.filter(pk__in=[picture.pk for picture in crowd[30:330:60]])
    expected = similar_images.similar_to(query, queryset=few, method="wide")
    assert len(expected) == 5
    hnsw.sync_indexes()
    await_replica()
    with read_connection.cursor() as cursor:
        for setting in ("enable_sort", "enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin"):
            cursor.execute(f"SET {setting} = off")
        cursor.execute("SET hnsw.max_scan_tuples = 50")
        try:
            with statements.search_cursor() as scan:
                scan.execute(*statements.knn_sql(*arguments(query, few)))
                assert len(scan.fetchall()) < 5
            assert hnsw.PREFIX in plan(lambda: similar_images.similar_to(query, queryset=few, method="wide"))
            assert similar_images.similar_to(query, queryset=few, method="wide") == expected
            ranking = {"wide": 0.95, "bits": 0.05}
            both = similar_images.similar_to(query, queryset=few, ranking=ranking)
            assert len(both) == 5
            assert all(set(match.scores) == {"wide", "bits"} for match in both)
        finally:
            cursor.execute("RESET ALL")


def arguments(query: Picture, objects: Any) -> tuple[Any, ...]:
    """Those of the statement that ranks objects by one method."""
    source = registry.get_source(Picture)
    operands, records = (
        query_vectors.stored_queries(source, [query], ["wide"])[query],
        IndexedImage.objects.for_source(source).for_objects(source, objects),
    )
    return Source.objects.get_id(source), operands, records, {"wide": candidates.MAX_POOL}


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
def test_prepared_statement__uses_the_index(crowd: list[Picture], mode: str) -> None:
    """The condition of the index is met whatever the parameters are, so that a plan made once can use it."""
    hnsw.sync_indexes()
    source = registry.get_source(Picture)
    sql, parameters = statements.knn_sql(*arguments(crowd[0], source.objects))
    for number in range(1, len(parameters) + 1):
        sql = sql.replace("%s", f"${number}", 1)
    with statements.search_cursor() as cursor:
        cursor.execute(f"SET LOCAL plan_cache_mode = {mode}")
        cursor.execute(f"PREPARE nearest AS {sql}")
        cursor.execute(f"EXPLAIN EXECUTE nearest ({', '.join(map(repr, parameters))})")
        found = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("DEALLOCATE nearest")
    assert len(parameters) == 4
    assert hnsw.PREFIX in found


def test_sync__leaves_no_ruin(crowd: list[Picture]) -> None:
    """An index whose building was interrupted is built anew."""
    name = hnsw.index_name(hnsw.required_indexes()[0])
    hnsw.sync_indexes()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [name])
    assert hnsw.existing_indexes()[name] is False
    assert hnsw.sync_indexes() == [name, name]
    assert hnsw.existing_indexes()[name] is True


def test_sync__what_can_not_be_indexed_holds_nothing_up(
    configure: Any, make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    configure(
        METHODS={"tests.methods.Huge": {}, "tests.methods.Wide": {}, "tests.methods.Bits": {}},
        RANKING={"wide": 1},
        HNSW_MIN_ROWS=2,
    )
    make_picture(1), make_picture(2)
    index_now()
    made = hnsw.index_sql
    monkeypatch.setattr(hnsw, "index_sql", lambda version: made(version).replace("halfvec_cosine_ops", "nope"))
    (built,) = hnsw.sync_indexes()
    assert "could not be built" in caplog.text
    assert MethodVersion.objects.get(has_index=True).name == "bits"
    assert hnsw.existing_indexes() == {built: True}
    assert {version.name for version in hnsw.required_indexes()} == {"wide", "bits"}


def test_sync__does_nothing_in_a_transaction(crowd: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    # Django has no default for it.
    monkeypatch.delitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", raising=False)
    with transaction.atomic(using=ALIAS):
        assert hnsw.sync_indexes() == []
    assert len(hnsw.sync_indexes()) == 2


def test_sync__is_done_by_one_process_and_others_do_not_wait(crowd: list[Picture], run_in_thread: Any) -> None:
    def is_building() -> bool:
        with connection.cursor() as cursor:
            return hnsw._is_building(cursor)

    other = connections.create_connection(ALIAS)
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:  # building waits for whoever has written before
            cursor.execute("UPDATE similar_images_signature SET low_detail = low_detail")
        building = run_in_thread(hnsw.sync_indexes)
        end = time.monotonic() + 30
        while not is_building():
            assert time.monotonic() < end
            time.sleep(0.01)
        while not hnsw.existing_indexes():  # the lock comes before the index
            assert time.monotonic() < end
            time.sleep(0.01)
        assert set(hnsw.existing_indexes().values()) == {False}
        assert hnsw.sync_indexes() == []
    finally:
        other.rollback()
        other.close()
    assert len(building.result(30)) == 2
    assert set(hnsw.existing_indexes().values()) == {True}


@pytest.mark.skipif(VARIANT == "pgbouncer", reason="a pool keeps no setting of a session")
def test_sync__leaves_no_lock_and_no_setting_behind(crowd: list[Picture]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '7min'")
        try:
            assert len(hnsw.sync_indexes()) == 2
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("7min",)
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
            assert cursor.fetchone() == (0,)
        finally:
            cursor.execute("RESET statement_timeout")


def test_definition__is_literal_concurrent_and_typed(configure: Any) -> None:
    configure(METHODS={"tests.methods.Wide": {}}, RANKING={"wide": 1})
    versions.register_versions()
    sql = hnsw.index_sql(MethodVersion.objects.get(name="wide", source=Source.objects.get(model="private")))
    assert "CONCURRENTLY" in sql
    assert "((((dense)::halfvec(256))) halfvec_cosine_ops)" in sql
    source_id = Source.objects.get(model="private").pk
    assert sql.endswith(f'WHERE ("method" = \'wide\' AND "source_id" = {source_id} AND "version" = \'1{methods.PX}\')')


def test_saves__go_on_beside_an_index(crowd: list[Picture]) -> None:
    hnsw.sync_indexes()
    item = Picture.objects.create(image=drawing.file(1))
    from similar_images.indexing import claims, worker

    while records := claims.claim_batch():
        worker.index_records(records)
    assert len(similar_images.similar_to(item)) == 12
    item.delete()
    assert not IndexedImage.objects.filter(object_key=item.pk or 0).exists()


def test_pages__of_500_give_each_once_while_others_are_indexed(crowd: list[Picture], index_now: Any) -> None:
    from django.core.paginator import Paginator

    hnsw.sync_indexes()
    query, found = crowd[0], Picture.objects.similar_to(crowd[0], limit=500, method="wide")
    expected = similar_images.similar_to(query, limit=500, method="wide")
    seen = []
    for number in range(10):
        seen += Paginator(found, 50).page(number + 1).object_list
        Picture.objects.create(image=drawing.file(number))
        index_now()
    assert [(item, item.similarity) for item in seen] == [(match.object, match.similarity) for match in expected]
    assert len(set(seen)) == 500


def test_prune__drops_the_indexes_of_what_is_no_longer_registered(
    mean_method: None, configure: Any, make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(HNSW_MIN_ROWS=1)
    make_picture(1)
    index_now()
    (name,) = hnsw.sync_indexes()
    monkeypatch.setattr(registry, "_sources", {})
    commands.run("index_images", "--prune")
    assert name not in hnsw.existing_indexes()


def test_sample__recall_of_every_index_once_a_day(crowd: list[Picture]) -> None:
    hnsw.sync_indexes()
    sampled = [recall.sample_recall(), recall.sample_recall()]
    assert {version.name for version in sampled if version} == {"wide", "bits"}
    assert recall.sample_recall() is None
    for version in MethodVersion.objects.filter(has_index=True):
        assert version.recall is not None
        assert 0.8 <= version.recall <= 1
    MethodVersion.objects.filter(name="wide", has_index=True).update(
        recall_sampled_at=timezone.now() - recall.SAMPLE_INTERVAL
    )
    assert recall.sample_recall() is not None


def test_sample__an_index_that_finds_little_has_a_low_recall(
    crowd: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    hnsw.sync_indexes()
    version = MethodVersion.objects.get(name="bits", has_index=True)
    monkeypatch.setitem(statements.SCAN_SETTINGS, "hnsw.ef_search", "1")
    monkeypatch.setitem(statements.SCAN_SETTINGS, "hnsw.iterative_scan", "off")
    assert (recall.measure_recall(version) or 0) < 0.5

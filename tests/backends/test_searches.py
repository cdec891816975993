"""Searches by a backend: how often it is asked, what is pushed down, and what happens where it is down or wrong."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import similar_images
from similar_images import plugins, registry
from similar_images.backends import attributes
from similar_images.backends.base import Collection, Condition, SearchBackend, StoredVector
from similar_images.backends.milvus import write_filter
from similar_images.indexing import backend_feed
from similar_images.models import IndexedImage, MethodVersion
from similar_images.search import backend_candidates, pushdown
from tests.backends.conftest import AskedBackend, make_indexed, switch_to
from tests.databases import captured_queries
from tests.items import save_gray
from tests.testapp.models import Picture, Shelf

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _angle_method(configure: Any) -> None:
    configure(METHODS={"tests.methods.Angle": {}}, RANKING={"angle": 1})


@pytest.fixture
def pictures(db: None) -> list[Picture]:
    """Index 160 pictures, each less similar to the first than those before it; of the last ten, all are on a shelf."""
    return make_indexed(range(50, 200)) + make_indexed(range(200, 210), shelf=Shelf.objects.create())


def titles(matches: Any) -> list[str]:
    return [match.object.title for match in matches]


@pytest.mark.usefixtures("asks_backend")
def test_rounds__ask_for_more_until_the_page_is_full(pictures: list[Picture], asked: AskedBackend) -> None:
    switch_to(plugins.search_backend(), Picture)
    far = Picture.objects.filter(shelf__isnull=False)
    assert titles(similar_images.similar_to(pictures[0], limit=3, fold=False, queryset=far)) == ["200", "201", "202"]
    assert asked.limits == [24, 96, 384]


@pytest.mark.usefixtures("asks_backend")
def test_rounds__end_where_the_backend_gives_no_more_and_what_is_cut_short_says_so(
    pictures: list[Picture], asked: AskedBackend, milvus: SearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_to(milvus, Picture)
    monkeypatch.setattr(type(milvus), "max_hits", 100)
    far = Picture.objects.filter(title__in=["145", "146", "203"])
    matches = similar_images.similar_to(pictures[0], limit=3, fold=False, queryset=far)
    assert titles(matches) == ["145", "146"]
    assert not matches.is_complete
    assert asked.limits == [24, 96, 100]
    monkeypatch.undo()
    matches = similar_images.similar_to(pictures[0], limit=3, fold=False, queryset=far)
    assert titles(matches) == ["145", "146", "203"]
    assert matches.is_complete


def test_filters_that_leave_few__are_answered_by_postgresql(pictures: list[Picture], asked: AskedBackend) -> None:
    switch_to(plugins.search_backend(), Picture)
    far = Picture.objects.filter(shelf__isnull=False)
    assert titles(similar_images.similar_to(pictures[0], limit=3, fold=False, queryset=far)) == ["200", "201", "202"]
    assert asked.limits == []


def test_exact_searches__are_answered_by_postgresql(pictures: list[Picture], asked: AskedBackend) -> None:
    switch_to(plugins.search_backend(), Picture)
    Picture.objects.update(published=True)
    options: dict[str, Any] = {"limit": 2, "fold": False}
    found = similar_images.similar_to(pictures[0], exact=True, **options)
    assert asked.limits == []
    assert titles(found) == ["51", "52"]


@pytest.mark.usefixtures("asks_backend")
def test_a_backend_that_is_down__leaves_the_search_to_postgresql_for_a_while(
    pictures: list[Picture], milvus: SearchBackend, configure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    switch_to(milvus, Picture)
    configure(SEARCH_BACKEND={"class": "milvus", "uri": "http://127.0.0.1:9", "timeout": 0.2})
    for _search in range(3):
        assert titles(similar_images.similar_to(pictures[0], limit=2, fold=False)) == ["51", "52"]
    assert caplog.text.count("PostgreSQL is searched in place of the search backend") == 1
    backend_candidates._resting.clear()
    similar_images.similar_to(pictures[0], limit=2, fold=False)
    assert caplog.text.count("PostgreSQL is searched in place of the search backend") == 2


@pytest.mark.usefixtures("asks_backend")
def test_without_the_setting__what_was_switched_is_searched_by_postgresql(
    pictures: list[Picture], milvus: SearchBackend, configure: Any
) -> None:
    switch_to(milvus, Picture)
    configure(SEARCH_BACKEND=None)
    assert titles(similar_images.similar_to(pictures[0], limit=2, fold=False)) == ["51", "52"]


@pytest.mark.usefixtures("asks_backend")
def test_a_copy_that_says_something_else__shows_nothing_wrong(pictures: list[Picture], milvus: SearchBackend) -> None:
    """Distances are those of the signatures, and what is not there does not come back."""
    (version,) = switch_to(milvus, Picture)
    records = {record.object_id: record.pk for record in IndexedImage.objects.all()}
    near = np.array([1, 0], np.float32)
    wrong = [StoredVector(records[str(pictures[100].pk)], near), StoredVector(10**9, near)]
    milvus.write(backend_feed.collection_of(version), wrong)
    matches = similar_images.similar_to(pictures[0], limit=140, fold=False)
    assert titles(matches)[:2] == ["51", "52"]
    assert [match.similarity for match in matches] == sorted((m.similarity for m in matches), reverse=True)
    assert len({match.object.pk for match in matches}) == 140


@pytest.mark.usefixtures("asks_backend")
def test_hits__are_not_kept_in_memory(pictures: list[Picture], asked: AskedBackend) -> None:
    """The backend may be told of a picture a moment later, when nothing else changes in PostgreSQL."""
    switch_to(plugins.search_backend(), Picture)
    for _search in range(2):
        similar_images.similar_to(pictures[0], limit=2, fold=False)
    assert len(asked.limits) == 2


def test_statements__without_a_backend_are_those_of_before(pictures: list[Picture], configure: Any) -> None:
    with captured_queries() as queries:
        similar_images.similar_to(pictures[0], limit=2, fold=False)
    assert not any("WITH ORDINALITY" in sql or "backendchange" in sql for sql in queries)


# Pushing filters down


def conditions(objects: Any, *columns: str) -> list[Condition]:
    source = registry.get_source(Picture)
    records = IndexedImage.objects.filter(source_id=1).for_objects(source, objects)
    return pushdown.pushed_conditions(source, records, columns or ("id", "title", "published", "shelf_id"))


def test_pushed_conditions__are_those_that_must_hold() -> None:
    objects = Picture.objects.all()
    assert conditions(objects) == []
    assert conditions(objects.filter(published=True, shelf=3)) == [
        Condition("published", "in", [True]),
        Condition("shelf_id", "in", [3]),
    ]
    assert conditions(objects.filter(shelf__in=[3, 4])) == [Condition("shelf_id", "in", [3, 4])]
    assert conditions(objects.filter(pk__gt=5).filter(pk__lte=9)) == [
        Condition("id", ">=", [5]),
        Condition("id", "<=", [9]),
    ]
    assert conditions(objects.filter(published=True), "shelf_id") == []


def test_pushed_conditions__leave_out_what_may_not_hold_or_is_compared_otherwise() -> None:
    from django.db.models import F, Q

    objects = Picture.objects.all()
    assert conditions(objects.filter(Q(published=True) | Q(shelf=3))) == []
    assert conditions(objects.exclude(published=True)) == []
    assert conditions(objects.filter(title__gt="a", title__iexact="b", title__startswith="c")) == []
    assert conditions(objects.filter(shelf=F("pk"))) == []
    assert conditions(objects.filter(shelf__isnull=True)) == []
    assert conditions(objects.filter(shelf__in=Shelf.objects.all())) == []
    assert conditions(objects.filter(shelf__in=range(101))) == []
    assert conditions(objects.filter(shelf__name="x")) == []


@pytest.mark.usefixtures("asks_backend")
def test_filters__are_pushed_down(
    pictures: list[Picture], asked: AskedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_sources", registry._sources.copy())
    similar_images.register(Picture, "image", filters=["shelf"])
    far, even = Shelf.objects.get(), Shelf.objects.create()
    Picture.objects.filter(title__in=[str(level) for level in range(52, 200, 2)]).update(shelf=even)
    switch_to(plugins.search_backend(), Picture)
    matches = similar_images.similar_to(pictures[0], limit=3, fold=False, filters={"shelf": even.pk})
    assert titles(matches) == ["52", "54", "56"]
    assert asked.limits == [24], "one round is enough"
    assert asked.conditions == [[Condition("shelf_id", "in", [even.pk])]]
    asked.conditions.clear()
    matches = similar_images.similar_to(pictures[0], limit=3, fold=False, filters={"shelf": far.pk})
    assert titles(matches) == ["200", "201", "202"]
    assert asked.conditions == [[Condition("shelf_id", "in", [far.pk])], [], []], "it gave fewer than were asked for"


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (True, True),
        ("x", "x"),
        (3, 3),
        (2**60, float(2**60)),
        (Decimal("2.5"), 2.5),
        (float("inf"), attributes.MAX_FLOAT),
        (float("-inf"), -attributes.MAX_FLOAT),
        (Decimal("NaN"), attributes.MAX_FLOAT),
        (datetime.datetime(1970, 1, 1, 0, 1), 60),
        (datetime.datetime(1970, 1, 1, 0, 1, tzinfo=datetime.UTC), 60),
        (datetime.date(1, 1, 2), 2),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (None, None),
        (b"x", None),
    ],
)
def test_encode__keeps_order(value: Any, encoded: Any) -> None:
    assert attributes.encode(value) == encoded
    assert type(attributes.encode(value)) is type(encoded) or isinstance(encoded, int | float)


def test_write_filter__escapes_texts() -> None:
    assert write_filter([]) == ""
    found = write_filter([Condition("a", "in", ['say "x"', True]), Condition("b", "<=", [2])])
    assert found == '(attributes["a"] == "say \\"x\\"" or attributes["a"] == true) and (attributes["b"] <= 2)'


def test_milvus__meets_conditions_and_forgets_what_is_gone(milvus: SearchBackend) -> None:
    collection = Collection("similar_images_conditions", 2, "cosine")
    vectors = [np.array([1, level], np.float32) for level in range(6)]
    values: list[dict[str, Any]] = [{"s": 'a"b\\'}, {"s": "é", "b": True}, {"n": 3}, {"n": 4.5}, {}, {"b": False}]
    milvus.create(collection)
    milvus.write(collection, [StoredVector(i, v, a) for i, (v, a) in enumerate(zip(vectors, values, strict=True))])

    def found(*conditions: Condition) -> list[int]:
        (hits,) = milvus.find_nearest(collection, [vectors[0]], 10, conditions)
        return [hit.record_id for hit in hits]

    assert found() == [0, 1, 2, 3, 4, 5]
    assert found(Condition("s", "in", ['a"b\\'])) == [0]
    assert found(Condition("s", "in", ["é", "x"]), Condition("b", "in", [True])) == [1]
    assert found(Condition("n", ">=", [3])) == [2, 3]
    assert found(Condition("n", "<=", [3])) == [2]
    assert found(Condition("b", "in", [False])) == [5]
    milvus.write(collection, [StoredVector(1, vectors[1], {"b": False})], [5, 77])
    assert found(Condition("b", "in", [False])) == [1]
    assert milvus.count(collection) == 5
    (hits,) = milvus.find_nearest(collection, [vectors[1]], 1)
    assert hits[0].distance == pytest.approx(0, abs=1e-6)
    milvus.create(collection)
    assert milvus.count(collection) == 0
    milvus.drop(collection)
    milvus.drop(collection)
    assert milvus.count(collection) is None


def test_versions__that_a_backend_cannot_compare_stay_with_pgvector(milvus: SearchBackend, configure: Any) -> None:
    configure(METHODS={"tests.methods.Angle": {}, "tests.methods.Mean": {}}, RANKING={"angle": 1, "mean": 1})
    from similar_images.indexing import versions

    versions.register_versions()
    assert {version.name for version in switch_to(milvus, Picture)} == {"angle"}
    assert not MethodVersion.objects.filter(name="mean", backend_cursor__isnull=False).exists()


@pytest.mark.usefixtures("asks_backend")
def test_rankings_of_several_methods__take_each_from_where_it_lives(
    milvus: SearchBackend, asked: AskedBackend, configure: Any, index_now: Any
) -> None:
    configure(METHODS={"tests.methods.Angle": {}, "tests.methods.Mean": {}}, RANKING={"angle": 1, "mean": 1})
    items = [save_gray(level) for level in range(100, 130)]
    index_now()
    before = similar_images.similar_to(items[0], limit=8, fold=False)
    switch_to(milvus, Picture)
    after = similar_images.similar_to(items[0], limit=8, fold=False)
    assert asked.limits
    assert [(m.object, m.similarity, m.scores) for m in after] == [(m.object, m.similarity, m.scores) for m in before]

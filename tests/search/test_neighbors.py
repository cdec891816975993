"""Neighbors that a process keeps: the same matches as a search, without one, and never one that is out of date."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from django.db import transaction
from django.test.utils import CaptureQueriesContext

import similar_images
from similar_images import marks
from similar_images.models import IndexedImage, MethodVersion
from similar_images.search import neighbors, recollection
from similar_images.search.options import SearchOptions
from similar_images.search.plan import plan_search
from tests import drawing
from tests.databases import VARIANT, connection, read_connection
from tests.testapp.models import Picture

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(VARIANT == "replica", reason="nothing is kept of a replica"),
]


@pytest.fixture(autouse=True)
def items(make_picture: Any, index_now: Any, configure: Any) -> list[Picture]:
    configure(METHODS={"color": {}, "tests.methods.Mean": {}}, RANKING={"color": 0.9, "mean": 0.1})
    neighbors._place_of.cache_clear()
    found = [make_picture(seed) for seed in range(40)]
    index_now()
    return found


def search(item: Picture, **options: Any) -> tuple[list[tuple[int, float]], int]:
    """Return keys and similarities of the matches, and the number of statements that looked for neighbors."""
    with CaptureQueriesContext(read_connection) as queries:
        matches = similar_images.similar_to(item, limit=5, **options)
    searched = sum("AS MATERIALIZED" in query["sql"] for query in queries)
    return [(match.object.pk, match.similarity) for match in matches], searched


def search_anew(item: Picture, **options: Any) -> list[tuple[int, float]]:
    neighbors._place_of.cache_clear()
    return search(item, **options)[0]


def test_second_search__finds_the_same_without_looking(items: Sequence[Picture]) -> None:
    first, searched = search(items[0])
    assert (len(first), searched) == (5, 1)
    assert search(items[0]) == (first, 0)
    assert search_anew(items[0]) == first


def test_second_search__takes_one_statement_beside_that_of_the_objects(items: Sequence[Picture]) -> None:
    expected, _searched = search(items[0])
    with CaptureQueriesContext(read_connection) as queries:
        matches = similar_images.similar_to(items[0], limit=5)
    assert [(match.object.pk, match.similarity) for match in matches] == expected
    assert len(queries) == 2, [query["sql"] for query in queries]


@pytest.mark.parametrize("is_known", [False, True])
def test_freshness__is_that_of_the_record(items: Sequence[Picture], is_known: bool) -> None:
    if is_known:
        search(items[0])
    else:
        recollection._kept_vectors_of.cache_clear()
    record = IndexedImage.objects.get(source__model="picture", object_id=str(items[0].pk))
    planned = plan_search(items[0], SearchOptions(limit=5))
    assert (planned.recollection is not None) == is_known
    assert planned.freshness == (record.status, record.indexed_at)
    IndexedImage.objects.filter(pk=record.pk).update(status="pending")  # as where the storage is down
    assert plan_search(items[0], SearchOptions(limit=5)).freshness == ("pending", record.indexed_at)


def test_new_image__is_found_at_once(items: Sequence[Picture], make_picture: Any, index_now: Any) -> None:
    search(items[0])
    twin = make_picture(0)
    index_now()
    found, searched = search(items[0])
    assert found[0] == (twin.pk, 100)
    assert searched == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda item, match: Picture.objects.filter(pk=match.pk).update(published=False),
        lambda item, match: match.delete(),
        lambda item, match: marks.mark(item, match, alike=False),
        lambda item, match: match.image.save("other.png", drawing.file(99)),
    ],
    ids=["hidden", "deleted", "marked", "replaced"],
)
def test_match_that_is_gone__never_comes_back(items: Sequence[Picture], change: Any) -> None:
    found, _searched = search(items[0])
    gone = Picture.objects.get(pk=found[0][0])
    pk = gone.pk
    change(items[0], gone)
    assert pk not in dict(search(items[0])[0])
    assert search(items[0])[0] == search_anew(items[0])


def test_whatever_is_hidden__the_matches_are_those_of_a_search(items: Sequence[Picture]) -> None:
    generator = random.Random(7)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        hidden = [item.pk for item in items[1:] if generator.random() < share]
        shown = Picture.objects.exclude(pk__in=hidden)
        kept = search(items[0], queryset=shown)[0]
        assert kept == search_anew(items[0], queryset=shown)
        assert not {pk for pk, _similarity in kept} & set(hidden)


def test_new_curve__changes_the_scores_at_once(items: Sequence[Picture]) -> None:
    before = search(items[0])[0]
    version = MethodVersion.objects.get(source__model="picture", name="color", is_active=True)
    MethodVersion.objects.filter(pk=version.pk).update(curve=[[0, 50], [1, 0]])
    after = search(items[0])[0]
    assert after == search_anew(items[0])
    assert dict(after) != dict(before)


def test_match_that_a_caller_changes__is_as_before_in_the_next_search(items: Sequence[Picture]) -> None:
    search(items[0])
    for match in similar_images.similar_to(items[0], limit=5, explain=True):
        match.distances.clear()
        match.scores.clear()
        match.explanation.found_by.clear()
    again = similar_images.similar_to(items[0], limit=5, explain=True)
    assert all(match.distances and match.scores and match.explanation.found_by for match in again)


def test_few_objects__are_all_kept(items: Sequence[Picture]) -> None:
    few = Picture.objects.filter(pk__in=[item.pk for item in items[1:4]])
    assert len(search(items[0], queryset=few)[0]) == 3
    assert search(items[0], queryset=few)[0] == search_anew(items[0], queryset=few)


@pytest.mark.skipif(VARIANT == "pgbouncer", reason="its parameters are not those of the server")
def test_unfinished_write__keeps_nothing(items: Sequence[Picture]) -> None:
    parameters = connection.get_connection_params()
    known = {name: parameters[name] for name in ("dbname", "user", "host", "port") if parameters.get(name)}
    with psycopg.connect(**known) as other:
        other.execute("UPDATE similar_images_signature SET low_detail = low_detail")
        assert search(items[0])[1] == 1
        assert search(items[0])[1] == 1
        other.rollback()
    assert search(items[0])[1] == 1
    assert search(items[0])[1] == 0


def test_transaction_that_has_written__searches(items: Sequence[Picture]) -> None:
    search(items[0])
    with transaction.atomic(using=connection.alias):
        Picture.objects.filter(pk=items[1].pk).update(title="x")
        assert search(items[0])[1] == 1

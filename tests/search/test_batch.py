"""The matches of many objects at once are those of each by itself, in as many queries for many as for few."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.test.utils import CaptureQueriesContext

import similar_images
from similar_images import marks
from similar_images.search.batch import similar_to_each
from similar_images.search.options import SearchOptions
from tests import drawing
from tests.databases import connection
from tests.items import save_gray
from tests.testapp.models import Item, Photo, Picture, Shelf

pytestmark = pytest.mark.django_db

API = "/api/similar-images"


def rows(matches: Any) -> list[Any]:
    return [(match.object, match.similarity, match.scores, match.folded) for match in matches]


@pytest.fixture
def pictures(make_picture: Any, index_now: Any) -> list[Picture]:
    items = [make_picture(seed % 7) for seed in range(20)]
    index_now()
    return items


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"limit": 3},
        {"min_similarity": 60.0},
        {"method": "color"},
        {"fold": False},
        {"exact": True},
        {"ranking": {"embedding": 0.5, "color": 0.5}, "limit": 4},
    ],
)
def test_batch__has_the_matches_of_each(options: dict[str, Any], pictures: list[Picture], configure: Any) -> None:
    configure(NEAR_DUPLICATE_THRESHOLD=85)
    marks.mark(pictures[0], pictures[1], alike=False)
    found = similar_to_each(pictures, SearchOptions.from_arguments("similar_to", options))
    assert [rows(matches) for matches in found] == [
        rows(similar_images.similar_to(item, **options)) for item in pictures
    ]


def test_batch__fills_each_page_in_rounds(mean_method: None, index_now: Any, configure: Any) -> None:
    configure(NEAR_DUPLICATE_THRESHOLD=99)
    items = [save_gray(level) for level in (10, 100, 200)] + [save_gray(100) for _ in range(60)]
    items += [save_gray(level) for level in range(120, 180, 10)]
    index_now()
    found = similar_to_each(items[:3], SearchOptions(limit=5))
    assert [rows(matches) for matches in found] == [
        rows(similar_images.similar_to(item, limit=5)) for item in items[:3]
    ]
    assert [len(matches) for matches in found] == [5, 5, 5]


def test_batch__of_an_object_that_is_not_indexed_is_empty(pictures: list[Picture]) -> None:
    pending = Picture.objects.create()
    found = similar_to_each([pictures[0], pending, Picture()], SearchOptions())
    assert rows(found[0]) == rows(similar_images.similar_to(pictures[0]))
    assert found[1:] == [[], []]


def post(model: str, ids: Any, client: Any = None, **options: Any) -> Any:
    return (client or Client()).post(
        f"{API}/{model}/similar/batch/", {"ids": ids, **options}, content_type="application/json"
    )


def test_rest__answers_for_each_in_order(pictures: list[Picture]) -> None:
    ids = [pictures[3].pk, str(pictures[1].pk), 999_999, "chair", "9" * 30]
    answer = post("testapp.picture", ids, limit=4)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [row["query"]["pk"] for row in results] == [str(key) for key in ids]
    for row, item in zip(results, (pictures[3], pictures[1]), strict=False):
        alone = Client().get(f"{API}/testapp.picture/{item.pk}/similar/", {"limit": 4}).json()
        assert row == {**alone, "next": None}
    assert [(row["query"]["status"], row["results"]) for row in results[2:]] == [("missing", [])] * 3


def test_rest__takes_as_many_queries_for_any_number(
    pictures: list[Picture], django_assert_num_queries: Any, configure: Any
) -> None:
    configure(NEAR_DUPLICATE_THRESHOLD=85)
    post("testapp.picture", [pictures[0].pk])
    for count in (1, 20):
        with django_assert_num_queries(7):
            assert post("testapp.picture", [item.pk for item in pictures[:count]], limit=4).status_code == 200


def test_rest__hidden_is_as_missing(pictures: list[Picture], index_now: Any, make_picture: Any) -> None:
    hidden = make_picture(1, published=False)
    index_now()
    answers = [post("testapp.picture", [key]).content for key in (hidden.pk, 999_999)]
    assert answers[0].replace(str(hidden.pk).encode(), b"X") == answers[1].replace(b"999999", b"X")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "ids"),
        ({"ids": "1"}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": [1] * 101}, "ids"),
        ({"ids": [1], "limit": 0}, "limit"),
        ({"ids": [1], "rerank": "keypoints"}, "rerank"),
        ({"ids": [1], "limt": 3}, "limt"),
    ],
)
def test_rest__names_bad_fields(data: dict[str, Any], field: str) -> None:
    answer = Client().post(f"{API}/testapp.picture/similar/batch/", data, content_type="application/json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_rest__refuses_nested_keys_and_unknown_models() -> None:
    assert post("testapp.picture", [[1]]).status_code == 400
    assert post("testapp.picture", [True]).status_code == 400
    assert post("no.such", [1]).status_code == 404
    assert post("auth.user", [1]).status_code == 404


def test_batch__of_owners_is_that_of_each(index_now: Any) -> None:
    shelf = Shelf.objects.create()
    items = [Item.objects.create(name=str(number), shelf=shelf) for number in range(4)]
    for number, item in enumerate(items):
        for seed in (number, number % 2):
            Photo.objects.create(item=item, image=drawing.file(seed))
    index_now()
    ids = [item.pk for item in items]
    results = post("testapp.item", ids).json()["results"]
    for row, item in zip(results, items, strict=True):
        alone = Client().get(f"{API}/testapp.item/{item.pk}/similar/").json()
        assert row == {**alone, "next": None}
        assert {match["model"] for match in row["results"]} == {"testapp.item"}
    counts = []
    for keys in (ids[:1], ids):
        with CaptureQueriesContext(connection) as queries:
            post("testapp.item", keys)
        counts.append(len(queries))
    assert counts[0] == counts[1]

"""Fallback: objects to show where nothing is similar enough, marked as such, and no more than may be seen."""

from __future__ import annotations

from typing import Any

import pytest

import similar_images
from tests import drawing
from tests.items import matched_objects, save_gray
from tests.testapp.models import Picture, Shelf, UuidPicture

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("mean_method")
def test_newest__come_marked_as_fallback(index_now: Any, django_assert_num_queries: Any) -> None:
    query, *others = [save_gray(level) for level in (0, 200, 201, 202, 203)]
    hidden = save_gray(204, published=False)
    index_now()
    unindexed = save_gray(205)
    assert similar_images.similar_to(query, min_similarity=99) == []
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(query, min_similarity=99, fallback="newest", limit=3, exclude=[others[-1]])
    assert matched_objects(matches) == others[2::-1]
    assert {(match.is_fallback, match.similarity, match.folded) for match in matches} == {(True, 0.0, 0)}
    assert [(match.scores, match.distances) for match in matches] == [({}, {})] * 3
    assert not {hidden, unindexed, query} & set(matched_objects(matches))
    queryset = Picture.objects.filter(title__in=["200", "202"])
    items = queryset.similar_to(query, min_similarity=99, fallback="newest")
    assert [(item.title, item.is_fallback, item.similarity) for item in items] == [("202", True, 0), ("200", True, 0)]


@pytest.mark.usefixtures("mean_method")
def test_newest__do_not_come_where_something_is_similar(index_now: Any) -> None:
    query, *others = [save_gray(level) for level in (0, 200, 201)]
    index_now()
    matches = similar_images.similar_to(query, fallback="newest")
    assert matched_objects(matches) == others
    assert not any(match.is_fallback for match in matches)
    items = Picture.objects.similar_to(query, fallback="newest")
    assert [(item, item.is_fallback) for item in items] == [(other, False) for other in others]


@pytest.mark.usefixtures("mean_method")
def test_newest__come_for_a_query_that_is_not_indexed_or_may_not_be_seen(index_now: Any) -> None:
    shown, hidden = save_gray(1), save_gray(2, published=False)
    index_now()
    for query in (save_gray(3), Picture.objects.create(), hidden):
        assert matched_objects(similar_images.similar_to(query, fallback="newest")) == [shown]


@pytest.mark.parametrize("fallback", ["newest", lambda source, objects, limit: objects])
def test_fallback__respects_marks_and_distinct(fallback: Any, gray_pictures: list[Picture], index_now: Any) -> None:
    query, marked, sibling, *others = gray_pictures
    shelf = Shelf.objects.create()
    Picture.objects.filter(pk__in=[query.pk, sibling.pk]).update(shelf=shelf)
    similar_images.mark(query, marked, alike=False)
    pending = save_gray(1)
    similar_images.mark(pending, marked, alike=False)
    options = {"min_similarity": 100, "fallback": fallback, "distinct": "shelf"}
    assert set(matched_objects(similar_images.similar_to(query, **options))) == set(others)
    assert marked not in matched_objects(similar_images.similar_to(pending, fallback=fallback))


@pytest.mark.usefixtures("mean_method")
def test_fallback__ignores_marks_of_a_query_that_may_not_be_seen(index_now: Any) -> None:
    hidden, other = save_gray(1, published=False), save_gray(2)
    index_now()
    similar_images.mark(hidden, other, alike=False)
    assert matched_objects(similar_images.similar_to(hidden, fallback="newest")) == [other]


@pytest.mark.usefixtures("mean_method")
def test_callable__chooses_and_orders_among_what_may_be_seen(index_now: Any) -> None:
    query, first, second, hidden = save_gray(0), save_gray(200), save_gray(201), save_gray(202, published=False)
    index_now()
    calls = []

    def bestsellers(source: Any, queryset: Any, limit: int) -> Any:
        calls.append((source.label, list(queryset.order_by("pk")), limit))
        return [second, hidden, query, first]

    options = {"min_similarity": 99, "fallback": bestsellers, "limit": 2}
    assert matched_objects(similar_images.similar_to(query, **options)) == [second, first]
    assert calls == [("testapp.Picture.image", [first, second], 2)]
    assert matched_objects(
        similar_images.similar_to(query, queryset=Picture.objects.filter(pk=first.pk), **options)
    ) == [first]
    assert calls[-1][1] == [first]
    with pytest.raises(ValueError, match="fallback"):
        similar_images.similar_to(query, fallback="oldest")


def test_callable__may_return_more_than_the_limit_and_an_object_twice(gray_pictures: list[Picture]) -> None:
    """The first position of an object counts."""
    query, *others = gray_pictures
    order = [others[2], others[0], others[2], others[1]]

    def choose(source: Any, queryset: Any, limit: int) -> Any:
        return iter(order)

    for limit, expected in ((1, [2]), (2, [2, 0]), (12, [2, 0, 1])):
        matches = similar_images.similar_to(query, min_similarity=100, fallback=choose, limit=limit)
        assert matched_objects(matches) == [others[index] for index in expected]


def test_newest__are_those_whose_image_came_last_whatever_their_keys(index_now: Any) -> None:
    items = [UuidPicture.objects.create(image=drawing.file(seed)) for seed in range(4)]
    index_now()
    matches = similar_images.similar_to(items[0], min_similarity=100, fallback="newest")
    assert matched_objects(matches) == items[:0:-1]


@pytest.mark.usefixtures("mean_method")
def test_fallback__over_rest_and_on_the_page(client: Any, index_now: Any) -> None:
    query, other = save_gray(0), save_gray(200)
    index_now()
    address = f"/api/similar-images/testapp.picture/{query.pk}/similar/"
    assert client.get(address, {"min_similarity": 99}).json()["results"] == []
    params = {"min_similarity": 99, "fallback": "newest"}
    (row,) = client.get(address, {**params, "diversity": 0.5}).json()["results"]
    assert (row["pk"], row["fallback"], row["similarity"], row["scores"]) == (str(other.pk), True, 0, {})
    for wrong in ({"fallback": "oldest"}, {"diversity": 2}, {"fold": "maybe"}):
        assert list(client.get(address, wrong).json()["errors"]) == list(wrong)
    html = client.get(f"/similar-images/testapp.picture/{query.pk}/", params).content.decode()
    assert "newest items instead" in html
    assert "% similar" not in html

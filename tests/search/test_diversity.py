"""Diversity: one match a group of objects (`distinct`), and variety by maximal marginal relevance."""

from __future__ import annotations

from typing import Any

import pytest

import similar_images
from similar_images import registry
from similar_images.search import diversity
from similar_images.search.options import OptionError
from tests.items import matched_objects, save_gray
from tests.search.samples import record_ids, save_color, scored_candidate
from tests.testapp.models import Picture, Shelf

pytestmark = pytest.mark.django_db


# Maximal marginal relevance


def test_diversify__prefers_results_unlike_those_before() -> None:
    results = [scored_candidate(1, 90), scored_candidate(2, 88), scored_candidate(3, 60)]
    similarities = {(1, 2): 95.0, (1, 3): 5.0, (2, 3): 5.0}

    def order(share: float) -> list[int]:
        return record_ids(diversity.diversify(results, similarities, share))

    assert (order(0), order(0.2), order(0.5)) == ([1, 2, 3], [1, 2, 3], [1, 3, 2])


def test_diversify__weighs_similarity_against_the_closest_result_so_far() -> None:
    """After 1, the second scores 0.5 × 80 − 0.5 × 60 = 10 and the third 0.5 × 50 − 0.5 × closest."""
    results = [scored_candidate(1, 90), scored_candidate(2, 80), scored_candidate(3, 50)]
    for closest, order in ((29.9, [1, 3, 2]), (30.1, [1, 2, 3])):
        assert record_ids(diversity.diversify(results, {(1, 2): 60.0, (1, 3): closest}, 0.5)) == order


def test_diversify__looks_pairs_up_by_the_smaller_id_first() -> None:
    results = [scored_candidate(9, 90), scored_candidate(2, 80), scored_candidate(5, 70)]
    assert record_ids(diversity.diversify(results, {(2, 9): 95.0}, 0.5)) == [9, 5, 2]


def test_diversify__compares_with_all_results_before_not_only_the_last() -> None:
    results = [scored_candidate(1, 90), scored_candidate(2, 85), scored_candidate(3, 80), scored_candidate(4, 60)]
    similarities = {(1, 3): 90.0, (2, 3): 1.0, (1, 2): 1.0}
    assert record_ids(diversity.diversify(results, similarities, 0.5)) == [1, 2, 4, 3]


def test_diversify__keeps_the_ranks_of_results_after_the_first_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    assert diversity.MAX_DIVERSIFIED == 100
    results = [scored_candidate(1, 90), scored_candidate(2, 88), scored_candidate(3, 60), scored_candidate(4, 55)]
    similarities = {(1, 2): 95.0}
    for count, order in ((2, [1, 2, 3, 4]), (3, [1, 3, 2, 4]), (4, [1, 3, 4, 2])):
        monkeypatch.setattr(diversity, "MAX_DIVERSIFIED", count)
        assert record_ids(diversity.diversify(results, similarities, 0.5)) == order


def test_diversify__takes_nothing_away() -> None:
    assert diversity.diversify([], {}, 0.5) == []
    results = [scored_candidate(1, 90), scored_candidate(2, 0)]
    assert diversity.diversify(results, {}, 1) == results


@pytest.mark.usefixtures("mean_method")
def test_diversity__trades_similarity_for_variety(index_now: Any, django_assert_num_queries: Any) -> None:
    query = save_color(100, 100, 100)
    near = [save_color(101 + n, 100, 100) for n in range(4)]
    other = save_color(100, 100, 160)
    index_now()
    assert matched_objects(similar_images.similar_to(query, limit=2)) == near[:2]
    with django_assert_num_queries(5):
        assert matched_objects(similar_images.similar_to(query, limit=2, diversity=0.6)) == [near[0], other]
    assert list(Picture.objects.similar_to(query, limit=2, diversity=0.6)) == [near[0], other]
    for share in (-0.1, 1.1):
        with pytest.raises(ValueError, match="diversity"):
            similar_images.similar_to(query, diversity=share)


# Groups


@pytest.mark.usefixtures("mean_method")
def test_distinct__returns_one_match_a_group_and_none_of_the_query_s(
    index_now: Any, django_assert_num_queries: Any
) -> None:
    shelves = [Shelf.objects.create(name=str(n)) for n in range(8)]
    query, _sibling = (save_gray(100, shelf=shelves[0]) for _ in range(2))
    pictures = [save_gray(101 + n, shelf=shelves[1 + n // 10]) for n in range(60)]
    without_shelf = [save_gray(170), save_gray(171)]
    index_now()
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(query, limit=3, distinct="shelf")
    assert matched_objects(matches) == pictures[:30:10]
    expected = [*pictures[::10], *without_shelf]
    assert matched_objects(similar_images.similar_to(query, limit=12, distinct="shelf")) == expected
    assert list(Picture.objects.similar_to(query, limit=12, distinct="shelf__name")) == expected
    with pytest.raises(ValueError, match="nonsense"):
        similar_images.similar_to(query, distinct="nonsense")


@pytest.mark.usefixtures("mean_method")
def test_distinct__fills_the_page_behind_a_group_of_many_images(index_now: Any) -> None:
    crowd, other = Shelf.objects.create(), Shelf.objects.create()
    query = save_gray(0)
    for _ in range(150):
        save_gray(1, shelf=crowd)
    far = save_gray(200, shelf=other)
    index_now()
    matches = similar_images.similar_to(query, limit=2, distinct="shelf")
    assert [match.object.shelf for match in matches] == [crowd, other]
    assert matches[1].object == far


def test_check_group_path__names_the_option() -> None:
    source = registry.get_source(Picture)
    diversity.check_group_path(source, "shelf__name")
    with pytest.raises(OptionError, match=r"distinct='shelf__nope': .*nope") as error:
        diversity.check_group_path(source, "shelf__nope")
    assert error.value.option == "distinct"


@pytest.fixture
def shelves(mean_method: None) -> dict[str, Any]:
    """Save two pictures on one shelf, one on another, and one on none."""
    first, second = Shelf.objects.create(name="first"), Shelf.objects.create(name="second")
    items = [save_gray(1, shelf=first), save_gray(2, shelf=first), save_gray(3, shelf=second), save_gray(4)]
    return {"source": registry.get_source(Picture), "items": items, "first": first, "second": second}


def test_exclude_same_group__leaves_out_objects_that_share_a_value(shelves: dict[str, Any]) -> None:
    source, items = shelves["source"], shelves["items"]
    for query, kept in ((0, [2, 3]), (2, [0, 1, 3]), (3, [0, 1, 2, 3])):
        objects = diversity.exclude_same_group(source, [items[query].pk], "shelf")
        assert set(objects) == {items[index] for index in kept}


def test_exclude_groups__leaves_out_objects_with_these_values(shelves: dict[str, Any]) -> None:
    source, items, first, second = shelves.values()
    assert set(diversity.exclude_groups(source, [first.pk, None], "shelf")) == set(items[2:])
    assert set(diversity.exclude_groups(source, [first.pk, second.pk], "shelf")) == {items[3]}
    assert set(diversity.exclude_groups(source, [None], "shelf")) == set(items)


def test_group_values__are_by_object_id(shelves: dict[str, Any]) -> None:
    source, items, first, second = shelves.values()
    results = [scored_candidate(item.pk, 50) for item in items[1:]]
    values = {str(items[1].pk): first.pk, str(items[2].pk): second.pk, str(items[3].pk): None}
    assert diversity.group_values(source, "shelf", results) == values


def test_deduplicate__keeps_the_best_of_each_value_and_all_without_one() -> None:
    results = [scored_candidate(number, 90 - number) for number in range(6)]
    values = {"0": "a", "1": "b", "2": "a", "3": None, "4": None}
    assert record_ids(diversity.deduplicate(results, values)) == [0, 1, 3, 4, 5]

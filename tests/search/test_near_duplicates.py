"""Near-duplicates: grouped under the best result, by the ranking of the setting, unless an editor says otherwise."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from django.core.paginator import Paginator
from django.template import Context, Template
from django.test import override_settings
from PIL import Image

import similar_images
from similar_images import conf, plugins, registry
from similar_images.models import IndexedImage
from similar_images.search import near_duplicates
from similar_images.search.matches import Match
from tests import drawing
from tests.items import matched_objects, save_gray
from tests.search.samples import HALF, METHODS, record_ids, save_cells, scored_candidate
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db


def titles_and_folded(matches: Iterable[Match]) -> list[tuple[str, int]]:
    return [(match.title, match.folded) for match in matches]


# Searches


@pytest.mark.usefixtures("fold_equal_grays")
def test_fold__groups_copies_of_the_query_and_of_other_images(index_now: Any, django_assert_num_queries: Any) -> None:
    """Ten copies of the query and three of another image take two positions of the page, which is full."""
    query = save_gray(100)
    for level in [100] * 10 + [101] * 3 + list(range(102, 120)):
        save_gray(level)
    index_now()
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(query, limit=12)
    assert titles_and_folded(matches) == [("100", 9), ("101", 2), *((str(level), 0) for level in range(102, 112))]
    assert {match.title for match in similar_images.similar_to(query, limit=10, fold=False)} == {"100"}


@pytest.mark.usefixtures("fold_equal_grays")
def test_fold__keeps_the_best_of_each_group_on_all_pages(index_now: Any) -> None:
    """Pages of a queryset have each match once, in the order of the function."""
    query = save_gray(100)
    items = [save_gray(100 + number // 2) for number in range(2, 60)]
    index_now()
    matches = similar_images.similar_to(query, limit=40)
    assert matched_objects(matches) == items[::2]
    assert {match.folded for match in matches} == {1}
    pages = Paginator(Picture.objects.similar_to(query), 7)
    assert [item for page in pages for item in page] == items[::2]
    assert Picture.objects.similar_to(query, fold=False).count() == len(items)


@pytest.mark.usefixtures("fold_equal_grays")
def test_fold__goes_by_the_setting_s_ranking_whatever_is_searched_by(index_now: Any, configure: Any) -> None:
    """Images of one color are no near-duplicates because somebody searches by color."""
    configure(METHODS=METHODS, RANKING={"mean": 1, "bits": 1})
    left, right = Image.new("RGB", (16, 16)), Image.new("RGB", (16, 16))
    left.paste("white", (0, 0, 8, 16))
    right.paste("white", (8, 0, 16, 16))
    items = [
        Picture.objects.create(image=drawing.ContentFile(drawing.encoded(image), name="half.png"))
        for image in (left, right, right, left)
    ]
    index_now()
    matches = similar_images.similar_to(items[0], method="mean")
    assert [match.similarity for match in matches] == [100, 100]
    assert [(match.object, match.folded) for match in matches] == [(items[1], 1), (items[3], 0)]


def test_fold__by_default_groups_recompressed_photos_and_no_others(index_now: Any, configure: Any) -> None:
    """By the built-in methods, at the default threshold."""
    configure(NEAR_DUPLICATE_THRESHOLD=conf.Conf.near_duplicate_threshold)
    for seed in range(4):
        for quality in (95, 85, 60):
            file = io.BytesIO()
            drawing.scene(seed).save(file, "JPEG", quality=quality)
            Picture.objects.create(title=f"{quality} {seed}", image=drawing.ContentFile(file.getvalue(), name="s.jpg"))
    index_now()
    matches = similar_images.similar_to(Picture.objects.get(title="95 0"))
    assert sorted(match.title.split()[1] for match in matches) == ["0", "1", "2", "3"]
    assert matches[0].folded == 1
    assert {match.folded for match in matches[1:]} == {2}


def test_fold__keeps_images_that_lack_a_method_of_most_of_the_weight(index_now: Any, configure: Any) -> None:
    """While a new method is filled in, images that differ by it alone are no near-duplicates."""
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1}, NEAR_DUPLICATE_THRESHOLD=99.9)
    query = save_gray(100)
    shapes = [save_cells(np.roll(HALF, rows, 0)) for rows in range(6)]
    index_now()
    assert len(similar_images.similar_to(query)) == 1
    configure(METHODS=METHODS, RANKING={"mean": 1, "bits": 9})
    assert set(matched_objects(similar_images.similar_to(query))) == set(shapes)


@pytest.mark.usefixtures("fold_equal_grays")
def test_fold__keeps_pairs_that_are_marked_as_not_similar(index_now: Any, django_assert_num_queries: Any) -> None:
    query, first, second, third = save_gray(100), save_gray(103), save_gray(103), save_gray(103)
    index_now()
    similar_images.mark(first, second, alike=False)
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(query)
    assert [(match.object, match.folded) for match in matches] == [(first, 1), (second, 0)]
    similar_images.unmark(first, second)
    assert [(match.object, match.folded) for match in similar_images.similar_to(query)] == [(first, 2)]
    assert third not in matched_objects(matches)


@pytest.mark.usefixtures("fold_equal_grays")
def test_fold__is_counted_in_querysets(index_now: Any) -> None:
    query, first, *_copies = save_gray(100), save_gray(101), save_gray(101), save_gray(101)
    index_now()
    assert [(item, item.folded) for item in Picture.objects.similar_to(query)] == [(first, 2)]


@pytest.mark.usefixtures("fold_equal_grays")
def test_fold__is_the_default_on_every_surface_and_counted(
    client: Any, index_now: Any, django_assert_num_queries: Any
) -> None:
    query, first, *_rest = [save_gray(level) for level in (100, 101, 101, 101, 102)]
    index_now()
    api = f"/api/similar-images/testapp.picture/{query.pk}/similar/"
    with django_assert_num_queries(8):  # the state of the database, the object, its status, and five of the search
        rows = client.get(api).json()["results"]
    assert (rows[0]["pk"], rows[0]["folded"], rows[0]["fallback"]) == (str(first.pk), 2, False)
    assert (len(rows), len(client.get(api, {"fold": 0}).json()["results"])) == (2, 4)
    address = f"/similar-images/testapp.picture/{query.pk}/"
    with django_assert_num_queries(8):  # and one of the demo's own frame
        html = client.get(address).content.decode()
    assert "+2 near-duplicates" in html
    assert "near-duplicates</span>" not in client.get(address, {"fold": 0}).content.decode()
    tag = Template(
        "{% load similar_images %}{% similar_items item as few %}{% similar_items item fold=False as all %}"
        "{{ few|length }}|{{ all|length }}"
    )
    with django_assert_num_queries(5 + 4):
        assert tag.render(Context({"item": query})) == "2|4"
    with first.image.open() as file, django_assert_num_queries(5):
        answer = client.post("/api/similar-images/search/", {"image": file, "model": "testapp.picture"})
    assert [row["folded"] for row in answer.json()["results"]] == [2, 0, 0]


# Pairs


def test_pair_similarities__are_those_of_searches_by_either_image(make_picture: Any, index_now: Any) -> None:
    """They are the same similarities, of every pair once; and all near-duplicates are among them."""
    items = [make_picture(seed) for seed in (1, 2, 3, 1)]
    index_now()
    records = dict(IndexedImage.objects.values_list("object_id", "pk"))
    source, methods = registry.get_source(Picture), dict(plugins.enabled_methods())
    similarities = near_duplicates.pair_similarities(source, methods, list(records.values()))
    assert len(similarities) == 6
    for item in items:
        for match in similar_images.similar_to(item):
            a, b = sorted((records[str(item.pk)], records[str(match.object.pk)]))
            assert similarities[a, b] == pytest.approx(match.similarity, abs=0.06)
    with override_settings(SIMILAR_IMAGES={"NEAR_DUPLICATE_THRESHOLD": 85}):
        near = near_duplicates.pair_similarities(source, methods, list(records.values()), near_only=True)
    assert near.keys() == {tuple(sorted((records[str(items[0].pk)], records[str(items[3].pk)])))}


@pytest.mark.usefixtures("fold_equal_grays")
def test_pair_similarities__leave_marked_pairs_out_only_among_near_duplicates(index_now: Any) -> None:
    items = [save_gray(100), save_gray(100), save_gray(100)]
    index_now()
    similar_images.mark(items[0], items[1], alike=False)
    source, methods = registry.get_source(Picture), dict(plugins.enabled_methods())
    ids = list(IndexedImage.objects.order_by("pk").values_list("pk", flat=True))
    pairs = {(ids[0], ids[1]): 100, (ids[0], ids[2]): 100, (ids[1], ids[2]): 100}
    assert near_duplicates.pair_similarities(source, methods, ids) == pairs
    del pairs[ids[0], ids[1]]
    assert near_duplicates.pair_similarities(source, methods, ids, near_only=True) == pairs


@pytest.mark.usefixtures("mean_method")
def test_pair_similarities__of_fewer_than_two_records_take_no_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        for ids in ([], [1]):
            assert near_duplicates.pair_similarities(registry.get_source(Picture), {}, ids) == {}


@pytest.mark.usefixtures("fold_equal_grays")
def test_pair_similarities__use_the_active_versions_of_methods_that_were_not_searched_by(index_now: Any) -> None:
    for _ in range(2):
        save_gray(100)
    index_now()
    a, b = IndexedImage.objects.order_by("pk").values_list("pk", flat=True)
    assert near_duplicates.pair_similarities(registry.get_source(Picture), {}, [a, b]) == {(a, b): 100}


# Folding


@pytest.fixture
def two_methods(configure: Any) -> None:
    configure(METHODS=METHODS, RANKING={"mean": 3, "bits": 1}, NEAR_DUPLICATE_THRESHOLD=90)


@pytest.mark.usefixtures("two_methods")
@pytest.mark.parametrize(
    ("scores", "is_near"),
    [
        ({"mean": 90, "bits": 90}, True),
        ({"mean": 89.9, "bits": 90}, False),
        ({"mean": 100, "bits": 65}, True),  # 25 points below the threshold
        ({"mean": 100, "bits": 64.9}, False),
        ({"mean": 95, "bits": 75}, True),  # 90 by the weights
        ({"mean": 95, "bits": 74.9}, False),
        ({"mean": 95}, True),  # three quarters of the weight
        ({"bits": 100}, False),
        ({}, False),
    ],
)
def test_is_near_duplicate__needs_the_threshold_and_no_method_far_below(
    scores: dict[str, float], is_near: bool
) -> None:
    assert near_duplicates.is_near_duplicate(scores, {"mean": 0.75, "bits": 0.25}) is is_near


@pytest.mark.usefixtures("two_methods")
def test_is_near_duplicate__takes_methods_of_exactly_half_of_the_weight() -> None:
    assert near_duplicates.is_near_duplicate({"bits": 90}, {"mean": 0.5, "bits": 0.5})
    assert not near_duplicates.is_near_duplicate({"bits": 90}, {"mean": 0.51, "bits": 0.49})


@pytest.mark.usefixtures("two_methods")
def test_min_method_similarity__is_what_other_methods_could_make_up_for() -> None:
    assert near_duplicates._min_method_similarity(1) == 90
    assert near_duplicates._min_method_similarity(0.5) == pytest.approx(80)
    assert near_duplicates._min_method_similarity(0.25) == 65


@pytest.mark.usefixtures("mean_method")
def test_fold_near_duplicates__adds_each_result_to_the_best_that_it_duplicates(configure: Any) -> None:
    configure(NEAR_DUPLICATE_THRESHOLD=99)
    results = [scored_candidate(number, 90 - number) for number in (5, 1, 4, 2, 3)]
    results.sort(key=lambda scored: -scored.similarity)
    folded = near_duplicates.fold_near_duplicates(results, [(1, 3), (2, 3), (4, 5)], query_is_image=True)
    assert [(scored.candidate.record_id, scored.folded) for scored in folded] == [(1, 1), (2, 0), (4, 1)]
    # A result that was folded itself is no group of its own.
    folded = near_duplicates.fold_near_duplicates(results, [(1, 2), (2, 3)], query_is_image=True)
    assert [(scored.candidate.record_id, scored.folded) for scored in folded] == [(1, 1), (3, 0), (4, 0), (5, 0)]


@pytest.mark.usefixtures("mean_method")
def test_fold_near_duplicates__counts_what_results_already_stand_for(configure: Any) -> None:
    configure(NEAR_DUPLICATE_THRESHOLD=99)
    earlier = [scored_candidate(record_id, 70) for record_id in range(3, 8)]
    results = [
        scored_candidate(1, 90)._replace(near_duplicates=tuple(earlier[:2])),
        scored_candidate(2, 80)._replace(near_duplicates=tuple(earlier[2:])),
    ]
    (scored,) = near_duplicates.fold_near_duplicates(results, [(1, 2)], query_is_image=True)
    assert (scored.candidate.record_id, scored.folded) == (1, 6)


@pytest.mark.usefixtures("mean_method")
@pytest.mark.parametrize(("query_is_image", "kept"), [(True, [1, 3]), (False, [1, 2, 3, 4])])
def test_fold_near_duplicates__groups_copies_of_a_query_that_is_an_image(
    query_is_image: bool, kept: list[int], configure: Any
) -> None:
    """Also where no pair says so; a text has no copies."""
    configure(NEAR_DUPLICATE_THRESHOLD=99)
    results = [scored_candidate(number, similarity) for number, similarity in ((1, 100), (2, 99), (3, 98.9))]
    results.append(scored_candidate(4, 99))
    assert record_ids(near_duplicates.fold_near_duplicates(results, [], query_is_image)) == kept


@pytest.mark.usefixtures("two_methods")
def test_fold_near_duplicates__calls_nothing_a_copy_of_a_query_that_lacks_a_method() -> None:
    results = [scored_candidate(number, 100, mean=100) for number in (1, 2)]
    assert record_ids(near_duplicates.fold_near_duplicates(results, [], query_is_image=True)) == [1, 2]
    results = [scored_candidate(number, 100, mean=100, bits=100) for number in (1, 2)]
    assert record_ids(near_duplicates.fold_near_duplicates(results, [], query_is_image=True)) == [1]


@pytest.mark.usefixtures("fold_equal_grays")
def test_group__compares_the_best_results_only(index_now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert near_duplicates.MAX_FOLDED == 400
    for level in (100, 100, 100):
        save_gray(level)
    index_now()
    ids = list(IndexedImage.objects.order_by("pk").values_list("pk", flat=True))
    results = [scored_candidate(pk, 50) for pk in ids]
    source, methods = registry.get_source(Picture), dict(plugins.enabled_methods())
    for count, kept in ((3, ids[:1]), (2, [ids[0], ids[2]]), (1, ids)):
        monkeypatch.setattr(near_duplicates, "MAX_FOLDED", count)
        grouped = near_duplicates.group_near_duplicates(source, methods, results, query_is_image=True)
        assert record_ids(grouped) == kept


@pytest.mark.django_db
def test_group__of_an_object_that_was_updated_is_shown_by_its_twin(
    mean_method: None, index_now: Any, configure: Any
) -> None:
    """Also where nothing but the database has seen the update, and no worker has come yet."""
    configure(NEAR_DUPLICATE_THRESHOLD=95)
    query, *twins = [save_gray(level) for level in (100, 160, 160)]
    index_now()
    (match,) = similar_images.similar_to(query)
    assert match.folded == 1
    Picture.objects.filter(pk=match.object.pk).update(image="pictures/new.png")
    (other,) = set(twins) - {match.object}
    assert matched_objects(similar_images.similar_to(query)) == [other]

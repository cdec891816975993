"""Searches by several examples, and by some that matches must not resemble."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

import similar_images
from similar_images.search import multi_query
from similar_images.search.candidates import Candidate, ScoredCandidate
from tests import drawing
from tests.items import matched_objects
from tests.search.samples import knn_row, query_vector, record_ids, save_color
from tests.testapp.models import Couple, Picture

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("mean_method")
def test_examples__are_scored_by_the_mean(index_now: Any, django_assert_num_queries: Any) -> None:
    red, green = save_color(200, 0, 0), save_color(0, 200, 0)
    near_red, between, near_green = save_color(190, 0, 0), save_color(100, 100, 0), save_color(0, 190, 0)
    index_now()
    with django_assert_num_queries(5):  # the signatures of each example are one
        matches = similar_images.similar_to([red, green])
    assert {match.object for match in matches} == {near_red, between, near_green}
    by_one = [match for query in (red, green) for match in similar_images.similar_to(query)]
    for match in matches:
        similarities = [single.similarity for single in by_one if single.object == match.object]
        assert match.similarity == pytest.approx(sum(similarities) / 2, abs=0.11)
        assert match.scores == {"mean": match.similarity}
    assert list(Picture.objects.similar_to([red, green])) == matched_objects(matches)


@pytest.mark.usefixtures("mean_method")
def test_examples__may_be_objects_and_files(index_now: Any) -> None:
    red, green, other = save_color(200, 0, 0), save_color(0, 200, 0), save_color(90, 90, 0)
    index_now()
    by_objects = similar_images.similar_to([red, green])
    with green.image.open() as file:
        mixed = similar_images.similar_to([red, file])
    assert {match.object: match.similarity for match in mixed}[other] == by_objects[0].similarity
    assert matched_objects(by_objects) == [other]


@pytest.mark.usefixtures("mean_method")
def test_unlike__lowers_what_resembles_it(index_now: Any) -> None:
    query, unwanted = save_color(100, 0, 0), save_color(130, 60, 0)
    near_unwanted, fine = save_color(120, 30, 0), save_color(100, 0, 60)
    index_now()
    before = similar_images.similar_to(query)
    assert matched_objects(before)[0] == near_unwanted
    after = similar_images.similar_to(query, unlike=[unwanted])
    assert matched_objects(after) == [fine, near_unwanted]
    with unwanted.image.open() as file:
        by_file = similar_images.similar_to(query, unlike=[file], exclude=[unwanted])
    assert [(m.object, m.similarity) for m in by_file] == [(m.object, m.similarity) for m in after]
    assert all(0 <= match.similarity <= 100 for match in after)
    assert after[0].similarity < {m.object: m.similarity for m in before}[fine]


@pytest.mark.usefixtures("mean_method")
def test_unlike__finds_matches_behind_a_crowd_that_resembles_it(index_now: Any) -> None:
    query, unwanted = save_color(100, 100, 100), save_color(110, 100, 100)
    for _ in range(300):
        save_color(108, 100, 100)
    good = [save_color(80, 100, 100) for _ in range(5)]
    index_now()
    assert matched_objects(similar_images.similar_to(query, unlike=[unwanted], min_similarity=48.9)) == good


def test_examples__find_what_suits_all_but_is_nearest_to_none(index_now: Any, configure: Any) -> None:
    """By cosine, what lies between two directions is nearer to both than their own neighbors are to the other."""
    configure(METHODS={"tests.methods.Sparse": {}}, RANKING={"sparse": 1})

    def save_stripes(*levels: int) -> Picture:
        image = Image.new("RGB", (20, 1))
        for x in range(20):
            image.putpixel((x, 0), (levels[x % len(levels)], 0, 0))
        return Picture.objects.create(image=drawing.ContentFile(drawing.encoded(image), name="stripes.png"))

    first, second = save_stripes(10), save_stripes(20)
    for level in range(30, 55):
        save_stripes(10, 10, 10, level)
        save_stripes(20, 20, 20, level)
    between = save_stripes(10, 20)
    index_now()
    assert between not in matched_objects(similar_images.similar_to(first, limit=22))
    assert matched_objects(similar_images.similar_to([first, second], limit=2))[0] == between


def test_examples__of_another_model_are_refused(make_picture: Any) -> None:
    item, couple = make_picture(1), Couple.objects.create(front=drawing.file(1))
    with pytest.raises(ValueError, match="Picture"):
        similar_images.similar_to([item, couple])
    with pytest.raises(ValueError, match="Picture"):
        similar_images.similar_to(item, unlike=[couple])
    with pytest.raises(ValueError, match="Say what to search by"):
        similar_images.similar_to([])
    with pytest.raises(ValueError, match="not a Picture"):
        Picture.objects.similar_to([item, couple])


def test_examples__that_may_not_be_seen_are_ignored(make_picture: Any, index_now: Any) -> None:
    item, hidden, other = make_picture(1), make_picture(2, published=False), make_picture(3)
    index_now()
    assert similar_images.similar_to([hidden]) == []
    (match,) = similar_images.similar_to([item, hidden])
    assert (match.object, match.similarity) == (other, similar_images.similar_to(item)[0].similarity)
    (match,) = similar_images.similar_to(item, unlike=[hidden])
    assert (match.object, match.similarity) == (other, similar_images.similar_to(item)[0].similarity)


def test_like_and_unlike__over_rest_and_on_the_page(client: Any, make_picture: Any, index_now: Any) -> None:
    a, b, c, hidden = make_picture(1), make_picture(2), make_picture(3), make_picture(4, published=False)
    make_picture(5)
    index_now()
    address, page_address = f"/api/similar-images/testapp.picture/{a.pk}/similar/", page_url(a)
    expected = similar_images.similar_to([a, b], unlike=[c])
    rows = client.get(address, {"like": b.pk, "unlike": c.pk}).json()["results"]
    assert [(row["pk"], row["similarity"]) for row in rows] == [(str(m.object.pk), m.similarity) for m in expected]
    page = client.get(page_address, {"like": b.pk, "unlike": c.pk})
    assert page.context["matches"] == expected
    assert f'<input type="hidden" name="unlike" value="{c.pk}"' in page.content.decode()
    with a.image.open() as file:
        upload = {"image": file, "model": "testapp.picture", "like": b.pk, "unlike": [c.pk]}
        rows = client.post("/api/similar-images/search/", upload).json()["results"]
    assert {row["pk"] for row in rows} == {str(a.pk), *(str(match.object.pk) for match in expected)}
    assert client.get(address, {"like": "", "unlike": ""}).json() == client.get(address).json()
    for params in ({"unlike": hidden.pk}, {"like": 0}):
        answer = client.get(address, params)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, list(params))
        assert client.get(page_address, params).status_code == 400


def page_url(item: Picture) -> str:
    return f"/similar-images/testapp.picture/{item.pk}/"


@pytest.mark.parametrize("name", ["like", "unlike"])
@pytest.mark.parametrize(("count", "status"), [(10, 200), (11, 400)])
def test_like_and_unlike__take_ten_objects_and_not_eleven(
    name: str, count: int, status: int, client: Any, gray_pictures: list[Picture]
) -> None:
    params = {name: [gray_pictures[1].pk] * count}
    page = client.get(page_url(gray_pictures[0]), params)
    answer = client.get(
        f"/api/similar-images{page_url(gray_pictures[0]).removeprefix('/similar-images')}similar/", params
    )
    assert (page.status_code, answer.status_code) == (status, status)
    with gray_pictures[0].image.open() as file:
        upload = {"image": file, "model": "testapp.picture", **params}
        searched = client.post("/api/similar-images/search/", upload)
    assert searched.status_code == status
    if status == 400:
        assert "Name at most 10 objects." in page.content.decode()
        assert answer.json()["errors"] == searched.json()["errors"] == {name: ["Name at most 10 objects."]}
    else:
        assert answer.json()["results"]


# Functions


@pytest.mark.parametrize(
    ("limit", "wide"), [(1, 4), (12, 48), (99, 396), (100, 400), (101, 400), (400, 400), (401, 401), (1000, 1000)]
)
def test_widened_limit__is_four_times_as_many_up_to_400(limit: int, wide: int) -> None:
    assert multi_query.widened_limit(limit) == wide


def scored(similarity: float, distance: float, found_by: tuple[str, ...] = (), **scores: float) -> ScoredCandidate:
    candidate = Candidate(1, "1", "", {"mean": distance}, list(found_by))
    return ScoredCandidate(similarity, candidate, scores or {"mean": similarity})


def test_combine_examples__is_the_mean_less_half_of_the_most_similar_negative() -> None:
    positive = [scored(60, 2), scored(80, 1)]
    assert multi_query.combine_examples(positive, []).similarity == 70
    combined = multi_query.combine_examples(positive, [scored(20, 5), scored(40, 4)])
    assert (combined.similarity, combined.scores, combined.candidate.distances) == (50, {"mean": 50}, {"mean": 1})
    assert multi_query.combine_examples([scored(10, 9)], [scored(90, 1)]).similarity == 0


def test_combine_examples__averages_each_method_over_the_examples_that_have_it() -> None:
    positive = [scored(60, 2, a=50, b=70), scored(80, 1, a=80)]
    combined = multi_query.combine_examples(positive, [scored(10, 1, b=20), scored(10, 1, c=50)])
    assert combined.scores == {"a": 65, "b": 60}
    assert combined.similarity == 65


def test_combine_examples__names_every_method_that_found_it_once() -> None:
    positive = [scored(60, 2, ("b",)), scored(80, 1, ("a", "b"))]
    assert multi_query.combine_examples(positive, [scored(9, 9, ("c",))]).candidate.found_by == ["b", "a"]


@pytest.mark.usefixtures("mean_method")
def test_score_examples__reads_the_distances_of_each_example() -> None:
    """By the curve of `Mean`, distances of 0, 0.5, 1 and 3 are 100, 75, 50 and 0%."""
    positive, negative = [[[query_vector()]], [[query_vector()]]], [[[query_vector()]]]
    rows = [
        knn_row(1, 0.0, 1.0, 3.0),
        knn_row(2, 0.5, 0.5, 0.0),
        knn_row(3, None, 0.0, None),
        knn_row(4, None, None, 0),
    ]
    results = multi_query.score_examples(positive, negative, rows, {"mean": 1})
    assert [(scored.candidate.record_id, scored.similarity) for scored in results] == [(3, 100), (1, 75), (2, 25)]
    results = multi_query.score_examples(
        positive[:1], negative, [knn_row(1, 0.0, 0.5), knn_row(2, 0.5, 3.0)], {"mean": 1}
    )
    assert [(scored.candidate.record_id, scored.similarity) for scored in results] == [(2, 75), (1, 62.5)]
    assert record_ids(multi_query.score_examples(positive, [], rows[:1], {"mean": 1})) == [1]

"""Neighbors: a match whose nearest matches resemble the query ranks before one that does by chance."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import similar_images
from similar_images import registry
from similar_images.indexing import versions
from similar_images.models import IndexedImage
from similar_images.search import near_duplicates
from similar_images.search.rerank import neighbors
from similar_images.search.rerank.neighbors import smooth_similarities
from tests.drawing import textured
from tests.items import save_gray, save_image
from tests.testapp.models import Picture

PERCENT = st.floats(0, 100)


def test_smoothed__is_the_weighted_mean_over_the_match_the_query_and_its_nearest() -> None:
    (first, second) = smooth_similarities([80.0, 60.0], [[100, 50], [50, 100]])
    near, other = 0.8**6, 0.5**6
    mean = (80 + near * 100 + other * 60) / (1 + near + other)
    assert first == pytest.approx(0.8**12 * 80 + (1 - 0.8**12) * mean)
    near = 0.6**6
    mean = (60 + near * 100 + other * 80) / (1 + near + other)
    assert second == pytest.approx(0.6**12 * 60 + (1 - 0.6**12) * mean)


def test_smoothed__leaves_an_exact_copy_at_100() -> None:
    assert smooth_similarities([100.0, 50.0, 50.0], [[0, 70, 70], [70, 0, 70], [70, 70, 0]])[0] == 100


def test_smoothed__lifts_what_belongs_to_a_group_of_good_matches() -> None:
    """Three alike at 70 to 72% go before a stray one at 72% that is like nothing else."""
    among = [[0.0, 5, 5, 5], [5, 0, 95, 95], [5, 95, 0, 95], [5, 95, 95, 0]]
    stray, *group = smooth_similarities([72, 85, 80, 71], among)
    assert min(group) > stray


def test_smoothed__takes_the_nearest_few_only() -> None:
    count = neighbors.NEIGHBORS + 5
    among = [[90.0] * count for _row in range(count)]
    similarities = [100.0] * neighbors.NEIGHBORS + [0.0] * 5
    last = smooth_similarities(similarities, among)[-1]
    assert last == pytest.approx(100 * neighbors.NEIGHBORS * 0.9**6 / (1 + neighbors.NEIGHBORS * 0.9**6))


@given(st.lists(PERCENT, min_size=1, max_size=8), st.data())
def test_smoothed__stays_between_the_least_and_100(similarities: list[float], data: Any) -> None:
    size = len(similarities)
    among = data.draw(st.lists(st.lists(PERCENT, min_size=size, max_size=size), min_size=size, max_size=size))
    smoothed = smooth_similarities(similarities, among)
    assert len(smoothed) == size
    assert all(min(similarities) - 1e-9 <= value <= 100 + 1e-9 for value in smoothed)


def test_rerank__smooths_the_best_and_reads_no_image(
    gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    for picture in gray_pictures:
        picture.image.storage.delete(picture.image.name)
    before = similar_images.similar_to(gray_pictures[0], fold=False)
    after = similar_images.similar_to(gray_pictures[0], fold=False, rerank="neighbors")
    assert {match.object for match in after} == {match.object for match in before}
    assert [match.similarity for match in after] == sorted((match.similarity for match in after), reverse=True)
    assert [match.similarity for match in after] != [match.similarity for match in before]
    monkeypatch.setattr(neighbors, "MAX_SMOOTHED", 3)
    cut = similar_images.similar_to(gray_pictures[0], fold=False, rerank="neighbors")
    assert [match.object for match in cut[3:]] == [match.object for match in before[3:]]


@pytest.mark.parametrize("name", ["Wide", "Bits", "Mean"])
def test_similarities_among_matches__are_those_of_the_database(
    configure: Any, index_now: Any, db: None, name: str
) -> None:
    configure(METHODS={f"tests.methods.{name}": {}}, RANKING={name.lower(): 1})
    pictures = [save_image(textured(seed, (64, 48)), str(seed)) for seed in range(4)]
    index_now()
    source = registry.get_source(Picture)
    records = list(IndexedImage.objects.for_source(source).order_by("pk").values_list("pk", flat=True))
    specs = versions.active_versions(source)
    among = neighbors._similarities_among(source, specs, records)
    pairs = near_duplicates.pair_similarities(source, specs, records)
    assert len(pairs) == 6
    for (a, b), similarity in pairs.items():
        assert among[records.index(a)][records.index(b)] == pytest.approx(similarity, abs=0.1)
    assert len(similar_images.similar_to(pictures[0], rerank="neighbors", fold=False)) == 3


def test_rerank__hears_nothing_of_hidden_neighbors(gray_pictures: list[Picture], index_now: Any) -> None:
    """What the visitor may not see would otherwise change the similarity of what they see."""
    shown = Picture.objects.exclude(pk__in=[picture.pk for picture in gray_pictures[5:]])
    options: dict[str, Any] = {"fold": False, "rerank": "neighbors", "queryset": shown}
    before = [(match.object, match.similarity) for match in similar_images.similar_to(gray_pictures[0], **options)]
    hidden = [save_gray(level) for level in (101, 102, 103)]
    index_now()
    options["queryset"] = shown.exclude(pk__in=[picture.pk for picture in hidden])
    after = [(match.object, match.similarity) for match in similar_images.similar_to(gray_pictures[0], **options)]
    assert before == after


def test_rerank__takes_several_examples_and_a_part(gray_pictures: list[Picture]) -> None:
    both = similar_images.similar_to(gray_pictures[:2], rerank="neighbors", fold=False)
    assert {match.object for match in both} == set(gray_pictures[2:])
    part = similar_images.similar_to(gray_pictures[0], box=(0, 0, 0.5, 1), rerank="neighbors", fold=False)
    assert len(part) == 9
    with pytest.raises(ValueError, match="diversity"):
        similar_images.similar_to(gray_pictures[0], rerank="neighbors", diversity=0.3)


def test_rerank__is_not_costly(gray_pictures: list[Picture], configure: Any, client: Any, settings: Any) -> None:
    configure(RERANK="nobody", COSTLY_MAX_LIMIT=2)
    address = f"/api/similar-images/testapp.picture/{gray_pictures[0].pk}/similar/"
    answer = client.get(address, {"rerank": "neighbors", "limit": 5, "fold": 0, "min_similarity": 0})
    assert (answer.status_code, len(answer.json()["results"])) == (200, 5)
    assert client.get(address, {"rerank": "keypoints"}).status_code == 400

"""The candidates of a search are the same, whichever of pgvector and a search backend finds what is near."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import similar_images
from similar_images import registry
from similar_images.indexing import backend_feed
from similar_images.models import IndexedImage, Signature
from similar_images.search import candidates, query_vectors
from similar_images.search.batch import similar_to_each
from similar_images.search.options import SearchOptions
from tests.items import matched_objects, save_gray
from tests.testapp.models import Picture, Shelf

pytestmark = pytest.mark.django_db

MakeSearchable = Callable[[], None]


@pytest.fixture
def angle_method(configure: Any) -> None:
    configure(METHODS={"tests.methods.Angle": {}}, RANKING={"angle": 1})


@pytest.fixture
def grays(angle_method: None, index_now: Any) -> list[Picture]:
    """Index forty pictures, each less similar to the first one than those before it; every fifth is unpublished."""
    items = [save_gray(level, published=level % 5 != 4) for level in range(100, 140)]
    index_now()
    return items


def find(item: Picture, objects: Any, pool: int, limit: int) -> list[tuple[str, float]]:
    """Return the titles of what is found, the nearest first, with their distances."""
    source = registry.get_source(Picture)
    vectors = query_vectors.stored_queries(source, [item], ["angle"])[item]
    records = candidates.searchable_records(source, [objects], [item.pk])
    rows = candidates.search_candidates(source, vectors, records, {"angle": pool}, limit)
    titles = {str(pk): title for pk, title in Picture.objects.values_list("pk", "title")}
    found = sorted((row.distances[0], titles[row.object_id]) for row in rows if row.distances[0] is not None)
    return [(title, round(distance, 5)) for distance, title in found]


def test_candidates__are_the_nearest_with_their_distances(
    grays: list[Picture], make_searchable: MakeSearchable
) -> None:
    make_searchable()
    found = find(grays[0], Picture.objects.all(), 5, 5)
    assert [title for title, _distance in found] == ["101", "102", "103", "104", "105"]
    assert found[-1][1] == pytest.approx(0.0005, abs=1e-4)


def test_candidates__are_as_many_as_may_come_back(grays: list[Picture], make_searchable: MakeSearchable) -> None:
    make_searchable()
    hidden = Picture.objects.filter(title__in=[str(level) for level in range(120, 140)])
    assert [title for title, _distance in find(grays[0], hidden, 5, 5)] == ["120", "121", "122", "123", "124"]
    assert len(find(grays[0], hidden, 50, 30)) == 20
    assert find(grays[0], Picture.objects.none(), 5, 5) == []


def test_similar_to__finds_the_same(grays: list[Picture], make_searchable: MakeSearchable) -> None:
    make_searchable()
    matches = similar_images.similar_to(grays[0], limit=4, fold=False, queryset=Picture.objects.filter(published=True))
    assert [match.object.title for match in matches] == ["101", "102", "103", "105"]
    assert matches.is_complete
    with grays[22].image.open() as file:
        matches = similar_images.similar_to(file, model=Picture, limit=3, fold=False)
    assert {match.object.title for match in matches} == {"121", "122", "123"}


def test_similar_to_each__finds_the_same(grays: list[Picture], make_searchable: MakeSearchable) -> None:
    make_searchable()
    found = similar_to_each(grays[:2], SearchOptions(limit=3, fold=False))
    titles = [{match.object.title for match in matches} for matches in found]
    assert titles == [{"101", "102", "103"}, {"100", "102", "103"}]


def test_marks_and_deleted_objects__stay_out(grays: list[Picture], make_searchable: MakeSearchable) -> None:
    make_searchable()
    similar_images.mark(grays[0], grays[1], alike=False)
    grays[2].delete()
    matches = similar_images.similar_to(grays[0], limit=3, fold=False)
    assert [match.object.title for match in matches] == ["103", "105", "106"]


def test_a_record_without_a_signature__is_no_candidate(grays: list[Picture], make_searchable: MakeSearchable) -> None:
    make_searchable()
    record = IndexedImage.objects.get(object_id=str(grays[1].pk))
    Signature.objects.filter(record=record).delete()
    assert [title for title, _distance in find(grays[0], Picture.objects.all(), 3, 3)] == ["102", "103", "104"]


def test_what_is_saved_later__is_found(grays: list[Picture], make_searchable: MakeSearchable, index_now: Any) -> None:
    make_searchable()
    item = save_gray(100)
    index_now()
    backend_feed.feed_quietly()
    assert matched_objects(similar_images.similar_to(grays[0], limit=1, fold=False)) == [item]


def test_filters__of_the_source_take_part(
    grays: list[Picture], make_searchable: MakeSearchable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_sources", registry._sources.copy())
    similar_images.register(Picture, "image", filters=["shelf"])
    shelf = Shelf.objects.create()
    Picture.objects.filter(title__in=["130", "131"]).update(shelf=shelf)
    make_searchable()
    matches = similar_images.similar_to(grays[0], limit=3, fold=False, filters={"shelf": shelf.pk})
    assert [match.object.title for match in matches] == ["130", "131"]
    Picture.objects.filter(title="132").update(shelf=shelf)
    Picture.objects.filter(title="130").update(shelf=None)
    backend_feed.feed_quietly()
    matches = similar_images.similar_to(grays[0], limit=3, fold=False, filters={"shelf": shelf.pk})
    assert [match.object.title for match in matches] == ["131", "132"]

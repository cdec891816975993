"""A search: rounds of candidates until the page is full, and parts of images to search by."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

import similar_images
from similar_images import registry
from similar_images.imaging import decoders
from similar_images.imaging.decode import UnreadableImage
from similar_images.imaging.files import MissingFile
from similar_images.search import search
from similar_images.search.options import SearchOptions
from similar_images.search.plan import plan_search
from similar_images.search.search import SearchTrace
from tests import drawing, hostile
from tests.items import matched_objects, save_gray
from tests.search.samples import HALF, METHODS, save_cells
from tests.testapp.models import Picture, Shelf

pytestmark = pytest.mark.django_db

API = "/api/similar-images"


# Rounds


@pytest.mark.usefixtures("fold_equal_grays")
def test_page__is_filled_behind_more_copies_than_candidates(
    index_now: Any, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "REFILL_FACTOR", 1)
    query = save_gray(100)
    for level in [100] * 150 + list(range(101, 120)):
        save_gray(level)
    index_now()
    with django_assert_num_queries(8):  # the setting, the search and the pairs once more
        matches = similar_images.similar_to(query, limit=12)
    assert [match.title for match in matches] == [str(level) for level in range(100, 112)]
    assert matches[0].folded >= 31


@pytest.fixture
def crowd(index_now: Any, configure: Any) -> Picture:
    """Index an image; 150 copies of it on one shelf; its inverse, which only one method finds; and 20 similar ones."""
    configure(METHODS=METHODS, RANKING={"mean": 1, "bits": 1}, NEAR_DUPLICATE_THRESHOLD=99.9)
    query, shelf = save_cells(HALF), Shelf.objects.create()
    for _ in range(150):
        save_cells(HALF, 250, shelf=shelf)
    save_cells(1 - HALF)
    for index in range(20):
        other = HALF.copy()
        other.flat[index] = 0
        save_cells(other, 150 + 4 * index, shelf=Shelf.objects.create())
    index_now()
    return query


@pytest.mark.parametrize("options", [{}, {"distinct": "shelf"}, {"fold": False, "distinct": "shelf"}])
def test_page__is_filled_behind_a_crowd_also_with_a_threshold(crowd: Picture, options: dict[str, Any]) -> None:
    """A candidate of one method that the other one scores below the threshold does not end a search."""
    matches = similar_images.similar_to(crowd, limit=12, min_similarity=60, **options)
    assert len(matches) == 12
    assert matches == similar_images.similar_to(crowd, limit=12, **options)
    assert Picture.objects.similar_to(crowd, limit=12, min_similarity=60, **options).count() == 12


def test_page__that_a_threshold_leaves_short_takes_one_round(
    index_now: Any, configure: Any, django_assert_num_queries: Any
) -> None:
    """Where nothing was folded and too little is near, there is no more to be found."""
    configure(METHODS=METHODS, RANKING={"mean": 1, "bits": 1}, NEAR_DUPLICATE_THRESHOLD=99.9)
    query, *others = [save_cells(HALF, level) for level in range(255, 151, -2)]
    index_now()
    third = similar_images.similar_to(query)[2].similarity
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(query, limit=12, min_similarity=third)
    assert matched_objects(matches) == others[:3]


@pytest.mark.usefixtures("mean_method")
def test_ties__of_a_longer_list_begin_with_the_shorter_one(index_now: Any) -> None:
    query, copies = save_gray(50), [save_gray(50) for _ in range(150)]
    index_now()
    for limit in (12, 50):
        assert matched_objects(similar_images.similar_to(query, limit=limit))[:12] == copies[:12]
    assert list(Picture.objects.similar_to(query)[:12]) == copies[:12]


def rounds(item: Picture, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[list[int], list[Any], SearchTrace]:
    """Return the sizes of the rounds of a search, its results and its trace."""
    sizes: list[int] = []
    real = search.Search.score

    def score(self: Any, query: Any, records: Any, limit: int) -> Any:
        sizes.append(limit)
        return real(self, query, records, limit)

    monkeypatch.setattr(search.Search, "score", score)
    planned, trace = plan_search(item, SearchOptions.from_arguments("similar_to", options)), SearchTrace()
    results = planned.find(planned.query, trace)
    return sizes, results, trace


@pytest.fixture
def identical(index_now: Any, configure: Any, mean_method: None) -> list[Picture]:
    """Index sixty images of one gray, near-duplicates whose files are not the same."""
    configure(NEAR_DUPLICATE_THRESHOLD=99.9)
    items = []
    for side in range(8, 68):
        file = drawing.ContentFile(drawing.encoded(Image.new("RGB", (side, 8), (100,) * 3)), name=f"{side}.png")
        items.append(Picture.objects.create(title=str(side), image=file))
    index_now()
    return items


def test_rounds__grow_by_the_refill_factor_until_nothing_is_left(
    identical: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, results, trace = rounds(identical[0], monkeypatch, limit=2)
    assert sizes == [2, 8, 32]
    assert len(results) == 1
    assert results[0].folded == len(identical) - 2
    assert len(trace.seen) == len(identical) - 1
    assert len(trace.folded) == len(identical) - 2
    assert trace.remaining is not None
    assert trace.remaining.count() == len(identical) - 1 - 22 - 28, "those of the last round"


@pytest.mark.parametrize(("most", "sizes"), [(22, [2]), (23, [2, 8]), (100, [2, 8, 32])])
def test_rounds__end_at_max_candidates(
    most: int, sizes: list[int], identical: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first round of a limit of 2 has 22 candidates."""
    assert (search.REFILL_FACTOR, search.MAX_CANDIDATES) == (4, 1_000)
    monkeypatch.setattr(search, "MAX_CANDIDATES", most)
    assert rounds(identical[0], monkeypatch, limit=2)[0] == sizes


def test_rounds__are_no_larger_than_max_candidates(identical: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_CANDIDATES", 30)
    monkeypatch.setattr(search, "REFILL_FACTOR", 100)
    assert rounds(identical[0], monkeypatch, limit=2)[0] == [2, 30]


def test_rounds__without_folding_end_after_the_first(
    identical: list[Picture], monkeypatch: pytest.MonkeyPatch, configure: Any
) -> None:
    assert rounds(identical[0], monkeypatch, limit=2, fold=False)[0] == [2]
    configure(NEAR_DUPLICATE_THRESHOLD=101)
    sizes, results, _trace = rounds(identical[0], monkeypatch, limit=2)
    assert (sizes, len(results)) == ([2], 2)
    configure(NEAR_DUPLICATE_THRESHOLD=100)
    assert len(rounds(identical[0], monkeypatch, limit=2)[1]) == 1


@pytest.mark.usefixtures("fold_equal_grays")
def test_rounds__of_one_method_end_at_the_threshold(index_now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after a candidate below the threshold is below it, too, whatever was folded before."""
    query = save_gray(100)
    for level in [101] * 10 + [*range(150, 180)]:
        save_gray(level)
    index_now()
    sizes, results, _trace = rounds(query, monkeypatch, limit=2, min_similarity=90)
    assert (sizes, [scored.folded for scored in results]) == ([2], [9])


@pytest.mark.usefixtures("fold_equal_grays")
def test_rounds__pass_over_files_that_were_seen(index_now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Identical files fold into what is there: the search goes on among the others."""
    query, first = save_gray(0), save_gray(100)
    for _ in range(40):
        save_gray(100)
    far = save_gray(200)
    index_now()
    sizes, results, trace = rounds(query, monkeypatch, limit=2)
    assert sizes == [2, 8]
    source = registry.get_source(Picture)
    assert [scored.candidate.object_id for scored in results] == [source.object_id(item.pk) for item in (first, far)]
    assert len(trace.seen) < 42


def test_rounds__with_diversity_fetch_what_it_chooses_from(
    gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rounds(gray_pictures[0], monkeypatch, limit=2, diversity=0.5)[0] == [100]
    assert rounds(gray_pictures[0], monkeypatch, limit=200, diversity=0.5)[0] == [200]
    assert rounds(gray_pictures[0], monkeypatch, limit=2)[0] == [2]


# A part of an image


def test_box__of_a_stored_image_searches_by_that_part(
    red_and_green: list[Picture], django_assert_num_queries: Any
) -> None:
    both, red, green = red_and_green
    with django_assert_num_queries(5):  # may it be seen, the versions, the setting, the search and the objects
        left = similar_images.similar_to(both, box=(0, 0, 0.5, 1))
    assert [(match.object, match.similarity) for match in left] == [(red, 100), (green, left[1].similarity)]
    assert matched_objects(similar_images.similar_to(both, box=(0.5, 0, 0.5, 1))) == [green, red]
    assert list(Picture.objects.similar_to(both, box=(0.5, 0, 0.5, 1))) == [green, red]
    assert matched_objects(similar_images.similar_to(both, box=(0.9999, 0.9999, 0.0001, 0.0001)))[0] == green


def test_box__of_an_upload_searches_by_that_part(red_and_green: list[Picture]) -> None:
    both, _red, green = red_and_green
    with both.image.open() as file:
        matches = similar_images.similar_to(file, model=Picture, box=(0.5, 0, 0.5, 1))
    assert (matches[0].object, matches[0].similarity) == (green, 100)


def test_box__of_a_stored_image_is_bounded_as_when_it_was_indexed(red_and_green: list[Picture], configure: Any) -> None:
    both, red, _green = red_and_green
    with pytest.raises(ValueError, match="one object or file"):
        similar_images.similar_to([both, red], box=(0, 0, 1, 1))
    configure(SEARCH_MAX_BYTES=10, SEARCH_MAX_PIXELS=100)
    assert similar_images.similar_to(both, box=(0, 0, 1, 1)) != []
    configure(MAX_BYTES=10)
    with pytest.raises(UnreadableImage, match="10\xa0bytes"):
        similar_images.similar_to(both, box=(0, 0, 1, 1))
    configure(MAX_BYTES=10_000, MAX_PIXELS=100)
    with pytest.raises(UnreadableImage, match="100 pixels"):
        similar_images.similar_to(both, box=(0, 0, 1, 1))
    both.image.storage.delete(both.image.name)
    with pytest.raises(MissingFile):
        similar_images.similar_to(both, box=(0, 0, 1, 1))
    Picture.objects.filter(pk=both.pk).update(published=False)
    assert similar_images.similar_to(both, box=(0, 0, 1, 1)) == []


def test_box__of_an_object_without_an_image_finds_nothing(gray_pictures: list[Picture]) -> None:
    assert similar_images.similar_to(Picture.objects.create(), box=(0, 0, 1, 1)) == []


def test_box__over_rest_and_on_the_page(client: Any, red_and_green: list[Picture], configure: Any) -> None:
    both, _red, green = red_and_green
    address = f"{API}/testapp.picture/{both.pk}/similar/"
    expected = client.get(address, {"box": "0.5,0,0.5,1"}).json()
    assert expected["results"][0]["pk"] == str(green.pk)
    assert client.get(address, {"box": "0.5,0,0.5,1", "like": ""}).json() == expected
    assert client.get(address, {"box": "0.5,0,0.5,1", "like": green.pk}).status_code == 400
    with both.image.open() as file:
        upload = {"image": file, "model": "testapp.picture", "box": "0.5,0,0.5,1"}
        assert client.post(f"{API}/search/", upload).json()["results"][0]["pk"] == str(green.pk)
    for params in ({"box": "1,2"}, {"box": "0,0,2,2"}, {"box": "0,0,1,1", "like": green.pk}):
        assert list(client.get(address, params).json()["errors"]) == ["box"]
    page = client.get(f"/similar-images/testapp.picture/{both.pk}/", {"box": "0.5,0,0.5,1"})
    assert page.context["matches"][0].object == green
    configure(MAX_PIXELS=100)
    answer = client.get(address, {"box": "0,0,1,1"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["box"])
    page = client.get(f"/similar-images/testapp.picture/{both.pk}/", {"box": "0,0,1,1"})
    assert (page.status_code, page.context["matches"]) == (400, [])


def test_box__while_the_storage_is_down_is_503_without_details(
    gray_pictures: list[Picture], client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise ConnectionError("secret.internal:9000 refused")

    monkeypatch.setattr("django.core.files.storage.FileSystemStorage._open", refuse)
    for prefix, suffix in (("/similar-images", ""), (API, "similar/")):
        answer = client.get(f"{prefix}/testapp.picture/{gray_pictures[0].pk}/{suffix}", {"box": "0,0,1,1"})
        assert answer.status_code == 503
        assert "try again later" in answer.content.decode()
        assert "secret" not in answer.content.decode()
    assert "can't be read: secret.internal:9000 refused" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_searches__do_not_wait_for_the_image_of_another_one(
    gray_pictures: list[Picture], run_in_thread: Any, configure: Any
) -> None:
    configure(REQUEST_TIMEOUT=600)
    similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture)  # starts a decoder
    data = hostile.progressive_jpeg(99, side=4000)
    slow = run_in_thread(similar_images.similar_to, io.BytesIO(data), model=Picture)
    while not decoders.get_pool()._busy:
        assert not slow.done()
    assert similar_images.similar_to(gray_pictures[0])
    assert decoders.get_pool()._busy, "the other image is still being decoded"
    slow.result()

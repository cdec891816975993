"""Plans: what callers ask for, checked and made into a search."""

from __future__ import annotations

import io
from typing import Any

import pytest

from similar_images.search import plan
from similar_images.search.options import OptionError, SearchOptions
from similar_images.search.search import Search
from tests.testapp.models import Couple, Picture, Shelf

pytestmark = pytest.mark.django_db


def plan_search(query: Any = None, **options: Any) -> Search:
    return plan.plan_search(query, SearchOptions.from_arguments("similar_to", options))


def test_plan__has_the_defaults_of_the_setting_and_of_the_mode(gray_pictures: list[Picture], configure: Any) -> None:
    planned = plan_search(gray_pictures[0])
    assert (planned.limit, planned.min_similarity, planned.weights) == (12, 0, {"mean": 1.0})
    assert (planned.excluded, planned.options.fold, planned.reranker) == ([gray_pictures[0].pk], True, None)
    configure(LIMIT=5)
    planned = plan_search(gray_pictures[0], mode="copy")
    assert (planned.limit, planned.min_similarity, planned.reranker, planned.folds) == (5, 70, "copy", False)
    assert plan_search(gray_pictures[0], mode="copy", min_similarity=0).min_similarity == 0
    assert plan_search(gray_pictures[0], rerank="keypoints").reranker == "keypoints"


def test_plan__for_copies_weighs_by_hashes_unless_a_method_or_ranking_is_named(
    configure: Any, make_picture: Any
) -> None:
    configure(METHODS={"embedding": {}, "color": {}, "phash": {}}, RANKING={"embedding": 1})
    item = Picture(pk=1)
    assert plan_search(item).weights == {"embedding": 1}
    assert plan_search(item, mode="copy").weights == {"embedding": 0.5, "color": 0.2, "phash": 0.1}
    assert plan_search(item, mode="copy", method="color").weights == {"color": 1}
    assert plan_search(item, mode="copy", ranking={"phash": 2}).weights == {"phash": 2}


def test_plan__excludes_all_objects_that_it_searches_by(gray_pictures: list[Picture]) -> None:
    planned = plan_search(gray_pictures[:2], unlike=[gray_pictures[2]], exclude=[gray_pictures[3]])
    assert planned.excluded == [gray_pictures[3].pk, gray_pictures[0].pk, gray_pictures[1].pk, gray_pictures[2].pk]


def test_plan__reads_uploads_and_boxes(gray_pictures: list[Picture]) -> None:
    with gray_pictures[0].image.open() as file:
        planned = plan_search(file, model=Picture, box="0,0,1,0.5")
    assert isinstance(planned.examples[0][0], bytes)
    assert planned.options.box == (0, 0, 1, 0.5)


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        (None, {}, "Say what to search by"),
        ([], {}, "Say what to search by"),
        ("item", {"text": "red"}, "Say what to search by"),
        (b"bytes", {"model": Picture}, "open binary file, not by b'bytes'"),
        (5, {"model": Picture}, "not by 5"),
        (["x" * 100], {"model": Picture}, rf"not by '{'x' * 79}\."),
        ("item", {"fallback": "oldest"}, "Unknown value “oldest” for fallback. Choices: newest"),
        ("item", {"fallback": 5}, "fallback must be “newest” or a callable"),
        ("item", {"distinct": "nonsense"}, "distinct='nonsense'"),
        ("item", {"queryset": Couple.objects.all()}, "The queryset is of Couple, not of Picture"),
        ("item", {"exclude": [Shelf(pk=1)]}, "is not a Picture, the model that is searched"),
        ("item", {"unlike": [Shelf(pk=1)]}, "is not a Picture, the model that is searched"),
    ],
)
def test_plan__refuses(query: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_search(Picture(pk=1) if query == "item" else query, **options)


def test_list_examples__takes_one_or_several() -> None:
    item, file = Picture(pk=1), io.BytesIO(b"")
    assert plan.list_examples(None) == []
    assert plan.list_examples(item) == [item]
    assert plan.list_examples(file) == [file], "though a file can be iterated over"
    assert plan.list_examples(example for example in (item, file)) == [item, file]


def test_clean_text__strips_and_bounds() -> None:
    assert plan.clean_text("  red \n") == "red"
    assert plan.clean_text("x" * 300) == "x" * 300
    for text, message in (("x" * 301, "at most 300 characters"), ("", "Enter what"), (" \t", "Enter what")):
        with pytest.raises(OptionError, match=message) as error:
            plan.clean_text(text)
        assert error.value.option == "text"

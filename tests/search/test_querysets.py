"""`similar_to` as part of the ORM: an ordinary queryset, with the order and similarities of the function."""

from __future__ import annotations

import io
import pickle
from typing import Any

import pytest
from django.core.paginator import Paginator
from django.db.models import Avg, Count, Max, Prefetch
from django.http import HttpRequest

import similar_images
from similar_images.search import querysets
from similar_images.search.querysets import SimilarQuerySet
from tests import drawing
from tests.items import save_gray
from tests.testapp.models import Couple, FramedPicture, NamedPicture, Picture, Shelf, UuidPicture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


@pytest.fixture
def shades(index_now: Any) -> list[Picture]:
    """Forty grays from dark to light, every fifth on a shelf, four of them hidden."""
    shelf = Shelf.objects.create(name="here")
    items = [save_gray(5 * n, shelf=None if n % 5 else shelf, published=n % 10 != 9) for n in range(40)]
    index_now()
    return items


def results_of(matches: Any) -> list[tuple[Any, float]]:
    """Objects and similarities, of matches or of a queryset."""
    return [(getattr(match, "object", match), match.similarity) for match in matches]


@pytest.mark.parametrize("limit", [1, 12, 100])
@pytest.mark.parametrize("options", [{}, {"min_similarity": 60}, {"method": "mean"}, {"ranking": {"mean": 2}}])
def test_queryset__has_the_order_and_similarities_of_the_function(
    shades: list[Picture], limit: int, options: dict[str, Any]
) -> None:
    objects = Picture.objects.exclude(title="100")
    expected = similar_images.similar_to(shades[21], queryset=objects, limit=limit, **options)
    matches = objects.similar_to(shades[21], limit=limit, **options)
    assert results_of(matches) == results_of(expected)
    assert len(matches) == min(limit, len(matches)) > 0
    assert type(matches[0]) is Picture


def test_queryset__shows_no_more_than_the_function(shades: list[Picture]) -> None:
    hidden = [item for item in shades if not item.published]
    assert not set(Picture.objects.similar_to(shades[0])) & set(hidden)
    assert list(Picture.objects.similar_to(hidden[0])) == []
    assert list(Picture.objects.similar_to(Picture())) == []
    (first, *_rest) = Picture.objects.similar_to(shades[0], exclude=[shades[1]], request=HttpRequest())
    assert first == shades[2]


def test_queryset__searches_within_filters_before_it_and_selects_by_those_after(shades: list[Picture]) -> None:
    on_shelf = [shades[number] for number in (5, 10, 15)]
    assert list(Picture.objects.filter(shelf__name="here").similar_to(shades[0], limit=3)) == on_shelf
    assert list(Picture.objects.similar_to(shades[0], limit=12).filter(shelf__name="here")) == on_shelf[:2]
    assert list(Picture.objects.none().similar_to(shades[0])) == []
    assert list(Picture.objects.filter(pk__in=[]).similar_to(shades[0])) == []


def test_queryset__can_be_filtered_ordered_and_aggregated_by_similarity(shades: list[Picture]) -> None:
    matches = Picture.objects.similar_to(shades[0])
    similarities = [similarity for _item, similarity in results_of(matches)]
    assert similarities == sorted(similarities, reverse=True)
    near = matches.filter(similarity__gte=80)
    assert 0 < near.count() == sum(similarity >= 80 for similarity in similarities) < len(similarities)
    assert matches.order_by("similarity", "-pk").first() == matches.last() == list(matches)[-1]
    assert list(matches.reverse()) == list(matches)[::-1]
    assert matches.aggregate(most=Max("similarity"))["most"] == similarities[0]
    assert matches.aggregate(mean=Avg("similarity"))["mean"] == pytest.approx(sum(similarities) / len(similarities))
    assert matches.values_list("pk", "similarity").first() == (shades[1].pk, similarities[0])
    assert matches.exists()
    assert not matches.filter(similarity__gt=100).exists()
    assert matches.get(title="5") == shades[1]


def test_queryset__can_be_joined_prefetched_and_used_in_others(
    shades: list[Picture], django_assert_num_queries: Any
) -> None:
    matches = Picture.objects.filter(shelf__name="here").similar_to(shades[0])
    with django_assert_num_queries(4):
        assert {item.shelf.name for item in matches.select_related("shelf")} == {"here"}
    shelves = Shelf.objects.prefetch_related(Prefetch("picture_set", matches, to_attr="alike"))
    assert [item.title for item in shelves.get().alike] == [item.title for item in matches]
    assert Shelf.objects.filter(picture__in=matches).distinct().count() == 1
    counted = matches.annotate(neighbors=Count("shelf__picture"))
    assert {item.neighbors for item in counted} == {8}
    assert results_of(counted) == results_of(matches)


def test_queryset__searches_once_and_lazily(shades: list[Picture], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        matches = Picture.objects.similar_to(shades[0])
        near = matches.filter(similarity__gte=50)
    with django_assert_num_queries(3 + 1):  # versions, setting and ranking, then the objects
        assert len(matches) == 35
    with django_assert_num_queries(2):
        assert near.count() > 0
        assert near[:3]
    with django_assert_num_queries(3):
        assert list(Picture.objects.similar_to(shades[0], min_similarity=100)) == []


def test_pages__have_each_match_once_while_others_are_indexed(index_now: Any) -> None:
    """Also where many are equally similar: ties are broken by record id."""
    query = save_gray(100)
    items = [save_gray(100 + number % 9) for number in range(60)]
    index_now()
    pages = Paginator(Picture.objects.similar_to(query), 7)
    seen = []
    for number in pages.page_range:
        seen += pages.page(number).object_list
        save_gray(100)
        index_now()
    assert len(seen) == 60
    assert set(seen) == set(items)
    assert Picture.objects.similar_to(query).count() == 60 + pages.num_pages


def test_ties__have_the_same_order_on_every_page(index_now: Any) -> None:
    items = [save_gray(50) for _ in range(12)]
    index_now()
    seen = [Picture.objects.similar_to(items[0])[index] for index in range(11)]
    assert seen == items[1:]


def test_queryset__leaves_out_objects_whose_file_changed_without_signals(shades: list[Picture]) -> None:
    Picture.objects.filter(pk=shades[1].pk).update(image="other.png")
    assert shades[1] not in Picture.objects.similar_to(shades[0])
    shades[1].refresh_from_db()
    assert list(Picture.objects.similar_to(shades[1])) == []


def test_queryset__may_be_searched_by_a_file(shades: list[Picture]) -> None:
    with shades[3].image.open() as opened:
        picture = opened.read()
    expected = similar_images.similar_to(io.BytesIO(picture), model=Picture)
    file = io.BytesIO(picture)
    matches = Picture.objects.similar_to(file, limit=12)
    file.close()
    assert results_of(matches) == results_of(expected)
    assert matches[0] == shades[3]


@pytest.mark.parametrize("model", [UuidPicture, NamedPicture])
def test_queryset__of_models_with_uuid_and_text_keys(model: Any, index_now: Any) -> None:
    items = [model(image=drawing.file(seed)) for seed in (1, 2, 1)]
    for number, item in enumerate(items):
        if model is NamedPicture:
            item.name = f"It's 100 % no. {number}"
        item.save()
    index_now()
    assert results_of(model.objects.similar_to(items[0])) == results_of(similar_images.similar_to(items[0]))
    assert results_of(model.objects.similar_to(items[0]))[0] == (items[2], 100.0)


def test_queryset__of_a_child_model_returns_children(index_now: Any) -> None:
    plain, framed = save_gray(1), FramedPicture.objects.create(image=drawing.file(1))
    index_now()
    assert [item.pk for item in Picture.objects.similar_to(plain)] == [framed.pk]
    (match,) = FramedPicture.objects.filter(frame="").similar_to(plain)
    assert (type(match), match.pk) == (FramedPicture, framed.pk)


def test_queryset__takes_one_of_several_fields(index_now: Any) -> None:
    one, other = (Couple.objects.create(front=drawing.file(n), back=drawing.file(3)) for n in (1, 2))
    index_now()
    (by_front,) = Couple.objects.similar_to(one, field="front")
    (by_back,) = Couple.objects.similar_to(one, field="back")
    assert by_front == by_back == other
    assert by_front.similarity < by_back.similarity == 100


def test_queryset__checks_its_options_at_once(shades: list[Picture]) -> None:
    with pytest.raises(ValueError, match="not a Picture"):
        Picture.objects.similar_to(Shelf())
    for options in ({"limit": 0}, {"method": "nonsense"}, {"ranking": {}}, {"text": "red"}):
        with pytest.raises(ValueError, match=r"limit|method|ranking|[Ww]eight|text"):
            Picture.objects.similar_to(None if "text" in options else shades[0], **options)
    with pytest.raises(ValueError, match="Say what to search by"):
        Picture.objects.similar_to()


def test_pickle__keeps_the_results(shades: list[Picture], django_assert_num_queries: Any) -> None:
    matches = Picture.objects.similar_to(shades[0], limit=3)
    expected = results_of(matches)
    assert results_of(pickle.loads(pickle.dumps(matches))) == expected  # noqa: S301 - pickled in this line
    query = pickle.dumps(Picture.objects.similar_to(shades[0], limit=3).query)
    again = Picture.objects.all()
    again.query = pickle.loads(query)  # noqa: S301 - pickled two lines above
    with django_assert_num_queries(1):
        assert results_of(again) == expected


def test_queryset__whose_joins_repeat_objects_returns_each_once(gray_pictures: list[Picture]) -> None:
    shelf = Shelf.objects.create()
    Picture.objects.update(shelf=shelf)
    expected = list(Picture.objects.similar_to(gray_pictures[0]))
    assert expected
    assert list(Picture.objects.filter(shelf__picture__published=True).similar_to(gray_pictures[0])) == expected
    distinct = Picture.objects.filter(published=True).order_by("shelf", "-pk").distinct("shelf")
    assert list(distinct.similar_to(gray_pictures[0])) == [distinct.get()]


def test_queryset__with_limit_none_takes_its_default_limit(index_now: Any) -> None:
    query = save_gray(100)
    for level in range(101, 131):
        save_gray(level)
    index_now()
    assert len(Picture.objects.similar_to(query, limit=None)) == 30


def test_queryset__has_a_thousand_matches_at_most_by_default(
    gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert querysets.QUERYSET_LIMIT == 1_000
    monkeypatch.setattr(querysets, "QUERYSET_LIMIT", 4)
    for options, count in (({}, 4), ({"limit": None}, 4), ({"limit": 3}, 3), ({"limit": 5}, 5)):
        assert len(Picture.objects.similar_to(gray_pictures[0], **options)) == count


def test_queryset__has_is_fallback_only_where_a_fallback_is_named(gray_pictures: list[Picture]) -> None:
    assert not hasattr(Picture.objects.similar_to(gray_pictures[0])[0], "is_fallback")
    assert Picture.objects.similar_to(gray_pictures[0], fallback="newest")[0].is_fallback is False


def test_queryset__names_an_unknown_option_whose_value_is_none(gray_pictures: list[Picture]) -> None:
    with pytest.raises(TypeError, match="limt"):
        Picture.objects.similar_to(gray_pictures[0], limt=None)


def test_queryset__of_objects_of_other_sources_is_not_registered() -> None:
    with pytest.raises(similar_images.NotRegistered):
        SimilarQuerySet(Shelf).similar_to(Shelf())


@pytest.mark.parametrize(
    ("queryset", "repeats"),
    [
        (Picture.objects.all(), False),
        (Picture.objects.filter(shelf__name="x"), False),
        (Picture.objects.select_related("shelf"), False),
        (Shelf.objects.filter(picture__title="x"), True),
        (Shelf.objects.filter(picture__title="x").distinct(), False),
        (Shelf.objects.annotate(count=Count("picture")), False),
    ],
)
def test_repeats_objects__where_a_filter_joins_many(queryset: Any, repeats: bool) -> None:
    str(queryset.query)
    assert querysets._repeats_objects(queryset.query) is repeats


def test_queryset__takes_examples_from_any_iterable(gray_pictures: list[Picture]) -> None:
    expected = [match.object for match in similar_images.similar_to(gray_pictures[:2], limit=100)]
    assert list(Picture.objects.similar_to(item for item in gray_pictures[:2])) == expected
    assert list(Picture.objects.similar_to(Picture.objects.order_by("pk")[:2])) == expected
    for query in (b"picture", "picture", 5):
        with pytest.raises(ValueError, match="Search by an object or an open binary file"):
            Picture.objects.similar_to(query)

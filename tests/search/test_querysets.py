"""`similar_to` as part of the ORM: an ordinary queryset, with the order and the numbers of the function."""

from __future__ import annotations

import io
import pickle
from typing import Any

import pytest
from django.core.paginator import Paginator
from django.db.models import Avg, Count, Max, Prefetch
from django.http import HttpRequest

import similar_images
from tests import drawing
from tests.items import gray
from tests.testapp.models import Couple, FramedPicture, NamedPicture, Picture, Shelf, UuidPicture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick")]


@pytest.fixture
def shades(index_now: Any) -> list[Picture]:
    """Forty grays from dark to light, every fifth on a shelf, four of them hidden."""
    shelf = Shelf.objects.create(name="here")
    items = [gray(5 * n, shelf=None if n % 5 else shelf, published=n % 10 != 9) for n in range(40)]
    index_now()
    return items


def pairs(matches: Any) -> list[tuple[Any, float]]:
    """Objects and similarities, of matches or of a queryset."""
    return [(getattr(match, "object", match), match.similarity) for match in matches]


@pytest.mark.parametrize("limit", [1, 12, 100])
@pytest.mark.parametrize("options", [{}, {"min_similarity": 60}, {"method": "mean"}, {"ranking": {"mean": 2}}])
def test_queryset__has_the_order_and_the_numbers_of_the_function(
    shades: list[Picture], limit: int, options: dict[str, Any]
) -> None:
    objects = Picture.objects.exclude(title="100")
    expected = similar_images.similar_to(shades[21], queryset=objects, limit=limit, **options)
    found = objects.similar_to(shades[21], limit=limit, **options)
    assert pairs(found) == pairs(expected)
    assert len(found) == min(limit, len(found)) > 0
    assert type(found[0]) is Picture


def test_queryset__shows_no_more_than_the_function(shades: list[Picture]) -> None:
    hidden = [item for item in shades if not item.published]
    assert not set(Picture.objects.similar_to(shades[0])) & set(hidden)
    assert list(Picture.objects.similar_to(hidden[0])) == []
    assert list(Picture.objects.similar_to(Picture())) == []
    (first, *_rest) = Picture.objects.similar_to(shades[0], exclude=[shades[1]], request=HttpRequest())
    assert first == shades[2]


def test_queryset__fills_up_behind_a_filter_and_chooses_by_one_after(shades: list[Picture]) -> None:
    on_shelf = [shades[number] for number in (5, 10, 15)]
    assert list(Picture.objects.filter(shelf__name="here").similar_to(shades[0], limit=3)) == on_shelf
    assert list(Picture.objects.similar_to(shades[0], limit=12).filter(shelf__name="here")) == on_shelf[:2]
    assert list(Picture.objects.none().similar_to(shades[0])) == []
    assert list(Picture.objects.filter(pk__in=[]).similar_to(shades[0])) == []


def test_queryset__is_filtered_ordered_and_aggregated_by_similarity(shades: list[Picture]) -> None:
    found = Picture.objects.similar_to(shades[0])
    numbers = [similarity for _item, similarity in pairs(found)]
    assert numbers == sorted(numbers, reverse=True)
    near = found.filter(similarity__gte=80)
    assert 0 < near.count() == sum(number >= 80 for number in numbers) < len(numbers)
    assert found.order_by("similarity", "-pk").first() == found.last() == list(found)[-1]
    assert list(found.reverse()) == list(found)[::-1]
    assert found.aggregate(most=Max("similarity"))["most"] == numbers[0]
    assert found.aggregate(mean=Avg("similarity"))["mean"] == pytest.approx(sum(numbers) / len(numbers))
    assert found.values_list("pk", "similarity").first() == (shades[1].pk, numbers[0])
    assert found.exists()
    assert not found.filter(similarity__gt=100).exists()
    assert found.get(title="5") == shades[1]


def test_queryset__joins_prefetches_and_is_part_of_others(
    shades: list[Picture], django_assert_num_queries: Any
) -> None:
    found = Picture.objects.filter(shelf__name="here").similar_to(shades[0])
    with django_assert_num_queries(4):
        assert {item.shelf.name for item in found.select_related("shelf")} == {"here"}
    shelves = Shelf.objects.prefetch_related(Prefetch("picture_set", found, to_attr="alike"))
    assert [item.title for item in shelves.get().alike] == [item.title for item in found]
    assert Shelf.objects.filter(picture__in=found).distinct().count() == 1
    counted = found.annotate(neighbors=Count("shelf__picture"))
    assert {item.neighbors for item in counted} == {8}
    assert pairs(counted) == pairs(found)


def test_queryset__searches_once_and_not_before_it_must(shades: list[Picture], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        found = Picture.objects.similar_to(shades[0])
        near = found.filter(similarity__gte=50)
    with django_assert_num_queries(3 + 1):  # versions, setting and ranking, then the objects
        assert len(found) == 35
    with django_assert_num_queries(2):
        assert near.count() > 0
        assert near[:3]
    with django_assert_num_queries(3):
        assert list(Picture.objects.similar_to(shades[0], min_similarity=101)) == []


def test_pages__give_each_match_once_while_others_are_indexed(index_now: Any) -> None:
    """Also where many are equally like: the order of ties is that of their numbers."""
    query = gray(100)
    items = [gray(100 + number % 9) for number in range(60)]
    index_now()
    pages = Paginator(Picture.objects.similar_to(query), 7)
    seen = []
    for number in pages.page_range:
        seen += pages.page(number).object_list
        gray(100)
        index_now()
    assert len(seen) == 60
    assert set(seen) == set(items)
    assert Picture.objects.similar_to(query).count() == 60 + pages.num_pages


def test_ties__come_in_the_same_order_on_every_page(index_now: Any) -> None:
    items = [gray(50) for _ in range(12)]
    index_now()
    seen = [Picture.objects.similar_to(items[0])[place] for place in range(11)]
    assert seen == items[1:]


def test_queryset__leaves_out_whose_file_was_changed_past_the_hooks(shades: list[Picture]) -> None:
    Picture.objects.filter(pk=shades[1].pk).update(image="other.png")
    assert shades[1] not in Picture.objects.similar_to(shades[0])
    shades[1].refresh_from_db()
    assert list(Picture.objects.similar_to(shades[1])) == []


def test_query__may_be_a_file(shades: list[Picture]) -> None:
    with shades[3].image.open() as opened:
        picture = opened.read()
    expected = similar_images.similar_to(io.BytesIO(picture), model=Picture)
    file = io.BytesIO(picture)
    found = Picture.objects.similar_to(file, limit=12)
    file.close()
    assert pairs(found) == pairs(expected)
    assert found[0] == shades[3]


@pytest.mark.parametrize("model", [UuidPicture, NamedPicture])
def test_keys__of_every_kind(model: Any, index_now: Any) -> None:
    items = [model(image=drawing.file(seed)) for seed in (1, 2, 1)]
    for number, item in enumerate(items):
        if model is NamedPicture:
            item.name = f"It's 100 % no. {number}"
        item.save()
    index_now()
    assert pairs(model.objects.similar_to(items[0])) == pairs(similar_images.similar_to(items[0]))
    assert pairs(model.objects.similar_to(items[0]))[0] == (items[2], 100.0)


def test_model__may_be_a_child(index_now: Any) -> None:
    plain, framed = gray(1), FramedPicture.objects.create(image=drawing.file(1))
    index_now()
    assert [item.pk for item in Picture.objects.similar_to(plain)] == [framed.pk]
    (found,) = FramedPicture.objects.filter(frame="").similar_to(plain)
    assert (type(found), found.pk) == (FramedPicture, framed.pk)


def test_field__of_several(index_now: Any) -> None:
    one, other = (Couple.objects.create(front=drawing.file(n), back=drawing.file(3)) for n in (1, 2))
    index_now()
    (by_front,) = Couple.objects.similar_to(one)
    (by_back,) = Couple.objects.similar_to(one, field="back")
    assert by_front == by_back == other
    assert by_front.similarity < by_back.similarity == 100


def test_nonsense__is_told_at_once(shades: list[Picture]) -> None:
    with pytest.raises(ValueError, match="not a Picture"):
        Picture.objects.similar_to(Shelf())
    for options in ({"limit": 0}, {"method": "nonsense"}, {"ranking": {}}, {"text": "red"}):
        with pytest.raises(ValueError, match=r"limit|method|ranking|[Ww]eight|text"):
            Picture.objects.similar_to(None if "text" in options else shades[0], **options)
    with pytest.raises(ValueError, match="Say what to search by"):
        Picture.objects.similar_to()


def test_pickle__keeps_what_was_found(shades: list[Picture], django_assert_num_queries: Any) -> None:
    found = Picture.objects.similar_to(shades[0], limit=3)
    expected = pairs(found)
    assert pairs(pickle.loads(pickle.dumps(found))) == expected  # noqa: S301 - pickled in this line
    query = pickle.dumps(Picture.objects.similar_to(shades[0], limit=3).query)
    again = Picture.objects.all()
    again.query = pickle.loads(query)  # noqa: S301 - pickled two lines above
    with django_assert_num_queries(1):
        assert pairs(again) == expected


def test_queryset__that_repeats_objects_gives_each_once(grays: list[Picture]) -> None:
    shelf = Shelf.objects.create()
    Picture.objects.update(shelf=shelf)
    expected = list(Picture.objects.similar_to(grays[0]))
    assert expected
    assert list(Picture.objects.filter(shelf__picture__published=True).similar_to(grays[0])) == expected
    distinct = Picture.objects.filter(published=True).order_by("shelf", "-pk").distinct("shelf")
    assert list(distinct.similar_to(grays[0])) == [distinct.get()]


def test_queryset__without_a_limit_gives_all(index_now: Any) -> None:
    query = gray(100)
    for level in range(101, 131):
        gray(level)
    index_now()
    assert len(Picture.objects.similar_to(query, limit=None)) == 30


def test_queryset__several_examples_may_come_one_by_one(grays: list[Picture]) -> None:
    expected = [match.object for match in similar_images.similar_to(grays[:2], limit=100)]
    assert list(Picture.objects.similar_to(item for item in grays[:2])) == expected
    assert list(Picture.objects.similar_to(Picture.objects.order_by("pk")[:2])) == expected
    for query in (b"picture", "picture", 5):
        with pytest.raises(ValueError, match="Search by an object or an open binary file"):
            Picture.objects.similar_to(query)

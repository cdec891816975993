"""No page of twins, an object once, and searches that go by more than one picture, or by a part of one."""

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
from similar_images.imaging.decode import UnreadableImage
from similar_images.imaging.files import MissingFile
from similar_images.models import IndexedImage
from similar_images.search import diversity as diversity_module
from similar_images.search import multi_query, near_duplicates, search
from similar_images.search.candidates import Candidate, ScoredCandidate
from similar_images.search.matches import Match
from similar_images.signatures.base import distance_from_similarity
from tests import drawing
from tests.items import gray, objects, save
from tests.testapp.models import Couple, Picture, Shelf, UuidPicture

pytestmark = pytest.mark.django_db


@pytest.fixture
def folding(quick: None, configure: Any) -> None:
    """Grays of one level are near copies, those of the next are none."""
    configure(NEAR_DUPLICATE_THRESHOLD=99.9)


def colored(*color: int, **fields: Any) -> Picture:
    file = drawing.ContentFile(drawing.encoded(Image.new("RGB", (8, 8), color)), name="color.png")
    return Picture.objects.create(image=file, title=str(color), **fields)


def told(matches: Iterable[Match]) -> list[tuple[str, int]]:
    return [(match.title, match.folded) for match in matches]


# Twins


@pytest.mark.usefixtures("folding")
def test_fold__no_page_is_full_of_the_same_picture(index_now: Any, django_assert_num_queries: Any) -> None:
    """Ten copies of the query and three of another picture take two places of the page, which is full."""
    query = gray(100)
    for level in [100] * 10 + [101] * 3 + list(range(102, 120)):
        gray(level)
    index_now()
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(query, limit=12)
    assert told(matches) == [("100", 9), ("101", 2), *((str(level), 0) for level in range(102, 112))]
    assert {match.title for match in similar_images.similar_to(query, limit=10, fold=False)} == {"100"}


@pytest.mark.usefixtures("folding")
def test_fold__fills_the_page_behind_more_twins_than_candidates(
    index_now: Any, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "REFILL_FACTOR", 1)
    query = gray(100)
    for level in [100] * 150 + list(range(101, 120)):
        gray(level)
    index_now()
    with django_assert_num_queries(8):  # the setting, the search and the pairs once more
        matches = similar_images.similar_to(query, limit=12)
    assert [match.title for match in matches] == [str(level) for level in range(100, 112)]
    assert matches[0].folded >= 31


@pytest.mark.usefixtures("folding")
def test_fold__the_best_stands_for_the_others_and_pages_agree(index_now: Any) -> None:
    """Pages of a queryset give each match once, in the order of the function."""
    query = gray(100)
    items = [gray(100 + number // 2) for number in range(2, 60)]
    index_now()
    matches = similar_images.similar_to(query, limit=40)
    assert objects(matches) == items[::2]
    assert {match.folded for match in matches} == {1}
    pages = Paginator(Picture.objects.similar_to(query), 7)
    assert [item for page in pages for item in page] == items[::2]
    assert Picture.objects.similar_to(query, fold=False).count() == len(items)


@pytest.mark.usefixtures("folding")
def test_fold__goes_by_the_ranking_whatever_is_searched_by(index_now: Any, configure: Any) -> None:
    """Pictures of one color are no copies because one looks for a color."""
    configure(METHODS={"tests.methods.Mean": {}, "tests.methods.Bits": {}}, RANKING={"mean": 1, "bits": 1})
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


def test_fold__copies_of_photos_do_and_other_pictures_do_not(index_now: Any, configure: Any) -> None:
    """By the built-in methods, at the default."""
    configure(NEAR_DUPLICATE_THRESHOLD=conf.Conf.near_duplicate_threshold)
    scenes = {seed: drawing.scene(seed) for seed in range(4)}
    for seed, scene in scenes.items():
        for quality in (95, 85, 60):
            file = io.BytesIO()
            scene.save(file, "JPEG", quality=quality)
            Picture.objects.create(title=f"{quality} {seed}", image=drawing.ContentFile(file.getvalue(), name="s.jpg"))
    index_now()
    matches = similar_images.similar_to(Picture.objects.get(title="95 0"))
    assert sorted(match.title.split()[1] for match in matches) == ["0", "1", "2", "3"]
    assert matches[0].folded == 1
    assert {match.folded for match in matches[1:]} == {2}


def cells(bright: Any, level: int = 255, **fields: Any) -> Picture:
    """A picture of 8 x 8 cells, some of them bright: the method Bits sees which, and Mean how much."""
    pixels = np.where(np.kron(bright, np.ones((2, 2))) > 0, level, 0).astype(np.uint8)
    return save(Image.fromarray(pixels).convert("RGB"), str(level), **fields)


@pytest.fixture
def crowd(index_now: Any, configure: Any) -> Picture:
    """A picture; twins of it on one shelf; its inverse, which one method alone puts forward; and 20 like it."""
    methods = {"tests.methods.Mean": {}, "tests.methods.Bits": {}}
    configure(METHODS=methods, RANKING={"mean": 1, "bits": 1}, NEAR_DUPLICATE_THRESHOLD=99.9)
    half = np.repeat([1, 0], 32).reshape(8, 8)
    query, shelf = cells(half), Shelf.objects.create()
    for _ in range(150):
        cells(half, 250, shelf=shelf)
    cells(1 - half)
    for place in range(20):
        other = half.copy()
        other.flat[place] = 0
        cells(other, 150 + 4 * place, shelf=Shelf.objects.create())
    index_now()
    return query


@pytest.mark.parametrize("options", [{}, {"distinct": "shelf"}, {"fold": False, "distinct": "shelf"}])
def test_page__is_filled_behind_a_crowd_also_with_a_threshold(crowd: Picture, options: dict[str, Any]) -> None:
    """What only one method puts forward, and the other one does not like, ends no search."""
    matches = similar_images.similar_to(crowd, limit=12, min_similarity=60, **options)
    assert len(matches) == 12
    assert matches == similar_images.similar_to(crowd, limit=12, **options)
    assert Picture.objects.similar_to(crowd, limit=12, min_similarity=60, **options).count() == 12


def test_page__a_threshold_alone_costs_no_other_round(
    index_now: Any, configure: Any, django_assert_num_queries: Any
) -> None:
    """Where nothing came as one, and too little is near, there is no more to be found."""
    methods = {"tests.methods.Mean": {}, "tests.methods.Bits": {}}
    configure(METHODS=methods, RANKING={"mean": 1, "bits": 1}, NEAR_DUPLICATE_THRESHOLD=99.9)
    half = np.repeat([1, 0], 32).reshape(8, 8)
    query, *others = [cells(half, level) for level in range(255, 151, -2)]
    index_now()
    third = similar_images.similar_to(query)[2].similarity
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(query, limit=12, min_similarity=third)
    assert objects(matches) == others[:3]


def test_fold__what_little_is_known_of_does_not(index_now: Any, configure: Any) -> None:
    """While a new method is filled in, pictures that differ by it alone are no near copies."""
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1}, NEAR_DUPLICATE_THRESHOLD=99.9)
    query = gray(100)
    half = np.repeat([1, 0], 32).reshape(8, 8)
    shapes = [cells(np.roll(half, turn, 0)) for turn in range(6)]
    index_now()
    assert len(similar_images.similar_to(query)) == 1
    configure(METHODS={"tests.methods.Mean": {}, "tests.methods.Bits": {}}, RANKING={"mean": 1, "bits": 9})
    assert set(objects(similar_images.similar_to(query))) == set(shapes)


@pytest.mark.usefixtures("folding")
def test_fold__marked_as_not_alike_does_not(index_now: Any, django_assert_num_queries: Any) -> None:
    query, first, second, third = gray(100), gray(103), gray(103), gray(103)
    index_now()
    similar_images.mark(first, second, alike=False)
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(query)
    assert [(match.object, match.folded) for match in matches] == [(first, 1), (second, 0)]
    similar_images.unmark(first, second)
    assert [(match.object, match.folded) for match in similar_images.similar_to(query)] == [(first, 2)]
    assert third not in objects(matches)


@pytest.mark.usefixtures("folding")
def test_fold__querysets_tell_how_many(index_now: Any) -> None:
    query, first, *_twins = gray(100), gray(101), gray(101), gray(101)
    index_now()
    assert [(item, item.folded) for item in Picture.objects.similar_to(query)] == [(first, 2)]


@pytest.mark.usefixtures("quick")
def test_ties__a_longer_list_begins_with_the_shorter_one(index_now: Any) -> None:
    query, twins = gray(50), [gray(50) for _ in range(150)]
    index_now()
    for limit in (12, 50):
        assert objects(similar_images.similar_to(query, limit=limit))[:12] == twins[:12]
    assert list(Picture.objects.similar_to(query)[:12]) == twins[:12]


def test_pairs__are_what_a_search_by_one_of_them_says(make_picture: Any, index_now: Any) -> None:
    """The same similarities, of every pair once; and none is lost where only near copies are asked for."""
    items = [make_picture(seed) for seed in (1, 2, 3, 1)]
    index_now()
    records = dict(IndexedImage.objects.values_list("object_id", "pk"))
    source, forms = registry.get_source(Picture), dict(plugins.enabled_methods())
    likeness = near_duplicates.pair_similarities(source, forms, list(records.values()))
    assert len(likeness) == 6
    for item in items:
        for match in similar_images.similar_to(item):
            a, b = sorted((records[str(item.pk)], records[str(match.object.pk)]))
            assert likeness[a, b] == pytest.approx(match.similarity, abs=0.06)
    with override_settings(SIMILAR_IMAGES={"NEAR_DUPLICATE_THRESHOLD": 85}):
        near = near_duplicates.pair_similarities(source, forms, list(records.values()), near_only=True)
    assert near.keys() == {tuple(sorted((records[str(items[0].pk)], records[str(items[3].pk)])))}


@pytest.mark.parametrize("similarity", [0, 12.5, 60, 84.2, 99, 100])
def test_reach__is_the_distance_of_a_similarity(similarity: float) -> None:
    for method in plugins.enabled_methods().values():
        assert method.similarity(distance_from_similarity(method.curve, similarity)) == pytest.approx(
            similarity, abs=1e-6
        )


# Variety


def candidate(number: int, similarity: float) -> ScoredCandidate:
    return ScoredCandidate(similarity, Candidate(number, str(number), "", {}, []), {"mean": similarity})


def test_diversity__takes_what_is_unlike_before() -> None:
    found = [candidate(1, 90), candidate(2, 88), candidate(3, 60)]
    likeness = {(1, 2): 95.0, (1, 3): 5.0, (2, 3): 5.0}

    def order(diversity: float) -> list[int]:
        return [one.candidate.record_id for one in diversity_module.diversify(found, likeness, diversity)]

    assert (order(0), order(0.2), order(0.5)) == ([1, 2, 3], [1, 2, 3], [1, 3, 2])


@pytest.mark.usefixtures("quick")
def test_diversity__trades_likeness_for_variety(index_now: Any, django_assert_num_queries: Any) -> None:
    query = colored(100, 100, 100)
    near = [colored(101 + n, 100, 100) for n in range(4)]
    other = colored(100, 100, 160)
    index_now()
    assert objects(similar_images.similar_to(query, limit=2)) == near[:2]
    with django_assert_num_queries(5):
        assert objects(similar_images.similar_to(query, limit=2, diversity=0.6)) == [near[0], other]
    assert list(Picture.objects.similar_to(query, limit=2, diversity=0.6)) == [near[0], other]
    for diversity in (-0.1, 1.1):
        with pytest.raises(ValueError, match="diversity"):
            similar_images.similar_to(query, diversity=diversity)


# Several pictures of one object


@pytest.mark.usefixtures("quick")
def test_distinct__an_object_comes_once_and_its_own_pictures_never(
    index_now: Any, django_assert_num_queries: Any
) -> None:
    shelves = [Shelf.objects.create(name=str(n)) for n in range(8)]
    query, _own = (gray(100, shelf=shelves[0]) for _ in range(2))
    pictures = [gray(101 + n, shelf=shelves[1 + n // 10]) for n in range(60)]
    alone = [gray(170), gray(171)]
    index_now()
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(query, limit=3, distinct="shelf")
    assert objects(matches) == pictures[:30:10]
    assert objects(similar_images.similar_to(query, limit=12, distinct="shelf")) == [*pictures[::10], *alone]
    assert list(Picture.objects.similar_to(query, limit=12, distinct="shelf__name")) == [*pictures[::10], *alone]
    with pytest.raises(ValueError, match="nonsense"):
        similar_images.similar_to(query, distinct="nonsense")


@pytest.mark.usefixtures("quick")
def test_distinct__fills_the_page_behind_an_object_of_many_pictures(index_now: Any) -> None:
    crowd, other = Shelf.objects.create(), Shelf.objects.create()
    query = gray(0)
    for _ in range(150):
        gray(1, shelf=crowd)
    far = gray(200, shelf=other)
    index_now()
    found = objects(similar_images.similar_to(query, limit=2, distinct="shelf"))
    assert [picture.shelf for picture in found] == [crowd, other]
    assert found[1] == far


# Several examples, and not like this


@pytest.mark.usefixtures("quick")
def test_several__are_met_in_the_middle(index_now: Any, django_assert_num_queries: Any) -> None:
    red, green = colored(200, 0, 0), colored(0, 200, 0)
    like_red, both, like_green = colored(190, 0, 0), colored(100, 100, 0), colored(0, 190, 0)
    index_now()
    with django_assert_num_queries(5):  # the signatures of each example are one
        matches = similar_images.similar_to([red, green])
    assert {match.object for match in matches} == {like_red, both, like_green}
    for match in matches:
        alone = [one for query in (red, green) for one in similar_images.similar_to(query)]
        both_ways = [one.similarity for one in alone if one.object == match.object]
        assert match.similarity == pytest.approx(sum(both_ways) / 2, abs=0.11)
        assert match.scores == {"mean": match.similarity}
    assert list(Picture.objects.similar_to([red, green])) == objects(matches)


@pytest.mark.usefixtures("quick")
def test_several__may_be_objects_and_pictures(index_now: Any) -> None:
    red, green, other = colored(200, 0, 0), colored(0, 200, 0), colored(90, 90, 0)
    index_now()
    by_objects = similar_images.similar_to([red, green])
    with green.image.open() as file:
        mixed = similar_images.similar_to([red, file])
    assert {match.object: match.similarity for match in mixed}[other] == by_objects[0].similarity
    assert objects(by_objects) == [other]


@pytest.mark.usefixtures("quick")
def test_unlike__there_is_a_way_to_say_not_like_this(index_now: Any) -> None:
    query, unwanted = colored(100, 0, 0), colored(130, 60, 0)
    like_unwanted, fine = colored(120, 30, 0), colored(100, 0, 60)
    index_now()
    before = similar_images.similar_to(query)
    assert objects(before)[0] == like_unwanted
    after = similar_images.similar_to(query, unlike=[unwanted])
    assert objects(after) == [fine, like_unwanted]
    with unwanted.image.open() as file:
        by_file = similar_images.similar_to(query, unlike=[file], exclude=[unwanted])
    assert [(m.object, m.similarity) for m in by_file] == [(m.object, m.similarity) for m in after]
    assert all(0 <= match.similarity <= 100 for match in after)
    assert after[0].similarity < {m.object: m.similarity for m in before}[fine]


@pytest.mark.usefixtures("quick")
def test_unlike__a_crowd_that_is_unwanted_hides_nothing(index_now: Any) -> None:
    query, unwanted = colored(100, 100, 100), colored(110, 100, 100)
    for _ in range(300):
        colored(108, 100, 100)
    good = [colored(80, 100, 100) for _ in range(5)]
    index_now()
    assert objects(similar_images.similar_to(query, unlike=[unwanted], min_similarity=48.9)) == good


def test_weighed__is_the_mean_less_half_of_the_worst() -> None:
    def example(similarity: float, distance: float) -> ScoredCandidate:
        return ScoredCandidate(similarity, Candidate(1, "1", "", {"mean": distance}, []), {"mean": similarity})

    wanted = [example(60, 2), example(80, 1)]
    assert multi_query.combine_examples(wanted, []).similarity == 70
    one = multi_query.combine_examples(wanted, [example(20, 5), example(40, 4)])
    assert (one.similarity, one.scores, one.candidate.distances) == (50, {"mean": 50}, {"mean": 1})
    assert multi_query.combine_examples([example(10, 9)], [example(90, 1)]).similarity == 0


def test_several__what_suits_all_may_be_among_the_nearest_of_none(index_now: Any, configure: Any) -> None:
    """By cosine, what lies between two directions is nearer to both than their own neighbors are to the other."""
    configure(METHODS={"tests.methods.Sparse": {}}, RANKING={"sparse": 1})

    def stripes(*levels: int) -> Picture:
        image = Image.new("RGB", (20, 1))
        for x in range(20):
            image.putpixel((x, 0), (levels[x % len(levels)], 0, 0))
        return Picture.objects.create(image=drawing.ContentFile(drawing.encoded(image), name="stripes.png"))

    one, two = stripes(10), stripes(20)
    for level in range(30, 55):
        stripes(10, 10, 10, level)
        stripes(20, 20, 20, level)
    between = stripes(10, 20)
    index_now()
    assert between not in objects(similar_images.similar_to(one, limit=22))
    assert objects(similar_images.similar_to([one, two], limit=2))[0] == between


def test_several__nonsense_is_told(make_picture: Any) -> None:
    item, stranger = make_picture(1), Couple.objects.create(front=drawing.file(1))
    with pytest.raises(ValueError, match="Picture"):
        similar_images.similar_to([item, stranger])
    with pytest.raises(ValueError, match="Picture"):
        similar_images.similar_to(item, unlike=[stranger])
    with pytest.raises(ValueError, match="Say what to search by"):
        similar_images.similar_to([])
    with pytest.raises(ValueError, match="not a Picture"):
        Picture.objects.similar_to([item, stranger])


def test_several__that_may_not_be_seen_have_no_say(make_picture: Any, index_now: Any) -> None:
    item, hidden, other = make_picture(1), make_picture(2, published=False), make_picture(3)
    index_now()
    assert similar_images.similar_to([hidden]) == []
    (match,) = similar_images.similar_to([item, hidden])
    assert (match.object, match.similarity) == (other, similar_images.similar_to(item)[0].similarity)


# A part of a picture


@pytest.fixture
def halves(quick: None, index_now: Any) -> list[Picture]:
    """A picture that is red on the left and green on the right; a red one, and a green one."""
    image = Image.new("RGB", (40, 20), (200, 0, 0))
    image.paste((0, 200, 0), (20, 0, 40, 20))
    both = Picture.objects.create(image=drawing.ContentFile(drawing.encoded(image), name="both.png"), title="both")
    items = [both, colored(200, 0, 0), colored(0, 200, 0)]
    index_now()
    return items


def test_box__searches_by_that_part_of_a_stored_picture(halves: list[Picture], django_assert_num_queries: Any) -> None:
    both, red, green = halves
    with django_assert_num_queries(5):  # may it be seen, the versions, the setting, the search and the objects
        left = similar_images.similar_to(both, box=(0, 0, 0.5, 1))
    assert [(match.object, match.similarity) for match in left] == [(red, 100), (green, left[1].similarity)]
    assert objects(similar_images.similar_to(both, box=(0.5, 0, 0.5, 1))) == [green, red]
    assert list(Picture.objects.similar_to(both, box=(0.5, 0, 0.5, 1))) == [green, red]
    assert objects(similar_images.similar_to(both, box=(0.9999, 0.9999, 0.0001, 0.0001)))[0] == green


def test_box__searches_by_that_part_of_an_uploaded_picture(halves: list[Picture]) -> None:
    both, _red, green = halves
    with both.image.open() as file:
        matches = similar_images.similar_to(file, model=Picture, box=(0.5, 0, 0.5, 1))
    assert (matches[0].object, matches[0].similarity) == (green, 100)


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 1), (0, 0, 1.1, 1), (-0.1, 0, 1, 1), (0, 0, 1), "abcd", (0, 0, float("nan"), 1)]
)
def test_box__must_lie_within(box: Any) -> None:
    with pytest.raises(ValueError, match="box"):
        similar_images.similar_to(Picture(pk=1), box=box)


def test_box__errors_are_those_of_uploads(halves: list[Picture], configure: Any) -> None:
    both, red, _green = halves
    with pytest.raises(ValueError, match="one object or file"):
        similar_images.similar_to([both, red], box=(0, 0, 1, 1))
    configure(SEARCH_MAX_BYTES=10)
    with pytest.raises(UnreadableImage, match="10\xa0bytes"):
        similar_images.similar_to(both, box=(0, 0, 1, 1))
    configure(SEARCH_MAX_BYTES=10_000, SEARCH_MAX_PIXELS=100)
    with pytest.raises(UnreadableImage, match="100 pixels"):
        similar_images.similar_to(both, box=(0, 0, 1, 1))
    both.image.storage.delete(both.image.name)
    with pytest.raises(MissingFile):
        similar_images.similar_to(both, box=(0, 0, 1, 1))
    Picture.objects.filter(pk=both.pk).update(published=False)
    assert similar_images.similar_to(both, box=(0, 0, 1, 1)) == []


# Where nothing is similar enough


@pytest.mark.usefixtures("quick")
def test_fallback__the_newest_come_marked_as_such(index_now: Any, django_assert_num_queries: Any) -> None:
    query, *others = [gray(level) for level in (0, 200, 201, 202, 203)]
    hidden = gray(204, published=False)
    pending = gray(0) if not index_now() else None
    unseen = gray(205)
    assert similar_images.similar_to(query, min_similarity=99) == []
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(query, min_similarity=99, fallback="newest", limit=3, exclude=[others[-1]])
    assert objects(matches) == others[2::-1]
    assert {(match.is_fallback, match.similarity, match.folded) for match in matches} == {(True, 0.0, 0)}
    assert pending is None
    assert not {hidden, unseen, query} & set(objects(matches))
    found = similar_images.similar_to(query, fallback="newest")
    assert objects(found) == others
    assert not any(match.is_fallback for match in found)
    some = Picture.objects.filter(title__in=["200", "202"]).similar_to(query, min_similarity=99, fallback="newest")
    assert [(item.title, item.is_fallback, item.similarity) for item in some] == [("202", True, 0), ("200", True, 0)]


@pytest.mark.parametrize("fallback", ["newest", lambda source, objects, limit: objects])
def test_fallback__keeps_to_marks_and_distinct(fallback: Any, grays: list[Picture], index_now: Any) -> None:
    query, marked, sibling, *others = grays
    shelf = Shelf.objects.create()
    Picture.objects.filter(pk__in=[query.pk, sibling.pk]).update(shelf=shelf)
    similar_images.mark(query, marked, alike=False)
    pending = gray(1)
    similar_images.mark(pending, marked, alike=False)
    options = {"min_similarity": 100, "fallback": fallback, "distinct": "shelf"}
    assert set(objects(similar_images.similar_to(query, **options))) == set(others)
    assert marked not in objects(similar_images.similar_to(pending, fallback=fallback))


@pytest.mark.usefixtures("quick")
def test_fallback__may_be_of_ones_own_but_shows_no_more_than_may_be_seen(index_now: Any) -> None:
    query, first, second, hidden = gray(0), gray(200), gray(201), gray(202, published=False)
    index_now()
    calls = []

    def bestsellers(source: Any, queryset: Any, limit: int) -> Any:
        calls.append((source.label, list(queryset.order_by("pk")), limit))
        return [second, hidden, query, first]

    options = {"min_similarity": 99, "fallback": bestsellers, "limit": 2}
    assert objects(similar_images.similar_to(query, **options)) == [second, first]
    assert calls == [("testapp.Picture.image", [first, second], 2)]
    assert objects(similar_images.similar_to(query, queryset=Picture.objects.filter(pk=first.pk), **options)) == [first]
    with pytest.raises(ValueError, match="fallback"):
        similar_images.similar_to(query, fallback="oldest")


def test_fallback__of_a_model_with_other_keys(index_now: Any) -> None:
    """The newest is the one whose picture came last, not the one of the largest key."""
    items = [UuidPicture.objects.create(image=drawing.file(seed)) for seed in range(4)]
    index_now()
    matches = similar_images.similar_to(items[0], min_similarity=100.1, fallback="newest")
    assert objects(matches) == items[:0:-1]


# On the page, over REST and in templates


def rest(client: Any, item: Picture, **params: Any) -> Any:
    return client.get(f"/api/similar-images/testapp.picture/{item.pk}/similar/", params)


@pytest.mark.usefixtures("folding")
def test_surfaces__fold_by_default_and_tell_how_many(
    client: Any, index_now: Any, django_assert_num_queries: Any
) -> None:
    query, first, *_rest = [gray(level) for level in (100, 101, 101, 101, 102)]
    index_now()
    with django_assert_num_queries(7):  # the object, its status, and five of the search
        rows = rest(client, query).json()["results"]
    assert (rows[0]["pk"], rows[0]["folded"], rows[0]["fallback"]) == (str(first.pk), 2, False)
    assert (len(rows), len(rest(client, query, fold=0).json()["results"])) == (2, 4)
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


def test_rest__takes_examples(client: Any, make_picture: Any, index_now: Any) -> None:
    a, b, c, hidden = make_picture(1), make_picture(2), make_picture(3), make_picture(4, published=False)
    make_picture(5)
    index_now()
    expected = similar_images.similar_to([a, b], unlike=[c])
    rows = rest(client, a, like=b.pk, unlike=c.pk).json()["results"]
    assert [(row["pk"], row["similarity"]) for row in rows] == [(str(m.object.pk), m.similarity) for m in expected]
    page = client.get(f"/similar-images/testapp.picture/{a.pk}/", {"like": b.pk, "unlike": c.pk})
    assert page.context["matches"] == expected
    assert f'<input type="hidden" name="unlike" value="{c.pk}"' in page.content.decode()
    with a.image.open() as file:
        upload = {"image": file, "model": "testapp.picture", "like": b.pk, "unlike": [c.pk]}
        rows = client.post("/api/similar-images/search/", upload).json()["results"]
    assert {row["pk"] for row in rows} == {str(a.pk), *(str(match.object.pk) for match in expected)}
    assert rest(client, a, like="", unlike="").json() == rest(client, a).json()
    for params in ({"unlike": hidden.pk}, {"like": 0}, {"like": [a.pk] * 11}):
        assert list(rest(client, a, **params).json()) == list(params)
        assert client.get(f"/similar-images/testapp.picture/{a.pk}/", params).status_code == 400


def test_rest__takes_a_box(client: Any, halves: list[Picture], configure: Any) -> None:
    both, _red, green = halves
    assert rest(client, both, box="0.5,0,0.5,1").json()["results"][0]["pk"] == str(green.pk)
    assert rest(client, both, box="0.5,0,0.5,1", like="").json() == rest(client, both, box="0.5,0,0.5,1").json()
    assert rest(client, both, box="0.5,0,0.5,1", like=green.pk).status_code == 400
    with both.image.open() as file:
        upload = {"image": file, "model": "testapp.picture", "box": "0.5,0,0.5,1"}
        assert client.post("/api/similar-images/search/", upload).json()["results"][0]["pk"] == str(green.pk)
    for params in ({"box": "1,2"}, {"box": "0,0,2,2"}, {"box": "0,0,1,1", "like": green.pk}):
        assert list(rest(client, both, **params).json()) == ["box"]
    page = client.get(f"/similar-images/testapp.picture/{both.pk}/", {"box": "0.5,0,0.5,1"})
    assert page.context["matches"][0].object == green
    configure(SEARCH_MAX_PIXELS=100)
    answer = rest(client, both, box="0,0,1,1")
    assert (answer.status_code, list(answer.json())) == (400, ["box"])
    page = client.get(f"/similar-images/testapp.picture/{both.pk}/", {"box": "0,0,1,1"})
    assert (page.status_code, page.context["matches"]) == (400, [])


@pytest.mark.usefixtures("quick")
def test_rest__takes_variety_and_a_fallback(client: Any, index_now: Any) -> None:
    query, other = gray(0), gray(200)
    index_now()
    assert rest(client, query, min_similarity=99).json()["results"] == []
    (row,) = rest(client, query, min_similarity=99, fallback="newest", diversity=0.5).json()["results"]
    assert (row["pk"], row["fallback"], row["similarity"], row["scores"]) == (str(other.pk), True, 0, {})
    for params in ({"fallback": "oldest"}, {"diversity": 2}, {"fold": "maybe"}):
        assert list(rest(client, query, **params).json()) == list(params)
    params = {"min_similarity": 99, "fallback": "newest"}
    html = client.get(f"/similar-images/testapp.picture/{query.pk}/", params).content.decode()
    assert "newest items instead" in html
    assert "% similar" not in html


def test_schema__names_the_parameters(client: Any) -> None:
    schema = client.get("/api/similar-images/schema/").json()
    operations = {path: methods["get"] for path, methods in schema["paths"].items() if "get" in methods}
    similar = next(operation for path, operation in operations.items() if path.endswith("/similar/"))
    wanted = {"like", "unlike", "box", "fold", "diversity", "fallback"}
    assert wanted <= {parameter["name"] for parameter in similar["parameters"]}
    assert wanted <= schema["components"]["schemas"]["Search"]["properties"].keys()
    assert {"folded", "fallback"} <= schema["components"]["schemas"]["Match"]["properties"].keys()

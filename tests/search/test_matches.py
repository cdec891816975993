"""Matches: which objects come back, for whom, in which order, and with how many queries."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, QuerySet, Window
from django.db.models.functions import RowNumber
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject

import similar_images
from similar_images import registry
from similar_images.imaging import timeouts
from similar_images.imaging.decode import UnreadableImage
from similar_images.measures.verdict import Verdict
from similar_images.models import IndexedImage, Signature
from similar_images.search import matches
from similar_images.search.candidates import ScoredResults
from similar_images.search.options import SearchOptions
from similar_images.search.plan import plan_search
from tests import drawing
from tests.indexing.faults import triggers_off
from tests.items import matched_objects, save_gray
from tests.methods import Mean
from tests.testapp.models import NamedPicture, Picture, Private, Shelf, Unregistered, UuidPicture

pytestmark = pytest.mark.django_db


def test_similar_to__ranks_the_same_image_first_at_100_percent(make_picture: Any, index_now: Any) -> None:
    item, other, copy = make_picture(1), make_picture(2), make_picture(1)
    index_now()
    first, second = similar_images.similar_to(item)
    assert (first.object, first.similarity, first.scores) == (copy, 100.0, {"embedding": 100.0, "color": 100.0})
    assert second.object == other
    assert second.similarity < 100


@pytest.mark.usefixtures("mean_method")
def test_similar_to__sorts_by_similarity_without_the_query(index_now: Any) -> None:
    items = [save_gray(level) for level in (100, 200, 110, 85, 101)]
    index_now()
    expected = sorted(items[1:], key=lambda item: abs(int(item.title) - 100))
    matches = similar_images.similar_to(items[0])
    assert matched_objects(matches) == expected
    assert [match.similarity for match in matches] == sorted((m.similarity for m in matches), reverse=True)


@pytest.mark.usefixtures("mean_method")
def test_similarity__is_that_of_distances_computed_in_python(index_now: Any) -> None:
    items = [save_gray(level) for level in range(0, 250, 12)]
    index_now()
    values = {s.record.object_id: s.dense for s in Signature.objects.select_related("record")}
    query = values[str(items[3].pk)]
    for match in similar_images.similar_to(items[3], limit=100):
        distance = sum(abs(a - b) for a, b in zip(query, values[str(match.object.pk)], strict=True))
        assert match.similarity == round(Mean().similarity(distance), 1)


def test_ranking__blends_scores_by_weight(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    for seed in range(2, 8):
        make_picture(seed)
    index_now()
    for weights in ({"embedding": 3, "color": 1}, {"embedding": 0.2, "color": 0.8}):
        for match in similar_images.similar_to(item, ranking=weights):
            blend = sum(weights[name] * score for name, score in match.scores.items()) / sum(weights.values())
            assert match.similarity == pytest.approx(blend, abs=0.11)
    for name in ("embedding", "color"):
        for match in similar_images.similar_to(item, method=name):
            assert match.scores == {name: match.similarity}
    assert set(similar_images.similar_to(item, ranking={"color": 1, "embedding": 0})[0].scores) == {"color"}


@pytest.mark.usefixtures("mean_method")
def test_options__limit_min_similarity_and_exclude(index_now: Any, configure: Any) -> None:
    items = [save_gray(level) for level in range(100, 120)]
    index_now()
    assert len(similar_images.similar_to(items[0])) == 12
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1}, LIMIT=3)
    assert len(similar_images.similar_to(items[0])) == 3
    assert len(similar_images.similar_to(items[0], limit=100)) == 19
    assert matched_objects(similar_images.similar_to(items[0], limit=2, exclude=[items[1]])) == items[2:4]
    near = similar_images.similar_to(items[0], limit=100, min_similarity=95)
    assert 0 < len(near) < 19
    assert all(match.similarity >= 95 for match in near)


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 0},
        {"method": "nonsense"},
        {"ranking": {"nonsense": 1}},
        {"ranking": {}},
        {"ranking": {"mean": 0}},
        {"ranking": {"mean": -1}},
        {"method": "mean", "ranking": {"mean": 1}},
    ],
)
@pytest.mark.usefixtures("mean_method")
def test_options__out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"limit|method|ranking|[Ww]eight"):
        similar_images.similar_to(save_gray(1), **options)


@pytest.mark.usefixtures("mean_method")
def test_queryset__restricts_the_objects_and_the_page_is_filled(index_now: Any) -> None:
    """However few it leaves: a filter after the search would find none of these."""
    shelf = Shelf.objects.create(name="far")
    query = save_gray(0)
    for level in range(1, 131):
        save_gray(level)
    far = [save_gray(level, shelf=shelf) for level in range(200, 206)]
    index_now()
    on_shelf = Picture.objects.filter(shelf__name="far")
    assert matched_objects(similar_images.similar_to(query, queryset=on_shelf)) == far
    assert matched_objects(similar_images.similar_to(query, queryset=Picture.objects.none())) == []
    assert matched_objects(similar_images.similar_to(query, queryset=on_shelf.order_by("-pk")[:2])) == far[-2:]


@pytest.mark.usefixtures("mean_method")
def test_queryset__keeps_its_annotations_and_joins(index_now: Any, django_assert_num_queries: Any) -> None:
    from django.db.models import Value

    shelf = Shelf.objects.create(name="here")
    query, _other = save_gray(1), save_gray(2, shelf=shelf)
    index_now()
    queryset = Picture.objects.select_related("shelf").annotate(extra=Value("yes"))
    (match,) = similar_images.similar_to(query, queryset=queryset)
    with django_assert_num_queries(0):
        assert (match.object.shelf.name, match.object.extra) == ("here", "yes")


FILTERS: dict[str, Callable[[QuerySet[Picture]], QuerySet[Any]]] = {
    "slice": lambda chosen: Picture.objects.order_by("-pk")[:3],
    "union": lambda chosen: chosen.filter(title="200").union(chosen.exclude(title="200")),
    "values": lambda chosen: chosen.values("title"),
    "values_list": lambda chosen: chosen.values_list("pk"),
    "flat": lambda chosen: chosen.values_list("title", flat=True),
    "only": lambda chosen: chosen.only("title"),
    "defer": lambda chosen: chosen.defer("image", "title"),
    "annotate": lambda chosen: chosen.annotate(neighbors=Count("shelf__picture")),
    "select_related": lambda chosen: chosen.select_related("shelf"),
    "distinct": lambda chosen: chosen.filter(shelf__picture__gt=0).distinct(),
    "ordered": lambda chosen: chosen.order_by("-title"),
    "a slice of values": lambda chosen: Picture.objects.order_by("-pk").values("title")[:3],
}


@pytest.mark.usefixtures("mean_method")
@pytest.mark.parametrize("by", ["queryset", "visible"])
@pytest.mark.parametrize("kind", FILTERS)
def test_querysets__of_every_kind_restrict_the_objects(
    kind: str, by: str, index_now: Any, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    """The objects are loaded in full, so that showing them takes no query."""
    shelf = Shelf.objects.create()
    for level in (1, 2, 3):
        save_gray(level)
    query = save_gray(0, shelf=shelf)
    expected = [save_gray(level, shelf=shelf) for level in (200, 201)]
    index_now()
    chosen = FILTERS[kind](Picture.objects.filter(shelf=shelf))
    source = registry.get_source(Picture)
    visible = (lambda request: chosen) if by == "visible" else source.visible
    monkeypatch.setitem(registry._sources, (Picture, "image"), replace(source, visible=visible))
    with django_assert_num_queries(4):
        matches = similar_images.similar_to(query, queryset=chosen if by == "queryset" else None)
        assert [(match.title, match.image.name) for match in matches] == [
            (item.title, item.image.name) for item in expected
        ]
    assert matched_objects(matches) == expected


def test_similar_to__takes_lazy_objects(make_picture: Any, index_now: Any) -> None:
    """For example, request.user is one."""
    item, other = make_picture(1), make_picture(1)
    index_now()
    assert matched_objects(similar_images.similar_to(SimpleLazyObject(lambda: item))) == [other]
    assert similar_images.similar_to(item, exclude=[SimpleLazyObject(lambda: other)]) == []


@pytest.mark.usefixtures("mean_method")
def test_visible__restricts_queries_and_matches(index_now: Any) -> None:
    shown, hidden, query = save_gray(1), save_gray(2, published=False), save_gray(3)
    index_now()
    assert matched_objects(similar_images.similar_to(query)) == [shown]
    assert similar_images.similar_to(hidden) == []
    everything = Picture.objects.all()
    assert matched_objects(similar_images.similar_to(query, queryset=everything)) == [shown]


@pytest.mark.usefixtures("mean_method")
def test_visible__goes_by_the_request_or_else_by_an_anonymous_visitor(index_now: Any) -> None:
    from PIL import Image

    def private(owner: str, level: int) -> Private:
        file = drawing.ContentFile(drawing.encoded(Image.new("RGB", (8, 8), (level,) * 3)), name="p.png")
        return Private.objects.create(owner=owner, image=file)

    mine, also_mine, yours, public = private("me", 1), private("me", 2), private("you", 3), private("", 4)
    index_now()

    def request_by(user: Any) -> Any:
        request = RequestFactory().get("/")
        request.user = user
        return request

    assert matched_objects(similar_images.similar_to(mine, request=request_by(User(username="me")))) == [also_mine]
    assert similar_images.similar_to(mine, request=request_by(User(username="you"))) == []
    assert similar_images.similar_to(mine, request=request_by(AnonymousUser())) == []
    assert similar_images.similar_to(mine) == []
    with public.image.open() as file:
        matches = similar_images.similar_to(file, model=Private)
    assert matched_objects(matches) == [public]
    assert yours not in matched_objects(matches)


def test_similar_to__of_an_object_that_is_not_indexed_is_empty(make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    assert similar_images.similar_to(make_picture(2)) == []
    assert similar_images.similar_to(Picture()) == []
    broken = Picture.objects.create(image=drawing.ContentFile(b"x", name="x.png"))
    index_now()
    assert similar_images.similar_to(broken) == []
    assert similar_images.similar_to(Picture.objects.create()) == []


def test_file__is_searched_by_and_not_stored(make_picture: Any, index_now: Any, settings: Any) -> None:
    item = make_picture(1)
    make_picture(2)
    index_now()
    before = IndexedImage.objects.count(), sorted(settings.MEDIA_ROOT.rglob("*"))
    data = drawing.encoded(drawing.scene(1))
    for model in (Picture, "testapp.Picture", "testapp.picture"):
        matches = similar_images.similar_to(io.BytesIO(data), model=model)
        assert (matches[0].object, matches[0].similarity) == (item, 100.0)
    assert (IndexedImage.objects.count(), sorted(settings.MEDIA_ROOT.rglob("*"))) == before


def test_file__has_the_matches_of_its_object(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    for seed in range(2, 9):
        make_picture(seed)
    index_now()
    by_file = similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture)
    assert by_file[0].object == item
    by_object = similar_images.similar_to(item)
    assert [(m.object, m.similarity, m.scores) for m in by_file[1:]] == [
        (m.object, m.similarity, m.scores) for m in by_object
    ]


def test_file__errors_say_what_to_do(configure: Any) -> None:
    with pytest.raises(ValueError, match="model=Product"):
        similar_images.similar_to(io.BytesIO(b"x"))
    with pytest.raises(UnreadableImage, match="not an image"):
        similar_images.similar_to(io.BytesIO(b"x"), model=Picture)
    picture = drawing.encoded(drawing.scene(1))
    configure(SEARCH_MAX_PIXELS=100)
    with pytest.raises(UnreadableImage, match="100 pixels"):
        similar_images.similar_to(io.BytesIO(picture), model=Picture)
    configure(SEARCH_MAX_PIXELS=1_000_000, MAX_PIXELS=100, SEARCH_MAX_BYTES=len(picture))
    assert similar_images.similar_to(io.BytesIO(picture), model=Picture) == []
    configure(SEARCH_MAX_BYTES=10)
    with pytest.raises(UnreadableImage, match="10\xa0bytes"):
        similar_images.similar_to(io.BytesIO(b"x" * 11), model=Picture)
    with pytest.raises(registry.NotRegistered, match=r"similar_images\.register"):
        similar_images.similar_to(Unregistered())


def test_file__that_takes_too_long_raises_search_timeout(configure: Any, tmp_path: Any) -> None:
    (tmp_path / "hold").touch()
    methods = {"tests.methods.Slow": {"folder": str(tmp_path)}}
    configure(METHODS=methods, RANKING={"mean": 1}, REQUEST_TIMEOUT=0.2)
    try:
        with pytest.raises(timeouts.SearchTimeout, match="too long"):
            similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture)
    finally:
        (tmp_path / "hold").unlink()


@pytest.mark.usefixtures("mean_method")
def test_queries__do_not_grow_with_the_limit(index_now: Any, django_assert_num_queries: Any) -> None:
    items = [save_gray(level) for level in range(40)]
    index_now()
    for limit in (1, 39):
        with django_assert_num_queries(4):
            assert len(similar_images.similar_to(items[0], limit=limit)) == limit


def test_queries__do_not_grow_with_the_methods(
    make_picture: Any, index_now: Any, django_assert_num_queries: Any
) -> None:
    items = [make_picture(seed) for seed in range(3)]
    index_now()
    with django_assert_num_queries(4):
        assert len(similar_images.similar_to(items[0])) == 2


@pytest.mark.usefixtures("mean_method")
def test_versions__are_not_compared_with_each_other(index_now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [save_gray(level) for level in (1, 2)]
    index_now()
    monkeypatch.setattr(Mean, "version", "2")
    new = save_gray(3)
    index_now()
    assert similar_images.similar_to(new) == []
    assert matched_objects(similar_images.similar_to(items[0])) == [items[1]]


@pytest.mark.usefixtures("mean_method")
def test_ties__are_broken_by_record_id(index_now: Any) -> None:
    items = [save_gray(50) for _ in range(12)]
    index_now()
    assert matched_objects(similar_images.similar_to(items[0], limit=11)) == items[1:]


def test_similar_to__returns_only_objects_of_the_source(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    UuidPicture.objects.create(image=drawing.file(1))
    NamedPicture.objects.create(name="x", image=drawing.file(1))
    index_now()
    assert similar_images.similar_to(item) == []


def test_match__has_title_url_and_image(make_picture: Any, index_now: Any) -> None:
    item, other = make_picture(1), make_picture(2)
    index_now()
    (match,) = similar_images.similar_to(item)
    assert (match.title, match.url) == ("Scene 2", other.get_absolute_url())
    assert match.image.url == other.image.url
    uuids = [UuidPicture.objects.create(image=drawing.file(seed)) for seed in (1, 2)]
    index_now()
    (match,) = similar_images.similar_to(uuids[0])
    assert match.url == ""


def test_visible__may_be_distinct_on_or_filtered_by_a_window(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter after DISTINCT ON, or on ranks, would choose anew among what is left."""
    first, second = make_picture(1), make_picture(2)
    index_now()
    source = registry.get_source(Picture)
    for queryset in (
        Picture.objects.order_by("published", "pk").distinct("published"),
        Picture.objects.annotate(number=Window(RowNumber(), order_by="pk")).filter(number=1),
    ):
        changed = replace(source, visible=lambda request, queryset=queryset: queryset)
        monkeypatch.setitem(registry._sources, (Picture, "image"), changed)
        assert changed.get_visible(None, str(second.pk)) is None
        assert changed.get_visible(None, str(first.pk)) == first
        assert similar_images.similar_to(second) == []


def test_exclude_and_queryset__of_another_model_are_refused(gray_pictures: list[Picture]) -> None:
    shelf = Shelf.objects.create(pk=gray_pictures[1].pk)
    with pytest.raises(ValueError, match="is not a Picture"):
        similar_images.similar_to(gray_pictures[0], exclude=[shelf])
    with pytest.raises(ValueError, match="The queryset is of Shelf, not of Picture"):
        similar_images.similar_to(gray_pictures[0], queryset=Shelf.objects.all())


def test_ranking__weights_are_bounded(gray_pictures: list[Picture], client: Any) -> None:
    for prefix, suffix in (("/similar-images", ""), ("/api/similar-images", "similar/")):
        address = f"{prefix}/testapp.picture/{gray_pictures[0].pk}/{suffix}"
        assert client.get(address, {"ranking": "mean:1e308"}).status_code == 400
        assert client.get(address, {"ranking": "mean:1e6"}).status_code == 200


def test_match__rounds_similarities_to_one_decimal_and_keeps_distances(gray_pictures: list[Picture]) -> None:
    planned = plan_search(gray_pictures[0], SearchOptions())
    results = planned.run()
    loaded = matches.load_matches_of_each(planned, [results], None)[0]
    assert [scored.similarity for scored in results] != [match.similarity for match in loaded]
    for match, scored in zip(loaded, results, strict=True):
        assert match.similarity == round(scored.similarity, 1)
        assert match.scores == {"mean": round(scored.scores["mean"], 1)}
        assert match.distances == scored.candidate.distances
        assert (match.folded, match.verdict, match.is_fallback, match.explanation) == (0, None, False, None)
        assert match.source is planned.source
        assert match.key == f"testapp.picture.image:{match.object.pk}"


def test_match__carries_verdict_folded_and_explanation(gray_pictures: list[Picture]) -> None:
    planned = plan_search(gray_pictures[0], SearchOptions())
    (scored, *_others) = planned.run()
    changed = scored._replace(near_duplicates=(scored,) * 3, verdict=Verdict("alike"))
    (match,) = matches.load_matches_of_each(planned, [ScoredResults([changed])], {"mean": 2, "bits": 1})[0]
    assert (match.folded, match.verdict) == (3, Verdict("alike"))
    assert match.explanation == matches.Explanation(["mean"], {"mean": 2})
    (match,) = matches.load_matches_of_each(planned, [ScoredResults([changed._replace(scores={})])], None)[0]
    assert match.is_fallback


def test_match__of_a_file_changed_without_triggers_is_left_out(gray_pictures: list[Picture]) -> None:
    with triggers_off():
        Picture.objects.filter(pk=gray_pictures[1].pk).update(image="other.png")
    assert matched_objects(similar_images.similar_to(gray_pictures[0], limit=2)) == [gray_pictures[2]]


def test_search_among__searches_objects_that_the_caller_chooses(gray_pictures: list[Picture]) -> None:
    """Without folding, near-duplicates come each on its own."""
    source = registry.get_source(Picture)
    Picture.objects.filter(pk=gray_pictures[1].pk).update(published=False)
    among = Picture.objects.filter(pk__in=[item.pk for item in gray_pictures[:5]])
    search = matches.search_among(source, gray_pictures[0], among, [], limit=3)
    found = matches.load_matches_of_each(search, [search.run()], search.weights)[0]
    assert matched_objects(found) == gray_pictures[1:4]
    assert found[0].explanation == matches.Explanation(["mean"], {"mean": 1.0})
    assert search.folds is False


def test_get_url__is_empty_where_there_is_none(gray_pictures: list[Picture]) -> None:
    source = registry.get_source(Picture)
    assert source.get_url(gray_pictures[0]) == gray_pictures[0].get_absolute_url()
    assert source.get_url(Shelf(name="x")) == ""


def test_queryset__may_be_objects_as_a_search_engine_returns_them(gray_pictures: list[Picture]) -> None:
    query, *others = gray_pictures

    def found() -> Iterator[Picture]:
        yield from others[3:5]

    assert [match.object for match in similar_images.similar_to(query, queryset=found())] == others[3:5]
    assert similar_images.similar_to(query, queryset=[]) == []

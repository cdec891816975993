"""What comes back, for whom, in which order, and at what price."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, QuerySet, Window
from django.db.models.functions import RowNumber
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject
from hypothesis import given
from hypothesis import strategies as st

import similar_images
from similar_images import plugins, registry
from similar_images.imaging import timeouts
from similar_images.imaging.decode import UnreadableImage
from similar_images.models import IndexedImage, Signature
from similar_images.search import candidates, query_vectors
from tests import drawing
from tests.items import gray, objects
from tests.methods import Mean
from tests.testapp.models import NamedPicture, Picture, Private, Shelf, Unregistered, UuidPicture

pytestmark = pytest.mark.django_db


def test_similar_to__the_same_picture_is_100_and_first(make_picture: Any, index_now: Any) -> None:
    item, other, twin = make_picture(1), make_picture(2), make_picture(1)
    index_now()
    first, second = similar_images.similar_to(item)
    assert (first.object, first.similarity, first.scores) == (twin, 100.0, {"embedding": 100.0, "color": 100.0})
    assert second.object == other
    assert second.similarity < 100


@pytest.mark.usefixtures("quick")
def test_similar_to__best_first_and_itself_left_out(index_now: Any) -> None:
    levels = [gray(level) for level in (100, 200, 110, 85, 101)]
    index_now()
    by_hand = sorted(levels[1:], key=lambda item: abs(int(item.title) - 100))
    matches = similar_images.similar_to(levels[0])
    assert objects(matches) == by_hand
    assert [match.similarity for match in matches] == sorted((m.similarity for m in matches), reverse=True)


@pytest.mark.usefixtures("quick")
def test_similar_to__equals_the_distances_computed_in_python(index_now: Any) -> None:
    items = [gray(level) for level in range(0, 250, 12)]
    index_now()
    values = {s.record.object_id: s.dense for s in Signature.objects.select_related("record")}
    query = values[str(items[3].pk)]
    for match in similar_images.similar_to(items[3], limit=100):
        distance = sum(abs(a - b) for a, b in zip(query, values[str(match.object.pk)], strict=True))
        assert match.similarity == round(Mean().similarity(distance), 1)


def test_ranking__blends_by_weight_and_tells_the_parts(make_picture: Any, index_now: Any) -> None:
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


@pytest.mark.usefixtures("quick")
def test_limits__limit_min_similarity_exclude(index_now: Any, configure: Any) -> None:
    items = [gray(level) for level in range(100, 120)]
    index_now()
    assert len(similar_images.similar_to(items[0])) == 12
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1}, LIMIT=3)
    assert len(similar_images.similar_to(items[0])) == 3
    assert len(similar_images.similar_to(items[0], limit=100)) == 19
    assert objects(similar_images.similar_to(items[0], limit=2, exclude=[items[1]])) == items[2:4]
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
@pytest.mark.usefixtures("quick")
def test_limits__nonsense_is_told(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"limit|method|ranking|[Ww]eight"):
        similar_images.similar_to(gray(1), **options)


@pytest.mark.usefixtures("quick")
def test_queryset__only_its_objects_come_back_and_the_page_is_filled(index_now: Any) -> None:
    """However few it leaves: a filter after the search would find none of these."""
    shelf = Shelf.objects.create(name="far")
    query = gray(0)
    for level in range(1, 131):
        gray(level)
    far = [gray(level, shelf=shelf) for level in range(200, 206)]
    index_now()
    on_shelf = Picture.objects.filter(shelf__name="far")
    assert objects(similar_images.similar_to(query, queryset=on_shelf)) == far
    assert objects(similar_images.similar_to(query, queryset=Picture.objects.none())) == []
    assert objects(similar_images.similar_to(query, queryset=on_shelf.order_by("-pk")[:2])) == far[-2:]


@pytest.mark.usefixtures("quick")
def test_queryset__gives_the_objects_as_it_would(index_now: Any, django_assert_num_queries: Any) -> None:
    from django.db.models import Value

    shelf = Shelf.objects.create(name="here")
    query, _other = gray(1), gray(2, shelf=shelf)
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


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("by", ["queryset", "visible"])
@pytest.mark.parametrize("kind", FILTERS)
def test_filters__querysets_of_every_kind(
    kind: str, by: str, index_now: Any, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    """The objects come whole, so that telling of them costs no query."""
    shelf = Shelf.objects.create()
    for level in (1, 2, 3):
        gray(level)
    query = gray(0, shelf=shelf)
    wanted = [gray(level, shelf=shelf) for level in (200, 201)]
    index_now()
    chosen = FILTERS[kind](Picture.objects.filter(shelf=shelf))
    source = registry.get_source(Picture)
    visible = (lambda request: chosen) if by == "visible" else source.visible
    monkeypatch.setitem(registry._sources, (Picture, "image"), replace(source, visible=visible))
    with django_assert_num_queries(4):
        matches = similar_images.similar_to(query, queryset=chosen if by == "queryset" else None)
        assert [(match.title, match.image.name) for match in matches] == [
            (item.title, item.image.name) for item in wanted
        ]
    assert objects(matches) == wanted


def test_query__may_be_a_lazy_object(make_picture: Any, index_now: Any) -> None:
    """As request.user is one."""
    item, other = make_picture(1), make_picture(1)
    index_now()
    assert objects(similar_images.similar_to(SimpleLazyObject(lambda: item))) == [other]
    assert similar_images.similar_to(item, exclude=[SimpleLazyObject(lambda: other)]) == []


@pytest.mark.usefixtures("quick")
def test_visible__decides_what_comes_back(index_now: Any) -> None:
    shown, hidden, query = gray(1), gray(2, published=False), gray(3)
    index_now()
    assert objects(similar_images.similar_to(query)) == [shown]
    assert similar_images.similar_to(hidden) == []
    everything = Picture.objects.all()
    assert objects(similar_images.similar_to(query, queryset=everything)) == [shown]


@pytest.mark.usefixtures("quick")
def test_visible__goes_by_the_request_and_without_one_by_an_anonymous_visitor(index_now: Any) -> None:
    from PIL import Image

    def private(owner: str, level: int) -> Private:
        file = drawing.ContentFile(drawing.encoded(Image.new("RGB", (8, 8), (level,) * 3)), name="p.png")
        return Private.objects.create(owner=owner, image=file)

    mine, also_mine, yours, open_one = private("me", 1), private("me", 2), private("you", 3), private("", 4)
    index_now()

    def ask(user: Any) -> Any:
        request = RequestFactory().get("/")
        request.user = user
        return request

    assert objects(similar_images.similar_to(mine, request=ask(User(username="me")))) == [also_mine]
    assert similar_images.similar_to(mine, request=ask(User(username="you"))) == []
    assert similar_images.similar_to(mine, request=ask(AnonymousUser())) == []
    assert similar_images.similar_to(mine) == []
    with open_one.image.open() as file:
        found = similar_images.similar_to(file, model=Private)
    assert objects(found) == [open_one]
    assert yours not in objects(found)


def test_not_indexed__nothing_comes_back(make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    assert similar_images.similar_to(make_picture(2)) == []
    assert similar_images.similar_to(Picture()) == []
    broken = Picture.objects.create(image=drawing.ContentFile(b"x", name="x.png"))
    index_now()
    assert similar_images.similar_to(broken) == []
    assert similar_images.similar_to(Picture.objects.create()) == []


def test_file__finds_what_is_like_it_and_keeps_nothing(make_picture: Any, index_now: Any, settings: Any) -> None:
    item = make_picture(1)
    make_picture(2)
    index_now()
    before = IndexedImage.objects.count(), sorted(settings.MEDIA_ROOT.rglob("*"))
    data = drawing.encoded(drawing.scene(1))
    for model in (Picture, "testapp.Picture", "testapp.picture"):
        matches = similar_images.similar_to(io.BytesIO(data), model=model)
        assert (matches[0].object, matches[0].similarity) == (item, 100.0)
    assert (IndexedImage.objects.count(), sorted(settings.MEDIA_ROOT.rglob("*"))) == before


def test_file__and_object_agree_to_the_decimal(make_picture: Any, index_now: Any) -> None:
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


def test_file__refusals_are_clear(configure: Any) -> None:
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


def test_file__takes_bounded_time(configure: Any, tmp_path: Any) -> None:
    (tmp_path / "hold").touch()
    methods = {"tests.methods.Slow": {"folder": str(tmp_path)}}
    configure(METHODS=methods, RANKING={"mean": 1}, REQUEST_TIMEOUT=0.2)
    try:
        with pytest.raises(timeouts.SearchTimeout, match="too long"):
            similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture)
    finally:
        (tmp_path / "hold").unlink()


@pytest.mark.usefixtures("quick")
def test_queries__are_as_many_for_many_matches_as_for_few(index_now: Any, django_assert_num_queries: Any) -> None:
    items = [gray(level) for level in range(40)]
    index_now()
    for limit in (1, 39):
        with django_assert_num_queries(4):
            assert len(similar_images.similar_to(items[0], limit=limit)) == limit


def test_queries__are_as_many_for_two_methods(
    make_picture: Any, index_now: Any, django_assert_num_queries: Any
) -> None:
    items = [make_picture(seed) for seed in range(3)]
    index_now()
    with django_assert_num_queries(4):
        assert len(similar_images.similar_to(items[0])) == 2


@pytest.mark.usefixtures("quick")
def test_versions__never_meet(index_now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [gray(level) for level in (1, 2)]
    index_now()
    monkeypatch.setattr(Mean, "version", "2")
    new = gray(3)
    index_now()
    assert similar_images.similar_to(new) == []
    assert objects(similar_images.similar_to(items[0])) == [items[1]]


@pytest.mark.usefixtures("quick")
def test_ties__come_in_a_stable_order(index_now: Any) -> None:
    items = [gray(50) for _ in range(12)]
    index_now()
    assert objects(similar_images.similar_to(items[0], limit=11)) == items[1:]


def test_other_models__do_not_come_back(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    UuidPicture.objects.create(image=drawing.file(1))
    NamedPicture.objects.create(name="x", image=drawing.file(1))
    index_now()
    assert similar_images.similar_to(item) == []


def test_match__title_url_and_image(make_picture: Any, index_now: Any) -> None:
    item, other = make_picture(1), make_picture(2)
    index_now()
    (match,) = similar_images.similar_to(item)
    assert (match.title, match.url) == ("Scene 2", other.get_absolute_url())
    assert match.image.url == other.image.url
    uuids = [UuidPicture.objects.create(image=drawing.file(seed)) for seed in (1, 2)]
    index_now()
    (match,) = similar_images.similar_to(uuids[0])
    assert match.url == ""


@given(distance=st.floats(0, 10), more=st.floats(0, 10))
def test_similarity__is_a_percentage_and_never_rises_with_distance(distance: float, more: float) -> None:
    for method in plugins.enabled_methods().values():
        assert 100 >= method.similarity(distance) >= method.similarity(distance + more) >= 0
        assert method.similarity(0) == 100


def test_visible__of_one_object_a_shelf(make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter after DISTINCT ON, or on ranks, would choose anew among what is left."""
    first, second = make_picture(1), make_picture(2)
    index_now()
    source = registry.get_source(Picture)
    for one in (
        Picture.objects.order_by("published", "pk").distinct("published"),
        Picture.objects.annotate(place=Window(RowNumber(), order_by="pk")).filter(place=1),
    ):
        changed = replace(source, visible=lambda request, one=one: one)
        monkeypatch.setitem(registry._sources, (Picture, "image"), changed)
        assert changed.get_visible(None, str(second.pk)) is None
        assert changed.get_visible(None, str(first.pk)) == first
        assert similar_images.similar_to(second) == []


def test_gone_meanwhile__is_no_error(make_picture: Any, index_now: Any, configure: Any) -> None:
    """The signatures of the query are deleted between the first query and the last."""
    configure(METHODS={"palette": {}, "color": {}}, RANKING={"palette": 1, "color": 1})
    item, _other = make_picture(1), make_picture(2)
    index_now()
    source = registry.get_source(Picture)
    operands = query_vectors.stored_query(source, item, ["palette", "color"])
    assert len(operands) == 2
    Signature.objects.filter(record__object_id=item.pk).delete()
    weights = {"palette": 1.0, "color": 1.0}
    records = candidates.searchable_records(source, [Picture.objects.all()], [item.pk])
    rows = candidates.search_candidates(source, operands, records, {"palette": 12, "color": 12}, 12)
    assert candidates.score_rows(operands, rows, weights) == []


def test_models__of_what_is_left_out_and_where_are_checked(grays: list[Picture]) -> None:
    shelf = Shelf.objects.create(pk=grays[1].pk)
    with pytest.raises(ValueError, match="is not a Picture"):
        similar_images.similar_to(grays[0], exclude=[shelf])
    with pytest.raises(ValueError, match="The queryset is of Shelf, not of Picture"):
        similar_images.similar_to(grays[0], queryset=Shelf.objects.all())


def test_ranking__weights_are_bounded(grays: list[Picture], client: Any) -> None:
    for prefix, suffix in (("/similar-images", ""), ("/api/similar-images", "similar/")):
        address = f"{prefix}/testapp.picture/{grays[0].pk}/{suffix}"
        assert client.get(address, {"ranking": "mean:1e308"}).status_code == 400
        assert client.get(address, {"ranking": "mean:1e6"}).status_code == 200


def test_box__of_a_picture_whose_storage_is_down(
    grays: list[Picture], client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: Any, **options: Any) -> None:
        raise ConnectionError("secret.internal:9000 refused")

    monkeypatch.setattr("django.core.files.storage.FileSystemStorage._open", down)
    for prefix, suffix in (("/similar-images", ""), ("/api/similar-images", "similar/")):
        answer = client.get(f"{prefix}/testapp.picture/{grays[0].pk}/{suffix}", {"box": "0,0,1,1"})
        assert answer.status_code == 503
        assert "try again later" in answer.content.decode()
        assert "secret" not in answer.content.decode()

"""Images that belong to other objects: these are searched by, and come back, once each."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db.models import F
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.template import Context, Template
from django.test.utils import CaptureQueriesContext
from PIL import Image

import similar_images
from similar_images import registry
from similar_images.checks import source_fields
from similar_images.search.options import OptionError
from similar_images.sources.owners import Ownership
from tests import drawing
from tests.databases import ALIAS, VARIANT, connection
from tests.items import matched_objects, save_gray
from tests.testapp.models import Attachment, Couple, Essay, Item, Photo, Shelf

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]

API = "/api/similar-images"

with_content_types = pytest.mark.skipif(
    VARIANT == "alias", reason="a generic foreign key needs the content types in the database of its objects"
)


def gray_file(level: int) -> Any:
    return drawing.ContentFile(drawing.encoded(Image.new("RGB", (8, 8), (level,) * 3)), name=f"{level}.png")


def make_item(*levels: int, **fields: Any) -> Item:
    """Save an item with a photo of each gray level."""
    item = Item.objects.create(**{"name": "-".join(map(str, levels[:2])), **fields})
    for level in levels:
        Photo.objects.create(item=item, image=gray_file(level))
    return item


def attach(subject: Any, level: int) -> Attachment:
    return Attachment.objects.create(subject=subject, image=gray_file(level))


def similar_url(item: Any) -> str:
    return f"{API}/{item._meta.label_lower}/{item.pk}/similar/"


def page_url(item: Any) -> str:
    return f"/similar-images/{item._meta.label_lower}/{item.pk}/"


@pytest.fixture
def items(index_now: Any) -> list[Item]:
    """Five items with two photos each, each item less similar to the first one than those before it."""
    found = [make_item(100 + n, 200 + n) for n in range(5)]
    index_now()
    return found


def test_owners__come_back_once_by_their_best_image(items: list[Item]) -> None:
    first, *others = items
    matches = similar_images.similar_to(first.photos.first(), limit=10)
    assert matched_objects(matches) == others
    assert [match.image_object for match in matches] == [item.photos.first() for item in others]
    assert [match.title for match in matches] == [f"Item {item}" for item in others]
    assert [match.url for match in matches] == [f"/items/{item.pk}/" for item in others]
    assert matches[0].image == matches[0].image_object.image
    assert matches[0].key == f"testapp.photo.image:{matches[0].image_object.pk}"


def test_owners__are_searched_by_with_all_their_images(items: list[Item], index_now: Any) -> None:
    dark, bright = make_item(103), make_item(201)
    index_now()
    matches = similar_images.similar_to(items[0], limit=10)
    assert items[0] not in matched_objects(matches)
    assert {dark, bright} <= set(matched_objects(matches))
    by_image = [
        {match.object: match.similarity for match in similar_images.similar_to(photo, limit=10)}
        for photo in items[0].photos.all()
    ]
    best = {item: max(found.get(item, 0) for found in by_image) for item in matched_objects(matches)}
    assert {match.object: match.similarity for match in matches} == best


def test_owners__that_stand_for_variants_leave_out_their_family(index_now: Any) -> None:
    parent = make_item(100, name="parent")
    variants = [make_item(100, 101, name="variant", parent=parent) for _number in range(2)]
    other = make_item(102, name="other")
    index_now()
    for query in (parent, *variants, variants[0].photos.first(), parent.photos.first()):
        assert matched_objects(similar_images.similar_to(query)) == [other]
    assert matched_objects(similar_images.similar_to(other)) == [parent]


def test_owners__fill_the_page_behind_one_with_many_images(index_now: Any) -> None:
    query, crowd = make_item(100), make_item(*[101] * 60)
    others = [make_item(110 + n) for n in range(3)]
    index_now()
    assert matched_objects(similar_images.similar_to(query, limit=4)) == [crowd, *others]


def test_owners__that_may_not_be_seen_neither_come_back_nor_are_searched_by(items: list[Item], client: Any) -> None:
    Item.objects.filter(pk=items[1].pk).update(published=False)
    assert matched_objects(similar_images.similar_to(items[0], limit=10)) == items[2:]
    assert similar_images.similar_to(items[1]) == []
    for url in (similar_url, page_url):
        with CaptureQueriesContext(connection) as for_hidden:
            hidden = client.get(url(items[1]))
        with CaptureQueriesContext(connection) as for_missing:
            missing = client.get(url(Item(pk=987_654)))
        assert hidden.status_code == missing.status_code == 404
        assert hidden.content == missing.content
        assert len(for_hidden) == len(for_missing)


def test_owners__are_found_without_a_query_each(items: list[Item], index_now: Any) -> None:
    def count_queries() -> int:
        with CaptureQueriesContext(connection) as queries:
            similar_images.similar_to(items[0], limit=12)
        return len(queries)

    few = count_queries()
    for n in range(6):
        make_item(105 + n, 205 + n)
    index_now()
    assert count_queries() == few


def test_owners__of_no_image_have_no_matches(items: list[Item], client: Any) -> None:
    bare = Item.objects.create(name="bare")
    assert similar_images.similar_to(bare) == []
    answer = client.get(similar_url(bare)).json()
    assert (answer["query"]["status"], answer["results"]) == ("missing", [])
    newest = similar_images.similar_to(bare, fallback="newest", limit=2)
    assert matched_objects(newest) == [items[4], items[3]]
    chosen = similar_images.similar_to(bare, fallback=lambda source, objects, limit: objects.order_by("pk"), limit=2)
    assert matched_objects(chosen) == items[:2]


def test_owners__are_answered_over_rest_and_on_the_page_under_their_own_name(items: list[Item], client: Any) -> None:
    answer = client.get(similar_url(items[0])).json()
    assert answer["query"]["model"] == "testapp.item"
    assert (answer["query"]["pk"], answer["query"]["status"]) == (str(items[0].pk), "indexed")
    assert {result["model"] for result in answer["results"]} == {"testapp.item"}
    assert [result["pk"] for result in answer["results"]] == [str(item.pk) for item in items[1:]]
    assert answer["results"][0]["title"] == f"Item {items[1]}"
    by_photo = client.get(similar_url(items[0].photos.first())).json()
    assert by_photo["results"] == client.get(similar_url(items[0].photos.first())).json()["results"]
    assert [result["pk"] for result in by_photo["results"]] == [str(item.pk) for item in items[1:]]
    page = client.get(page_url(items[0])).content.decode()
    assert all(f"/items/{item.pk}/" in page for item in items[1:])
    assert f"Similar to Item {items[0]}" in page
    assert f"Similar to Item {items[0]}" in client.get(page_url(items[0].photos.first())).content.decode()


def test_owners__are_shown_by_tags(items: list[Item]) -> None:
    template = Template("{% load similar_images %}{% similar_items_widget item limit=2 price__lte=5 %}")
    html = template.render(Context({"item": items[0]}))
    assert html.count("<li>") == 2
    assert f"/items/{items[1].pk}/" in html


def test_owners__may_be_left_out_and_chosen_from(items: list[Item]) -> None:
    rest = similar_images.similar_to(items[0], exclude=[items[1]], queryset=Item.objects.exclude(pk=items[2].pk))
    assert matched_objects(rest) == items[3:]
    annotated = similar_images.similar_to(items[0], queryset=Item.objects.annotate(twice=F("pk") * 2))
    assert [match.object.twice for match in annotated] == [item.pk * 2 for item in items[1:]]


def test_owners__are_a_queryset_best_first(items: list[Item]) -> None:
    similar = Item.objects.exclude(pk=items[1].pk).similar_to(items[0])
    assert list(similar) == items[2:]
    assert [item.similarity for item in similar] == [
        match.similarity for match in similar_images.similar_to(items[0])[1:]
    ]
    assert list(similar.filter(pk=items[4].pk)) == [items[4]]
    photos = Photo.objects.similar_to(items[0])
    assert [photo.item for photo in photos] == items[1:]


def test_owners__say_why_one_is_missing(items: list[Item], client: Any) -> None:
    def reason(query: Any, other: Any, **options: Any) -> str:
        return similar_images.why_not(query, other, **options).code

    assert reason(items[0], items[1]) == "listed"
    assert reason(items[0], items[1].photos.last()) == "listed"
    assert reason(items[0], items[4], limit=1) == "beyond-limit"
    assert reason(items[0], items[0]) == "itself"
    assert reason(items[0], Item.objects.create(name="bare")) == "not-indexed"
    hidden = make_item(100, published=False)
    assert reason(items[0], hidden) == "unknown"
    url = similar_url(items[0])
    answers = [client.get(url, {"why_not": key}).json()["why_not"] for key in (hidden.pk, 98_765)]
    assert answers[0] == answers[1]
    assert client.get(url, {"why_not": items[4].pk, "limit": 1}).json()["why_not"]["code"] == "beyond-limit"


def test_owners__with_several_images_are_not_compared_by_them(items: list[Item], client: Any) -> None:
    with pytest.raises(OptionError, match="one whole image"):
        similar_images.similar_to(items[0], mode="copy")
    assert client.get(similar_url(items[0]), {"mode": "copy"}).status_code == 400
    assert client.get(page_url(items[0]), {"mode": "copy"}).status_code == 400


def test_filters__leave_what_fits_in_python_over_rest_and_on_the_page(items: list[Item], client: Any) -> None:
    shelf = Shelf.objects.create(name="upper")
    Item.objects.filter(pk__in=[items[1].pk, items[3].pk]).update(shelf=shelf)
    Item.objects.filter(pk=items[3].pk).update(price=20)

    def found(**filters: Any) -> list[str]:
        answer = client.get(similar_url(items[0]), filters)
        assert answer.status_code == 200, answer.content
        return [result["pk"] for result in answer.json()["results"]]

    assert found(shelf=shelf.pk) == found(shelf__name="upper") == [str(items[1].pk), str(items[3].pk)]
    assert found(shelf=shelf.pk, price__lte=10) == [str(items[1].pk)]
    refused = client.get(similar_url(items[0]), {"shelf": 99})
    assert refused.status_code == 400
    assert "shelf" in refused.json()["errors"]
    assert client.get(similar_url(items[0]), {"shelf_name": "upper"}).status_code == 400
    assert "Did you mean “shelf”" in client.get(similar_url(items[0]), {"shelv": 1}).content.decode()
    page = client.get(page_url(items[0]), {"shelf": shelf.pk})
    assert [match.object for match in page.context["matches"]] == [items[1], items[3]]
    assert client.get(page_url(items[0]), {"price__lte": "much"}).status_code == 400
    matches = similar_images.similar_to(items[0], filters=QueryDict("price__lte=10&shelf__name=upper"))
    assert matched_objects(matches) == [items[1]]
    with pytest.raises(OptionError, match="no filter 'nope'"):
        similar_images.similar_to(items[0], filters={"nope": 1})


@with_content_types
def test_generic_owners__of_different_types_are_not_merged(items: list[Item], index_now: Any) -> None:
    essay = Essay.objects.create(slug=str(items[0].pk))
    for subject, level in ((items[0], 100), (essay, 101), (items[1], 102), (items[1], 102)):
        attach(subject, level)
    index_now()
    assert matched_objects(similar_images.similar_to(essay, limit=10)) == [items[0], items[1]]
    by_image = similar_images.similar_to(Attachment.objects.get(object_id=items[0].pk, image__contains="100"))
    assert matched_objects(by_image) == [essay, items[1]]


@with_content_types
def test_generic_owners__that_are_deleted_leave_no_gap(items: list[Item], index_now: Any) -> None:
    gone, essay = Essay.objects.create(slug="gone"), Essay.objects.create(slug="essay")
    query = attach(items[0], 100)
    attach(gone, 100)
    attach(essay, 120)
    index_now()
    Essay.objects.filter(pk=gone.pk)._raw_delete(ALIAS)  # unlike delete(), leaves the attachment
    assert matched_objects(similar_images.similar_to(query, limit=1)) == [essay]


def test_ownership__refuses_what_leads_to_no_model() -> None:
    for owner in ("image", "nope", Coalesce("image", "image")):
        with pytest.raises(ImproperlyConfigured, match="owner="):
            _ = Ownership(Photo, owner).owner_model
    assert Ownership(Photo, "item__parent").owner_model is Item
    assert Ownership(Attachment, "subject").owner_model is None


def test_several_fields__are_asked_for_by_name(client: Any, index_now: Any) -> None:
    couple = Couple.objects.create(front=gray_file(1), back=gray_file(2))
    Couple.objects.create(front=gray_file(3), back=gray_file(4))
    index_now()
    with pytest.raises(registry.AmbiguousField, match="field='front' or field='back'"):
        similar_images.similar_to(couple)
    assert len(similar_images.similar_to(couple, field="back")) == 1
    answer = client.get(similar_url(couple))
    assert answer.status_code == 400
    assert "front" in answer.content.decode()
    page = client.get(page_url(couple), {"limit": 3})
    assert page.status_code == 300
    assert 'href="?limit=3&amp;field=back"' in page.content.decode()
    assert client.get(page_url(couple), {"field": "back"}).status_code == 200


def test_similarity__has_a_minimum_by_surface(client: Any, configure: Any, index_now: Any) -> None:
    query, near, far = [save_gray(level) for level in (100, 101, 160)]
    index_now()
    least = {match.object: match.similarity for match in similar_images.similar_to(query)}[far]
    configure(MIN_SIMILARITY={"widget": least + 1, "page": least + 1, "rest": least + 1, "search": 0})
    widget = Template("{% load similar_images %}{% similar_items query as found %}{{ found|length }}")
    assert widget.render(Context({"query": query})) == "1"
    assert [match.object for match in client.get(page_url(query)).context["matches"]] == [near]
    assert [result["pk"] for result in client.get(similar_url(query)).json()["results"]] == [str(near.pk)]
    assert len(client.get(similar_url(query), {"min_similarity": 0}).json()["results"]) == 2
    with query.image.open() as file:
        results = client.post(f"{API}/search/", {"image": file, "model": "testapp.picture"}).json()["results"]
    assert len(results) == 3
    matches = similar_images.similar_to(query)
    assert [(match.object, match.is_less_similar) for match in matches] == [(near, False), (far, True)]
    configure(MIN_SIMILARITY=100)
    assert client.get(similar_url(query)).json()["results"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"owner": "nope"}, "owner='nope'"),
        ({"owner": "image"}, "no relation to another model"),
        ({"serializer": dict}, "is no serializer class"),
        ({"filters": ["nope"]}, "no field 'nope' to filter by"),
        ({"filters": ["limit"]}, "no field 'limit'"),
        ({"filters": ["image__regexx"]}, "regexx"),
    ],
)
def test_options__that_are_wrong_are_named_by_the_check(
    options: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_sources", {})
    similar_images.register(Photo, "image", **options)
    (message,) = source_fields.check_source_options()
    assert message.id == "similar_images.E011"
    assert words in message.msg


def test_options__that_are_none_are_refused_at_once() -> None:
    with pytest.raises(TypeError, match="Did you mean 'title'"):
        similar_images.register(Photo, "image", titel=str)  # type: ignore[call-overload]  # a typing error
    with pytest.raises(ImproperlyConfigured, match="owner must be a path or an expression"):
        similar_images.register(Photo, "image", owner=5)  # type: ignore[call-overload]  # a number


def test_owners__of_a_hidden_variant_show_nothing_of_it(index_now: Any) -> None:
    parent = make_item(100, name="parent")
    variant = make_item(140, name="variant", parent=parent)
    other = make_item(141, name="other")
    index_now()
    assert similar_images.similar_to(other)[0].image_object == variant.photos.get()
    Item.objects.filter(pk=variant.pk).update(published=False)
    assert similar_images.similar_to(other)[0].image_object == parent.photos.get()
    assert similar_images.similar_to(variant.photos.get()) == []


@pytest.mark.parametrize("visible", [lambda request: [], lambda request: ()])
def test_visible__that_returns_nothing_shows_nothing(
    visible: Any, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_sources", {})
    similar_images.register(Photo, "image", owner="item", visible=visible)
    assert similar_images.similar_to(items[0]) == []
    assert similar_images.similar_to(items[0].photos.first(), fallback="newest") == []


@pytest.mark.parametrize(
    "visible",
    [
        lambda request: None,
        lambda request: Shelf.objects.all(),
        lambda request: [Item.objects.all(), Shelf.objects.all()],
        lambda request: Item.objects.all().values,
    ],
)
def test_visible__that_returns_something_else_is_an_error(
    visible: Any, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_sources", {})
    similar_images.register(Photo, "image", owner="item", visible=visible)
    with pytest.raises(ImproperlyConfigured, match="must return a queryset of Item or Photo"):
        similar_images.similar_to(items[0])


def test_visible__of_owners_where_none_was_named_is_an_error(
    items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_sources", {})
    similar_images.register(Photo, "image", visible=lambda request: Item.objects.filter(published=True))
    with pytest.raises(ImproperlyConfigured, match="must return a queryset of Photo"):
        similar_images.similar_to(items[0].photos.first())

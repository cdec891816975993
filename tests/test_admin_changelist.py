"""The changelist: the filter `?similar_to=<pk>`, and the action that leads to it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.test import Client
from django.urls import path

from similar_images.admin import SimilarImagesMixin
from tests import drawing
from tests.databases import captured_queries
from tests.items import save_gray
from tests.testapp.models import Couple, Item, NamedPicture, Photo, Picture, Shelf

pytestmark = pytest.mark.django_db


class PictureAdmin(SimilarImagesMixin, admin.ModelAdmin):
    list_display = ["title", "published"]
    list_editable = ["published"]
    list_filter = ["published", "shelf"]
    search_fields = ["title", "shelf__name"]
    ordering = ["-title"]


class PlainAdmin(SimilarImagesMixin, admin.ModelAdmin):
    pass


class SilentAdmin(SimilarImagesMixin, admin.ModelAdmin):
    actions = None


site = admin.AdminSite()
site.register(Picture, PictureAdmin)
site.register([Couple, NamedPicture, Item], PlainAdmin)
site.register([Shelf], SilentAdmin)
urlpatterns = [path("admin/", site.urls)]

LIST = "/admin/testapp/picture/"


@pytest.fixture(autouse=True)
def _site(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


def listed(client: Client, query: str, url: str = LIST) -> list[str]:
    """Return the objects of a page of the list, in their order, as text."""
    answer = client.get(f"{url}?{query}")
    assert answer.status_code == 200, answer.headers
    return [str(item) for item in answer.context["cl"].result_list]


def told(client: Client, query: str, url: str = LIST) -> str:
    """Return the text of the message on a page of the list."""
    html = client.get(f"{url}?{query}").content.decode()
    return " ".join(re.sub("<[^>]+>", "", html.partition('class="messagelist">')[2].partition("</ul>")[0]).split())


def test_filter__orders_by_similarity_and_keeps_columns(gray_pictures: list[Picture], admin_client: Client) -> None:
    item = gray_pictures[4]
    answer = admin_client.get(f"{LIST}?similar_to={item.pk}")
    assert [picture.title for picture in answer.context["cl"].result_list][:2] in (["103", "105"], ["105", "103"])
    assert len(answer.context["cl"].result_list) == 9
    html = answer.content.decode()
    assert re.findall(r'<th[^>]* class="[^"]*column-(\w+)', html) == ["title", "published", "similarity"]
    assert 'name="form-0-published"' in html, "what could be edited can be edited"
    assert "Similar to 104" in html
    assert told(admin_client, f"similar_to={item.pk}") == "Similar to 104 Show all"


def test_filter__takes_part_with_the_filters_and_the_search_of_the_list(
    gray_pictures: list[Picture], admin_client: Client
) -> None:
    item = gray_pictures[0]
    shelf = Shelf.objects.create(name="Top")
    Picture.objects.filter(title__in=["103", "107"]).update(published=False, shelf=shelf)
    assert listed(admin_client, f"similar_to={item.pk}&published__exact=0") == ["103", "107"]
    assert listed(admin_client, f"similar_to={item.pk}&q=107") == ["107"]
    assert listed(admin_client, f"similar_to={item.pk}&shelf__id__exact={shelf.pk}&q=Top") == ["103", "107"]
    assert listed(admin_client, f"similar_to={item.pk}&o=-1")[:2] == ["109", "108"]
    assert listed(admin_client, f"similar_to={item.pk}")[:2] == ["101", "102"]


def test_filter__starts_at_the_minimum_similarity_of_pages(
    gray_pictures: list[Picture], configure: Any, admin_client: Client
) -> None:
    configure(MIN_SIMILARITY={"page": 98})
    assert 0 < len(listed(admin_client, f"similar_to={gray_pictures[0].pk}")) < 9


@pytest.mark.parametrize("key", ["999999", "chair", "", "%00", "1' OR 1=1"])
def test_filter__by_a_bad_key_is_a_message(key: str, gray_pictures: list[Picture], admin_client: Client) -> None:
    """The list is empty: an action on all of it must not be one on every object."""
    assert listed(admin_client, f"similar_to={key}") == []
    assert told(admin_client, f"similar_to={key}") == "No item with this ID. Show all"


def test_filter__tells_a_hidden_object_from_a_missing_one_by_nothing(
    gray_pictures: list[Picture], admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = gray_pictures[3]
    base = admin.ModelAdmin.get_queryset
    monkeypatch.setattr(
        PictureAdmin, "get_queryset", lambda self, request: base(self, request).exclude(pk=hidden.pk), raising=False
    )
    pages = [admin_client.get(f"{LIST}?similar_to={key}").content.decode() for key in (hidden.pk, 999_999)]
    asked = rf'csrf[^>]*value="\w+"|%3D(?:{hidden.pk}|999999)\b|\b(?:{hidden.pk}|999999)\b'
    masked = [re.sub(asked, "", html) for html in pages]
    assert masked[0] == masked[1]
    assert "103" not in listed(admin_client, f"similar_to={gray_pictures[0].pk}")


def test_filter__asks_the_permission_of_each_object(
    gray_pictures: list[Picture], admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = gray_pictures[1]
    for action in ("view", "change"):
        monkeypatch.setattr(
            PictureAdmin, f"has_{action}_permission", lambda self, request, obj=None: obj != hidden, raising=False
        )
    assert listed(admin_client, f"similar_to={gray_pictures[0].pk}")[0] == "102"
    assert told(admin_client, f"similar_to={hidden.pk}") == "No item with this ID. Show all"


def test_filter__of_owners_and_several_fields_and_text_keys(
    mean_method: None, index_now: Any, admin_client: Client
) -> None:
    items = [Item.objects.create(name=name) for name in ("Oak", "Elm", "Bare")]
    for item in items[:2]:
        for seed in (1, 2):
            Photo.objects.create(item=item, image=drawing.file(seed, name=f"{item.name}{seed}.png"))
    couples = [Couple.objects.create(front=drawing.file(a), back=drawing.file(b)) for a, b in [(1, 2), (5, 2), (1, 7)]]
    for name in ("a/b", 'say "x"?'):
        NamedPicture.objects.create(name=name, image=drawing.file(1))
    index_now()
    assert listed(admin_client, f"similar_to={items[0].pk}", "/admin/testapp/item/") == ["Elm"]
    found = listed(admin_client, f"similar_to={couples[0].pk}", "/admin/testapp/couple/")
    assert sorted(found) == sorted(str(couple) for couple in couples[1:]), "each once, by its more similar image"
    (found,) = listed(admin_client, "similar_to=a/b", "/admin/testapp/namedpicture/")
    assert 'say "x"?' in found
    assert listed(admin_client, f"similar_to={items[2].pk}", "/admin/testapp/item/") == []
    assert told(admin_client, f"similar_to={items[2].pk}", "/admin/testapp/item/") == "No similar items found. Show all"


def test_filter__takes_as_many_queries_for_many(
    gray_pictures: list[Picture], index_now: Any, admin_client: Client, django_assert_num_queries: Any
) -> None:
    listed(admin_client, f"similar_to={gray_pictures[0].pk}")
    counts = [len(queries_of(admin_client, gray_pictures[0].pk))]
    for level in range(10, 30):
        save_gray(level)
    index_now()
    counts.append(len(queries_of(admin_client, gray_pictures[0].pk)))
    assert counts[0] == counts[1] <= 16


def queries_of(client: Client, pk: Any) -> list[str]:
    with captured_queries() as queries:
        assert client.get(f"{LIST}?similar_to={pk}").status_code == 200
    return queries


def test_action__leads_to_similar_objects(gray_pictures: list[Picture], admin_client: Client) -> None:
    data: dict[str, Any] = {"action": "find_similar", "_selected_action": [gray_pictures[0].pk]}
    answer = admin_client.post(LIST, data)
    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}?similar_to={gray_pictures[0].pk}")
    data["_selected_action"] = [picture.pk for picture in gray_pictures[:3]]
    answer = admin_client.post(LIST, data, follow=True)
    assert "Select one item to find similar ones." in answer.content.decode()


def test_action__deletes_what_is_filtered_and_nothing_else(gray_pictures: list[Picture], admin_client: Client) -> None:
    keys = [gray_pictures[1].pk]
    data = {"action": "delete_selected", "_selected_action": keys, "select_across": "1", "post": "yes"}
    admin_client.post(f"{LIST}?similar_to=999999", data)
    assert Picture.objects.count() == 10
    admin_client.post(f"{LIST}?similar_to={gray_pictures[0].pk}&q=103", data)
    assert not Picture.objects.filter(title="103").exists()
    assert Picture.objects.count() == 9


def test_action__is_off_where_the_host_has_none(gray_pictures: list[Picture], admin_client: Client) -> None:
    assert "find_similar" in admin_client.get(LIST).content.decode()
    shelf = Shelf.objects.create()
    assert "find_similar" not in admin_client.get("/admin/testapp/shelf/").content.decode()
    html = admin_client.get(f"/admin/testapp/shelf/{shelf.pk}/change/").content.decode()
    assert "Similar images" not in html, "it has no image"


def test_filter__leaves_the_list_of_the_host_as_it_is(gray_pictures: list[Picture], admin_client: Client) -> None:
    assert listed(admin_client, "")[:2] == ["109", "108"]
    html = admin_client.get(LIST).content.decode()
    assert "column-similarity" not in html
    assert "By similarity" not in html


def test_panel__links_to_all_similar_objects(gray_pictures: list[Picture], admin_client: Client) -> None:
    html = admin_client.get(f"{LIST}{gray_pictures[0].pk}/change/").content.decode()
    assert f'<a href="{LIST}?similar_to={gray_pictures[0].pk}">Show all similar items</a>' in html


def test_filter__works_with_a_list_of_the_host(
    gray_pictures: list[Picture], admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_queryset(self: Any, request: HttpRequest) -> models.QuerySet[Any]:
        return Picture.objects.annotate(shelves=models.Count("shelf")).order_by("title")

    monkeypatch.setattr(PictureAdmin, "get_queryset", get_queryset, raising=False)
    assert listed(admin_client, f"similar_to={gray_pictures[0].pk}")[:2] == ["101", "102"]

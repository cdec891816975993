"""The admin shows, counts, and changes what a user may see or change: by role, and by object with django-guardian."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.db import models
from django.http import HttpRequest
from django.test import Client
from django.urls import path

import similar_images
from similar_images.admin import IndexedImageAdmin, MapAdmin, MarkAdmin, SimilarImagesMixin
from similar_images.models import IndexedImage, Map, Mark
from tests import commands
from tests.testapp.models import Item, Photo, Picture

pytestmark = pytest.mark.django_db


class GuardedAdmin(SimilarImagesMixin, admin.ModelAdmin):
    """Decides on single objects, and lists them all."""

    search_fields = ["title"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view", obj) or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change", obj)

    def _may(self, request: HttpRequest, action: str, obj: Any) -> bool:
        name = f"{action}_{self.opts.model_name}"
        user: Any = request.user
        if user.has_perm(f"testapp.{name}"):
            return True
        if obj is not None:
            return bool(user.has_perm(f"testapp.{name}", obj))
        return any(name in permissions for permissions in object_permissions(user))


def object_permissions(user: Any) -> list[list[str]]:
    from guardian.shortcuts import get_perms

    return [get_perms(user, item) for item in Picture.objects.all()]


site = admin.AdminSite()
site.register(Picture, GuardedAdmin)
site.register(Item, type("ItemAdmin", (SimilarImagesMixin, admin.ModelAdmin), {}))
site.register(IndexedImage, IndexedImageAdmin)
site.register(Mark, MarkAdmin)
site.register(Map, MapAdmin)
urlpatterns = [path("admin/", site.urls)]

LIST = "/admin/testapp/picture/"
RECORDS = "/admin/similar_images/indexedimage/"
MARKS = "/admin/similar_images/mark/"
MAP = "/admin/similar_images/map/"

TITLES = ("Query", "Open", "Closed", "Broken")
"""Pictures: of the roles by object, the first two may be seen. The last can't be processed."""


@pytest.fixture
def pictures(
    settings: Any, mean_method: None, make_picture: Any, index_now: Any, assign_perm: Any
) -> dict[str, Picture]:
    """Pictures by title, in a project with django-guardian."""
    settings.ROOT_URLCONF = __name__
    made = {title: make_picture(seed, title=title) for seed, title in enumerate(TITLES[:3])}
    made["Broken"] = make_picture(image=ContentFile(b"text", name="text.png"), title="Broken")
    index_now()
    similar_images.mark(made["Query"], made["Open"], alike=True)
    similar_images.mark(made["Query"], made["Closed"], alike=True)
    return made


@dataclass
class Role:
    """A user, and the titles of what they may see and change."""

    client: Client
    seen: set[str]
    changed: set[str]


ROLES = ["superuser", "change", "view", "object change", "object view", "none"]


@pytest.fixture(params=ROLES)
def role(request: Any, pictures: dict[str, Picture], client: Client, assign_perm: Any) -> Role:
    every, some = set(TITLES), {"Query", "Open"}
    user = User.objects.create(username="clerk", is_staff=True, is_superuser=request.param == "superuser")
    names = ["view_indexedimage", "change_indexedimage", "view_mark", "delete_mark"]
    if request.param in ("change", "view"):
        names.append(f"{request.param}_picture")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    if request.param.startswith("object"):
        for title in some:
            assign_perm(f"testapp.{request.param.removeprefix('object ')}_picture", user, pictures[title])
    client.force_login(user)
    seen = {"none": set[str](), "object change": some, "object view": some}.get(request.param, every)
    return Role(client, seen, seen if request.param in ("superuser", "change", "object change") else set())


def section(html: str, start: str, end: str) -> str:
    return html.partition(start)[2].partition(end)[0]


def test_panel_and_list__show_what_a_user_may_see(role: Role, pictures: dict[str, Picture]) -> None:
    item = pictures["Query"]
    answer = role.client.get(f"{LIST}{item.pk}/change/")
    if not role.seen:
        assert answer.status_code == 403
        assert role.client.get(f"{LIST}?similar_to={item.pk}").status_code == 403
        return
    shown = set(re.findall(r'class="similar-images-title">(\w+)<', answer.content.decode()))
    assert shown == role.seen - {"Query", "Broken"}
    answer = role.client.get(f"{LIST}?similar_to={item.pk}")
    changelist = answer.context["cl"]
    assert {picture.title for picture in changelist.result_list} == role.seen - {"Query", "Broken"}
    assert changelist.result_count == len(role.seen - {"Query", "Broken"})
    told = role.client.get(f"{LIST}?similar_to={pictures['Closed'].pk}").content.decode()
    assert ("Similar to Closed" in told) == ("Closed" in role.seen)
    assert ("No item with this ID." in told) == ("Closed" not in role.seen)


def test_action__leads_to_nothing_hidden(role: Role, pictures: dict[str, Picture]) -> None:
    data = {"action": "find_similar", "_selected_action": [pictures["Closed"].pk]}
    answer = role.client.post(LIST, data, follow=True)
    assert ("Similar to Closed" in answer.content.decode()) == ("Closed" in role.seen)


def test_pair__offers_explains_and_marks_what_a_user_may(role: Role, pictures: dict[str, Picture]) -> None:
    url = f"{LIST}{pictures['Query'].pk}/similar-images/?field=image"
    if not role.seen:
        assert role.client.get(url).status_code == 403
        assert role.client.post(url, {"other": pictures["Open"].pk, "alike": "0"}).status_code == 403
        return
    others = role.seen - {"Query"}
    results = role.client.get(f"{url}&term=").json()["results"]
    assert {result["text"] for result in results} == others
    html = role.client.get(url).content.decode()
    assert set(re.findall(r'class="similar-images-title">(\w+)<', html)) == others
    for title in TITLES[1:3]:
        html = role.client.get(f"{url}&other={pictures[title].pk}").content.decode()
        assert (f'title">{title}<' in html) == (title in role.seen)
        can_mark = {"Query", title} <= role.changed
        assert ("Mark as not similar" in html) == can_mark
        answer = role.client.post(url, {"other": pictures[title].pk, "alike": "0"})
        assert answer.status_code == (302 if can_mark else 403 if title in role.seen else 200)
        mark = Mark.objects.get(second_id=max(str(pictures[name].pk) for name in ("Query", title)))
        assert mark.is_alike != can_mark
    for title in TITLES:
        own = role.client.get(f"{LIST}{pictures[title].pk}/similar-images/?field=image")
        assert own.status_code == (200 if title in role.seen else 404)


def test_records__are_shown_counted_and_tried_again_by_permission(role: Role, pictures: dict[str, Picture]) -> None:
    answer = role.client.get(RECORDS)
    assert answer.context["cl"].result_count == len(role.seen)
    html = section(answer.content.decode(), 'id="result_list"', "</table>")
    assert {title for title in TITLES if f">{title}<" in html} == role.seen
    record = IndexedImage.objects.get(status="failed")
    status = role.client.post(f"{RECORDS}{record.pk}/try-again/").status_code
    assert status == (302 if "Broken" in role.seen else 404)
    role.client.post(RECORDS, {"action": "index_again", "_selected_action": [record.pk]})
    record.refresh_from_db()
    assert record.status == ("pending" if "Broken" in role.seen else "failed")


def test_marks__are_shown_counted_and_removed_by_permission(role: Role, pictures: dict[str, Picture]) -> None:
    pairs = [{"Query", "Open"}, {"Query", "Closed"}]
    shown = [pair for pair in pairs if pair <= role.seen]
    answer = role.client.get(MARKS)
    assert answer.context["cl"].result_count == len(shown)
    html = section(answer.content.decode(), 'id="result_list"', "</table>")
    assert {title for title in TITLES if f">{title}<" in html} == set().union(*shown)
    every = list(Mark.objects.values_list("pk", flat=True))
    role.client.post(MARKS, {"action": "delete_selected", "_selected_action": every, "post": "yes"})
    assert Mark.objects.count() == len(pairs) - len(shown)


def test_map__has_places_and_thumbnails_of_what_a_user_may_see(role: Role, pictures: dict[str, Picture]) -> None:
    commands.run("map_images", "testapp.Picture")
    records = dict(IndexedImage.objects.filter(source__model="picture").values_list("pk", "object_id"))
    titles = {pk: Picture.objects.get(pk=object_id).title for pk, object_id in records.items()}
    url = f"{MAP}{Map.objects.get().source_id}/"
    expected = role.seen - {"Broken"}
    points = role.client.get(f"{url}points/").json()
    assert {titles[pk] for pk in points["ids"]} == expected
    tiles = role.client.get(f"{url}tiles/0/{2**40}/").content
    header = json.loads(tiles[4 : 4 + int.from_bytes(tiles[:4])])
    assert {titles[pk] for pk in header["ids"]} == expected
    items = role.client.get(f"{url}items/{','.join(map(str, records))}/").json()["items"]
    assert {item["title"] for item in items} == expected
    assert role.client.get(url).context["count"] == len(expected)
    data = {"action": "list", "ids": ",".join(map(str, records))}
    answer = role.client.post(f"{url}open/", data)
    keys = answer.headers.get("Location", "").partition("id__in=")[2].split("%2C") if expected else []
    assert {Picture.objects.get(pk=key).title for key in keys} == expected
    status = role.client.post(f"{url}update/").status_code
    assert status == (302 if role.changed else 403)


@pytest.mark.parametrize("names", [{"view_item"}, {"view_photo"}, {"view_item", "view_photo"}], ids=sorted)
def test_owners__need_the_permission_of_item_and_image(
    names: set[str], pictures: dict[str, Picture], index_now: Any, client: Client
) -> None:
    """The model of the photos has no admin."""
    items = [Item.objects.create(name=name) for name in ("Oak", "Elm")]
    with pictures["Query"].image.open() as file:
        data = file.read()
    for item in items:
        Photo.objects.create(item=item, image=ContentFile(data, name=f"{item.name}.png"))
    index_now()
    similar_images.mark(*Photo.objects.order_by("pk"), alike=True)
    user = User.objects.create(username="clerk", is_staff=True)
    every = names | {"view_indexedimage", "view_mark"}
    user.user_permissions.set(Permission.objects.filter(codename__in=every))
    client.force_login(user)
    may_see = names == {"view_item", "view_photo"}
    answer = client.get(f"/admin/testapp/item/{items[0].pk}/change/")
    assert answer.status_code == (200 if "view_item" in names else 403)
    assert ("Item Elm" in answer.content.decode()) == may_see
    assert (".png" in answer.content.decode()) == may_see
    assert client.get(RECORDS).context["cl"].result_count == (2 if may_see else 0)
    assert client.get(MARKS).context["cl"].result_count == (1 if may_see else 0)
    url = f"{MARKS}pair/testapp.photo:{Photo.objects.earliest('pk').pk}/?field=image"
    assert client.get(url).status_code == (200 if may_see else 404)


def test_records__of_more_objects_than_can_be_asked_about_are_left_out(
    pictures: dict[str, Picture], admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("similar_images.admin.viewable_objects.MAX_CHECKED_OBJECTS", 3)
    assert admin_client.get(RECORDS).context["cl"].result_count == 0
    base = admin.ModelAdmin.get_queryset

    def get_queryset(self: Any, request: HttpRequest) -> models.QuerySet[Any]:
        return base(self, request).exclude(title="Broken")

    monkeypatch.setattr(GuardedAdmin, "get_queryset", get_queryset, raising=False)
    assert admin_client.get(RECORDS).context["cl"].result_count == 3

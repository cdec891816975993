"""The review of duplicates in the admin: the list, a merge, its undoing, several at once, and who may do what."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.http import HttpRequest
from django.test import Client
from django.urls import include, path
from django.utils import timezone

from similar_images import registry
from similar_images.admin import DuplicatesAdmin
from similar_images.models import DuplicateGroup, DuplicateImage, Duplicates, Merge, Source
from similar_images.sources.source import ImageSource
from tests import drawing
from tests.mergeapp.models import GENERIC_RELATIONS, Album, Asset, Focus, Page, Tag

pytestmark = [GENERIC_RELATIONS, pytest.mark.django_db, pytest.mark.urls("tests.test_review")]

SOURCE = ImageSource(Asset, "image")
URL = "/admin/similar_images/duplicates/"


class ByObject(admin.ModelAdmin):
    """Shows, and lets change, by a permission on the single object, as with django-guardian."""

    def _may(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = request.headers.get("X-Allowed", "").split()
        return obj is None or getattr(obj, "code", getattr(obj, "title", "")) in allowed

    has_view_permission = has_change_permission = has_delete_permission = _may


class OwnQueryset(admin.ModelAdmin):
    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).exclude(code__startswith="hidden")


def make_site(asset_admin: type[admin.ModelAdmin] = admin.ModelAdmin, page_admin: Any = admin.ModelAdmin) -> Any:
    site = admin.AdminSite()
    site.register(Asset, asset_admin)
    site.register(Page, page_admin)
    site.register(Duplicates, DuplicatesAdmin)
    return site


urlpatterns = [
    path("admin/", make_site().urls),
    path("by-object/admin/", make_site(ByObject, ByObject).urls),
    path("own/admin/", make_site(OwnQueryset).urls),
    path("similar/", include("similar_images.urls")),
]


@pytest.fixture(autouse=True)
def _source(db: None, monkeypatch: Any) -> None:
    monkeypatch.setitem(registry._sources, (Asset, "image"), SOURCE)
    Source.objects.create_missing([SOURCE])


def make_asset(code: str) -> Asset:
    return Asset.objects.create(code=code, image=drawing.file(1, f"{code}.png"))


def make_group(assets: Iterable[Asset], *, similarity: float = 99, kind: str = "copies", **first: Any) -> Any:
    """Save a group; the first image has other values than the rest."""
    assets = list(assets)
    row = Source.objects.get(app_label="mergeapp")
    group = DuplicateGroup.objects.create(
        source=row, kind=kind, similarity=similarity, size=len(assets), key=" ".join(item.code for item in assets)
    )
    for index, item in enumerate(assets):
        values = {"width": 80, "height": 60, "format": "PNG", "bytes": 900, "sharpness": 5.0}
        DuplicateImage.objects.create(
            group=group,
            source=row,
            object_id=str(item.pk),
            object_key=item.pk,
            file_name=item.image.name,
            **{**values, **(first if index == 0 else {})},
        )
    return group


@pytest.fixture
def pair() -> list[Asset]:
    """Two copies, of which the second one is used."""
    items = [make_asset("large"), make_asset("small")]
    make_group(items, width=800, height=600)
    Page.objects.create(title="Front page", hero=items[1])
    return items


def staff(*permissions: str) -> Client:
    user = User.objects.create_user(f"staff{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def superuser(**options: Any) -> Client:
    client = Client(**options)
    client.force_login(User.objects.create_superuser(f"root{User.objects.count()}"))
    return client


def text_of(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def group_url(action: str, group: Any = None) -> str:
    return f"{URL}{(group or DuplicateGroup.objects.get()).pk}/{action}/"


def removal(pair: list[Asset]) -> dict[str, Any]:
    """Return what the form of a group sends where the first image is kept, and the other one removed."""
    return {"keep": pair[0].pk, "merge": [pair[1].pk], "others": "remove"}


def confirm(client: Client, url: str, data: dict[str, Any], prefix: str = "") -> Any:
    """Ask for the list of changes, and confirm it with what its form has."""
    page = client.get(url, data)
    assert page.status_code == 200, text_of(page)
    fields = re.findall(r'<input type="(?:hidden|checkbox)" name="([\w-]+)" value="([^"]*)"', page.content.decode())
    form: dict[str, list[str]] = {}
    for name, value in fields:
        form.setdefault(name, []).append(value)
    return client.post(url, form)


def test_list__shows_groups_with_what_decides(pair: list[Asset]) -> None:
    text = text_of(superuser().get(URL))
    assert "1 group" in text
    assert "800 × 600, 900 bytes Format PNG Used 0 times" in text.replace("\xa0", " ")
    assert "Used 1 time " in text
    assert "Suggested: most pixels" in text


def test_merge__is_listed_confirmed_and_undone(pair: list[Asset]) -> None:
    client = superuser()
    text = text_of(client.get(group_url("merge"), removal(pair)))
    assert "Page (hero): Front page" in text
    assert Asset.objects.count() == 2
    assert confirm(client, group_url("merge"), removal(pair)).status_code == 302
    assert Asset.objects.get() == pair[0]
    assert Page.objects.get().hero == pair[0]
    merged = client.get(URL, {"status": "merged"})
    assert "1 item was merged on" in text_of(merged)
    client.post(f"{URL}undo/{Merge.objects.get().pk}/")
    assert Page.objects.get().hero == pair[1]
    assert "1 group " in text_of(client.get(URL))


def test_merge__the_others_may_be_kept(pair: list[Asset]) -> None:
    confirm(superuser(), group_url("merge"), {"keep": pair[0].pk, "others": "keep", "merge": [pair[1].pk]})
    assert Asset.objects.count() == 2
    assert Page.objects.get().hero == pair[0]


def test_merge__of_some_of_a_group() -> None:
    items = [make_asset(code) for code in "abc"]
    make_group(items)
    confirm(superuser(), group_url("merge"), {"keep": items[2].pk, "others": "remove", "merge": [items[0].pk]})
    assert list(Asset.objects.order_by("pk")) == items[1:]


def test_merge__of_no_other_image_is_refused(pair: list[Asset]) -> None:
    response = superuser().get(group_url("merge"), {"keep": pair[0].pk, "others": "remove", "merge": [pair[0].pk]})
    assert "Choose at least two images." in text_of(response)


def test_merge__a_reference_that_came_meanwhile_is_listed_anew(pair: list[Asset]) -> None:
    client = superuser()
    page = client.get(group_url("merge"), removal(pair))
    Page.objects.create(title="Latecomer", hero=pair[1])
    response = client.post(group_url("merge"), {**removal(pair), "fingerprint": page.context["plan"].fingerprint})
    assert response.status_code == 409
    assert "Something has changed since this list was made" in text_of(response)
    assert "Latecomer" in text_of(response)
    assert Asset.objects.count() == 2


def test_merge__of_what_another_editor_merged_is_a_clear_answer(pair: list[Asset]) -> None:
    client = superuser()
    page = client.get(group_url("merge"), removal(pair))
    confirm(superuser(), group_url("merge"), removal(pair))
    data = {**removal(pair), "fingerprint": page.context["plan"].fingerprint}
    assert "This group has been merged already." in text_of(client.post(group_url("merge"), data, follow=True))
    assert Merge.objects.count() == 1


def test_merge__needs_a_confirmed_list(pair: list[Asset]) -> None:
    response = superuser().post(group_url("merge"), removal(pair))
    assert response.status_code == 409
    assert Asset.objects.count() == 2


def test_merge__of_images_that_are_not_named_is_refused(pair: list[Asset]) -> None:
    """A search for duplicates may have put more images into the group since it was shown."""
    client = superuser()
    plan = client.get(group_url("merge"), removal(pair)).context["plan"]
    data = {"keep": pair[0].pk, "others": "remove", "fingerprint": plan.fingerprint}
    response = client.post(group_url("merge"), data)
    assert response.status_code == 409
    assert "Choose at least two images." in text_of(response)
    assert Asset.objects.count() == 2


def test_merge__without_a_word_on_the_others_keeps_them(pair: list[Asset]) -> None:
    client = superuser()
    assert client.get(group_url("merge")).context["plan"].is_removal is False
    assert client.get(f"{URL}bulk/", {"similarity": 95}).context["is_removal"] is False


def test_status__pressed_twice_says_that_it_was_done(pair: list[Asset]) -> None:
    client = superuser()
    client.post(group_url("status"), {"status": "dismissed"})
    again = client.post(group_url("status"), {"status": "dismissed"}, follow=True)
    assert "This group has been marked as not duplicates already." in text_of(again)
    assert client.post(f"{URL}0/status/", {"status": "dismissed"}).status_code == 404


def test_undo__pressed_twice_says_that_it_was_done(pair: list[Asset]) -> None:
    client = superuser()
    confirm(client, group_url("merge"), removal(pair))
    url = f"{URL}undo/{Merge.objects.get().pk}/"
    client.post(url)
    assert "This merge has been undone already." in text_of(client.post(url, follow=True))


def test_undo__into_what_was_deleted_is_a_sentence(pair: list[Asset]) -> None:
    album = Album.objects.create()
    album.sorted_assets.add(pair[1], through_defaults={"position": 1})
    client = superuser()
    confirm(client, group_url("merge"), {"keep": pair[0].pk, "others": "keep", "merge": [pair[1].pk]})
    Page.objects.all().delete()
    Asset.objects.filter(pk=pair[1].pk).delete()
    text = text_of(client.post(f"{URL}undo/{Merge.objects.get().pk}/", follow=True))
    assert "“placement” refers to “asset”, which was deleted in the meantime." in text
    assert Merge.objects.get().undone_at is None


def test_merge__only_what_is_the_same_is_checked_at_first() -> None:
    items = [make_asset(code) for code in ("kept", "twin", "resized", "cropped")]
    group = make_group(items, width=800, height=600, sha256="a", equivalence=1)
    for item, sha256, equivalence in zip(items[1:], "abc", (1, 1, 2), strict=True):
        DuplicateImage.objects.filter(object_id=item.pk).update(sha256=sha256, equivalence=equivalence)
    client = superuser()
    page = client.get(URL)
    checked = re.findall(r'name="merge" value="(\d+)" checked', page.content.decode())
    assert checked == [str(item.pk) for item in items[:3]]
    text = text_of(page)
    assert text.count("Same Identical file") == text.count("Same image, other size") == text.count("look closely") == 1
    others = client.get(group_url("merge", group)).context["others"]
    assert [image.object_id for image in others] == checked[1:]


def test_merge__tells_whose_only_image_it_removes(pair: list[Asset], monkeypatch: Any) -> None:
    owned = ImageSource(Asset, "image", owner="parent")
    monkeypatch.setitem(registry._sources, (Asset, "image"), owned)
    owners = [Asset.objects.create(code=code) for code in ("Chair", "Table")]
    for item, owner in zip(pair, owners, strict=True):
        Asset.objects.filter(pk=item.pk).update(parent=owner)
    client = superuser()
    assert "Chair" in text_of(client.get(URL))
    query = {"keep": pair[0].pk, "merge": [pair[1].pk]}
    removal = client.get(group_url("merge"), {**query, "others": "remove"})
    assert "This removes the only image of Table." in text_of(removal)
    assert "only image" not in text_of(client.get(group_url("merge"), {**query, "others": "keep"}))
    bulk = text_of(client.get(f"{URL}bulk/", {"similarity": 90, "others": "remove"}))
    assert "An item would be left without any image." in bulk
    make_asset("spare")
    Asset.objects.filter(code="spare").update(parent=owners[1])
    assert "only image" not in text_of(client.get(group_url("merge"), {**query, "others": "remove"}))


def test_merge__links_of_a_many_to_many_field_are_told_of_the_object_that_has_it(pair: list[Asset]) -> None:
    tag = Tag.objects.create(name="tag")
    for item in pair:
        item.tags.add(tag)
    text = text_of(superuser().get(group_url("merge"), removal(pair)))
    assert "Asset (tags): small 1 no longer lists the removed item" in text
    assert "is deleted" not in text


def test_not_duplicates__is_remembered_and_reversible(pair: list[Asset]) -> None:
    client = superuser()
    client.post(group_url("status"), {"status": "dismissed"})
    assert "0 groups" in text_of(client.get(URL))
    assert "1 group " in text_of(client.get(URL, {"status": "dismissed"}))
    client.post(group_url("status"), {"status": "open"})
    assert "1 group " in text_of(client.get(URL))


def test_bulk__merges_the_confirmed_groups_above_a_threshold(pair: list[Asset]) -> None:
    others = [make_asset("x"), make_asset("y")]
    make_group(others, similarity=90)
    client = superuser()
    assert "1 group is similar enough" in text_of(client.get(f"{URL}bulk/", {"similarity": 95}))
    response = confirm(client, f"{URL}bulk/", {"similarity": 95, "others": "remove"})
    assert response.status_code == 302
    assert list(Asset.objects.order_by("code")) == [pair[0], *others]
    assert Page.objects.get().hero == pair[0]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"similarity": "abc"}, "Enter a similarity from 0 to 100."),
        ({"similarity": "nan"}, "Enter a similarity from 0 to 100."),
        ({"similarity": "101"}, "Enter a similarity from 0 to 100."),
        ({"kind": "other"}, "Groups of this kind can&#x27;t be merged together."),
    ],
)
def test_bulk__what_can_not_be_listed_is_told(pair: list[Asset], query: dict[str, str], sentence: str) -> None:
    client = superuser()
    for ask in (client.get, client.post):
        answer = ask(f"{URL}bulk/", query, follow=True)
        assert answer.redirect_chain == [(URL, 302)]
        assert sentence in answer.content.decode()


@pytest.mark.parametrize("group", [None, "", "x", "123456789", "9" * 5000])
def test_bulk__without_a_group_that_is_there_says_so(pair: list[Asset], group: str | None) -> None:
    answer = superuser().post(f"{URL}bulk/", {} if group is None else {"group": group}, follow=True)
    assert answer.redirect_chain == [(f"{URL}?kind=copies", 302)]
    assert "Nothing was merged: no group was selected, or all of them were merged meanwhile." in text_of(answer)
    assert Asset.objects.count() == 2


def test_bulk__a_group_that_is_left_out_stays(pair: list[Asset]) -> None:
    client = superuser()
    page = client.get(f"{URL}bulk/", {"similarity": 95}).context["entries"][0]
    client.post(f"{URL}bulk/", {"similarity": 95, f"fingerprint-{page.row.group.pk}": page.fingerprint})
    assert Asset.objects.count() == 2


def test_bulk__what_would_delete_more_than_was_listed_is_left_for_a_look(pair: list[Asset]) -> None:
    for item in pair:
        Focus.objects.create(asset=item)
    response = confirm(superuser(), f"{URL}bulk/", {"similarity": 95, "others": "remove"})
    texts = [str(message) for message in get_messages(response.wsgi_request)]
    assert "More would change than is listed here: “focus”." in texts[0]
    assert Asset.objects.count() == 2


def test_bulk__a_reference_that_came_meanwhile_is_refused(pair: list[Asset]) -> None:
    client = superuser()
    entry = client.get(f"{URL}bulk/", {"similarity": 95}).context["entries"][0]
    Page.objects.create(title="Latecomer", hero=pair[1])
    data = {"similarity": 95, "group": entry.row.group.pk, f"fingerprint-{entry.row.group.pk}": entry.fingerprint}
    assert "Something has changed" in text_of(client.post(f"{URL}bulk/", data, follow=True))
    assert Asset.objects.count() == 2


def test_bulk__the_number_of_queries_does_not_grow() -> None:
    client = superuser()
    counts = []
    for numbers in (range(2), range(2, 12)):
        for number in numbers:
            items = [make_asset(f"{letter}{number}") for letter in "ab"]
            make_group(items)
            Page.objects.create(title="page", hero=items[1])
        client.get(f"{URL}bulk/", {"similarity": 95})
        with _count() as captured:
            assert len(client.get(f"{URL}bulk/", {"similarity": 95}).context["entries"]) == numbers.stop
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_merge__the_number_of_queries_of_the_list_does_not_grow() -> None:
    client = superuser()
    counts = []
    for size in (2, 12):
        items = [make_asset(f"{size} {number}") for number in range(size)]
        group = make_group(items)
        for item in items:
            Page.objects.create(title="page", hero=item, cover=item)
            item.tags.add(Tag.objects.create(name="tag"))
        client.get(group_url("merge", group))
        with _count() as captured:
            assert client.get(group_url("merge", group)).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_list__the_number_of_queries_does_not_grow(django_assert_num_queries: Any) -> None:
    client = superuser()
    for number in range(3):
        make_group([make_asset(f"a{number}"), make_asset(f"b{number}")])
    client.get(URL)
    with _count() as few:
        client.get(URL)
    for number in range(3, 19):
        make_group([make_asset(f"a{number}"), make_asset(f"b{number}"), make_asset(f"c{number}")])
    with _count() as many:
        client.get(URL)
    assert len(many) == len(few) < 40


def _count() -> Any:
    from django.test.utils import CaptureQueriesContext

    from tests.databases import connection

    return CaptureQueriesContext(connection)


def test_list__is_paginated() -> None:
    for number in range(25):
        make_group([make_asset(f"a{number}"), make_asset(f"b{number}")], similarity=99 - number)
    client = superuser()
    text = text_of(client.get(URL))
    assert "25 groups" in text
    assert "a19" in text
    assert "a20" not in text
    assert "a20" in text_of(client.get(URL, {"p": 2}))


def test_list__a_group_whose_object_is_gone_is_none(pair: list[Asset]) -> None:
    pair[0].delete()
    assert "0 groups" in text_of(superuser().get(URL))


@pytest.mark.parametrize(
    ("permissions", "can_list", "can_merge"),
    [
        ([], False, False),
        (["view_page"], False, False),
        (["view_asset"], True, False),
        (["view_asset", "change_page"], True, False),
        (["change_asset"], True, False),
        (["change_asset", "change_page"], True, False),
        (["change_asset", "delete_asset", "view_page"], True, False),
        (["change_asset", "delete_asset", "change_page"], True, True),
    ],
)
def test_permissions__of_staff(pair: list[Asset], permissions: list[str], can_list: bool, can_merge: bool) -> None:
    client = staff(*permissions)
    page = client.get(URL)
    assert page.status_code == (200 if can_list else 403)
    counts_pages = {"view_page", "change_page"} & set(permissions)
    if can_list:
        assert bool(re.search(r"Used 1 time\b", text_of(page))) == bool(counts_pages)
    listed = client.get(group_url("merge"), removal(pair))
    assert ("Front page" in text_of(listed)) == can_merge
    plan = superuser().get(group_url("merge"), removal(pair)).context["plan"]
    response = client.post(group_url("merge"), {**removal(pair), "fingerprint": plan.fingerprint})
    assert (response.status_code == 302) == can_merge
    assert Merge.objects.count() == can_merge
    if not can_merge:
        may_dismiss = "change_asset" in permissions
        response = client.post(group_url("status"), {"status": "dismissed"})
        assert (response.status_code == 302) == may_dismiss


def test_permissions__rows_without_an_admin_need_the_permission_of_their_model(pair: list[Asset]) -> None:
    Focus.objects.create(asset=pair[1])
    permissions = ["change_asset", "delete_asset", "change_page"]
    assert "You may not change everything" in text_of(staff(*permissions).get(group_url("merge")))
    assert staff(*permissions, "change_focus").get(group_url("merge")).status_code == 200


def test_permissions__rows_of_a_many_to_many_field_need_that_of_its_model(pair: list[Asset]) -> None:
    pair[1].tags.add(Tag.objects.create(name="tag"))
    permissions = ["change_asset", "delete_asset", "change_page"]
    assert staff(*permissions).get(group_url("merge")).status_code == 200


def test_permissions__objects_that_the_admin_does_not_list_are_not_there() -> None:
    items = [make_asset(code) for code in ("a", "hidden b", "c")]
    make_group(items)
    make_group([make_asset("d"), make_asset("hidden e")])
    text = text_of(superuser().get(f"/own{URL}"))
    assert "1 group " in text
    assert "2 images" in text
    assert "hidden" not in text
    group = DuplicateGroup.objects.order_by("pk").first()
    url = group_url("merge", group)
    response = superuser().get(f"/own{url}", {"keep": items[1].pk})
    assert response.status_code == 403


def test_permissions__of_single_objects(pair: list[Asset]) -> None:
    client = superuser()
    User.objects.update(is_superuser=False, is_staff=True)
    assert "1 group " in text_of(client.get(f"/by-object{URL}", headers={"X-Allowed": "large small"}))
    assert "0 groups" in text_of(client.get(f"/by-object{URL}", headers={"X-Allowed": "large"}))
    url = f"/by-object{group_url('merge')}"
    assert client.get(url, headers={"X-Allowed": "large"}).status_code == 404
    refused = client.get(url, headers={"X-Allowed": "large small"})
    assert "You may not change everything" in text_of(refused)
    assert "Front page" not in text_of(refused)
    User.objects.update(is_superuser=True)
    page = Page.objects.get()
    Page.objects.filter(pk=page.pk).update(title="Front")
    assert "Front" in text_of(client.get(url, headers={"X-Allowed": "large small Front"}))


def test_undo__needs_permission_and_is_not_offered_too_late(pair: list[Asset]) -> None:
    confirm(superuser(), group_url("merge"), removal(pair))
    url = f"{URL}undo/{Merge.objects.get().pk}/"
    viewer = staff("view_asset")
    assert viewer.post(url).status_code == 403
    assert "Undo merge" not in text_of(viewer.get(URL, {"status": "merged"}))
    assert superuser().get(url).status_code == 404
    client = superuser()
    assert "Undo merge" in text_of(client.get(URL, {"status": "merged"}))
    Merge.objects.update(merged_at=timezone.now() - timedelta(days=31))
    assert "Undo merge" not in text_of(client.get(URL, {"status": "merged"}))
    assert "too late" in text_of(client.post(url, follow=True))

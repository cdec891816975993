"""The list of image records: names and images, failures that can be tried again, and records of no field."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import path

import similar_images
from similar_images.admin import IndexedImageAdmin, MarkAdmin, SimilarImagesMixin
from similar_images.models import IndexedImage, Mark, Source
from tests import drawing
from tests.testapp.models import Item, Photo, Picture

pytestmark = pytest.mark.django_db

site = admin.AdminSite()
site.register(Picture, type("PictureAdmin", (SimilarImagesMixin, admin.ModelAdmin), {}))
site.register(Item, type("ItemAdmin", (SimilarImagesMixin, admin.ModelAdmin), {}))
site.register(IndexedImage, IndexedImageAdmin)
site.register(Mark, MarkAdmin)
urlpatterns = [path("admin/", site.urls)]

RECORDS = "/admin/similar_images/indexedimage/"
MARKS = "/admin/similar_images/mark/"


@pytest.fixture(autouse=True)
def _site(mean_method: None, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def failed(make_picture: Any, index_now: Any) -> IndexedImage:
    make_picture(image=ContentFile(b"text", name="text.png"), title="Broken")
    index_now()
    return IndexedImage.objects.get()


@pytest.fixture
def photos(index_now: Any) -> list[Photo]:
    """Photos of two items; their model has no admin."""
    items = [Item.objects.create(name=name) for name in ("Oak", "Elm")]
    made = [Photo.objects.create(item=item, image=drawing.file(1, name=f"{item.name}.png")) for item in items]
    index_now()
    return made


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def forget_field(item: Picture) -> Source:
    """Make the record of an object one of a field that has another name now."""
    source = Source.objects.create(app_label="testapp", model="picture", field="photo")
    IndexedImage.objects.filter(object_id=str(item.pk)).update(source=source)
    return source


def button_of(html: str) -> str:
    (url,) = re.findall(r'<button [^>]*formmethod="post" formaction="([^"]+)"[^>]*>Try again</button>', html)
    return str(url).replace("&amp;", "&")


@pytest.mark.parametrize("is_in_list", [True, False])
def test_records__a_failed_image_is_tried_again_from_where_its_reason_is_read(
    is_in_list: bool, failed: IndexedImage, admin_client: Client
) -> None:
    url = RECORDS if is_in_list else f"{RECORDS}{failed.pk}/change/"
    html = page(admin_client, url)
    assert "This is not an image in a supported format" in html
    answer = admin_client.post(button_of(html), follow=True)
    assert answer.redirect_chain == [(url, 302)]
    assert "1 image will be indexed again." in answer.content.decode()
    failed.refresh_from_db()
    assert (failed.status, failed.error) == ("pending", "")
    assert "Try again" not in page(admin_client, url)


def test_records__a_failed_image_is_tried_again_from_the_panel(failed: IndexedImage, admin_client: Client) -> None:
    html = page(admin_client, f"/admin/testapp/picture/{failed.object_id}/change/")
    (url,) = re.findall(r'<a href="([^"]+)">Try again</a>', html)
    button_of(page(admin_client, url))


def test_records__try_again_is_no_way_out_of_the_site(failed: IndexedImage, admin_client: Client) -> None:
    url = f"{RECORDS}{failed.pk}/try-again/"
    assert admin_client.post(f"{url}?next=https://example.com/")["Location"] == RECORDS
    assert admin_client.get(url).status_code == 405
    assert admin_client.post(f"{RECORDS}999999/try-again/").status_code == 404


def test_records__try_again_needs_permissions(failed: IndexedImage, client: Client) -> None:
    user = User.objects.create(username="clerk", is_staff=True)
    client.force_login(user)
    url = f"{RECORDS}{failed.pk}/try-again/"
    for codenames, status in [
        (["view_indexedimage", "view_picture"], 403),
        (["change_indexedimage"], 404),
        (["change_indexedimage", "view_picture"], 302),
    ]:
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        assert client.post(url).status_code == status


def test_records__of_a_renamed_field_are_told_apart_and_cleared(
    make_picture: Any, index_now: Any, admin_client: Client
) -> None:
    gone, kept, other = make_picture(1), make_picture(2), make_picture(3)
    index_now()
    similar_images.mark(kept, other, alike=True)
    source = forget_field(gone)
    html = page(admin_client, RECORDS)
    (table,) = re.findall(r'<table id="result_list".*?</table>', html, re.DOTALL)
    assert table.count("> testapp.picture.photo (no longer registered)<") == 1
    filtered = admin_client.get(f"{RECORDS}?registered=no").context["cl"].result_list
    assert [record.object_id for record in filtered] == [str(gone.pk)]
    every = list(IndexedImage.objects.values_list("pk", flat=True))
    data = {"action": "delete_unregistered", "_selected_action": every}
    assert "1 record was deleted." in admin_client.post(RECORDS, data, follow=True).content.decode()
    assert not Source.objects.filter(pk=source.pk).exists()
    assert {record.object_id for record in IndexedImage.objects.all()} == {str(kept.pk), str(other.pk)}
    assert Mark.objects.count() == 1
    html = page(admin_client, RECORDS)
    assert "delete_unregistered" not in html
    assert "By registration" not in html


def test_records__are_cleared_by_those_who_may_delete(make_picture: Any, index_now: Any, client: Client) -> None:
    source = forget_field(make_picture(1))
    user = User.objects.create(username="clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["change_indexedimage", "view_picture"]))
    client.force_login(user)
    data = {"action": "delete_unregistered", "_selected_action": [record.pk for record in IndexedImage.objects.all()]}
    client.post(RECORDS, data)
    assert IndexedImage.objects.filter(source=source).exists()
    user.user_permissions.add(Permission.objects.get(codename="delete_indexedimage"))
    client.post(RECORDS, data)
    assert not IndexedImage.objects.filter(source=source).exists()


def test_records_and_marks__are_listed_by_their_owner(photos: list[Photo], admin_client: Client) -> None:
    similar_images.mark(*photos, alike=True)
    for url in (RECORDS, MARKS):
        html = page(admin_client, url)
        for photo in photos:
            assert f'<a href="/admin/testapp/item/{photo.item_id}/change/">Item {photo.item.name}</a>' in html
            assert f'<img src="{photo.image.url}"' in html
        assert not re.search(r"testapp\.photo\.image \d", html)


def test_records_and_marks__are_filtered_by_fields_in_words_of_which_something_is_shown(
    photos: list[Photo], make_picture: Any, index_now: Any, client: Client
) -> None:
    pictures = [make_picture(seed) for seed in (1, 2)]
    index_now()
    similar_images.mark(*photos, alike=True)
    similar_images.mark(*pictures, alike=True)
    forget_field(make_picture(3))
    user = User.objects.create(username="clerk", is_staff=True)
    client.force_login(user)
    gone = "testapp.picture.photo (no longer registered)"
    for url, permission, every in [
        (RECORDS, "view_indexedimage", ["Photo: image", "Picture: image", gone]),
        (MARKS, "view_mark", ["Photo: image", "Picture: image"]),
    ]:
        for names, shown in [(["photo", "item"], []), (["photo", "item", "picture"], every)]:
            codenames = [permission, *(f"view_{name}" for name in names)]
            user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
            specs = client.get(url).context["cl"].filter_specs
            choices = [name for spec in specs if spec.title == "source" for _key, name in spec.lookup_choices]
            assert choices == shown  # one choice is none


def test_records_and_marks__checkboxes_are_labeled_with_objects(photos: list[Photo], admin_client: Client) -> None:
    similar_images.mark(*photos, alike=True)
    labels = {url: re.findall(r'aria-label="(Select this[^"]*)"', page(admin_client, url)) for url in (RECORDS, MARKS)}
    prefix = "Select this object for an action - "
    assert sorted(labels[RECORDS]) == [f"{prefix}Item Elm, Photo: image", f"{prefix}Item Oak, Photo: image"]
    assert labels[MARKS] == [f"{prefix}Item Oak, Item Elm, Photo: image"]
    assert 'id="action-toggle"' in page(admin_client, RECORDS)


def test_records_and_marks__of_photos_are_for_those_who_may_see_their_owner(
    photos: list[Photo], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    similar_images.mark(*photos, alike=True)
    user = User.objects.create(username="clerk", is_staff=True)
    names = ["view_indexedimage", "view_mark", "view_photo"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)

    def counts() -> list[int]:
        return [client.get(url).context["cl"].result_count for url in (RECORDS, MARKS)]

    assert counts() == [0, 0]
    user.user_permissions.add(Permission.objects.get(codename="view_item"))
    user = User.objects.get()
    assert counts() == [2, 1]
    item_admin = type(site.get_model_admin(Item))
    for action in ("view", "change"):
        monkeypatch.setattr(
            item_admin,
            f"has_{action}_permission",
            lambda self, request, obj=None: obj is None or obj.name == "Oak",
            raising=False,
        )
    assert counts() == [1, 0]


def test_marks__filters_have_names(
    photos: list[Photo], make_picture: Any, index_now: Any, admin_client: Client
) -> None:
    pictures = [make_picture(seed) for seed in (1, 2)]
    index_now()
    for pair in (photos, pictures):
        similar_images.mark(*pair, alike=True, user=User.objects.get())
    html = page(admin_client, MARKS)
    assert re.findall(r"By (\w+)", html) == ["verdict", "source", "editor", "date"]


def test_marks__take_as_many_queries_for_many(
    make_picture: Any, index_now: Any, admin_client: Client, django_assert_num_queries: Any
) -> None:
    items = [make_picture(seed) for seed in range(6)]
    index_now()
    similar_images.mark(items[0], items[1], alike=True)
    page(admin_client, MARKS)
    for other in items[1:]:
        similar_images.mark(items[0], other, alike=True)
        with django_assert_num_queries(11):
            page(admin_client, MARKS)

"""The review of duplicates among images whose model has no admin of its own: their owner's admin decides."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path

from similar_images.admin import DuplicatesAdmin
from similar_images.models import DuplicateGroup, DuplicateImage, Duplicates, Merge, Source
from tests import drawing
from tests.databases import connection
from tests.test_review import confirm, group_url, staff, superuser, text_of
from tests.testapp.models import Item, Photo

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_review_galleries")]

URL = "/admin/similar_images/duplicates/"
PERMISSIONS = ("change_photo", "delete_photo", "change_item", "add_photo")


class PhotoInline(admin.TabularInline):
    model = Photo


class ByName(admin.ModelAdmin):
    """Shows, and lets change, by a permission on the single owner, as with django-guardian."""

    inlines = [PhotoInline]

    def _may(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or obj.name in request.headers.get("X-Allowed", "").split()

    has_view_permission = has_change_permission = _may


class Published(admin.ModelAdmin):
    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(published=True)


def make_site(item_admin: Any = admin.ModelAdmin) -> Any:
    site = admin.AdminSite()
    if item_admin:
        site.register(Item, item_admin)
    site.register(Duplicates, DuplicatesAdmin)
    return site


urlpatterns = [
    path("admin/", make_site().urls),
    path("by-object/admin/", make_site(ByName).urls),
    path("published/admin/", make_site(Published).urls),
    path("without/admin/", make_site(None).urls),
    path("similar/", include("similar_images.urls")),
]


def make_group(*names: str) -> list[Photo]:
    """Save a group of photos, each of another item."""
    source = Source.objects.get(app_label="testapp", model="photo")
    items = [Item.objects.create(name=name, published=not name.startswith("hidden")) for name in names]
    photos = [Photo.objects.create(item=item, image=drawing.file(1)) for item in items]
    group = DuplicateGroup.objects.create(
        source=source, kind="copies", similarity=99, size=len(photos), key=" ".join(names)
    )
    for photo in photos:
        DuplicateImage.objects.create(
            group=group,
            source=source,
            object_id=str(photo.pk),
            object_key=photo.pk,
            file_name=photo.image.name,
            width=80,
            height=60,
            equivalence=1,
        )
    return photos


@pytest.fixture
def photos() -> list[Photo]:
    return make_group("Chair", "Table")


def removal(photos: list[Photo]) -> dict[str, Any]:
    return {"keep": photos[0].pk, "merge": [photos[1].pk], "others": "remove"}


def test_gallery__is_listed_merged_and_undone_by_the_owner_s_admin(photos: list[Photo]) -> None:
    client = staff(*PERMISSIONS)
    page = client.get(URL)
    assert "1 group " in text_of(page)
    assert f"/admin/testapp/item/{photos[0].item_id}/change/" in page.content.decode()
    assert "Chair" in text_of(page)
    assert confirm(client, group_url("merge"), removal(photos)).status_code == 302
    assert Photo.objects.get() == photos[0]
    client.post(f"{URL}undo/{Merge.objects.get().pk}/")
    assert set(Photo.objects.all()) == set(photos)


@pytest.mark.parametrize("missing", ["change_photo", "delete_photo", "change_item"])
def test_gallery__needs_the_permission_of_both(photos: list[Photo], missing: str) -> None:
    client = staff(*set(PERMISSIONS) - {missing}, "view_photo", "view_item")
    assert "1 group " in text_of(client.get(URL))
    plan = superuser().get(group_url("merge"), removal(photos)).context["plan"]
    client.post(group_url("merge"), {**removal(photos), "fingerprint": plan.fingerprint})
    assert not Merge.objects.exists()
    client.post(group_url("status"), {"status": "dismissed"})
    assert DuplicateGroup.objects.filter(status="dismissed").exists() == (missing == "delete_photo")


@pytest.mark.parametrize("permissions", [["view_photo", "change_photo"], ["view_item", "change_item"]])
def test_gallery__is_not_seen_without_the_permission_of_both(photos: list[Photo], permissions: list[str]) -> None:
    response = staff(*permissions).get(URL)
    assert response.status_code == 403 or "0 groups" in text_of(response)
    assert "Chair" not in text_of(response)


def test_gallery__of_an_owner_that_is_not_listed_is_not_there(photos: list[Photo]) -> None:
    hidden = make_group("Lamp", "hidden")
    make_group("Shelf", "Bed", "hidden too")
    text = text_of(superuser().get(f"/published{URL}"))
    assert "2 groups " in text
    assert "hidden" not in text
    group = hidden_group = DuplicateGroup.objects.get(key="Lamp hidden")
    url = f"/published{group_url('merge', hidden_group)}"
    assert superuser().get(url, removal(hidden)).status_code == 404
    assert superuser().post(f"/published{group_url('status', group)}", {"status": "dismissed"}).status_code == 404


def test_gallery__by_permissions_on_single_owners(photos: list[Photo]) -> None:
    client = staff("change_photo", "delete_photo")
    url = f"/by-object{URL}"
    assert "1 group " in text_of(client.get(url, headers={"X-Allowed": "Chair Table"}))
    assert "0 groups" in text_of(client.get(url, headers={"X-Allowed": "Chair"}))
    merge_url = f"/by-object{group_url('merge')}"
    assert client.get(merge_url, removal(photos), headers={"X-Allowed": "Chair"}).status_code == 404
    assert client.get(merge_url, removal(photos), headers={"X-Allowed": "Chair Table"}).status_code == 200


def test_gallery__without_any_admin_is_not_reviewed(photos: list[Photo]) -> None:
    assert superuser().get(f"/without{URL}").status_code == 403


def test_gallery__the_number_of_queries_does_not_grow() -> None:
    client: Client = staff(*PERMISSIONS)
    counts = []
    for numbers in (range(2), range(2, 15)):
        for number in numbers:
            make_group(f"Chair {number}", f"Table {number}")
        client.get(URL)
        with CaptureQueriesContext(connection) as queries:
            assert f"{numbers.stop} groups" in text_of(client.get(URL))
        counts.append(len(queries))
    assert counts[0] == counts[1]

"""Objects that the admin writes in bulk: by inlines, imports, and actions, none of which is missed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.core.files.storage import default_storage
from django.http import HttpRequest
from django.test import Client
from django.urls import path

from similar_images.admin import SimilarImagesMixin
from similar_images.models import IndexedImage
from tests import drawing
from tests.testapp.models import Item, Photo, Picture, Shelf

pytestmark = pytest.mark.django_db


class PhotoInline(SimilarImagesMixin, admin.TabularInline):
    model = Photo
    extra = 0


class ItemAdmin(SimilarImagesMixin, admin.ModelAdmin):
    fields = ["name"]
    inlines = [PhotoInline]


class PictureAdmin(SimilarImagesMixin, admin.ModelAdmin):
    actions = ["use_placeholder"]

    @admin.action(description="Use a placeholder")
    def use_placeholder(self, request: HttpRequest, queryset: Any) -> None:
        queryset.update(image="placeholder.png")


site = admin.AdminSite()
site.register(Item, ItemAdmin)
site.register(Picture, PictureAdmin)
urlpatterns = [path("admin/", site.urls)]


@pytest.fixture(autouse=True)
def _site(mean_method: None, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


def states() -> dict[str, str]:
    """Return the status of every record by the name of its file."""
    return dict(IndexedImage.objects.values_list("file_name", "status"))


def test_inline__images_are_indexed_as_rows_are_added_changed_and_deleted(index_now: Any, admin_client: Client) -> None:
    item = Item.objects.create(name="Oak")
    url = f"/admin/testapp/item/{item.pk}/change/"
    management = {"name": "Oak", "photos-TOTAL_FORMS": 2}
    files = {f"photos-{n}-image": drawing.file(n, name=f"{n}.png") for n in range(2)}
    assert admin_client.post(url, {**management, "photos-INITIAL_FORMS": 0, **files}).status_code == 302
    assert states() == {"photos/0.png": "pending", "photos/1.png": "pending"}
    index_now()
    first, second = Photo.objects.order_by("pk")
    rows = {f"photos-{n}-{name}": photo.pk for n, photo in enumerate([first, second]) for name in ["id"]}
    rows |= {f"photos-{n}-item": item.pk for n in range(2)}
    changes = {"photos-0-image": drawing.file(5, name="new.png"), "photos-1-DELETE": "on"}
    data = {**management, "photos-INITIAL_FORMS": 2, **rows, **changes}
    assert admin_client.post(url, data).status_code == 302
    index_now()
    assert states() == {"photos/new.png": "indexed"}


@pytest.mark.parametrize("is_bulk", [True, False])
def test_import__of_many_objects_is_indexed(is_bulk: bool, index_now: Any) -> None:
    """With `use_bulk`, django-import-export writes without signals."""
    resources = pytest.importorskip("import_export.resources", reason="NO IMPORTS: pip install django-import-export")
    tablib = pytest.importorskip("tablib")
    for number in range(3):
        default_storage.save(f"{number}.png", drawing.file(number))
    shelf = Shelf.objects.create().pk
    kept = Picture.objects.create(title="Kept", image=drawing.file(7, name="kept.png"))
    meta = type("Meta", (), {"model": Picture, "use_bulk": is_bulk, "fields": ("id", "title", "image", "shelf")})
    resource = type("PictureResource", (resources.ModelResource,), {"Meta": meta})()
    rows = [("", f"Scene {number}", f"{number}.png", shelf) for number in range(2)]
    rows.append((kept.pk, "Kept", "2.png", shelf))
    result = resource.import_data(tablib.Dataset(*rows, headers=["id", "title", "image", "shelf"]), raise_errors=True)
    assert result.totals["new"] == 2
    index_now()
    assert states() == {"0.png": "indexed", "1.png": "indexed", "2.png": "indexed"}


def test_action__that_updates_many_objects_is_indexed(
    gray_pictures: list[Picture], index_now: Any, admin_client: Client
) -> None:
    default_storage.save("placeholder.png", drawing.file(3))
    keys = [picture.pk for picture in gray_pictures[:3]]
    admin_client.post("/admin/testapp/picture/", {"action": "use_placeholder", "_selected_action": keys})
    index_now()
    records = IndexedImage.objects.filter(file_name="placeholder.png", status="indexed")
    assert {record.object_id for record in records} == {str(key) for key in keys}
    admin_client.post("/admin/testapp/picture/", {"action": "delete_selected", "_selected_action": keys, "post": "yes"})
    assert not Picture.objects.filter(pk__in=keys).exists()
    assert not IndexedImage.objects.filter(object_id__in=keys).exists()

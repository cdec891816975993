"""The health of the index in the admin: what it tells, to whom, and what can be done there."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone

from similar_images.admin import HealthAdmin, IndexedImageAdmin
from similar_images.models import Health, IndexedImage, MethodVersion, Projection, Signature, Source
from similar_images.tasks import sweep
from tests import drawing
from tests.databases import connection
from tests.testapp.models import Item, Photo, Picture

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_health")]

URL = "/admin/similar_images/health/"


class OwnPictures(admin.ModelAdmin):
    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(title="mine")


class ByTitle(admin.ModelAdmin):
    """Lets change by a permission on the single object, as with django-guardian."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or obj.title == "mine"


def make_site(picture_admin: type[admin.ModelAdmin] = admin.ModelAdmin) -> Any:
    site = admin.AdminSite()
    site.register(Picture, picture_admin)
    site.register(IndexedImage, IndexedImageAdmin)
    site.register(Health, HealthAdmin)
    return site


def make_gallery() -> Any:
    site = make_site()
    site.register(Item)
    return site


urlpatterns = [
    path("admin/", make_site().urls),
    path("own/admin/", make_site(OwnPictures).urls),
    path("by-object/admin/", make_site(ByTitle).urls),
    path("gallery/admin/", make_gallery().urls),
    path("similar-images/", include("similar_images.urls")),
]


@pytest.fixture(autouse=True)
def _methods(configure: Any) -> None:
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})


@pytest.fixture
def broken(make_picture: Any, index_now: Any) -> list[Picture]:
    """Two images that failed, and one that is indexed."""
    made = [
        make_picture(title="mine", image=ContentFile(b"no image", name="a.png")),
        make_picture(title="theirs", image=ContentFile(b"no image", name="b.png")),
        make_picture(title="theirs", image=drawing.file(1)),
    ]
    index_now()
    return made


def text_of(client: Client, url: str = URL) -> str:
    """Return the text of the page."""
    response = client.get(url)
    assert response.status_code == 200
    html = response.content.decode().partition('id="similar-images-health"')[2]
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html))


def login(client: Client, *codenames: str) -> Client:
    user = User.objects.create(username="staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


def records(**lookups: Any) -> Any:
    return IndexedImage.primary.filter(source__model="picture", **lookups)


def retry(client: Client, url: str = URL, **data: Any) -> Any:
    record = records(status="failed").first()
    return client.post(f"{url}retry/", {"source": record.source_id, "error": record.error} | data)


def test_page__counts_by_status_with_reasons(broken: list[Picture], admin_client: Client) -> None:
    text = text_of(admin_client)
    assert re.search(r"100% processed Indexed 1 Waiting 0 Failed 2 ", text)
    assert f"{records(status='failed').first().error} 2 Try again" in text


def test_page__is_in_the_list_of_the_admin(broken: list[Picture], admin_client: Client) -> None:
    assert f'href="{URL}"' in admin_client.get("/admin/").content.decode()


def test_page__says_when_no_worker_takes_what_waits(make_picture: Any, admin_client: Client) -> None:
    make_picture(1)
    assert "no worker takes them" not in text_of(admin_client)
    records().update(requested_at=timezone.now() - timedelta(minutes=6))
    assert "no worker takes them" in text_of(admin_client)
    records().update(started_at=timezone.now())
    assert "no worker takes them" not in text_of(admin_client)


def test_page__says_when_the_sweep_does_not_run(make_picture: Any, admin_client: Client) -> None:
    make_picture(1)
    assert "The sweep does not run" in text_of(admin_client)
    sweep()
    assert "The sweep does not run" not in text_of(admin_client)
    Source.objects.update(sweep_began_at=timezone.now() - timedelta(hours=1))
    assert "The sweep does not run" in text_of(admin_client)


def test_page__tells_the_time_left(make_picture: Any, index_now: Any, admin_client: Client) -> None:
    make_picture(1)
    index_now()
    for number in range(2, 5):
        make_picture(number)
    assert "25% processed, about 30 minutes left" in text_of(admin_client)


def test_page__tells_versions_that_are_on_their_way(
    make_picture: Any, index_now: Any, admin_client: Client, configure: Any
) -> None:
    make_picture(1)
    index_now()
    of_pictures = MethodVersion.primary.filter(source=Source.objects.get(model="picture"), is_active=True)
    of_pictures.update(version="older")
    Signature.primary.update(version="older")
    sweep()
    text = text_of(admin_client)
    assert "in use until the version of the setting has described all images" in text
    assert "in use as soon as it has described all images" in text


def test_page__tells_which_version_is_centered(
    make_picture: Any, index_now: Any, admin_client: Client, configure: Any
) -> None:
    make_picture(1)
    index_now()
    assert "images share" not in text_of(admin_client)
    version = MethodVersion.objects.get(source__model="picture", name="mean")
    version.projection = Projection.objects.create(
        base="1", mean=b"", matrix=b"", curve=[], figures={}, learned_from={"centering": True, "images": 300}
    )
    version.save()
    assert "without what 300 images share" in text_of(admin_client)


def test_page__tells_where_percentages_are_stricter(
    make_picture: Any, index_now: Any, admin_client: Client, configure: Any
) -> None:
    make_picture(1)
    index_now()
    version = MethodVersion.objects.filter(source__model="picture", name="mean")
    version.update(measured_images=300, similar_share=0.006)
    assert "stricter percentages" not in text_of(admin_client)
    version.update(similar_share=0.072)
    assert "stricter percentages, as 7% of all pairs would reach 70%" in text_of(admin_client)


def test_page__unregistered_source(broken: list[Picture], admin_client: Client) -> None:
    source = Source.objects.create(app_label="shop", model="gone", field="photo")
    IndexedImage.primary.create(source=source, object_id="1", file_name="x.png")
    text = text_of(admin_client)
    assert "shop.gone.photo This field is no longer registered: 1 image record is kept." in text
    assert "index_images --prune" in text


def test_retry__has_the_images_of_one_reason_tried_again(broken: list[Picture], admin_client: Client) -> None:
    assert (
        "2 images will be tried again."
        in retry(admin_client, follow=False).wsgi_request._messages._queued_messages[0].message
    )
    assert records(status="pending").count() == 2


def test_retry__needs_the_permission_to_change(broken: list[Picture], client: Client) -> None:
    login(client, "view_picture")
    assert "Try again" not in text_of(client)
    assert retry(client).status_code == 403
    assert records(status="failed").count() == 2


def test_retry__needs_a_post(broken: list[Picture], admin_client: Client) -> None:
    assert admin_client.get(f"{URL}retry/").status_code == 403


def test_page__of_what_the_user_may_see(broken: list[Picture], client: Client) -> None:
    """Figures of the whole index, such as the coverage of versions, are told to those who may see all of it."""
    login(client, "change_picture")
    text = text_of(client, f"/own{URL}")
    assert "These are figures of the items that you may see." in text
    assert "Indexed 0 Waiting 0 Failed 1 " in text
    assert "Methods" not in text
    assert retry(client, f"/own{URL}").status_code == 302
    assert [record.object_id for record in records(status="pending")] == [str(broken[0].pk)]


def test_retry__of_those_that_the_user_may_change(broken: list[Picture], client: Client) -> None:
    login(client, "view_picture")
    assert retry(client, f"/by-object{URL}").status_code == 302
    assert [record.object_id for record in records(status="pending")] == [str(broken[0].pk)]


def test_page__of_a_gallery_without_an_admin_of_its_own(admin_client: Client, index_now: Any) -> None:
    """Whoever may see all photos and all of their owners is told all, and may have them tried again."""
    Photo.objects.create(item=Item.objects.create(name="Oak"), image=ContentFile(b"no image", name="a.png"))
    index_now()
    sweep()
    text = text_of(admin_client, f"/gallery{URL}")
    photos = text[text.index("Photos: image") :].partition("Pictures")[0]
    assert re.search(r"Failed 1 Too plain to tell apart 0 .* Try again .* Methods Method", photos)
    record = IndexedImage.primary.get(status="failed")
    data = {"source": record.source_id, "error": record.error}
    assert admin_client.post(f"/gallery{URL}retry/", data).status_code == 302
    assert IndexedImage.primary.filter(status="pending").exists()


def test_page__without_permission(broken: list[Picture], client: Client) -> None:
    login(client, "view_user")
    assert client.get(URL).status_code == 403
    assert f'href="{URL}"' not in client.get("/admin/").content.decode()


def test_page__fixed_number_of_queries(make_picture: Any, index_now: Any, admin_client: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(URL)
        return len(queries)

    make_picture(1)
    index_now()
    admin_client.get(URL)
    few = count()
    for number in range(2, 8):
        make_picture(number, image=drawing.file(number) if number % 2 else ContentFile(b"no", name=f"{number}.png"))
    index_now()
    assert count() == few

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import models
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import include, path

import similar_images
from similar_images.admin import IndexedImageAdmin, MarkAdmin, SimilarImagesMixin
from similar_images.indexing import notify
from similar_images.models import IndexedImage, Mark, Signature, Source
from tests import drawing
from tests.testapp.models import Couple, NamedPicture, Picture, Shelf, UuidPicture

pytestmark = pytest.mark.django_db


class SimilarAdmin(SimilarImagesMixin, admin.ModelAdmin):
    pass


site = admin.AdminSite()
for _model in (Picture, NamedPicture, Couple):
    site.register(_model, SimilarAdmin)
site.register(IndexedImage, IndexedImageAdmin)
site.register(Mark, MarkAdmin)
back_office = admin.AdminSite("back_office")
back_office.register(UuidPicture, SimilarAdmin)

urlpatterns = [
    path("admin/", site.urls),
    path("back/", back_office.urls),
    path("similar-images/", include("similar_images.urls")),
]

RECORDS = "/admin/similar_images/indexedimage/"


@pytest.fixture(autouse=True)
def _site(configure: Any, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})


@pytest.fixture
def pictures(make_picture: Any, index_now: Any) -> list[Picture]:
    """Two identical images, one of them hidden, and a different one."""
    made = [
        make_picture(1),
        make_picture(title="Twin", image=drawing.file(1, name="twin.png"), published=False),
        make_picture(2, title="<b>Other</b>"),
    ]
    index_now()
    return made


@pytest.fixture
def staff(client: Client) -> Any:
    """A client of someone of the staff with these permissions."""

    def staff(*codenames: str) -> Client:
        user = User.objects.create(username="staff", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)
        return client

    return staff


def change_url(obj: models.Model) -> str:
    return f"/admin/testapp/{obj._meta.model_name}/{obj.pk}/change/"


def page(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status, url
    return response.content.decode()


def panel(html: str) -> str:
    """Return the text of the panel, empty where there is none, without the links to marks and explanations."""
    html = re.sub(
        r'<details>.*?</details>|<a [^>]*href="[^"]*/similar-images/\?[^>]*>.*?</a>', "", html, flags=re.DOTALL
    )
    match = re.search(r'<div class="similar-images similar-images-admin">(.*?)</div>', html, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", match[1])).strip() if match else ""


# --- the panel on the change page of a host's model --------------------------------------------------------------


def test_panel__similar_objects_with_links_and_percent(pictures: list[Picture], admin_client: Client) -> None:
    item, twin, other = pictures
    html = page(admin_client, change_url(item))
    assert "Similar images" in html
    text = r"Twin 100% similar &lt;b&gt;Other&lt;/b&gt; \d+% similar Compare Show all similar items"
    assert re.fullmatch(text, panel(html))
    assert f'href="{change_url(twin)}"' in html
    assert f'href="{change_url(other)}"' in html
    assert f'<img src="{twin.image.url}"' in html
    assert f'<img src="{item.image.url}"' not in html


def test_panel__links_to_a_comparison_of_visible_images(pictures: list[Picture], admin_client: Client) -> None:
    """The twin is hidden by `visible`, which the comparison page respects."""
    item, _twin, other = pictures
    a, b = (f"testapp.picture.image%3A{picture.pk}" for picture in (item, other))
    html = page(admin_client, change_url(item))
    assert re.findall(r'href="(/similar-images/compare/[^"]*)"', html) == [f"/similar-images/compare/?a={a}&amp;b={b}"]
    assert "/compare/" not in page(admin_client, change_url(pictures[1]))


def test_panel__shows_a_hidden_object(pictures: list[Picture], admin_client: Client) -> None:
    assert panel(page(admin_client, change_url(pictures[1]))).startswith("Scene 1 100% similar")


def test_panel__limit(pictures: list[Picture], admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimilarAdmin, "similar_images_limit", 1, raising=False)
    assert panel(page(admin_client, change_url(pictures[0]))) == "Twin 100% similar Show all similar items"


def test_panel__not_on_the_add_page(admin_client: Client) -> None:
    html = page(admin_client, "/admin/testapp/picture/add/")
    assert "field-similar_images" not in html
    assert panel(html) == ""


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("indexed", "No similar items found."),
        ("pending", "This image is still being processed. Reload the page in a moment."),
        (
            "failed",
            "This image could not be processed: This is not an image in a supported format (JPEG, PNG, GIF, WEBP, "
            "AVIF, TIFF, BMP, HEIC). Try again",
        ),
        ("missing", "This item has no image yet."),
    ],
)
def test_panel__states_the_status_of_the_image(
    status: str, sentence: str, make_picture: Any, index_now: Any, admin_client: Client
) -> None:
    if status == "missing":
        item = Picture.objects.create(title="bare")
    elif status == "failed":
        item = make_picture(image=ContentFile(b"text", name="text.png"))
    else:
        item = make_picture(1)
    if status != "pending":
        index_now()
    assert panel(page(admin_client, change_url(item))) == sentence


def test_panel__has_one_part_for_each_image_field(index_now: Any, admin_client: Client) -> None:
    item = Couple.objects.create(front=drawing.file(1), back=drawing.file(2))
    Couple.objects.create(front=drawing.file(1, name="twin.png"))
    index_now()
    html = page(admin_client, change_url(item))
    assert html.count("similar-images-admin") == 2
    assert re.search(r"<h3>Front</h3>.*100% similar.*<h3>Back</h3>.*No similar items found", html, re.DOTALL)


def test_panel__links_of_text_keys(index_now: Any, admin_client: Client) -> None:
    """The admin escapes keys in URLs differently from `urllib`."""
    NamedPicture.objects.create(name="plain", image=drawing.file(1))
    odd = ["scan_5Fa", "a/b", 'say "x"?', "50%"]
    for name in odd:
        NamedPicture.objects.create(name=name, image=drawing.file(1))
    index_now()
    html = page(admin_client, "/admin/testapp/namedpicture/plain/change/")
    links = re.findall(r'<a href="(/admin/testapp/namedpicture/[^"]+/change/)">\s*<img', html)
    assert len(links) == len(odd)
    pages = [admin_client.get(link) for link in links]
    assert [response.status_code for response in pages] == [200] * len(odd)
    assert {response.context["original"].pk for response in pages} == set(odd)


def test_panel__links_stay_on_the_same_site(index_now: Any, admin_client: Client) -> None:
    item, other = [UuidPicture.objects.create(image=drawing.file(1, name=f"{number}.png")) for number in range(2)]
    index_now()
    html = page(admin_client, f"/back/testapp/uuidpicture/{item.pk}/change/")
    assert "100% similar" in panel(html)
    assert f'href="/back/testapp/uuidpicture/{other.pk}/change/"' in html


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"fields": ["title", "image"]},
        {"fields": ("title", ("image", "published"))},
        {"fieldsets": [("Shown", {"fields": ["title"]}), ("More", {"fields": ("image",), "classes": ["collapse"]})]},
        {"fields": ["similar_images", "title"]},
        {"fieldsets": [(None, {"fields": ["title", "similar_images"]})]},
        {"exclude": ["shelf"], "readonly_fields": ["title"]},
        {"readonly_fields": ["similar_images"]},
    ],
    ids=str,
)
def test_mixin__with_fields_and_fieldsets_of_the_host(
    attributes: dict[str, Any], pictures: list[Picture], admin_user: User, rf: RequestFactory
) -> None:
    own_site = admin.AdminSite()
    own_site.register(Picture, type("OwnAdmin", (SimilarImagesMixin, admin.ModelAdmin), attributes))
    call_command("check", tags=["admin"])
    own = own_site.get_model_admin(Picture)
    request = rf.get("/")
    request.user = admin_user
    change = own.change_view(request, str(pictures[0].pk)).render().content.decode()
    assert change.count("similar-images-admin") == 1
    assert panel(change).startswith("Twin 100% similar")
    assert "Scene 1" in change
    add = own.add_view(request).render().content.decode()
    assert panel(add) == ""
    assert "Similar images" not in add


def test_mixin__shows_only_objects_that_the_admin_lists(
    pictures: list[Picture], admin_user: User, rf: RequestFactory
) -> None:
    class PublishedAdmin(SimilarImagesMixin, admin.ModelAdmin):
        def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
            return super().get_queryset(request).filter(published=True)

    request = rf.get("/")
    request.user = admin_user
    html = PublishedAdmin(Picture, site).change_view(request, str(pictures[0].pk)).render().content.decode()
    assert "Other" in panel(html)
    assert "Twin" not in panel(html)


def test_mixin__saves_and_shows_errors(pictures: list[Picture], admin_client: Client) -> None:
    item, shelf = pictures[0], Shelf.objects.create().pk
    response = admin_client.post(change_url(item), {"title": "x" * 51, "shelf": shelf})
    assert response.status_code == 200
    assert panel(response.content.decode()).startswith("Twin")
    response = admin_client.post(change_url(item), {"title": "New", "shelf": shelf})
    assert response.status_code == 302
    item.refresh_from_db()
    assert item.title == "New"
    assert item.image


def test_mixin__view_only_users(pictures: list[Picture], staff: Any) -> None:
    client = staff("view_picture")
    html = page(client, change_url(pictures[0]))
    assert panel(html).startswith("Twin 100% similar")
    assert 'name="_save"' not in html
    assert client.post(change_url(pictures[0]), {"title": "New"}).status_code == 403


def test_mixin__needs_a_permission(pictures: list[Picture], staff: Any, client: Client) -> None:
    assert client.get(change_url(pictures[0])).status_code == 302
    page(staff("view_shelf"), change_url(pictures[0]), status=403)


def test_mixin__deleted_object(admin_client: Client) -> None:
    assert admin_client.get("/admin/testapp/picture/99/change/").status_code == 302


# --- the page on a pair: marks and explanations --------------------------------------------------------------------


def pair_url(item: models.Model, other: Any = None, field: str = "image") -> str:
    url = f"/admin/testapp/{item._meta.model_name}/{item.pk}/similar-images/?field={field}"
    return url if other is None else f"{url}&other={getattr(other, 'pk', other)}"


def text(html: str) -> str:
    """Return the text of the page on a pair."""
    (section,) = re.findall(r'<section class="[^"]*-admin similar-images-judging">.*?</section>', html, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", section)).strip()


def test_panel__links_to_marks_and_explanations(pictures: list[Picture], admin_client: Client) -> None:
    item, twin, other = pictures
    html = page(admin_client, change_url(item))
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]*/similar-images/\?[^"]*)"', html)]
    assert links == [pair_url(item, twin), pair_url(item, other), pair_url(item)]
    for link in links:
        page(admin_client, link)
    details = re.findall(r"<details>(.*?)</details>", html, re.DOTALL)
    assert len(details) == 2
    assert [re.findall('<summary aria-label="(.*?)">', detail) for detail in details] == [
        ["Why? Twin"],
        ["Why? &lt;b&gt;Other&lt;/b&gt;"],
    ]
    explanation = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", details[0])).strip()
    assert explanation == "Why? mean 100.0% (distance 0.000, weight 1), found by this method"


def test_panel__adds_no_button_to_the_form(pictures: list[Picture], admin_client: Client) -> None:
    """The Enter key presses the first button of a form, which must remain one that saves."""
    html = page(admin_client, change_url(pictures[0]))
    form = html[html.index('id="picture_form"') :]
    (first, *_rest) = re.findall(r"<(?:button|input)[^>]*type=\"submit\"[^>]*>|<button[^>]*>", form)
    assert 'name="_save"' in first
    assert "<script" not in html[html.index("similar-images-admin") : html.index('class="submit-row"')]


def test_pair__marked_as_not_similar_leaves_the_panel_until_the_mark_is_removed(
    pictures: list[Picture], admin_client: Client, admin_user: User
) -> None:
    item, twin, _other = pictures
    html = page(admin_client, pair_url(item, twin))
    assert "It is listed at position 1 (100.0%)." in text(html)
    assert "Remove mark" not in text(html)
    assert 'name="alike"' in html
    assert 'name="alike"' not in page(admin_client, pair_url(item, item))
    for alike, message in (
        ("0", "Marked as not similar."),
        ("1", "Marked as similar."),
        ("0", "Marked as not similar."),
    ):
        answer = admin_client.post(pair_url(item), {"field": "image", "other": twin.pk, "alike": alike}, follow=True)
        assert answer.redirect_chain == [(change_url(item), 302)]
        assert message in answer.content.decode()
    assert "Twin" not in panel(page(admin_client, change_url(item)))
    assert "Scene 1" not in panel(page(admin_client, change_url(twin)))
    assert "Other" in panel(page(admin_client, change_url(item)))
    for nothing in ({}, {"alike": "x"}):
        assert admin_client.post(pair_url(item), {"field": "image", "other": twin.pk} | nothing).status_code == 200
    mark = Mark.objects.get()
    assert (mark.is_alike, mark.marked_by) == (False, admin_user)
    html = page(admin_client, pair_url(twin, item))
    assert "These two items are marked as not similar" in text(html)
    assert "The two were marked as not similar on" in text(html)
    assert "Marked by admin on" in text(html)
    admin_client.post(pair_url(item), {"field": "image", "other": twin.pk, "alike": ""})
    assert not Mark.objects.exists()
    assert panel(page(admin_client, change_url(item))).startswith("Twin")


def test_pair__form_of_the_page_has_all_fields(pictures: list[Picture], admin_user: User) -> None:
    item, twin, _other = pictures
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    html = page(client, pair_url(item, twin))
    form = re.findall(r'<form method="post">.*?</form>', html, re.DOTALL)[0]
    data = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
    assert client.post(pair_url(item, twin), data | {"alike": "0"}).status_code == 302
    assert not Mark.objects.get().is_alike
    assert client.post(pair_url(item, twin), {"other": twin.pk, "alike": "1"}).status_code == 403


def test_pair__explains_for_the_admin_and_for_visitors(
    pictures: list[Picture], make_picture: Any, index_now: Any, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, twin, other = pictures
    assert "Visitors are not allowed to see it." in text(page(admin_client, pair_url(item, twin)))
    monkeypatch.setattr(SimilarAdmin, "similar_images_limit", 1, raising=False)
    explanation = text(page(admin_client, pair_url(item, other)))
    assert re.search(r"It ranks at position 2 \(.*%\); only the first match is shown\.", explanation)
    assert "It is listed at position 1" in explanation
    pending = make_picture(7)
    html = page(admin_client, pair_url(item, pending))
    assert "Its image has not been processed yet." in text(html)
    assert "similar-images-parts" not in html, "no method compared the two"


@pytest.mark.parametrize("key", ["999999", "chair", "", "%00"])
def test_pair__of_an_unknown_key_is_an_error(key: str, pictures: list[Picture], admin_client: Client) -> None:
    html = page(admin_client, pair_url(pictures[0], key))
    assert "errorlist" in html
    assert "similar" not in text(html).lower().split()


def test_pair__knows_only_objects_that_the_admin_lists(
    pictures: list[Picture], admin_user: User, rf: RequestFactory
) -> None:
    class PublishedAdmin(SimilarImagesMixin, admin.ModelAdmin):
        def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
            return super().get_queryset(request).filter(published=True)

    def text_about(pk: int) -> str:
        request = rf.get("/", {"other": pk})
        request.user = admin_user
        answer = PublishedAdmin(Picture, site).similar_images_view(request, str(pictures[0].pk))
        return re.sub(r' value="\d+"', "", text(answer.render().content.decode()))

    assert text_about(pictures[1].pk) == text_about(999_999)


@pytest.mark.parametrize("is_permitted_without_object", [True, False])
def test_pair__and_panel__ask_the_permission_of_each_object(
    is_permitted_without_object: bool,
    pictures: list[Picture],
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An object that its admin lists may be closed to a user all the same: it is as if it were missing."""
    item, twin, other = pictures
    for action in ("view", "change"):
        monkeypatch.setattr(
            SimilarAdmin,
            f"has_{action}_permission",
            lambda self, request, obj=None: is_permitted_without_object if obj is None else obj.pk != twin.pk,
        )
    assert "Twin" not in panel(page(admin_client, change_url(item)))
    assert "Other" in page(admin_client, pair_url(item, other))
    closed, missing = (page(admin_client, pair_url(item, pk)) for pk in (twin.pk, 999_999))
    assert text(closed) == text(missing)
    assert "Twin" not in closed
    assert twin.image.url not in closed
    data = {"field": "image", "other": twin.pk, "alike": "1"}
    admin_client.post(pair_url(item), data)
    assert not Mark.objects.exists()
    statuses = {admin_client.get(pair_url(Picture(pk=pk), item.pk)).status_code for pk in (twin.pk, 999_999)}
    assert statuses == {404 if is_permitted_without_object else 403}


def test_pair__marking_needs_the_change_permission(pictures: list[Picture], staff: Any) -> None:
    item, twin, _other = pictures
    client = staff("view_picture")
    assert "Mark as not similar" not in text(page(client, pair_url(item, twin)))
    assert client.post(pair_url(item, twin), {"other": twin.pk, "alike": "0"}).status_code == 403
    assert not Mark.objects.exists()


def test_pair__needs_a_permission(pictures: list[Picture], staff: Any, client: Client) -> None:
    assert client.get(pair_url(pictures[0])).status_code == 302
    page(staff("view_shelf"), pair_url(pictures[0]), status=403)
    page(client, pair_url(Picture(pk=99)), status=403)


def test_pair__of_an_unknown_object_or_field_is_not_found(pictures: list[Picture], admin_client: Client) -> None:
    page(admin_client, pair_url(Picture(pk=99)), status=404)
    page(admin_client, pair_url(pictures[0], field="nope"), status=404)


def test_pair__of_itself_or_an_object_without_image_is_refused(pictures: list[Picture], admin_client: Client) -> None:
    item, bare = pictures[0], Picture.objects.create()
    for other in (item, bare):
        page(admin_client, pair_url(item, other))
        answer = admin_client.post(pair_url(item), {"other": other.pk, "alike": "0"}, follow=True)
        assert "can be marked" in answer.content.decode()


def test_pair__of_text_keys_and_several_fields(index_now: Any, admin_client: Client) -> None:
    for name in ("a/b", 'say "x"?'):
        NamedPicture.objects.create(name=name, image=drawing.file(1))
    couples = [Couple.objects.create(front=drawing.file(1), back=drawing.file(2)) for _ in range(2)]
    index_now()
    html = page(admin_client, "/admin/testapp/namedpicture/a_2Fb/change/")
    (link, _none) = re.findall(r'href="([^"]*/similar-images/\?[^"]*)"', html)
    assert "It is listed at position 1" in text(page(admin_client, link.replace("&amp;", "&")))
    admin_client.post(pair_url(couples[0]), {"field": "back", "other": couples[1].pk, "alike": "0"})
    assert similar_images.similar_to(couples[0], field="back") == []
    assert similar_images.similar_to(couples[0], field="front") != []


def test_pair__takes_few_queries(pictures: list[Picture], admin_client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(13):
        page(admin_client, pair_url(pictures[0], pictures[2]))


def test_marks__are_listed_with_links_and_can_only_be_deleted(pictures: list[Picture], admin_client: Client) -> None:
    item, twin, other = pictures
    similar_images.mark(item, twin, alike=False, user=User.objects.get())
    similar_images.mark(item, other, alike=True)
    url = "/admin/similar_images/mark/"
    html = page(admin_client, url)
    assert f'<a href="{change_url(twin)}">Twin</a>' in html
    assert f'<img src="{twin.image.url}"' in html
    answer = admin_client.get(f"{url}?is_alike__exact=0")
    assert [mark.is_alike for mark in answer.context["cl"].result_list] == [False]
    page(admin_client, f"{url}add/", status=403)
    mark = Mark.objects.get(is_alike=False)
    assert 'name="_save"' not in page(admin_client, f"{url}{mark.pk}/change/")
    admin_client.post(url, {"action": "delete_selected", "_selected_action": [mark.pk], "post": "yes"})
    assert list(Mark.objects.values_list("is_alike", flat=True)) == [True]


def test_marks__are_those_of_two_objects_that_the_user_may_look_at(
    pictures: list[Picture], staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, twin, other = pictures
    for a, b in ((item, twin), (item, other), (other, twin)):
        similar_images.mark(a, b, alike=True)

    def ids() -> list[set[str]]:
        marks = client.get("/admin/similar_images/mark/").context["cl"].result_list
        return [{mark.first_id, mark.second_id} for mark in marks]

    client = staff("view_mark")
    assert ids() == []
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_picture"))
    assert len(ids()) == 3
    monkeypatch.setattr(
        SimilarAdmin,
        "get_queryset",
        lambda self, request: admin.ModelAdmin.get_queryset(self, request).filter(published=True),
        raising=False,
    )
    assert ids() == [{str(item.pk), str(other.pk)}]


# --- the list of records -----------------------------------------------------------------------------------------


@pytest.fixture
def records(make_picture: Any, index_now: Any) -> dict[str, IndexedImage]:
    """A record of every status, and one of another source."""
    objects: dict[str, models.Model] = {
        "indexed": make_picture(1),
        "failed": make_picture(image=ContentFile(b"text", name="text.png")),
        "other": UuidPicture.objects.create(image=drawing.file(2, name="other.png")),
    }
    index_now()
    objects["pending"] = make_picture(3)
    return {name: IndexedImage.objects.get(object_id=str(item.pk)) for name, item in objects.items()}


def listed(client: Client, query: str = "") -> set[int]:
    response = client.get(f"{RECORDS}?{query}")
    assert response.status_code == 200
    return {record.pk for record in response.context["cl"].result_list}


def test_records__list(records: dict[str, IndexedImage], admin_client: Client) -> None:
    html = page(admin_client, RECORDS)
    assert listed(admin_client) == {record.pk for record in records.values()}
    assert "This is not an image in a supported format" in html
    assert "160 × 120" in html
    item = Picture.objects.get(pk=records["indexed"].object_id)
    assert f'<a href="{change_url(item)}">Scene 1</a>' in html
    assert f'<img src="{item.image.url}"' in html
    assert f">UuidPicture object ({records['other'].object_id})<" in html  # the model has no admin here
    assert "Uuid picture: image" in html
    assert "testapp.uuidpicture.image" not in html


def test_records__are_those_of_objects_that_the_user_may_look_at(
    records: dict[str, IndexedImage], staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permission to view records is none to view objects, whose keys, file names and number they tell."""
    client = staff("view_indexedimage")
    assert listed(client) == set()
    assert "\n0 image records" in page(client, RECORDS)
    page(client, f"{RECORDS}{records['indexed'].pk}/change/", status=302)
    user = User.objects.get()
    user.user_permissions.add(Permission.objects.get(codename="view_uuidpicture"))
    assert listed(client) == {records["other"].pk}
    user.user_permissions.add(Permission.objects.get(codename="change_picture"))
    assert listed(client) == {record.pk for record in records.values()}
    monkeypatch.setattr(
        SimilarAdmin,
        "get_queryset",
        lambda self, request: admin.ModelAdmin.get_queryset(self, request).exclude(pk=records["failed"].object_id),
        raising=False,
    )
    assert listed(client) == {records[name].pk for name in ("indexed", "other", "pending")}


def test_records__list_links_to_records_and_objects(records: dict[str, IndexedImage], admin_client: Client) -> None:
    """HTML allows no link within a link."""
    record = records["indexed"]
    html = page(admin_client, RECORDS)
    assert re.search(rf'<a href="{RECORDS}{record.pk}/change/[^"]*"><img [^>]+> Picture: image</a>', html)
    assert re.search(rf'<t[dh][^>]*><a href="/admin/testapp/picture/{record.object_id}/change/">[^<]+</a></t', html)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status__exact=failed", {"failed"}),
        ("status__exact=pending", {"pending"}),
        ("status__exact=indexed", {"indexed", "other"}),
        ("source__id__exact={source}", {"other"}),
        ("q=scene1", {"indexed"}),
        ("q={sha256}", {"indexed"}),
        ("q={object_id}", {"other"}),
        ("q=nothing", set()),
    ],
)
def test_records__filters_and_search(
    query: str, names: set[str], records: dict[str, IndexedImage], admin_client: Client
) -> None:
    query = query.format(
        source=records["other"].source_id, sha256=records["indexed"].sha256, object_id=records["other"].object_id
    )
    assert listed(admin_client, query) == {records[name].pk for name in names}


def test_records__page_shows_all_fields_read_only(records: dict[str, IndexedImage], admin_client: Client) -> None:
    record = records["failed"]
    html = page(admin_client, f"{RECORDS}{record.pk}/change/")
    assert record.error.split(" (")[0] in html
    assert record.file_name in html
    assert not re.search(r"<(input|select|textarea)[^>]* name=\"(status|error|file_name|source|object_id)\"", html)
    assert 'name="_save"' not in html
    page(admin_client, RECORDS)
    answer = admin_client.post(f"{RECORDS}{record.pk}/change/", {"status": "indexed", "error": ""})
    assert answer.status_code == 403
    record.refresh_from_db()
    assert record.status == "failed"


def test_records__no_add_no_delete(records: dict[str, IndexedImage], admin_client: Client) -> None:
    page(admin_client, f"{RECORDS}add/", status=403)
    page(admin_client, f"{RECORDS}{records['failed'].pk}/delete/", status=403)
    html = page(admin_client, RECORDS)
    assert "delete_selected" not in html
    assert f"{RECORDS}add/" not in html
    admin_client.post(RECORDS, {"action": "delete_selected", "_selected_action": [records["failed"].pk], "post": "yes"})
    assert IndexedImage.objects.count() == len(records)


def test_records__index_again(
    records: dict[str, IndexedImage],
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    notifications: list[int] = []
    monkeypatch.setattr(notify, "notify_workers", lambda: notifications.append(1))
    again = [records["indexed"], records["failed"]]
    before = list(Signature.objects.filter(record__in=again).values_list("pk", flat=True))
    assert before
    with django_capture_on_commit_callbacks(execute=True):
        response = admin_client.post(
            RECORDS, {"action": "index_again", "_selected_action": [record.pk for record in again]}, follow=True
        )
    assert "2 images will be indexed again." in response.content.decode()
    assert notifications == [1]
    for record in again:
        record.refresh_from_db()
        assert (record.status, record.error, record.attempts) == ("pending", "", 0)
    assert list(Signature.objects.filter(record__in=again).values_list("pk", flat=True)) == before
    records["other"].refresh_from_db()
    assert records["other"].status == "indexed"
    response = admin_client.post(
        RECORDS, {"action": "index_again", "_selected_action": [records["other"].pk]}, follow=True
    )
    assert "1 image will be indexed again." in response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_records__index_again_waits_for_no_locked_record(
    make_picture: Any, admin_client: Client, lock_records: Any
) -> None:
    busy, free = make_picture(1), make_picture(2)
    IndexedImage.objects.update(status="failed")
    pks = list(IndexedImage.objects.values_list("pk", flat=True))
    with lock_records(busy):
        answer = admin_client.post(RECORDS, {"action": "index_again", "_selected_action": pks}, follow=True)
    assert "1 image will be indexed again." in answer.content.decode()
    assert IndexedImage.objects.get(status="pending").object_id == str(free.pk)


def test_records__index_again_needs_the_change_permission(records: dict[str, IndexedImage], staff: Any) -> None:
    client = staff("change_indexedimage", "view_picture")
    assert "index_again" in page(client, RECORDS)
    client.post(RECORDS, {"action": "index_again", "_selected_action": [records["failed"].pk]})
    records["failed"].refresh_from_db()
    assert records["failed"].status == "pending"
    page(client, f"{RECORDS}{records['failed'].pk}/change/")


def test_records__index_again_all_of_a_filtered_list(records: dict[str, IndexedImage], admin_client: Client) -> None:
    data = {"action": "index_again", "_selected_action": [records["failed"].pk], "select_across": "1"}
    admin_client.post(f"{RECORDS}?status__exact=failed&q=text", data)
    assert set(IndexedImage.objects.filter(status="pending")) == {records["failed"], records["pending"]}


def test_records__view_only_users(records: dict[str, IndexedImage], staff: Any) -> None:
    client = staff("view_indexedimage", "view_picture")
    html = page(client, RECORDS)
    assert "index_again" not in html
    client.post(RECORDS, {"action": "index_again", "_selected_action": [records["failed"].pk]})
    records["failed"].refresh_from_db()
    assert records["failed"].status == "failed"


def test_records__of_a_removed_source(admin_client: Client) -> None:
    source = Source.objects.create(app_label="gone", model="thing", field="photo")
    IndexedImage.objects.create(source=source, object_id="77", file_name="a.png")
    html = page(admin_client, RECORDS)
    assert "gone.thing.photo (no longer registered)" in html
    assert ">77<" in html


def test_records__links_of_text_keys(index_now: Any, admin_client: Client) -> None:
    NamedPicture.objects.create(name="scan_5Fa", image=drawing.file(1))
    index_now()
    (link,) = re.findall(r'<a href="(/admin/testapp/[^"]+)">[^<]*scan_5Fa\)<', page(admin_client, RECORDS))
    assert "scan_5Fa" in page(admin_client, link)


def test_records__as_many_queries_for_many(
    make_picture: Any, admin_client: Client, django_assert_num_queries: Any
) -> None:
    for count in (1, 12):
        for seed in range(count):
            make_picture(seed)
        with django_assert_num_queries(13):
            page(admin_client, RECORDS)


def test_panel__as_many_queries_for_many(
    mean_method: None, make_picture: Any, index_now: Any, admin_client: Client, django_assert_num_queries: Any
) -> None:
    item = make_picture(0)
    page(admin_client, change_url(item))  # content types are read once
    for count in (1, 11):
        for seed in range(count):
            make_picture(seed)
        index_now()
        with django_assert_num_queries(11):
            page(admin_client, change_url(item))

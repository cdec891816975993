"""The panel of similar items: of owners, of rows of inlines, with near-duplicates, and marks with undo."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.http import HttpRequest
from django.test import Client
from django.urls import include, path
from PIL import Image

import similar_images
from similar_images.admin import IndexedImageAdmin, MarkAdmin, SimilarImagesMixin
from similar_images.models import IndexedImage, Mark, Signature
from tests import drawing
from tests.testapp.models import Couple, Item, Photo, Picture

pytestmark = pytest.mark.django_db


class PhotoInline(SimilarImagesMixin, admin.TabularInline):
    model = Photo
    extra = 1


class StackedPhotoInline(SimilarImagesMixin, admin.StackedInline):
    model = Photo
    fields = ["image"]
    extra = 0


class ItemAdmin(SimilarImagesMixin, admin.ModelAdmin):
    inlines = [PhotoInline]


class PhotoAdmin(SimilarImagesMixin, admin.ModelAdmin):
    pass


class PictureAdmin(SimilarImagesMixin, admin.ModelAdmin):
    search_fields = ["title"]


class CoupleAdmin(SimilarImagesMixin, admin.ModelAdmin):
    pass


def make_site(name: str, *admins: tuple[Any, Any]) -> admin.AdminSite:
    site = admin.AdminSite(name)
    for model, model_admin in [*admins, (Mark, MarkAdmin), (IndexedImage, IndexedImageAdmin)]:
        site.register(model, model_admin)
    return site


shop = make_site("shop", (Item, ItemAdmin), (Picture, PictureAdmin), (Couple, CoupleAdmin))
archive = make_site(
    "archive",
    (Item, type("Plain", (admin.ModelAdmin,), {"fields": ["name"], "inlines": [StackedPhotoInline]})),
    (Photo, PhotoAdmin),
)
plain = make_site(
    "plain", (Item, type("Plain", (admin.ModelAdmin,), {"fields": ["name"], "inlines": [StackedPhotoInline]}))
)

urlpatterns = [
    path("shop/", shop.urls),
    path("archive/", archive.urls),
    path("plain/", plain.urls),
    path("similar-images/", include("similar_images.urls")),
]


@pytest.fixture(autouse=True)
def _site(configure: Any, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})


def photograph(item: Item, seed: int) -> Photo:
    return Photo.objects.create(item=item, image=drawing.file(seed, name=f"{item.name}{seed}.png"))


@pytest.fixture
def items(index_now: Any) -> list[Item]:
    """Two items with the same two photos, a hidden one with the first of them, and one without photos."""
    made = [
        Item.objects.create(name="Oak"),
        Item.objects.create(name="Elm"),
        Item.objects.create(name="Ash", published=False),
        Item.objects.create(name="Bare"),
    ]
    for item, seeds in zip(made, [(1, 2), (1, 2), (1,), ()], strict=True):
        for seed in seeds:
            photograph(item, seed)
    index_now()
    return made


def page(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status, url
    return response.content.decode()


def change_url(item: Any, site: str = "shop") -> str:
    return f"/{site}/testapp/{item._meta.model_name}/{item.pk}/change/"


def panels(html: str) -> list[str]:
    """Return the HTML of every panel on a page."""
    return html.split('<div class="similar-images similar-images-admin">')[1:]


def links(html: str) -> list[tuple[str, str]]:
    """Return the address and the title of every item."""
    pattern = r'<a href="([^"]+)">\s*<img [^>]+>\s*<span class="similar-images-title">(.*?)</span>'
    return re.findall(pattern, html)


# --- owners -------------------------------------------------------------------------------------------------------


def test_panel__of_an_owner_shows_similar_owners(items: list[Item], admin_client: Client) -> None:
    """Each comes once, by all its images, also those that visitors may not see."""
    oak, elm, ash, _bare = items
    html = panels(page(admin_client, change_url(oak)))[0]
    assert links(html) == [(change_url(elm), "Item Elm"), (change_url(ash), "Item Ash")]


def test_panel__of_an_owner_without_images_says_so(items: list[Item], admin_client: Client) -> None:
    (html,) = panels(page(admin_client, change_url(items[3])))
    assert "This item has no image yet." in html


def test_panel__of_an_owned_image_links_to_images_and_owners(items: list[Item], admin_client: Client) -> None:
    oak, elm, ash, _bare = items
    photo = oak.photos.get(image__contains="Oak1")
    html = page(admin_client, change_url(photo, "archive"))
    twin = elm.photos.get(image__contains="Elm1")
    assert (change_url(twin, "archive"), "Item Elm") in links(html)
    assert (change_url(ash.photos.get(), "archive"), "Item Ash") in links(html)
    assert f'href="{change_url(elm, "archive")}" aria-label="Item: Item Elm"' in html


def test_panel__of_an_image_without_an_owner(items: list[Item], index_now: Any, admin_client: Client) -> None:
    orphan = Photo.objects.create(image=drawing.file(1, name="orphan.png"))
    index_now()
    assert (change_url(orphan, "archive"), str(orphan)) in links(
        page(admin_client, change_url(items[0].photos.earliest("pk"), "archive"))
    )
    assert len(links(page(admin_client, change_url(orphan, "archive")))) == 3


def test_panel__hides_owners_that_the_admin_does_not_list(
    items: list[Item], admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    oak, _elm, ash, _bare = items
    base = admin.ModelAdmin.get_queryset
    monkeypatch.setattr(ItemAdmin, "get_queryset", lambda self, request: base(self, request).exclude(name="Elm"))
    html = page(admin_client, change_url(oak))
    assert "Item Elm" not in html
    assert (change_url(ash), "Item Ash") in links(html)


def test_pair__of_owners_is_marked_by_all_their_images(items: list[Item], admin_client: Client) -> None:
    """One pair of images alone would let the next one bring the owner back."""
    oak, elm, _ash, _bare = items
    html = panels(page(admin_client, change_url(oak)))[0]
    (url,) = {link.replace("&amp;", "&") for link in re.findall(rf'href="([^"]*other={elm.pk})"', html)}
    assert "It is listed at position 1 (100.0%)." in page(admin_client, url)
    answer = admin_client.post(url, {"other": elm.pk, "alike": "0"}, follow=True)
    assert answer.redirect_chain == [(change_url(oak), 302)]
    html = answer.content.decode()
    assert "Item Elm" not in panels(html)[0]
    assert "Item Oak" not in panels(page(admin_client, change_url(elm)))[0]
    undo(admin_client, html)
    assert not Mark.objects.exists()
    assert "Item Elm" in panels(page(admin_client, change_url(oak)))[0]


def undo(client: Client, html: str) -> str:
    """Send the form of the message after a mark, as a browser does; return the page that follows."""
    (form,) = re.findall(r'<form class="similar-images-undo".*?</form>', html, re.DOTALL)
    (action,) = re.findall(r'action="([^"]*)"', form)
    fields = re.findall(r'name="([^"]+)" value="([^"]*)"', form)
    answer = client.post(action.replace("&amp;", "&"), dict(fields), follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


# --- inlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["shop", "plain"])
def test_inline__shows_the_similar_items_of_each_row(site: str, items: list[Item], admin_client: Client) -> None:
    oak, elm, ash, _bare = items
    *_own, first, second = panels(page(admin_client, change_url(oak, site)))
    assert links(first) == [(change_url(elm, site), "Item Elm"), (change_url(ash, site), "Item Ash")]
    assert links(second)[0] == (change_url(elm, site), "Item Elm")
    page(admin_client, f"/{site}/testapp/item/add/")


def test_inline__row_is_marked_on_a_page_of_its_own(items: list[Item], admin_client: Client) -> None:
    """The model of the photos has no admin, and that of their owner no mixin."""
    oak, elm, *_others = items
    first, *_rest = panels(page(admin_client, change_url(oak, "plain")))
    twin = elm.photos.get(image__contains="Elm1")
    (url,) = {link.replace("&amp;", "&") for link in re.findall(rf'href="([^"]*other={twin.pk})"', first)}
    assert "It is listed at position 1" in page(admin_client, url)
    answer = admin_client.post(url, {"other": twin.pk, "alike": "0"}, follow=True)
    assert answer.redirect_chain == [(change_url(oak, "plain"), 302)]
    mark = Mark.objects.get()
    assert str(twin.pk) in (mark.first_id, mark.second_id)


def test_inline__takes_as_many_queries_for_many_rows(
    items: list[Item], index_now: Any, admin_client: Client, django_assert_num_queries: Any
) -> None:
    page(admin_client, change_url(items[0], "plain"))
    for seed in range(3, 9):
        photograph(items[2], seed)
    index_now()
    for item in items[1:3]:
        with django_assert_num_queries(13):
            page(admin_client, change_url(item, "plain"))


def test_inline__saves_rows(items: list[Item], admin_client: Client) -> None:
    bare = items[3]
    management = {f"photos-{name}": value for name, value in [("TOTAL_FORMS", 1), ("INITIAL_FORMS", 0)]}
    data = {"name": "Bare", **management, "photos-0-image": drawing.file(5)}
    assert admin_client.post(change_url(bare, "plain"), data).status_code == 302
    assert bare.photos.count() == 1


# --- near-duplicates ------------------------------------------------------------------------------------------------


def test_panel__folds_near_duplicates_which_open(
    make_picture: Any, index_now: Any, configure: Any, admin_client: Client
) -> None:
    """They are those that the shop folds."""
    configure(NEAR_DUPLICATE_THRESHOLD=98)
    item = make_picture(1)
    twins = [
        make_picture(1, title=f"Twin {number}", image=drawing.file(1, name=f"{number}.png")) for number in range(3)
    ]
    other = make_picture(2)
    index_now()
    (match, *_rest) = similar_images.similar_to(item)
    assert (match.object, match.folded) == (twins[0], 2)
    html = page(admin_client, change_url(item))
    shown, opened = html.split('<details class="similar-images-opened">')
    assert [url for url, _title in links(shown)] == [change_url(twins[0]), change_url(other)]
    assert "<summary>2 near-duplicates of Twin 0</summary>" in opened
    assert links(opened) == [(change_url(twin), twin.title) for twin in twins[1:]]


def test_panel__counts_no_near_duplicates_that_the_user_may_not_see(
    make_picture: Any, index_now: Any, configure: Any, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(NEAR_DUPLICATE_THRESHOLD=98)
    item, *twins = [make_picture(1, title=f"T{n}", image=drawing.file(1, name=f"{n}.png")) for n in range(4)]
    index_now()
    for action in ("view", "change"):
        monkeypatch.setattr(
            PictureAdmin, f"has_{action}_permission", lambda self, request, obj=None: obj != twins[2], raising=False
        )
    html = page(admin_client, change_url(item))
    assert "<summary>1 near-duplicate of T1</summary>" in html
    assert "T3" not in html


# --- the page on a pair ---------------------------------------------------------------------------------------------


def pair_url(item: Any, query: str = "") -> str:
    return f"/shop/testapp/{item._meta.model_name}/{item.pk}/similar-images/?field=image{query}"


def test_pair__asks_for_another_object_by_the_autocomplete_of_the_admin(
    make_picture: Any, admin_client: Client
) -> None:
    item, other = make_picture(1), make_picture(2)
    html = page(admin_client, pair_url(item))
    assert "admin-autocomplete" in html
    assert "admin/js/autocomplete.js" in html
    (url,) = re.findall(r'data-ajax--url="([^"]*)"', html)
    answer = admin_client.get(url.replace("&amp;", "&"), {"term": "Scene", "field": "image"}).json()
    assert answer == {"results": [{"id": str(other.pk), "text": "Scene 2"}], "pagination": {"more": False}}


def test_pair__offers_images_to_choose_from_without_javascript(
    make_picture: Any, items: list[Item], admin_client: Client
) -> None:
    item, other = make_picture(1), make_picture(2)
    html = page(admin_client, pair_url(item, "&q=scene"))
    assert links(html) == [(f"?field=image&amp;other={other.pk}", "Scene 2")]
    assert links(page(admin_client, pair_url(item, "&q=nothing"))) == []
    html = page(admin_client, pair_url(items[0]).replace("=image", "=testapp.Photo.image"))
    assert 'name="q"' not in html, "its admin can't search"
    assert [title for _url, title in links(html)] == ["Ash", "Elm"]


def test_pair__offers_only_objects_that_the_user_may_view(
    make_picture: Any, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, other, hidden = make_picture(1), make_picture(2), make_picture(3)
    for action in ("view", "change"):
        monkeypatch.setattr(
            PictureAdmin, f"has_{action}_permission", lambda self, request, obj=None: obj != hidden, raising=False
        )
    assert [title for _url, title in links(page(admin_client, pair_url(item)))] == ["Scene 2"]
    results = admin_client.get(pair_url(item, "&term=scene")).json()["results"]
    assert [result["id"] for result in results] == [str(other.pk)]


@pytest.mark.parametrize("earlier", [None, True, False])
@pytest.mark.parametrize("alike", ["1", "0", ""])
def test_pair__mark_can_be_undone(
    earlier: bool | None, alike: str, make_picture: Any, index_now: Any, admin_client: Client
) -> None:
    item, other = make_picture(1), make_picture(2)
    index_now()
    if earlier is not None:
        similar_images.mark(item, other, alike=earlier)
    verdict = {"1": True, "0": False, "": None}[alike]
    answer = admin_client.post(pair_url(item), {"other": other.pk, "alike": alike}, follow=True)
    assert [mark.is_alike for mark in Mark.objects.all()] == ([] if verdict is None else [verdict])
    html = answer.content.decode()
    if verdict is earlier:
        assert "similar-images-undo" not in html
    else:
        undo(admin_client, html)
        assert [mark.is_alike for mark in Mark.objects.all()] == ([] if earlier is None else [earlier])


def test_pair__undo_is_guarded_against_forged_requests(make_picture: Any, index_now: Any, admin_user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    item, other = make_picture(1), make_picture(2)
    index_now()
    html = page(client, pair_url(item, f"&other={other.pk}"))
    (token,) = set(re.findall(r'name="csrfmiddlewaretoken" value="([^"]*)"', html[html.index("judging") :]))
    data = {"other": other.pk, "alike": "0", "csrfmiddlewaretoken": token}
    undo(client, client.post(pair_url(item), data, follow=True).content.decode())
    assert not Mark.objects.exists()


def test_pair__writes_one_date_and_one_full_stop(make_picture: Any, index_now: Any, admin_client: Client) -> None:
    item, other = make_picture(1), make_picture(2)
    index_now()
    similar_images.mark(item, other, alike=False, user=User.objects.get())
    html = page(admin_client, pair_url(item, f"&other={other.pk}"))
    day = re.findall(r"were marked as not similar on (.*?)\.</dd>", html)[0]
    assert f"Marked by admin on {day}</p>" in html
    assert ".." not in re.sub("<[^>]+>", "", html.split("judging", 1)[1])


# --- several fields, and pages that are none of an object ------------------------------------------------------------


def test_panel__of_a_couple_marks_each_field(index_now: Any, admin_client: Client) -> None:
    first, second = [Couple.objects.create(front=drawing.file(1), back=drawing.file(2)) for _number in range(2)]
    index_now()
    front, back = panels(page(admin_client, change_url(first)))
    assert [url for url, _title in links(front)] == [url for url, _title in links(back)] == [change_url(second)]
    url = f"/shop/testapp/couple/{first.pk}/similar-images/?field=back"
    admin_client.post(url, {"other": second.pk, "alike": "0"})
    front, back = panels(page(admin_client, change_url(first)))
    assert (len(links(front)), len(links(back))) == (1, 0)


def test_panel__in_a_list_is_empty(make_picture: Any, admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_picture(1)
    monkeypatch.setattr(PictureAdmin, "list_display", ["title", "similar_images"], raising=False)
    page(admin_client, "/shop/testapp/picture/")


def test_panel__of_an_object_whose_admin_finds_it_by_itself(
    make_picture: Any, index_now: Any, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, _twin = make_picture(1), make_picture(1, image=drawing.file(1, name="twin.png"))
    index_now()

    def get_object(self: Any, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        return Picture.objects.get(pk=object_id)

    monkeypatch.setattr(PictureAdmin, "get_object", get_object, raising=False)
    assert len(links(page(admin_client, change_url(item)))) == 1


def test_inline__needs_the_permission_to_see_images(items: list[Item], client: Client) -> None:
    user = User.objects.create(username="clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_item"))
    client.force_login(user)
    html = page(client, change_url(items[0]))
    assert links(html) == []
    assert ".png" not in html
    user.user_permissions.add(Permission.objects.get(codename="view_photo"))
    assert len(links(page(client, change_url(items[0])))) > 2


# --- what is shown, and what is said of it ----------------------------------------------------------------------------


def test_panel__shows_what_the_list_shows(
    make_picture: Any, index_now: Any, configure: Any, admin_client: Client
) -> None:
    """The minimum similarity is that of pages for both."""
    black, gray, white = (
        make_picture(title=str(level), image=drawing.ContentFile(drawing.encoded(flat(level)), name=f"{level}.png"))
        for level in (0, 20, 255)
    )
    index_now()
    for least, shown in ((0, [gray, white]), (50, [gray])):
        configure(MIN_SIMILARITY={"page": least})
        (panel,) = panels(page(admin_client, change_url(black)))
        listed = admin_client.get(f"/shop/testapp/picture/?similar_to={black.pk}").context["cl"].result_list
        assert [title for _url, title in links(panel)] == [str(item) for item in shown]
        assert [item for item in listed if item != black] == shown
        assert ("Shown are items that are at least 50% similar." in panel) == (least > 0)
    configure(MIN_SIMILARITY={"page": 100})
    (panel,) = panels(page(admin_client, change_url(black)))
    assert "No items are at least 100% similar." in panel


def flat(level: int) -> Image.Image:
    return Image.new("RGB", (8, 8), (level, level, level))


def test_panel__tells_that_an_image_is_too_plain(make_picture: Any, index_now: Any, admin_client: Client) -> None:
    plain, detailed = make_picture(1), make_picture(2)
    index_now()
    Signature.primary.filter(record__object_id=str(plain.pk)).update(low_detail=True)
    text = "This image is too plain to tell apart"
    assert text in page(admin_client, change_url(plain))
    assert text not in page(admin_client, change_url(detailed))


def test_inline__of_a_table_is_one_line_until_it_is_opened(items: list[Item], admin_client: Client) -> None:
    rows = [panel for panel in panels(page(admin_client, change_url(items[0]))) if "similar-images-compact" in panel]
    assert len(rows) == 2
    assert all(re.search(r"<summary>\d similar items?, (up to )?\d+%</summary>", panel) for panel in rows)
    assert "similar-images-compact" not in page(admin_client, change_url(items[0], "plain"))


@pytest.mark.parametrize("alike", [True, False])
def test_marks__are_named_before_they_are_deleted(make_picture: Any, admin_client: Client, alike: bool) -> None:
    first, second = make_picture(1, title="Oak chair"), make_picture(2, title="Elm chair")
    similar_images.mark(first, second, alike=alike)
    mark = Mark.objects.get()
    said = f"Oak chair and Elm chair are {'' if alike else 'not '}similar"
    assert page(admin_client, f"/shop/similar_images/mark/{mark.pk}/delete/").count(said) == 3  # also in breadcrumbs
    data = {"action": "delete_selected", "_selected_action": mark.pk}
    assert said in admin_client.post("/shop/similar_images/mark/", data).content.decode()

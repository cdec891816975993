"""The notice about a file that is chosen in the admin, before it is saved and right after."""

from __future__ import annotations

import gc
import hashlib
import os
import re
import signal
from html import unescape
from typing import Any

import psutil
import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.admin import GenericTabularInline
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.http import HttpRequest
from django.test import Client
from django.urls import path
from PIL import Image

from similar_images.admin import SimilarImagesMixin, saved_uploads
from similar_images.admin.upload_notice import MAX_COUNTED
from similar_images.checks import surfaces
from similar_images.imaging.decoders import get_pool
from tests import drawing
from tests.databases import ALIAS
from tests.items import save_image
from tests.methods import Mean
from tests.testapp.models import Attachment, Item, Photo, Picture

pytestmark = pytest.mark.django_db


class Plain(Mean):
    """Finds too little detail in every image."""

    def has_low_detail(self, value: Any) -> bool:
        return True


class PictureAdmin(SimilarImagesMixin, admin.ModelAdmin):
    fields = ["title", "image"]


class PhotoInline(admin.TabularInline):
    model = Photo
    extra = 1


class ItemAdmin(SimilarImagesMixin, admin.ModelAdmin):
    fields = ["name"]
    inlines = [PhotoInline]


class ByObject(PictureAdmin):
    """Shows single objects, as with django-guardian."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or request.user.has_perm("testapp.view_picture", obj)

    has_change_permission = has_view_permission


class ByTitle(PictureAdmin):
    """Shows single objects by a rule of the project, and lists none of the secret ones."""

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).exclude(title="Secret")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or obj.title == "Open"

    has_change_permission = has_view_permission


def _make_site(name: str, picture_admin: Any = PictureAdmin, *, has_photos: bool = False) -> Any:
    site = admin.AdminSite(name)
    site.register(Picture, picture_admin)
    site.register(Item, ItemAdmin)
    if has_photos:
        site.register(Photo)
    return site


urlpatterns = [
    path("admin/", _make_site("admin").urls),
    path("by-object/", _make_site("by-object", ByObject).urls),
    path("by-title/", _make_site("by-title", ByTitle).urls),
    path("photos/", _make_site("photos", has_photos=True).urls),
]

PICTURES, ITEMS = "testapp/picture/", "testapp/item/"


@pytest.fixture(autouse=True)
def _site(configure: Any, settings: Any, mean_method: None) -> None:
    settings.ROOT_URLCONF = __name__
    configure(NEAR_DUPLICATE_THRESHOLD=85)


@pytest.fixture
def staff(client: Client) -> Any:
    """A client of someone of the staff with these permissions."""

    def staff(*codenames: str) -> Client:
        user = User.objects.create(username="staff", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)
        return client

    return staff


@pytest.fixture
def known(index_now: Any) -> list[Picture]:
    """A red image, twice, a larger one of nearly the same red, and a blue one."""
    made = [
        save_image(Image.new("RGB", (80, 60), (200, 20, 20)), "Red"),
        save_image(Image.new("RGB", (80, 60), (200, 20, 20)), "Red again"),
        save_image(Image.new("RGB", (160, 120), (202, 20, 20)), "Reddish"),
        save_image(Image.new("RGB", (80, 60), (20, 20, 200)), "Blue"),
    ]
    index_now()
    return made


def red() -> SimpleUploadedFile:
    return drawing.upload(1, drawing.encoded(Image.new("RGB", (80, 60), (200, 20, 20))))


def notice_url(page: str, field: str = "testapp.picture.image", obj: Any = None, site: str = "admin") -> str:
    return f"/{site}/{page}similar-images/notice/?field={field}" + (f"&object={obj.pk}" if obj else "")


def ask(client: Client, url: str, file: Any = None, **data: Any) -> str:
    """Return the words of a notice."""
    response = client.post(url, {"image": file or red(), **data})
    assert response.status_code == 200, response.status_code
    return re.sub(r"\s+", " ", unescape(re.sub("<[^>]+>", " ", response.content.decode()))).strip()


PHOTOS = notice_url(ITEMS, "testapp.photo.image")
FOUND = "You already have this image: 2 copies. 1 more looks almost the same. The largest is 160 × 120 pixels."


# --- what it says ------------------------------------------------------------------------------------------------


def test_notice__tells_the_same_files_and_what_looks_almost_the_same(known: Any, admin_client: Client) -> None:
    text = ask(admin_client, notice_url(PICTURES))
    assert text.startswith(FOUND)
    rows = re.findall(r"(Red again|Reddish|Red) \(opens in a new tab\) (Same file|\d+% similar) · (\d+ × \d+)", text)
    assert [row[0] for row in rows] == ["Red", "Red again", "Reddish"]
    assert [row[1] for row in rows[:2]] == ["Same file"] * 2
    assert rows[2][1:] == ("99% similar", "160 × 120") or rows[2][1].endswith("% similar")
    assert "Blue" not in text
    assert text.endswith("You can still save your file.")


def test_notice__links_to_what_is_there(known: Any, admin_client: Client) -> None:
    html = admin_client.post(notice_url(PICTURES), {"image": red()}).content.decode()
    assert f'href="/admin/testapp/picture/{known[0].pk}/change/"' in html
    assert f'src="{known[0].image.url}"' in html
    assert "<script" not in html
    assert "style=" not in html


def test_notice__of_a_smaller_image_with_the_hash_of_the_file(known: Any, admin_client: Client) -> None:
    """The script sends those of a large file."""
    smaller = drawing.upload(1, drawing.encoded(Image.new("RGB", (40, 30), (200, 20, 20)), "JPEG"))
    digest = hashlib.sha256(red().read()).hexdigest()
    assert ask(admin_client, notice_url(PICTURES), smaller, sha256=digest).startswith(FOUND)
    assert ask(admin_client, notice_url(PICTURES), "no file", sha256=digest).startswith(FOUND.partition(" 1 more")[0])
    smaller.seek(0)
    text = ask(admin_client, notice_url(PICTURES), smaller, sha256="%")
    assert text.startswith("This looks almost the same as 3 images")


def test_notice__says_nothing_of_a_new_image(known: Any, admin_client: Client) -> None:
    green = drawing.encoded(Image.new("RGB", (80, 60), (20, 200, 20)))
    assert ask(admin_client, notice_url(PICTURES), drawing.upload(1, green)) == ""


def test_notice__of_a_near_duplicate_alone(known: Any, admin_client: Client) -> None:
    blue = drawing.encoded(Image.new("RGB", (80, 60), (20, 20, 202)))
    text = ask(admin_client, notice_url(PICTURES), drawing.upload(1, blue))
    assert text.startswith("This looks almost the same as an image that you already have. Blue")


def test_notice__does_not_speak_of_the_object_that_is_changed(known: Any, admin_client: Client) -> None:
    text = ask(admin_client, notice_url(PICTURES, obj=known[0]))
    assert text.startswith("You already have this image. 1 more looks almost the same.")
    assert "Red again" in text


def test_notice__counts_up_to_a_number(make_picture: Any, index_now: Any, admin_client: Client) -> None:
    for number in range(MAX_COUNTED + 2):
        make_picture(1, title=f"Copy {number}")
    index_now()
    text = ask(admin_client, notice_url(PICTURES), drawing.upload(1))
    assert text.startswith(f"You already have this image: {MAX_COUNTED}+ copies. Copy 0")
    assert text.count("Same file") == 6


def test_notice__takes_as_many_queries_whatever_is_found(
    known: Any, admin_client: Client, django_assert_num_queries: Any
) -> None:
    ask(admin_client, notice_url(PICTURES))
    with django_assert_num_queries(11):
        ask(admin_client, notice_url(PICTURES))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"text", "This is not an image in a supported format (JPEG, PNG, GIF, WEBP, AVIF, TIFF, BMP, HEIC)."),
        (b"\x89PNG\r\n\x1a\n broken", "The image is damaged"),
    ],
)
def test_notice__explains_calmly_what_can_not_be_read(data: bytes, sentence: str, admin_client: Client) -> None:
    assert sentence in ask(admin_client, notice_url(PICTURES), drawing.upload(1, data)) or data != b"text"


def test_notice__of_an_image_that_is_too_plain_to_tell_apart(known: Any, admin_client: Client, configure: Any) -> None:
    configure(METHODS={f"{__name__}.Plain": {}}, RANKING={"mean": 1})
    text = ask(admin_client, notice_url(PICTURES), drawing.upload(7))
    assert text == "This image is too plain to be told apart from others."


def test_notice__of_an_image_that_is_too_large(known: Any, admin_client: Client, configure: Any) -> None:
    configure(SEARCH_MAX_PIXELS=100)
    text = ask(admin_client, notice_url(PICTURES), drawing.upload(7))
    assert text == (
        "You can save this image, but we can't check it for copies first: it has more than 100 pixels. "
        "If it has more than 80,000,000 pixels, it won't be found as a similar image either."
    )
    configure(SEARCH_MAX_BYTES=50)
    response = admin_client.post(notice_url(PICTURES), {"image": red(), "more": "x" * 1_000_100})
    assert response.status_code == 413
    assert "This file is too large to look for copies before it is saved." in response.content.decode()


def test_notice__tells_the_same_files_when_much_has_been_asked(
    known: Any, admin_client: Client, configure: Any
) -> None:
    configure(COSTLY_RATES={"authenticated": "0/hour"})
    text = ask(admin_client, notice_url(PICTURES))
    assert text.startswith("You already have this image: 2 copies. Red")
    assert text.endswith("We could not look for images that are almost the same right now.")


# --- owners and inlines ------------------------------------------------------------------------------------------


@pytest.fixture
def chair(index_now: Any) -> Item:
    item = Item.objects.create(name="Oak chair")
    Photo.objects.create(item=item, image=red())
    index_now()
    return item


@pytest.mark.parametrize("site", ["admin", "photos"])
def test_notice__speaks_of_the_owner(chair: Item, admin_client: Client, site: str) -> None:
    text = ask(admin_client, notice_url(ITEMS, "testapp.photo.image", site=site))
    assert text.startswith("You already have this image on Item Oak chair. On Item Oak chair")
    html = admin_client.post(notice_url(ITEMS, "testapp.photo.image", site=site), {"image": red()}).content.decode()
    page = f"photo/{chair.photos.get().pk}" if site == "photos" else f"item/{chair.pk}"
    assert f'href="/{site}/testapp/{page}/change/"' in html


def test_notice__does_not_speak_of_the_row_that_is_changed(chair: Item, admin_client: Client) -> None:
    url = notice_url(ITEMS, "testapp.photo.image", chair)
    assert ask(admin_client, url, item=chair.photos.get().pk) == ""
    assert ask(admin_client, url, item="").startswith("You already have this image on")
    assert ask(admin_client, url, item="x").startswith("You already have this image on")


def test_page__names_the_address_of_the_notice_in_its_inputs(chair: Item, admin_client: Client) -> None:
    html = unescape(admin_client.get(f"/admin/{ITEMS}{chair.pk}/change/").content.decode())
    inputs = re.findall(r'<input type="file" name="([^"]+)"[^>]*data-similar-images-notice="([^"]+)"', html)
    url = notice_url(ITEMS, "testapp.photo.image", chair)
    assert inputs == [(f"photos-{number}-image", url) for number in ("0", "1", "__prefix__")]
    assert html.count('data-similar-images-key="id"') == 3
    assert html.count("similar_images/admin-notice.js") == 1
    html = unescape(admin_client.get(f"/admin/{PICTURES}add/").content.decode())
    assert f'data-similar-images-notice="{notice_url(PICTURES)}"' in html


def test_popup__offers_what_is_there(known: Any, admin_client: Client) -> None:
    html = unescape(admin_client.get(f"/admin/{PICTURES}add/?_popup=1&_to_field=id").content.decode())
    url = re.findall(r'data-similar-images-notice="([^"]+)"', html)[0]
    html = admin_client.post(url, {"image": red()}).content.decode()
    assert f'data-similar-images-use="{known[0].pk}" data-similar-images-title="Red"' in html
    other = admin_client.post(url.replace("=id", "=title"), {"image": red()}).content.decode()
    assert "data-similar-images-use" not in other


# --- who may ask, and what is said -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codenames", "page", "status"),
    [
        (["add_picture", "view_picture"], "add", 200),
        (["add_picture"], "add", 200),
        (["view_picture"], "add", 403),
        (["change_picture"], "add", 403),
        (["change_picture"], "change", 200),
        (["view_picture"], "change", 403),
        ([], "add", 403),
    ],
)
def test_notice__is_for_who_may_save(known: Any, staff: Any, codenames: list[str], page: str, status: int) -> None:
    """It shows nothing to who may add, but not view."""
    client = staff(*codenames)
    url = notice_url(PICTURES, obj=known[3] if page == "change" else None)
    response = client.post(url, {"image": red()})
    assert response.status_code == status
    can_view = status == 200 and codenames != ["add_picture"]
    assert ("Red again" in response.content.decode()) == can_view
    assert ("copies" in response.content.decode()) == can_view


def test_notice__is_for_the_fields_of_the_page(known: Any, admin_client: Client) -> None:
    for url in [
        notice_url(PICTURES, "testapp.photo.image"),
        notice_url(PICTURES, "testapp.picture.title"),
        notice_url(PICTURES, ""),
        f"{notice_url(PICTURES)}&object=999999",
        f"{notice_url(PICTURES)}&object=x",
    ]:
        assert admin_client.post(url, {"image": red()}).status_code == 403, url
    assert admin_client.get(notice_url(PICTURES)).status_code == 405
    assert ask(admin_client, notice_url(PICTURES), "no file") == ""


def test_notice__wants_a_login_and_a_token(known: Any, admin_user: Any, client: Client) -> None:
    assert client.post(notice_url(PICTURES), {"image": red()}).status_code == 302
    checked = Client(enforce_csrf_checks=True)
    checked.force_login(admin_user)
    assert checked.post(notice_url(PICTURES), {"image": red()}).status_code == 403
    page = checked.get(f"/admin/{PICTURES}add/").content.decode()
    token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[0]
    assert ask(checked, notice_url(PICTURES), csrfmiddlewaretoken=token).startswith(FOUND)


def test_notice__shows_and_counts_only_what_the_admin_shows(known: Any, index_now: Any, staff: Any) -> None:
    Picture.objects.filter(pk=known[0].pk).update(title="Secret")
    Picture.objects.filter(pk=known[2].pk).update(title="Open")
    client = staff("add_picture", "view_picture")
    text = ask(client, notice_url(PICTURES, site="by-title"))
    assert text.startswith("This looks almost the same as an image that you already have. Open")
    assert "Red again" not in text
    assert "Secret" not in text


@pytest.mark.parametrize(
    ("codenames", "words"),
    [
        (["add_item", "view_item", "add_photo", "view_photo"], "You already have this image on Item Oak chair."),
        (["add_item", "view_item", "add_photo"], ""),
        (["add_item", "add_photo", "view_photo"], ""),
    ],
)
def test_notice__of_an_inline_shows_what_the_pages_of_its_parents_show(
    chair: Item, staff: Any, codenames: list[str], words: str
) -> None:
    text = ask(staff(*codenames), PHOTOS)
    assert text.startswith(words)
    assert bool(text) == bool(words)


def test_notice__of_an_inline_is_for_who_may_save_its_rows(chair: Item, staff: Any) -> None:
    client = staff("change_item", "view_item", "view_photo")
    assert client.post(notice_url(ITEMS, "testapp.photo.image", chair), {"image": red()}).status_code == 403


def test_notice__names_no_owner_that_the_user_may_not_see(chair: Item, staff: Any) -> None:
    client = staff("add_item", "add_photo", "view_photo")
    text = ask(client, notice_url(ITEMS, "testapp.photo.image", site="photos"))
    assert text.startswith("You already have this image. Photo object")
    assert "Oak chair" not in text


def test_notice__with_guardian_shows_and_counts_only_permitted_objects(
    known: Any, assign_perm: Any, staff: Any
) -> None:
    client = staff("add_picture")
    user = User.objects.get(username="staff")
    assert ask(client, notice_url(PICTURES, site="by-object")) == ""
    assign_perm("testapp.view_picture", user, known[1])
    text = ask(client, notice_url(PICTURES, site="by-object"))
    assert text.startswith("You already have this image. Red again")
    assert "almost" not in text


# --- after saving ------------------------------------------------------------------------------------------------


def save(client: Client, file: Any = None, site: str = "admin", **data: Any) -> str:
    """Add a picture; return the message about it."""
    count = Picture.objects.count()
    values = {"title": "New", "image": file or red(), **data}
    response = client.post(f"/{site}/{PICTURES}add/", values, follow=True)
    assert response.status_code == 200
    assert Picture.objects.count() == count + 1
    return message(response)


def message(response: Any) -> str:
    texts = [str(each) for each in response.context["messages"] if each.level_tag == "warning"]
    return " ".join(unescape(re.sub("<[^>]+>", "", text)) for text in texts)


def test_save__tells_what_was_there(known: Any, admin_client: Client) -> None:
    assert save(admin_client) == f"{FOUND} Red, Red again, Reddish (scene1.png)"


def test_save__links_and_escapes(known: Any, admin_client: Client) -> None:
    Picture.objects.filter(pk=known[0].pk).update(title="<b>Red</b>")
    response = admin_client.post(f"/admin/{PICTURES}add/", {"title": "New", "image": red()}, follow=True)
    text = str(next(each for each in response.context["messages"] if each.level_tag == "warning"))
    assert f'<a href="/admin/testapp/picture/{known[0].pk}/change/">&lt;b&gt;Red&lt;/b&gt;</a>' in text


def test_save__is_silent_about_new_images_and_what_the_script_has_told(known: Any, admin_client: Client) -> None:
    assert save(admin_client, drawing.upload(9)) == ""
    assert save(admin_client, **{"similar-images-told": "image"}) == ""
    assert save(admin_client, **{"similar-images-told": "another"}) != ""


def test_save__of_a_form_that_is_refused_tells_nothing(known: Any, admin_client: Client) -> None:
    response = admin_client.post(f"/admin/{PICTURES}add/", {"title": "x" * 100, "image": red()})
    assert response.context["errors"]
    assert message(response) == ""


def test_save__of_a_file_on_disk_tells_what_was_there(known: Any, admin_client: Client, settings: Any) -> None:
    """The storage moves such a file away."""
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0
    assert save(admin_client).startswith(FOUND)
    with Picture.objects.latest("pk").image.open() as stored:
        assert stored.read() == red().read()


def test_save__of_an_unchanged_object_tells_nothing(known: Any, admin_client: Client) -> None:
    url = f"/admin/{PICTURES}{known[0].pk}/change/"
    response = admin_client.post(url, {"title": "Other"}, follow=True)
    assert Picture.objects.get(pk=known[0].pk).title == "Other"
    assert message(response) == ""
    response = admin_client.post(url, {"title": "Other", "image": red()}, follow=True)
    assert message(response).endswith("Red again, Reddish (scene1.png)")


def test_save__tells_of_inlines_and_of_files_chosen_twice(chair: Item, admin_client: Client) -> None:
    data = {"name": "Pine table", "photos-TOTAL_FORMS": 3, "photos-INITIAL_FORMS": 0}
    data |= {"photos-0-image": red(), "photos-1-image": drawing.upload(5), "photos-2-image": drawing.upload(5)}
    response = admin_client.post(f"/admin/{ITEMS}add/", data, follow=True)
    assert Photo.objects.count() == 4
    assert message(response) == (
        "You added the same image 2 times: scene5.png. "
        "You already have this image on Item Oak chair. Item Oak chair (scene1.png)"
    )
    data["similar-images-told"] = ["photos-0-image", "photos-1-image", "photos-2-image"]
    data |= {"photos-0-image": red(), "photos-1-image": drawing.upload(6), "photos-2-image": drawing.upload(6)}
    response = admin_client.post(f"/admin/{ITEMS}add/", data, follow=True)
    assert message(response) == "You added the same image 2 times: scene6.png."


def test_save__tells_only_what_the_admin_shows(known: Any, staff: Any) -> None:
    client = staff("add_picture")
    assert save(client) == ""


# --- it never holds up or fails a save ---------------------------------------------------------------------------


def test_save__while_the_tables_of_signatures_are_locked(
    transactional_db: None, known: Any, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statements of the search time out; what was said before remains."""
    monkeypatch.setattr(saved_uploads, "MAX_SECONDS", 0.2)
    other = connections.create_connection(ALIAS)
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK similar_images_signature IN ACCESS EXCLUSIVE MODE")
        assert save(admin_client) == "You already have this image: 2 copies. Red, Red again (scene1.png)"
    finally:
        other.rollback()
        other.close()
    assert save(admin_client).startswith("You already have this image: 2 copies. 1 more")


@pytest.mark.parametrize("is_atomic", [False, True])
def test_save__in_a_transaction_that_a_failing_statement_would_break(
    known: Any, admin_client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, is_atomic: bool
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", is_atomic)
    monkeypatch.setattr(saved_uploads, "make_notice", fail)
    assert save(admin_client) == ""
    assert Picture.objects.latest("pk").title == "New"


def test_save__while_the_decoder_is_killed_and_the_cache_is_down(
    known: Any, admin_client: Client, settings: Any, configure: Any
) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    }
    configure(COSTLY_RATES={"authenticated": "9/hour"})
    get_pool().decode(red().read(), 10_000)
    for child in psutil.Process(os.getpid()).children(recursive=True):
        if "decoder.program" in " ".join(child.cmdline()):
            child.send_signal(signal.SIGKILL)
    nearly_red = drawing.encoded(Image.new("RGB", (80, 60), (201, 20, 20)))
    text = "This looks almost the same as 3 images that you already have."
    save(admin_client, drawing.upload(1, nearly_red))
    assert ask(admin_client, notice_url(PICTURES), drawing.upload(1, nearly_red)).startswith(text)


@pytest.mark.parametrize("base", [admin.TabularInline, GenericTabularInline])
def test_check__an_inline_needs_the_mixin_on_its_page(base: Any) -> None:
    class PhotosInline(SimilarImagesMixin, base):
        model = Photo if base is admin.TabularInline else Attachment

    for bases, ids in [((admin.ModelAdmin,), ["similar_images.W010"]), ((SimilarImagesMixin, admin.ModelAdmin), [])]:
        own_site = admin.AdminSite()
        own_site.register(Item, type("PageAdmin", bases, {"inlines": [PhotosInline]}))
        found = [message for message in surfaces.check_inlines() if "PhotosInline" in message.msg]
        assert [message.id for message in found] == ids
        assert all("PageAdmin" in str(message.hint) for message in found)
        del own_site
        gc.collect()  # sites are known to Django for as long as they are there

"""The notice about a chosen file in Chromium, in Django's admin and in django-unfold."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from django.contrib import admin
from django.core.files.base import ContentFile
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import clear_url_caches, path
from PIL import Image
from playwright.sync_api import Browser, Error, FilePayload, Page, expect

from similar_images.admin import SimilarImagesMixin
from tests import drawing
from tests.browsers import find_barriers, needs_chromium, superuser_cookies
from tests.test_notice import ItemAdmin, PictureAdmin
from tests.testapp.models import Item, Photo, Picture

pytestmark = [pytest.mark.django_db(transaction=True), needs_chromium]

urlpatterns: list[Any] = []

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
"""The strictest policy that Django's admin works under; unfold needs more."""


def strict(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: nothing inline, and nothing of other sites."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return answer


CHOSEN = FilePayload(name="chosen.png", mimeType="image/png", buffer=drawing.encoded(drawing.scene(1)))
OTHER = FilePayload(name="other.png", mimeType="image/png", buffer=drawing.encoded(drawing.scene(7)))


def make_site(kind: str) -> Any:
    """Return an admin site with pictures, and items with photos."""
    if kind == "django":
        site = admin.AdminSite()
        site.register(Picture, PictureAdmin)
        site.register(Item, ItemAdmin)
        return site
    unfold = import_module("unfold.admin")

    class UnfoldInline(unfold.TabularInline):  # type: ignore[misc,name-defined]
        model = Photo
        extra = 1

    class UnfoldPictureAdmin(SimilarImagesMixin, unfold.ModelAdmin):  # type: ignore[misc,name-defined]
        fields = PictureAdmin.fields

    class UnfoldItemAdmin(SimilarImagesMixin, unfold.ModelAdmin):  # type: ignore[misc,name-defined]
        fields = ItemAdmin.fields
        inlines = [UnfoldInline]

    site = import_module("unfold.sites").UnfoldAdminSite()
    site.register(Picture, UnfoldPictureAdmin)
    site.register(Item, UnfoldItemAdmin)
    return site


@pytest.fixture(params=["django", "unfold"])
def address(request: Any, settings: Any, configure: Any, monkeypatch: Any, index_now: Any, live_server: Any) -> str:
    """Return the address of an admin of one kind, where a picture and a photo of a chair are known."""
    if request.param == "unfold":
        pytest.importorskip("unfold")
        settings.INSTALLED_APPS = ["unfold", *settings.INSTALLED_APPS]
    else:
        settings.MIDDLEWARE = [f"{__name__}.strict", *settings.MIDDLEWARE]
    monkeypatch.setattr(sys.modules[__name__], "urlpatterns", [path("admin/", make_site(request.param).urls)])
    settings.ROOT_URLCONF = __name__
    clear_url_caches()
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1}, NEAR_DUPLICATE_THRESHOLD=85)
    Picture.objects.create(title="Sunset", image=drawing.file(1))
    Photo.objects.create(item=Item.objects.create(name="Oak chair"), image=drawing.file(1))
    index_now()
    return f"{live_server.url}/admin/testapp/"


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Any]:
    """Open pages of the admin, as a superuser."""
    cookies = superuser_cookies(address)
    contexts = []

    def open_page(url: str, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.add_cookies(cookies)  # type: ignore[list-item]  # a mapping of this shape
        page = context.new_page()
        page.goto(address + url)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("width", "color_scheme"), [(390, "dark"), (1200, "light")])
def test_notice__appears_when_a_file_is_chosen(open_page: Any, width: int, color_scheme: Any, tmp_path: Any) -> None:
    page = open_page("picture/add/", viewport={"width": width, "height": 900}, color_scheme=color_scheme)
    page.locator("input[name=image]").set_input_files(CHOSEN)
    notice = page.get_by_role("status").locator(".similar-images-notice")
    expect(notice).to_contain_text("You already have this image.")
    link = notice.get_by_role("link", name="Sunset (opens in a new tab)")
    expect(link).to_have_attribute("href", f"/admin/testapp/picture/{Picture.objects.get().pk}/change/")
    page.screenshot(path=tmp_path / "notice.png", full_page=True)
    box = notice.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert find_barriers(page, ".similar-images-notice") == []
    page.locator("input[name=image]").set_input_files(OTHER)
    expect(notice).to_have_count(0)
    page.locator("input[name=image]").set_input_files(CHOSEN)
    expect(notice).to_be_visible()
    page.locator("input[name=title]").fill("New")
    page.get_by_role("button", name="Save", exact=True).press("Enter")
    expect(page.get_by_text("was added successfully")).to_be_visible()
    expect(page.get_by_text("You already have this image.")).to_have_count(0)  # it was told before
    assert Picture.objects.count() == 2


@pytest.mark.parametrize("width", [390, 1200])
def test_notice__in_a_row_that_is_added(open_page: Any, width: int, tmp_path: Any) -> None:
    page = open_page("item/add/", viewport={"width": width, "height": 900})
    page.get_by_text("Add another Photo").click()
    page.locator("input[name=photos-1-image]").set_input_files(CHOSEN)
    notice = page.locator("tr:has([name=photos-1-image]) .similar-images-notice")
    expect(notice).to_contain_text("You already have this image on Item Oak chair.")
    page.screenshot(path=tmp_path / "row.png", full_page=True)
    box = notice.bounding_box()
    assert box is not None
    assert box["width"] >= 220, "wide enough to read"
    if width == 390:
        assert box["x"] + box["width"] <= width, "in view"
    expect(page.locator(".similar-images-notice")).to_have_count(1)


@pytest.mark.parametrize("address", ["django"], indirect=True)
def test_notice__of_a_large_file_takes_a_small_request(open_page: Any, index_now: Any) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (800, 600, 3), np.uint8)
    data = drawing.encoded(Image.fromarray(noise))
    assert len(data) > 1_000_000
    Picture.objects.create(title="Noise", image=ContentFile(data, name="noise.png"))
    index_now()
    page = open_page("picture/add/")
    with page.expect_request("**/notice/**") as asked:
        page.locator("input[name=image]").set_input_files(
            FilePayload(name="noise.png", mimeType="image/png", buffer=data)
        )
    assert len(asked.value.post_data_buffer or b"") < 600_000
    expect(page.locator(".similar-images-notice")).to_contain_text("You already have this image. Noise")


def test_notice__says_that_it_is_checking(open_page: Any) -> None:
    """A large file takes a while to read and to send; nothing is left of it where there is nothing to tell."""
    page = open_page("picture/add/")
    waiting: list[Any] = []
    page.route("**/similar-images/notice/**", lambda route: waiting.append(route))
    page.set_input_files("#id_image", OTHER)
    expect(page.locator(".similar-images-status")).to_have_text("Checking for copies…")
    waiting.pop().continue_()
    expect(page.locator(".similar-images-status")).to_be_empty()
    page.set_input_files("#id_image", CHOSEN)
    expect(page.locator(".similar-images-status")).to_have_text("Checking for copies…")
    waiting.pop().abort()
    expect(page.locator(".similar-images-status")).to_be_empty()


@pytest.mark.parametrize("address", ["django"], indirect=True)
def test_notice__comes_after_saving_without_javascript(open_page: Any) -> None:
    page = open_page("picture/add/", java_script_enabled=False)
    page.locator("input[name=title]").fill("New")
    page.locator("input[name=image]").set_input_files(CHOSEN)
    page.get_by_role("button", name="Save", exact=True).press("Enter")
    expect(page.get_by_text("You already have this image.").get_by_role("link", name="Sunset")).to_be_visible()


@pytest.mark.parametrize("address", ["django"], indirect=True)
def test_popup__uses_the_one_that_is_there(open_page: Any) -> None:
    """The opener's field is a list of choices, of which the object is one already."""
    page = open_page("picture/add/")
    item = Picture.objects.get()
    page.evaluate(
        "pk => document.body.insertAdjacentHTML('beforeend',"
        " `<select id=id_hero><option value=''></option><option value=${pk}>Sunset</option></select>`)",
        item.pk,
    )
    with page.expect_popup() as opened:
        page.evaluate("window.open('?_popup=1&_to_field=id', 'id_hero__1')")
    popup = opened.value
    popup.locator("input[name=image]").set_input_files(CHOSEN)
    with suppress(Error):  # the click closes the window, maybe before its own end is known
        popup.get_by_role("button", name="Use this one: Sunset").click()
    expect(page.locator("#id_hero")).to_have_value(str(item.pk))
    expect(page.locator("#id_hero option")).to_have_count(2)

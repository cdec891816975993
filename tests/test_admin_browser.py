"""Similar items in Chromium, in Django's admin and in django-unfold."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import pytest
from django.contrib import admin
from django.urls import clear_url_caches, include, path
from playwright.sync_api import Browser, expect

from similar_images.admin import IndexedImageAdmin, MarkAdmin, SimilarImagesMixin
from similar_images.models import IndexedImage, Mark
from tests import drawing
from tests.browsers import find_barriers, needs_chromium, superuser_cookies
from tests.testapp.models import Item, Photo, Picture

pytestmark = [pytest.mark.django_db(transaction=True), needs_chromium]

urlpatterns: list[Any] = []


@pytest.fixture(params=["django", "unfold"])
def site_url(
    request: Any, settings: Any, configure: Any, monkeypatch: Any, live_server: Any, transactional_db: None
) -> str:
    """Return the address of one kind of admin, whose models have the mixin."""
    base: Any = admin
    site: Any = admin.AdminSite()
    if request.param == "unfold":
        pytest.importorskip("unfold")
        monkeypatch.setattr(admin, "site", admin.site)  # it replaces them when it is installed
        monkeypatch.setattr(admin.sites, "site", admin.sites.site)
        settings.INSTALLED_APPS = ["unfold", *settings.INSTALLED_APPS]
        base = import_module("unfold.admin")
        site = import_module("unfold.sites").UnfoldAdminSite()
    inline = type("PhotoInline", (SimilarImagesMixin, base.TabularInline), {"model": Photo, "extra": 0})
    options = {"list_display": ["title", "published"], "list_filter": ["published"], "search_fields": ["title"]}
    site.register(Picture, type("PictureAdmin", (SimilarImagesMixin, base.ModelAdmin), options))
    site.register(Item, type("ItemAdmin", (SimilarImagesMixin, base.ModelAdmin), {"inlines": [inline]}))
    site.register(Mark, MarkAdmin)
    site.register(IndexedImage, IndexedImageAdmin)
    patterns = [path("admin/", site.urls), path("similar-images/", include("similar_images.urls"))]
    monkeypatch.setattr(sys.modules[__name__], "urlpatterns", patterns)
    settings.ROOT_URLCONF = __name__
    clear_url_caches()
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1}, NEAR_DUPLICATE_THRESHOLD=98)
    return f"{live_server.url}/admin/"


@pytest.fixture
def pictures(site_url: str, make_picture: Any, index_now: Any) -> list[Picture]:
    items = [
        make_picture(1),
        *(make_picture(1, title=f"Twin {n}", image=drawing.file(1, name=f"{n}.png")) for n in "ab"),
    ]
    items += [make_picture(seed) for seed in (2, 3)]
    index_now()
    return items


@pytest.fixture
def cookies(site_url: str) -> list[Any]:
    return superuser_cookies(site_url)


PART = ".similar-images-admin"
"""What of a page is ours."""


@pytest.mark.parametrize(("width", "color_scheme"), [(390, "dark"), (1440, "light")])
def test_pages__have_no_barriers(
    browser: Browser, site_url: str, cookies: Any, pictures: list[Picture], width: int, color_scheme: Any, tmp_path: Any
) -> None:
    item = Item.objects.create(name="Oak")
    Photo.objects.create(item=item, image=drawing.file(1, name="oak.png"))
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=color_scheme)
    context.add_cookies(cookies)
    page = context.new_page()
    change = f"{site_url}testapp/picture/{pictures[0].pk}/change/"
    pair = f"{site_url}testapp/picture/{pictures[0].pk}/similar-images/?field=image"
    pages = [change, pair, f"{pair}&other={pictures[3].pk}", f"{site_url}testapp/item/{item.pk}/change/"]
    for number, url in enumerate(pages):
        page.goto(url)
        expect(page.locator(PART).first).to_be_visible()
        page.screenshot(path=tmp_path / f"{number}.png", full_page=True)
        # The field of Django's own autocomplete has no name: select2 writes one that it leaves empty.
        assert find_barriers(page, {"include": [[PART]], "exclude": [[".select2"]]}) == []
    context.close()


def test_pair__is_marked_and_undone_by_keyboard(
    browser: Browser, site_url: str, cookies: Any, pictures: list[Picture], settings: Any
) -> None:
    """In Django's admin without JavaScript; unfold shows nothing at all without."""
    is_unfold = "unfold" in settings.INSTALLED_APPS
    context = browser.new_context(java_script_enabled=is_unfold)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(f"{site_url}testapp/picture/{pictures[0].pk}/change/")
    page.get_by_text("1 near-duplicate of Twin a").click()
    expect(page.get_by_text("Twin b", exact=True)).to_be_visible()
    page.get_by_role("link", name="Good match? Scene 2").press("Enter")
    button = page.get_by_role("button", name="Mark as not similar")
    border = button.evaluate("node => getComputedStyle(node).borderTopWidth + getComputedStyle(node).borderTopStyle")
    assert border == "1pxsolid"
    button.press("Enter")
    expect(page.get_by_text("Marked as not similar.")).to_be_visible()
    assert not Mark.objects.get().is_alike
    expect(page.locator(PART).get_by_text("Scene 2")).to_have_count(0)
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.get_by_text("Mark removed.")).to_be_visible()
    assert not Mark.objects.exists()
    page.get_by_role("link", name="Missing an item?").click()
    if is_unfold:
        page.locator(".select2-selection").click()
        page.locator(".select2-search__field").fill("Scene 3")
        page.locator(".select2-results__option", has_text="Scene 3").click()
        page.get_by_role("button", name="Explain").click()
    else:
        page.locator(PART).get_by_role("searchbox").fill("Scene 3")
        page.locator(PART).get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Scene 3").click()
    expect(page.get_by_text("It is listed at position 3").first).to_be_visible()
    context.close()

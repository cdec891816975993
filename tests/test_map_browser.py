"""The map in Chromium, in Django's admin and in django-unfold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import clear_url_caches, include, path
from playwright.sync_api import Browser, Page, expect

from similar_images.admin import MapAdmin, MarkAdmin, SimilarImagesMixin
from similar_images.models import Map, MapPoint, Mark
from tests.browsers import find_barriers, needs_chromium, run_chromium
from tests.commands import run
from tests.test_notice_browser import strict as strict  # the middleware, named by its path below
from tests.testapp.models import Picture

pytestmark = [pytest.mark.django_db(transaction=True), needs_chromium]

urlpatterns: list[Any] = []

COUNT = 40


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium, whose driver has an event loop in the thread of the tests."""
    with pytest.MonkeyPatch.context() as patch, run_chromium() as browser:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield browser


@pytest.fixture(params=["django", "unfold"])
def url(
    request: Any,
    settings: Any,
    mean_method: None,
    monkeypatch: Any,
    live_server: Any,
    make_picture: Any,
    index_now: Any,
) -> str:
    """Return the address of the map of some pictures in one kind of admin."""
    base: Any = admin
    site: Any = admin.AdminSite()
    if request.param == "unfold":
        pytest.importorskip("unfold")
        monkeypatch.setattr(admin, "site", admin.site)  # it replaces them when it is installed
        monkeypatch.setattr(admin.sites, "site", admin.sites.site)
        settings.INSTALLED_APPS = ["unfold", *settings.INSTALLED_APPS]
        base = import_module("unfold.admin")
        site = import_module("unfold.sites").UnfoldAdminSite()
    else:
        settings.MIDDLEWARE = ["tests.test_map_browser.strict", *settings.MIDDLEWARE]
    options = {"list_filter": ["published"], "search_fields": ["title"]}
    site.register(Picture, type("PictureAdmin", (SimilarImagesMixin, base.ModelAdmin), options))
    site.register(Mark, MarkAdmin)
    site.register(Map, MapAdmin)
    patterns = [path("admin/", site.urls), path("similar-images/", include("similar_images.urls"))]
    monkeypatch.setattr(sys.modules[__name__], "urlpatterns", patterns)
    settings.ROOT_URLCONF = __name__
    clear_url_caches()
    for seed in range(COUNT):
        make_picture(seed, published=bool(seed % 4))
    index_now()
    run("map_images", "testapp.Picture")
    assert MapPoint.objects.exclude(tile=None).count() == COUNT
    return f"{live_server.url}/admin/similar_images/map/"


@pytest.fixture
def cookies(settings: Any, url: str) -> list[Any]:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return [
        {
            "name": settings.SESSION_COOKIE_NAME,
            "value": client.cookies["sessionid"].value,
            "url": url.partition("admin/")[0],
        }
    ]


def open_page(browser: Browser, url: str, cookies: list[Any], **options: Any) -> Page:
    context = browser.new_context(**options)
    context.add_cookies(cookies)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.__dict__["errors"] = errors
    page.goto(url)
    return page


def await_map(page: Page) -> None:
    expect(page.locator(".similar-images-map-view[data-ready]")).to_be_visible()


def count_colors(page: Page) -> int:
    """Return how many colors the canvas shows: thumbnails have many."""
    return page.evaluate(
        """() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const canvas = document.querySelector(".similar-images-map canvas");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            resolve(new Set(new Uint32Array(data.buffer)).size);
        })))"""
    )


@pytest.mark.parametrize(("width", "color_scheme"), [(390, "dark"), (1440, "light")])
def test_map__has_no_barriers(
    browser: Browser, url: str, cookies: Any, settings: Any, width: int, color_scheme: Any, tmp_path: Any
) -> None:
    size = {"width": width, "height": 900}
    page = open_page(browser, url, cookies, viewport=size, color_scheme=color_scheme)
    await_map(page)
    assert count_colors(page) > 50
    page.locator("canvas").press("PageDown")
    expect(page.locator("[data-role=item] a")).to_contain_text("Scene")
    page.get_by_text("Keys", exact=True).click()
    page.screenshot(path=tmp_path / "map.png", full_page=True)
    assert page.evaluate("document.querySelector('.similar-images-map').scrollWidth") <= width
    assert find_barriers(page, ".similar-images-map") == []
    page.get_by_role("button", name="List", exact=True).click()
    page.get_by_text("Filter", exact=True).click()
    page.screenshot(path=tmp_path / "list.png", full_page=True)
    assert find_barriers(page, ".similar-images-map") == []
    assert "unfold" in settings.INSTALLED_APPS or page.__dict__["errors"] == []  # unfold itself breaks the policy
    page.context.close()


def test_map__is_used_by_keyboard(browser: Browser, url: str, cookies: Any) -> None:
    page = open_page(browser, url, cookies)
    await_map(page)
    canvas, status = page.locator("canvas"), page.locator("[data-role=selected]")
    compare = page.get_by_role("button", name="Compare and mark two")
    expect(compare).to_be_disabled()
    for _ in range(2):
        canvas.press("PageDown")
        canvas.press("Space")
    expect(status).to_have_text("Selected: 2")
    canvas.press("+")
    canvas.press("ArrowLeft")
    canvas.press("Escape")
    expect(status).to_have_text("Selected: 0")
    canvas.press("Home")
    page.get_by_role("button", name="Select what is in view").press("Enter")
    expect(status).to_have_text(f"Selected: {COUNT}")
    canvas.press("Escape")
    canvas.press("Space")
    canvas.press("PageDown")
    canvas.press("Space")
    compare.press("Enter")
    page.get_by_role("button", name="Mark as not similar").press("Enter")
    expect(page.get_by_text("Marked as not similar.")).to_be_visible()
    assert Mark.objects.count() == 1
    page.go_back()
    page.go_back()
    await_map(page)
    page.locator("canvas").press("PageDown")
    expect(page.locator("[data-role=item] a")).to_be_visible()
    page.locator("canvas").press("Enter")
    page.wait_for_url("**/change/")
    page.context.close()


def test_map__is_moved_zoomed_and_selected_by_pointer(browser: Browser, url: str, cookies: Any) -> None:
    page = open_page(browser, url, cookies, viewport={"width": 1440, "height": 1200})
    await_map(page)
    box = page.locator("canvas").bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = page.locator("canvas").screenshot()
    page.mouse.move(*middle)
    page.mouse.wheel(0, -500)
    page.mouse.down()
    page.mouse.move(middle[0] + 80, middle[1] + 40, steps=4)
    page.mouse.up()
    assert page.locator("canvas").screenshot() != before
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Lasso").click()
    corners = [(5, 5), (5, box["height"] - 5), (box["width"] / 2, box["height"] - 5), (box["width"] / 2, 5)]
    page.mouse.move(box["x"] + corners[0][0], box["y"] + corners[0][1])
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=4)
    page.mouse.up()
    left = MapPoint.objects.filter(x__lt=0.5).count()
    expect(page.locator("[data-role=selected]")).to_have_text(f"Selected: {left}")
    page.get_by_role("button", name="Show selected in the list").click()
    expect(page.get_by_text(f"{left} pictures").first).to_be_visible()
    page.context.close()


def test_list__is_there_without_javascript(browser: Browser, url: str, cookies: Any, settings: Any) -> None:
    if "unfold" in settings.INSTALLED_APPS:
        pytest.skip("unfold shows nothing at all without")
    page = open_page(browser, url, cookies, java_script_enabled=False)
    expect(page.locator("canvas")).to_be_hidden()
    expect(page.locator(".similar-images-map-items li")).to_have_count(COUNT)
    page.get_by_text("Filter", exact=True).click()
    page.get_by_role("link", name="No", exact=True).click()
    expect(page.locator(".similar-images-map-items li")).to_have_count(COUNT // 4)
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Find similar").click()
    expect(page.get_by_text("Similar to Scene").first).to_be_visible()
    page.context.close()

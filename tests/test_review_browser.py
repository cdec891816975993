"""The review of duplicates in Chromium, in Django's admin and in django-unfold."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import pytest
from django.contrib import admin
from django.urls import clear_url_caches, path
from playwright.sync_api import Browser, expect

from similar_images import registry
from similar_images.admin import DuplicatesAdmin
from similar_images.models import Duplicates, Source
from tests.browsers import find_barriers, needs_chromium, superuser_cookies
from tests.mergeapp.models import GENERIC_RELATIONS, Asset, Page
from tests.test_review import SOURCE, make_asset, make_group

pytestmark = [GENERIC_RELATIONS, pytest.mark.django_db(transaction=True), needs_chromium]

urlpatterns: list[Any] = []


def _register(site: Any) -> Any:
    site.register(Asset)
    site.register(Page)
    site.register(Duplicates, DuplicatesAdmin)
    return site


@pytest.fixture(params=["django", "unfold"])
def review(
    browser: Browser, request: Any, settings: Any, monkeypatch: Any, live_server: Any, transactional_db: None
) -> str:
    """Return the address of the page with two groups in one kind of admin, with the cookie of a superuser."""
    monkeypatch.setitem(registry._sources, (Asset, "image"), SOURCE)
    Source.objects.create_missing([SOURCE])
    if request.param == "unfold":
        pytest.importorskip("unfold")
        monkeypatch.setattr(admin, "site", admin.site)  # it replaces them when it is installed
        monkeypatch.setattr(admin.sites, "site", admin.sites.site)
        settings.INSTALLED_APPS = ["unfold", *settings.INSTALLED_APPS]
        site = _register(import_module("unfold.sites").UnfoldAdminSite())
    else:
        site = _register(admin.AdminSite())
    monkeypatch.setattr(sys.modules[__name__], "urlpatterns", [path("admin/", site.urls)])
    settings.ROOT_URLCONF = __name__
    clear_url_caches()
    items = [make_asset(code) for code in ("large", "small", "x", "y")]
    make_group(items[:2], width=800, height=600)
    make_group(items[2:], similarity=90)
    Page.objects.create(title="Front page", hero=items[1])
    return f"{live_server.url}/admin/similar_images/duplicates/"


@pytest.fixture
def cookies(review: str) -> list[Any]:
    return superuser_cookies(review)


@pytest.mark.parametrize(("width", "color_scheme"), [(390, "dark"), (1440, "light")])
def test_review__has_no_barriers(
    browser: Browser, review: str, cookies: Any, width: int, color_scheme: Any, tmp_path: Any
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=color_scheme)
    context.add_cookies(cookies)
    page = context.new_page()
    for number, url in enumerate(["", f"{group_id()}/merge/", "bulk/?similarity=80"]):
        page.goto(review + url)
        expect(page.locator(".similar-images-group").first).to_be_visible()
        page.screenshot(path=tmp_path / f"{number}.png", full_page=True)
        assert page.evaluate("document.querySelector('.similar-images-review').scrollWidth") <= width
        assert find_barriers(page, ".similar-images-review") == []
    context.close()


def group_id() -> int:
    return Duplicates.objects.order_by("pk").values_list("pk", flat=True)[0]


def test_review__is_done_by_keyboard_without_javascript(
    browser: Browser, review: str, cookies: Any, settings: Any
) -> None:
    # Unfold shows nothing at all without.
    context = browser.new_context(java_script_enabled="unfold" in settings.INSTALLED_APPS)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(review)
    page.get_by_role("button", name="Review merge").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Page (hero): Front page")).to_be_visible()
    page.get_by_role("button", name="Merge", exact=True).press("Enter")
    expect(page.get_by_text("1 item was merged on")).to_be_visible()
    assert Page.objects.get().hero.code == "large"
    page.get_by_role("button", name="Undo merge").press("Enter")
    expect(page.get_by_text("The merge is undone.")).to_be_visible()
    assert Page.objects.get().hero.code == "small"
    context.close()

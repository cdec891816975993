"""A working day in Chromium: an upload and its notice, the panel, the chooser, a page, and what visitors see of it."""

from __future__ import annotations

import io
import os
import unittest
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.contrib.staticfiles.testing import StaticLiveServerTestCase
from django.core.files.base import ContentFile
from django.test import override_settings
from django.urls import reverse
from PIL import Image as Picture
from playwright.sync_api import FilePayload, Page, expect
from wagtail.models import Collection, CollectionViewRestriction, Locale, Site
from wagtail.models import Page as WagtailPage

from tests.browsers import CHROMIUM, find_barriers, run_chromium

from .base import FIELDS, IS_CUSTOM, Image, index_now
from .models import ArticlePage

PHOTOS = Path(__file__).parents[3] / "project" / "catalog" / "images"

SCREENSHOTS = os.environ.get("SITE_SCREENSHOTS")
"""Folder for the screenshots of the documentation; without it, none are taken."""

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def read_photo(name: str) -> bytes:
    return (PHOTOS / f"{name}-front.jpg").read_bytes()


def smaller_copy(data: bytes) -> FilePayload:
    buffer, picture = io.BytesIO(), Picture.open(io.BytesIO(data))
    picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)).save(buffer, "JPEG", quality=70)
    return FilePayload(name="copy.jpg", mimeType="image/jpeg", buffer=buffer.getvalue())


@unittest.skipUnless(CHROMIUM, "NO BROWSER TESTS: there is no Chromium")
@override_settings(DEBUG=True)  # pictures that are searched by are kept in the memory of this one process
class BrowserTest(StaticLiveServerTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the driver has an event loop in the thread of the tests
        super().setUpClass()
        chromium = run_chromium()
        cls.browser = chromium.__enter__()
        cls.addClassCleanup(chromium.__exit__, None, None, None)

    def setUp(self) -> None:
        Locale.objects.create(language_code="en")
        User.objects.create_superuser("admin", password="secret")
        self.root = Collection.add_root(name="Root")
        private = self.root.add_child(name="Private")
        CollectionViewRestriction.objects.create(collection=private, restriction_type="login")
        self.photo = read_photo("elsa-dining-chair-forest")
        self.chair = self.save("Dining chair", "elsa-dining-chair-forest", self.root)
        self.save("Oak chair", "alder-chair-oak", self.root)
        self.save("Shell chair", "cove-shell-chair-mustard", self.root)
        self.save("Side table", "carra-side-table-black-and-steel", self.root)
        self.save("Unreleased chair", "bruno-club-chair-rust", private)
        index_now()
        top = WagtailPage.add_root(title="Top", slug="top")
        self.home = top.add_child(instance=ArticlePage(title="Chairs", slug="chairs"))
        Site.objects.create(hostname="localhost", root_page=self.home, is_default_site=True)
        self.errors: list[str] = []

    def save(self, title: str, photo: str, collection: Any) -> Any:
        file = ContentFile(read_photo(photo), f"{photo}.jpg")
        return Image.objects.create(title=title, file=file, collection=collection, **FIELDS)

    def open_page(self, viewport: Any, color_scheme: Any = "light") -> Page:
        context = self.browser.new_context(
            base_url=self.live_server_url, viewport=viewport, color_scheme=color_scheme, reduced_motion="reduce"
        )
        self.addCleanup(context.close)
        context.set_default_timeout(60_000)
        context.route("https://releases.wagtail.org/*", lambda route: route.abort())
        page = context.new_page()
        page.on("pageerror", self.note_error)
        return page

    def note_error(self, error: Any) -> None:
        if "Cannot find matching a matching panel" not in str(error):  # of Wagtail, where its question replaces a tab
            self.errors.append(f"{error} {error.stack}")

    def open_admin(self, viewport: Any, color_scheme: Any = "light") -> Page:
        page = self.open_page(viewport, color_scheme)
        page.goto("/admin/login/?next=/admin/images/")
        page.fill("[name=username]", "admin")
        page.fill("[name=password]", "secret")
        page.click("[type=submit]")
        page.wait_for_url("**/admin/images/")
        return page

    def save_screenshot(self, page: Page, name: str) -> None:
        if SCREENSHOTS:
            page.wait_for_load_state("networkidle")
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")

    def test_day(self) -> None:
        page = self.open_admin(WIDE)
        self.upload_a_copy(page)
        self.look_at_the_panel(page)
        self.make_a_page(page)
        self.search_by_a_picture(page)
        self.visit()
        assert self.errors == [], self.errors

    def upload_a_copy(self, page: Page) -> None:
        """Several images at once take a copy; the one that is there is kept, and the new one deleted."""
        page.goto(reverse("wagtailimages:add_multiple"))
        page.set_input_files("#fileupload", smaller_copy(self.photo))
        notice = page.locator(".confirm-duplicate-upload")
        expect(notice).to_contain_text("Dining chair")
        self.save_screenshot(page, "wagtail-notice")
        notice.get_by_text("Delete new image").click()
        expect(page.locator("#upload-list > li")).to_have_count(0)
        assert Image.objects.count() == 5

    def look_at_the_panel(self, page: Page) -> None:
        page.goto(reverse("wagtailimages:edit", args=[self.chair.pk]))
        page.get_by_role("button", name="Toggle similar images").click()
        panel = page.locator("[data-side-panel=similar-images]")
        expect(panel.locator("li")).to_have_count(4)
        assert find_barriers(page, "[data-side-panel=similar-images]") == []
        widths = panel.locator("img").evaluate_all("images => images.map(image => image.offsetWidth)")
        assert set(widths) == {120}
        self.save_screenshot(page, "wagtail-panel")
        panel.get_by_role("button", name="Not similar: Side table").click()
        expect(panel.get_by_role("button", name="Undo: Side table")).to_be_visible()
        panel.get_by_role("link", name="Show all in the listing").click()
        expect(page.locator(".w-pill")).to_contain_text("Similar to: Dining chair")
        expect(page.locator(".listing figcaption")).not_to_have_text(["Dining chair"])
        page.locator("#id_q").fill("oak")
        expect(page.locator(".listing figcaption")).to_have_text(["Oak chair"])
        page.locator("#id_q").blur()  # which has Wagtail send the form again
        page.wait_for_timeout(500)
        page.wait_for_load_state("networkidle")
        page.locator(".w-pill__remove").click()
        expect(page.locator(".w-pill")).to_have_count(0)

    def make_a_page(self, page: Page) -> None:
        """The picture is chosen by its similarity to another, and the block by an upload of what is there already."""
        page.goto(reverse("wagtailadmin_pages:edit", args=[self.home.pk]))
        page.locator("#panel-child-content-hero-section").get_by_role("button", name="Choose an image").click()
        modal = page.locator(".modal-content")
        modal.get_by_role("link", name="Similar to Oak chair").click()
        expect(modal.locator(".w-pill")).to_contain_text("Oak chair")
        self.save_screenshot(page, "wagtail-chooser")
        assert find_barriers(page, ".modal-content #search-results") == []
        modal.locator("#id_q").fill("dining")
        expect(modal.locator("li .image-choice")).to_have_count(1)
        modal.get_by_role("link", name="Dining chair", exact=True).click()
        expect(modal).to_have_count(0)
        page.locator("#panel-child-content-body-section [title='Insert a block']").click()
        page.get_by_role("option", name="Similar images").click()
        page.locator("#panel-child-content-body-section").get_by_role("button", name="Choose an image").click()
        modal.get_by_role("tab", name="Upload").click()
        modal.locator("#id_image-chooser-upload-title").fill("copy")
        modal.locator("[type=file]").set_input_files(smaller_copy(self.photo))
        if IS_CUSTOM:
            modal.locator("#id_image-chooser-upload-credit").fill("Ada")
        modal.locator("#tab-upload [type=submit]").click()
        modal.get_by_text("Use existing and delete new").click()
        expect(modal).to_have_count(0)
        assert Image.objects.count() == 5
        actions = page.get_by_role("navigation", name="Actions (footer)")
        actions.get_by_role("button", name="More actions").click()
        page.locator("[name=action-publish]").click()
        expect(page.locator(".messages")).to_contain_text("published")

    def search_by_a_picture(self, page: Page) -> None:
        page.goto(reverse("similar_images_wagtail_search"))
        assert find_barriers(page, "main") == []
        page.set_input_files("#id_image", smaller_copy(self.photo))
        page.locator("main").get_by_role("button", name="Search", exact=True).click()
        expect(page.locator(".listing figcaption").first).to_have_text("Dining chair")
        for theme, viewport in (("light", WIDE), ("dark", NARROW)):
            other = self.open_admin(viewport, theme)
            other.goto(reverse("similar_images_wagtail_duplicates"))
            expect(other.get_by_role("button", name="Look for duplicates")).to_be_visible()
            assert other.evaluate("document.documentElement.scrollWidth <= innerWidth")

    def visit(self) -> None:
        """See the page as visitors do, who may not see the private image, and search by a picture."""
        for theme, viewport in (("light", WIDE), ("dark", NARROW)):
            page = self.open_page(viewport, theme)
            page.goto("/")
            expect(page.locator("ul.similar-images img")).to_have_count(2)  # one was marked as not similar
            expect(page.locator(".similar-images-item")).to_have_count(2)
            assert "bruno" not in page.content()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.goto("/similar-images/search/")
            page.set_input_files("input[type=file]", smaller_copy(self.photo))
            page.locator("main").get_by_role("button", name="Search", exact=True).click()
            expect(page.locator(".similar-images-item").first).to_contain_text("Dining chair")
            assert "Unreleased" not in page.content()

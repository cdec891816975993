"""A working day in Chromium: an upload and its notice, a page with the plug-in, and what visitors see of it."""

from __future__ import annotations

import io
import os
import unittest
from contextlib import suppress
from pathlib import Path
from typing import Any

from cms.api import create_page
from cms.toolbar.utils import get_object_edit_url
from django.contrib.auth.models import User
from django.contrib.sites.models import Site
from django.contrib.staticfiles.testing import StaticLiveServerTestCase
from django.core.cache import cache
from django.urls import reverse
from filer.models import Folder
from PIL import Image as Picture
from playwright.sync_api import Error, FilePayload, Page, expect

from tests.browsers import CHROMIUM, find_barriers, run_chromium
from tests.contrib.djangocms.site import Image, index_now, save_image

PHOTOS = Path(__file__).parents[3] / "project" / "catalog" / "images"

SCREENSHOTS = os.environ.get("SITE_SCREENSHOTS")
"""Folder for the screenshots of the documentation; without it, none are taken."""


def read_photo(name: str) -> bytes:
    return (PHOTOS / f"{name}-front.jpg").read_bytes()


def smaller_copy(data: bytes) -> bytes:
    buffer = io.BytesIO()
    picture = Picture.open(io.BytesIO(data))
    picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)).save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


@unittest.skipUnless(CHROMIUM, "NO BROWSER TESTS: there is no Chromium")
class BrowserTest(StaticLiveServerTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the driver has an event loop in the thread of the tests
        super().setUpClass()
        chromium = run_chromium()
        cls.browser = chromium.__enter__()
        cls.addClassCleanup(chromium.__exit__, None, None, None)

    def setUp(self) -> None:
        cache.clear()
        Site.objects.get_or_create(pk=1, defaults={"domain": "example.com", "name": "example.com"})
        User.objects.create_superuser("admin", password="secret")
        self.library = Folder.objects.create(name="Library")
        self.photo = read_photo("elsa-dining-chair-forest")
        self.chair = self.save("Dining chair", "elsa-dining-chair-forest")
        self.save("Oak chair", "alder-chair-oak")
        self.save("Shell chair", "cove-shell-chair-mustard")
        self.save("Side table", "carra-side-table-black-and-steel")
        self.save("Unreleased chair", "bruno-club-chair-rust", is_public=False)
        index_now()

    def save(self, name: str, photo: str, **fields: Any) -> Any:
        return save_image(name, read_photo(photo), folder=self.library, **fields)

    def open_page(self) -> Page:
        context = self.browser.new_context(base_url=self.live_server_url, viewport={"width": 1200, "height": 560})
        self.addCleanup(context.close)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def save_screenshot(self, page: Page, name: str) -> None:
        if SCREENSHOTS:
            page.wait_for_load_state("networkidle")
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")

    def test_day(self) -> None:
        self.errors: list[str] = []
        page = self.open_page()
        page.goto("/admin/")
        page.fill("#id_username", "admin")
        page.fill("#id_password", "secret")
        page.click("[type=submit]")
        self.upload_a_copy(page)
        self.look_for_similar_images(page)
        self.add_the_plugin(page)
        self.visit()
        assert self.errors == []

    def upload_a_copy(self, page: Page) -> None:
        page.goto(reverse("admin:filer-directory_listing", args=[self.library.pk]))
        copy = FilePayload(name="copy.jpg", mimeType="image/jpeg", buffer=smaller_copy(self.photo))
        with page.expect_file_chooser() as chooser:
            page.click(".js-upload-button")
        chooser.value.set_files(copy)
        message = page.locator(".messagelist .warning")
        expect(message).to_contain_text("This looks almost the same as")
        expect(message.get_by_role("link", name="Dining chair")).to_be_visible()
        self.save_screenshot(page, "filer-notice")
        message.get_by_role("link", name="Use the existing one").click()
        assert find_barriers(page, "#content") == []
        page.get_by_role("button", name="Use the existing image and delete the new one").click()
        expect(page.locator(".messagelist")).to_contain_text("The new image was deleted.")
        assert Image.objects.count() == 5

    def look_for_similar_images(self, page: Page) -> None:
        """On the image's own page, where the last step led to, and from the list of the folder."""
        panel = page.locator(".similar-images-admin")
        expect(panel.get_by_role("link", name="Unreleased chair", exact=True)).to_be_visible()
        assert find_barriers(page, ".similar-images-admin") == []
        page.goto(reverse("admin:filer-directory_listing", args=[self.library.pk]))
        expect(page.locator("[data-similar-images-links]")).to_have_count(0)
        page.goto(f"{page.url}?_list_type=th")
        thumbnail = page.locator(".list-item", has_text="Dining chair")
        expect(thumbnail.get_by_role("link", name="Similar", exact=True)).to_be_in_viewport()
        page.go_back()
        row = page.locator("tr", has_text="Dining chair")
        row.get_by_role("link", name="Similar", exact=True).click()
        expect(page.locator("#result_list")).to_contain_text("Unreleased chair")
        expect(page.locator("#result_list img")).not_to_have_count(0)

    def add_the_plugin(self, page: Page) -> None:
        """By the form that CMS shows in a window, with the image chosen in the media library."""
        content = create_page("Chairs", "site/page.html", "en", slug="chairs").get_content_obj("en")
        placeholder = content.get_placeholders().get(slot="content")
        query = f"placeholder_id={placeholder.pk}&plugin_type=SimilarImagesPlugin&plugin_language=en&plugin_position=1"
        page.goto(f"{reverse('admin:cms_placeholder_add_plugin')}?{query}&cms_path=/chairs/")
        page.fill("[name=title]", "You may also like")
        with page.expect_popup() as popup:
            page.locator(".js-related-lookup").click()
        library = popup.value
        with suppress(Error):  # the click closes the window, maybe before its own end is known
            library.locator("tr", has_text="Dining chair").locator(".js-dismiss-popup").first.click()
        expect(page.locator("[name=image]")).to_have_value(str(self.chair.pk))
        page.locator("form [type=submit]").first.click()
        page.wait_for_load_state()
        page.goto(get_object_edit_url(content))
        menu = page.locator(".cms-toolbar").get_by_text("Similar images", exact=True)
        menu.click()
        expect(page.get_by_text("Duplicates to review")).to_be_visible()
        expect(page.locator(".similar-images").get_by_text("Unreleased chair")).to_be_visible()
        self.save_screenshot(page, "cms-plugin")

    def visit(self) -> None:
        """See the page as visitors do, who may not see the private image, and search by a picture."""
        page = self.open_page()
        page.goto("/chairs/")
        expect(page.get_by_role("heading", name="You may also like")).to_be_visible()
        shown = page.locator(".similar-images-item")
        expect(shown).to_have_count(3)
        expect(shown.get_by_text("Oak chair")).to_be_visible()
        assert "filer_public_thumbnails" in str(shown.first.locator("img").get_attribute("src"))
        assert "Unreleased" not in page.content()
        page.goto("/similar-images/search/")
        copy = FilePayload(name="photo.jpg", mimeType="image/jpeg", buffer=smaller_copy(self.photo))
        page.set_input_files("input[type=file]", copy)
        page.locator("main").get_by_role("button", name="Search", exact=True).click()
        results = page.locator(".similar-images-item")
        expect(results.first).to_contain_text("Dining chair")
        assert "Unreleased" not in page.content()

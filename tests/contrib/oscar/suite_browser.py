"""A new shop in Chromium, from the upload of products to a search by picture; Django's own runner runs it."""

from __future__ import annotations

import io
import os
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

from django.contrib.auth.models import User
from django.contrib.staticfiles.testing import StaticLiveServerTestCase
from django.core.files.base import ContentFile
from django.db import connection
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browsers import find_barriers, run_chromium
from tests.contrib.oscar.suite import Category, Partner, Product, ProductClass, ProductImage, StockRecord, index_now

PHOTOS = Path(__file__).parents[3] / "project" / "catalog" / "images"
RANGE = ("Bruno club chair, rust", "Elsa dining chair, rose", "Milk stool, oak", "Perch bar stool, cognac")
RANGE += ("Cove shell chair, mustard", "Rung chair, walnut and gray", "Teno armchair, moss")
"""Chairs of the demo's shop, of each of which there is a photo."""

FORMER = "Alder chair, oak"
"""The chair that is in the shop first."""

SCREENSHOTS = os.environ.get("SITE_SCREENSHOTS")
"""Folder for pictures of what the browser shows, if any: those of the documentation are made by this."""


def read_photo(title: str, *, side: int = 0) -> bytes:
    """Return the photo of a chair, as it is or encoded anew with a longest side."""
    file = PHOTOS / f"{title.lower().replace(',', '').replace(' ', '-')}-front.jpg"
    if not side:
        return file.read_bytes()
    image, buffer = Image.open(file), io.BytesIO()
    image.thumbnail((side, side))
    image.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


class NewShopTest(StaticLiveServerTestCase):
    def setUp(self) -> None:
        self.enterContext(mock.patch.dict(os.environ, DJANGO_ALLOW_ASYNC_UNSAFE="1"))  # Playwright runs a loop
        self.enterContext(mock.patch("similar_images.contrib.oscar.dashboard.MAX_REPORT_SECONDS", 60))
        User.objects.create_superuser("admin", email="admin@shop.example", password="secret")
        self.kind = ProductClass.objects.create(name="Chair", requires_shipping=False, track_stock=False)
        self.category = Category.add_root(name="Chairs")
        self.partner = Partner.objects.create(name="Partner")

    def test_new_shop__shows_what_is_similar_everywhere(self) -> None:
        with run_chromium() as chromium:
            page = chromium.new_page(viewport={"width": 1440, "height": 1000})
            page.set_default_timeout(60_000)
            page.route(lambda url: not url.startswith(self.live_server_url), lambda route: route.abort())
            self.log_in(page)
            self.add_product(page, FORMER, read_photo(FORMER))
            expect(page.locator("#messages")).to_contain_text(f"Created product '{FORMER}'.")
            for title in RANGE:
                self.import_product(title)
            index_now()
            self.add_product(page, "Chair", read_photo(FORMER, side=500))
            self.check_notice(page)
            index_now()
            self.check_panel(page)
            self.check_product_page(page)
            self.check_search(page)
            connection.close()  # that of Playwright's loop, which would be left open

    def log_in(self, page: Page) -> None:
        page.goto(f"{self.live_server_url}/dashboard/login/")
        page.fill("#id_username", "admin")
        page.fill("#id_password", "secret")
        page.get_by_role("button", name="Login").click()

    def add_product(self, page: Page, title: str, image: bytes) -> None:
        """Add a product by the forms of the dashboard."""
        page.goto(f"{self.live_server_url}/dashboard/catalogue/products/create/chair/")
        page.fill("#id_title", title)
        page.get_by_role("link", name="Categories", exact=True).click()
        page.locator("#id_productcategory_set-0-category").select_option(label="Chairs", force=True)
        page.get_by_role("link", name="Images", exact=True).click()
        file: Any = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": image}
        page.set_input_files("#id_images-0-original", file)
        page.get_by_role("button", name="Save", exact=True).click()

    def import_product(self, title: str) -> None:
        """Add a product that is in stock, as an import does."""
        product = Product.objects.create(title=title, product_class=self.kind)
        product.categories.add(self.category)
        photo = ContentFile(read_photo(title), name=f"{product.slug}.jpg")
        ProductImage.objects.create(product=product, original=photo)
        StockRecord.objects.create(product=product, partner=self.partner, partner_sku=product.pk, price=Decimal(149))

    def check_notice(self, page: Page) -> None:
        notice = page.locator("#messages .alert-warning")
        expect(notice).to_contain_text(f"“photo.jpg” looks almost the same as an image of {FORMER}.")
        self.picture(page, "dashboard", height=640)
        notice.get_by_role("link", name=FORMER).click()
        expect(page.get_by_role("heading", name=FORMER)).to_be_visible()

    def check_panel(self, page: Page) -> None:
        page.reload()
        page.get_by_role("link", name="Similar products").click()
        rows = page.locator("#similar_products tbody tr")
        expect(rows.first).to_contain_text("Chair")
        expect(rows).to_have_count(len(RANGE) + 1)
        self.check_barriers(page, "#similar_products")
        rows.first.get_by_role("link").click()
        expect(page.get_by_role("heading", name="Chair", exact=True)).to_be_visible()

    def check_product_page(self, page: Page) -> None:
        page.goto(self.live_server_url + Product.objects.get(title=RANGE[0]).get_absolute_url())
        block = page.get_by_role("region", name="Similar products")
        expect(block.get_by_role("article")).to_have_count(6)
        self.check_barriers(page, "section[aria-labelledby=similar-products] > div")
        self.picture(page, "product", height=760, end=block)
        link = block.get_by_role("heading", level=3).first.get_by_role("link")
        title = link.get_attribute("title")
        link.click()
        expect(page.get_by_role("heading", level=1)).to_have_text(str(title))

    def check_search(self, page: Page) -> None:
        page.goto(f"{self.live_server_url}/similar-images/search/")
        expect(page.locator("header .h1")).to_be_visible()  # of the shop
        file: Any = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": read_photo(RANGE[1], side=400)}
        page.set_input_files("#id_image", file)
        page.locator(".similar-images-search").get_by_role("button", name="Search", exact=True).click()
        first = page.locator(".similar-images-matches a").first
        expect(first).to_contain_text(RANGE[1])
        self.check_barriers(page, "section.similar-images")
        first.click()
        expect(page.get_by_role("heading", name=RANGE[1], level=1)).to_be_visible()

    def check_barriers(self, page: Page, selector: str) -> None:
        """Check that axe finds no barriers but for colors, which are those of Oscar."""
        found = [barrier for barrier in find_barriers(page, selector) if not barrier.startswith("color-contrast")]
        self.assertEqual(found, [])  # noqa: PT009 - it shows them

    def picture(self, page: Page, name: str, *, height: int, end: Locator | None = None) -> None:
        """Save what the browser shows, down to the end of an element, where that is asked for."""
        if SCREENSHOTS:
            page.set_viewport_size({"width": 1200, "height": height})
            page.wait_for_load_state("networkidle")
            if end:
                end.evaluate("element => element.scrollIntoView(false)")
            page.screenshot(path=Path(SCREENSHOTS) / f"oscar-{name}.png")
            page.set_viewport_size({"width": 1440, "height": 1000})

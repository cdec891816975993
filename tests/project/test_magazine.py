"""The demo with Wagtail, as its visitors and editors use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import drawing

from .conftest import PRODUCTS, Demo, run_demo

pytest.importorskip("wagtail", reason="NO WAGTAIL: wagtail is not installed")


@pytest.fixture(scope="module")
def magazine(open_folder: Callable[[], Path]) -> Iterator[Demo]:
    with run_demo(open_folder(), "project.magazine.settings") as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, magazine: Demo) -> Iterator[Page]:
    context = browser.new_context(base_url=magazine.url)
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def test_story__shows_pictures_and_stories_that_are_similar(visitor: Page) -> None:
    visitor.goto("/")
    cards = visitor.locator(".stories .card")
    expect(cards).to_have_count(PRODUCTS)
    cards.first.click()
    assert visitor.locator("section .similar-images img").count() > 0
    similar = visitor.locator(".more .card a")
    assert similar.count() > 0
    title = similar.first.inner_text().strip()
    similar.first.click()
    expect(visitor.get_by_role("heading", level=1)).to_have_text(title)


def test_search__leads_to_the_story_of_an_image(visitor: Page) -> None:
    visitor.goto("/similar-images/search/")
    data = drawing.encoded(drawing.scene(3, size=(320, 240)))
    visitor.set_input_files("input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": data})
    visitor.locator("main").get_by_role("button", name="Search").click()
    visitor.get_by_role("link", name="Scene 3").first.click()
    expect(visitor.get_by_role("heading", level=1)).to_have_text("Scene 3")


def test_editor__sees_similar_images_in_wagtail(visitor: Page) -> None:
    visitor.goto("/admin/")
    visitor.fill('[name="username"]', "admin")
    visitor.fill('[name="password"]', "admin")
    visitor.get_by_role("button", name="Sign in").click()
    visitor.goto("/admin/images/")
    visitor.locator(".image-choice, .listing .title a, ul.listing a").first.click()
    visitor.get_by_role("button", name="Toggle similar images").click()
    expect(visitor.get_by_role("button", name="Not similar").first).to_be_visible()

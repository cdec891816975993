"""The pages of the demo everywhere: narrow and wide, light and dark, right to left, in German, by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import drawing
from tests.browsers import find_barriers, needs_chromium
from tests.project.conftest import Demo
from tests.project.policy import POLICY

pytestmark = needs_chromium

OpenPage = Callable[..., Page]

PAGES = ("product", "similar", "search", "compare")


ABORTED = "net::ERR_ABORTED"
"""What was still loading when its page was left or closed."""


@pytest.fixture
def open_page(browser: Browser, demo: Demo) -> Iterator[OpenPage]:
    """Open a page of the demo in a context with any options; nothing on it may be an error, or of another site."""
    contexts = []
    problems: list[str] = []

    def open_page(name: str, **options: Any) -> Page:
        context = browser.new_context(base_url=demo.url, **{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda each: problems.append(each.text) if each.type in ("error", "warning") else None)
        page.on("request", lambda r: None if r.url.startswith((demo.url, "blob:")) else problems.append(r.url))
        page.on("requestfailed", lambda r: None if r.failure == ABORTED else problems.append(r.url))
        page.on("response", lambda r: problems.append(f"{r.status} {r.url}") if r.status == 404 else None)
        visit(page, name)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)


def visit(page: Page, name: str) -> None:
    """Go to a page with matches, or a comparison, on it."""
    page.goto("/")
    address = str(page.locator("main a", has_text="Scene 4").first.get_attribute("href"))
    if name == "similar":
        page.goto(address)
        address = str(page.locator(".product .actions a").first.get_attribute("href")) + "?min_similarity=0&limit=5"
    elif name != "product":
        address = f"/similar-images/{name}/"
    answer = page.goto(address)
    assert answer
    assert answer.header_value("content-security-policy") == POLICY
    file = {"name": "x.png", "mimeType": "image/png", "buffer": drawing.encoded(drawing.scene(4, size=(320, 240)))}
    if name == "search":
        page.set_input_files("main input[type=file][name=image]", file)
        page.locator(".similar-images-search button:not([type])").click()
        page.locator(".similar-images-matches > li").first.wait_for()
    if name == "compare":
        for field in ("a", "b"):
            page.set_input_files(f"main input[type=file][name={field}]", file)
        page.locator(".similar-images-compare > button").click()
        page.locator(".similar-images-verdict").wait_for()


def check_page(page: Page) -> None:
    """Check that a page fits, and has no barrier, with its first card open."""
    if page.locator(".similar-images-why").count():
        page.locator(".similar-images-why summary").first.click()
        page.locator(".similar-images-explanation").wait_for()
    page.wait_for_load_state("networkidle")
    width = page.viewport_size["width"]  # type: ignore[index]  # it was given
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert find_barriers(page) == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_pages__fit_without_barriers_in_light_and_dark(
    open_page: OpenPage, name: str, width: int, color_scheme: str
) -> None:
    page = open_page(name, viewport={"width": width, "height": 900}, color_scheme=color_scheme)
    check_page(page)


@pytest.mark.parametrize("name", PAGES)
def test_pages__fit_from_right_to_left(open_page: OpenPage, name: str) -> None:
    page = open_page(name, viewport={"width": 360, "height": 900}, locale="ar")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    check_page(page)


GERMAN = {
    "product": "ähnlich",
    "similar": "Warum ist es ähnlich?",
    "search": "Suche per Bild",
    "compare": "Zwei Bilder vergleichen",
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 1440])
def test_pages__are_told_in_german_and_fit(open_page: OpenPage, name: str, width: int) -> None:
    page = open_page(name, viewport={"width": width, "height": 900}, locale="de-DE")
    expect(page.locator("main")).to_contain_text(GERMAN[name], ignore_case=True)
    check_page(page)
    words = page.locator("main .similar-images").first.inner_text()
    for english in ("similar", "Show", "Number of", "Why", "Search", "Compare"):
        assert english not in words.replace("Similar to", "")


@pytest.mark.parametrize("name", PAGES)
def test_pages__work_without_javascript(open_page: OpenPage, name: str) -> None:
    page = open_page(name, java_script_enabled=False)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    if name in ("similar", "search"):
        card = page.locator(".similar-images-matches > li").first
        card.locator("summary").click()
        expect(card.locator("details p")).to_be_visible()
        card.get_by_role("link", name="Compare with").click()
        expect(page.locator(".similar-images-verdict")).to_be_visible()
    if name == "product":
        page.locator(".similar-images-matches a").first.click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_card__is_opened_by_the_keyboard_and_explains_in_place(open_page: OpenPage) -> None:
    page = open_page("similar")
    card = page.locator(".similar-images-matches > li").first
    page.keyboard.press("Tab")
    for _ in range(60):
        if page.evaluate("document.activeElement.matches('.similar-images-why summary')"):
            break
        page.keyboard.press("Tab")
    expect(card.locator("summary")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(card.locator(".similar-images-explanation img")).to_have_count(2)
    expect(card.locator("summary")).to_be_focused()
    page.keyboard.press("Tab")
    expect(card.get_by_role("link", name="Compare with")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare/?a=*")


def test_card__outlines_the_part_where_it_lies_in_both_images(open_page: OpenPage) -> None:
    page = open_page("search", viewport={"width": 1440, "height": 900})
    card = page.locator(".similar-images-matches > li").first
    card.locator("summary").click()
    expect(card.locator(".similar-images-explanation")).to_contain_text("Both files are identical.")
    for shown in card.locator(".similar-images-boxed").all():
        image, outline = (shown.locator(name).first.bounding_box() for name in ("img", "rect"))
        assert image
        assert outline
        assert all(abs(image[side] - outline[side]) < 8 for side in ("x", "y", "width", "height"))


def test_form__with_errors_has_no_empty_paragraphs_that_indent_it(browser: Browser, demo: Demo) -> None:
    page = browser.new_page(base_url=demo.url)
    visit(page, "similar")
    page.goto(page.url.partition("?")[0] + "?limit=1000")
    expect(page.locator(".similar-images-field .errorlist")).to_have_count(1)
    assert page.locator(".similar-images-options p").count() == 0
    page.close()


def test_list__has_no_gap_between_title_and_similarity_on_a_narrow_screen(open_page: OpenPage) -> None:
    page = open_page("product", viewport={"width": 390, "height": 900})
    page.locator(".similar-images-grid").first.evaluate(
        "list => list.classList.replace('similar-images-grid', 'similar-images-list')"
    )
    card = page.locator(".similar-images-list > li").first
    title, similarity = (card.locator(f".similar-images-{name}").bounding_box() for name in ("title", "similarity"))
    assert title
    assert similarity
    assert 0 <= similarity["y"] - title["y"] - title["height"] < 8


def test_grid__leaves_no_blank_line_below_titles_of_one_line(open_page: OpenPage) -> None:
    page = open_page("product")
    card = page.locator(".similar-images-grid > li").first
    title, similarity = (card.locator(f".similar-images-{name}").bounding_box() for name in ("title", "similarity"))
    assert title
    assert similarity
    assert title["height"] < 30
    assert similarity["y"] - title["y"] - title["height"] < 8

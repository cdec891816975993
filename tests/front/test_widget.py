"""{% similar_items_widget %} in Chromium: every layout, with and without JavaScript, in all its environments."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browsers import CHROMIUM, find_barriers, needs_chromium
from tests.front.conftest import run_node
from tests.project.conftest import Demo, demo

pytestmark = needs_chromium

__all__ = ["demo"]  # a fixture

OpenPage = Callable[..., Page]

SHIFTS = """() => new Promise((resolve) => {
    const shifts = [];
    const name = ({node}) => node?.outerHTML?.slice(0, 100) ?? node?.textContent;
    const note = (entry) => shifts.push(`${entry.value}: ${entry.sources.map(name).join(" | ")}`);
    new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({type: "layout-shift", buffered: true});
    setTimeout(() => resolve(shifts), 300);
})"""


def items(page: Page) -> Locator:
    return page.get_by_role("region", name="You may also like").get_by_role("listitem")


@pytest.mark.parametrize("layout", ["grid", "row", "list"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("direction", ["", "&rtl"])
def test_layouts__fit_without_barriers_and_nothing_shifts(
    open_page: OpenPage, layout: str, width: int, color_scheme: str, direction: str
) -> None:
    viewport = {"width": width, "height": 800}
    page = open_page(f"/items/1/?layout={layout}{direction}", viewport=viewport, color_scheme=color_scheme)
    expect(items(page)).to_have_count(12)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(SHIFTS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert find_barriers(page) == []


@pytest.mark.parametrize("layout", ["grid", "row", "list"])
@pytest.mark.parametrize("width", [360, 1440])
def test_slow_line__shifts_nothing(open_page: OpenPage, layout: str, width: int) -> None:
    page = open_page(f"/items/1/?layout={layout}&slow", viewport={"width": width, "height": 1200})
    expect(items(page)).to_have_count(12)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(SHIFTS) == []


@pytest.mark.parametrize("layout", ["grid", "row", "list"])
def test_without_javascript__every_item_is_a_link(open_page: OpenPage, layout: str) -> None:
    page = open_page(f"/items/1/?layout={layout}", java_script_enabled=False)
    expect(items(page)).to_have_count(12)
    expect(items(page).get_by_role("link")).to_have_count(12)
    expect(page.get_by_role("button")).to_have_count(0)
    href = items(page).first.get_by_role("link").get_attribute("href")
    items(page).first.get_by_role("link").click()
    assert page.url.endswith(str(href))


def test_keyboard__reaches_every_item_in_order_and_opens_it(open_page: OpenPage) -> None:
    page = open_page("/items/1/")
    hrefs = [link.get_attribute("href") for link in items(page).get_by_role("link").all()]
    reached = []
    for _ in hrefs:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('href')"))
    assert reached == hrefs
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{hrefs[-1]}")


@pytest.mark.parametrize("direction", ["", "&rtl"])
def test_row__scrolls_by_buttons_with_the_keyboard(open_page: OpenPage, direction: str) -> None:
    viewport = {"width": 600, "height": 800}
    page = open_page(f"/items/1/?layout=row{direction}", viewport=viewport, reduced_motion="reduce")
    previous, following = (page.get_by_role("button", name=f"{name} items") for name in ("Previous", "Next"))
    expect(previous).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Tab")
    expect(previous).to_be_focused()
    page.keyboard.press("Tab")
    expect(following).to_be_focused()
    page.keyboard.press("Enter")
    expect(previous).to_have_attribute("aria-disabled", "false")
    position = page.locator(".similar-images-row").evaluate("list => list.scrollLeft")
    assert position < -100 if direction else position > 100
    for _ in range(8):
        page.keyboard.press("Enter")
    expect(following).to_have_attribute("aria-disabled", "true")
    expect(following).to_be_focused()
    expect(items(page).last).to_be_in_viewport()


def test_row__that_fits_has_no_buttons(open_page: OpenPage) -> None:
    page = open_page("/items/1/?layout=row&limit=2")
    expect(items(page)).to_have_count(2)
    expect(page.get_by_role("button")).to_have_count(0)


def test_row__without_links_is_scrolled_by_the_keyboard(open_page: OpenPage) -> None:
    page = open_page("/sketches/1/?layout=row", viewport={"width": 360, "height": 800})
    expect(items(page).get_by_role("link")).to_have_count(0)
    page.locator(".similar-images-row").focus()
    assert page.evaluate("document.activeElement.className").endswith("similar-images-row")
    assert find_barriers(page) == []


def test_german(open_page: OpenPage) -> None:
    page = open_page("/items/1/?layout=row", locale="de-DE", viewport={"width": 600, "height": 800})
    expect(page.get_by_role("button", name="Nächste Objekte")).to_be_visible()
    expect(items(page).first).to_contain_text("ähnlich")
    assert find_barriers(page) == []


def test_lazy__is_loaded_when_near_in_the_language_of_the_page(open_page: OpenPage) -> None:
    page = open_page("/items/1/?layout=row&lazy&spacer=1", locale="de-DE", viewport={"width": 600, "height": 800})
    page.wait_for_load_state("networkidle")
    expect(items(page)).to_have_count(0)
    for _ in range(7):  # until it is near, but not in view
        page.mouse.wheel(0, 275)
        page.wait_for_timeout(50)
    expect(items(page)).to_have_count(8)
    expect(page.locator("similar-images-widget")).not_to_be_in_viewport()
    expect(items(page).first).to_contain_text("ähnlich")
    expect(page.get_by_role("button", name="Nächste Objekte")).to_be_visible()
    assert find_barriers(page) == []
    assert page.evaluate(SHIFTS) == []


def test_lazy__without_javascript_is_a_link(open_page: OpenPage) -> None:
    page = open_page("/items/1/?lazy", java_script_enabled=False)
    page.get_by_role("link", name="You may also like").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Similar to Item 0")


def test_list_page__has_a_widget_for_each_item(open_page: OpenPage) -> None:
    page = open_page("/list/")
    expect(page.locator("similar-images-widget")).to_have_count(24)
    assert find_barriers(page) == []


def test_lighthouse__finds_the_product_page_of_the_demo_accessible_and_still(demo: Demo, node_folder: Any) -> None:
    with urlopen(demo.url) as answer:  # noqa: S310 - the demo's own address
        product = re.findall(r'href="(/products/[^"]+)"', answer.read().decode())[0]
    report = node_folder / "report.json"
    flags = "--headless=new --no-sandbox --disable-background-networking"
    run_node(
        node_folder,
        "npx",
        "lighthouse",
        f"{demo.url}{product}",
        "--only-categories=accessibility",
        "--only-audits=cumulative-layout-shift",
        "--output=json",
        f"--output-path={report}",
        f"--chrome-flags={flags}",
        "--quiet",
        CHROME_PATH=str(CHROMIUM),
    )
    told = json.loads(report.read_text())
    assert told["categories"]["accessibility"]["score"] == 1
    assert told["audits"]["cumulative-layout-shift"]["numericValue"] == 0


@pytest.mark.parametrize("path", ["front.item/1/?min_similarity=0", "search/", "compare/"])
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_pages__follow_the_color_scheme_without_barriers(
    open_page: OpenPage, path: str, color_scheme: str, width: int
) -> None:
    viewport = {"width": width, "height": 900}
    page = open_page(f"/similar-images/{path}", color_scheme=color_scheme, viewport=viewport)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (color_scheme == "light")
    assert find_barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width

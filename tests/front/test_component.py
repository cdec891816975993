"""<similar-items>, in Chromium and Firefox: on a plain page, in React, and in Vue."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

import similar_images
from tests.browsers import find_barriers, needs_chromium
from tests.front.conftest import HERE, Host, run_node

FILE = Path(similar_images.__file__).parent / "static/similar_images/similar-items.js"
MAX_BYTES = 6_000

OpenPage = Callable[..., Page]


def set_attributes(page: Page, **attributes: str) -> None:
    page.locator("similar-items").evaluate(
        "(element, values) => Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value))",
        {name.replace("_", "-"): value for name, value in attributes.items()},
    )


def test_file__is_small_and_has_no_dependency() -> None:
    text = FILE.read_text()
    assert len(gzip.compress(text.encode(), 9)) < MAX_BYTES
    assert not re.search(
        r"^\s*import\b|\bimport\(|\brequire\(|innerHTML|insertAdjacentHTML|document\.write|\beval\b", text, re.M
    )


@needs_chromium
class TestChromium:
    def test_plain_page__shows_matches_with_links(self, open_page: OpenPage) -> None:
        page = open_page("/pages/plain.html")
        items = page.locator("similar-items").get_by_role("listitem")
        expect(items).to_have_count(8)
        region = page.get_by_role("region", name="You may also like")
        expect(region.get_by_role("heading", level=2)).to_have_text("You may also like")
        first = items.first.get_by_role("link")
        assert re.fullmatch(r".*/items/\d+/", first.get_attribute("href") or "")
        expect(items.first).to_contain_text("% similar")
        image = items.first.locator("img")
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)")
        assert (image.get_attribute("loading"), image.get_attribute("alt")) == ("lazy", "")
        expect(page.get_by_role("link", name="All similar items")).to_be_visible()

    def test_select__tells_the_match_and_may_be_prevented(self, open_page: OpenPage) -> None:
        page = open_page("/pages/plain.html")
        item = page.locator("similar-items").get_by_role("listitem").first
        title = item.locator("[part=title]").inner_text()
        item.get_by_role("link").focus()
        page.keyboard.press("Enter")
        assert page.url.endswith("/pages/plain.html")
        assert page.evaluate("window.events") == [["load", ""], ["select", title]]

    def test_attributes__change_what_is_shown(self, open_page: OpenPage) -> None:
        page = open_page("/pages/plain.html")
        items = page.locator("similar-items").get_by_role("listitem")
        expect(items).to_have_count(8)
        set_attributes(
            page, limit="3", heading="Alike", heading_level="3", layout="list", text_similarity="zu {percent} % ähnlich"
        )
        expect(items).to_have_count(3)
        expect(page.get_by_role("heading", level=3)).to_have_text("Alike")
        expect(items.first).to_contain_text(re.compile(r"zu \d+ % ähnlich"))
        set_attributes(page, src="/api/similar-images/front.sketch/1/similar/?min_similarity=0")
        expect(items.first).to_contain_text("Sketch")
        expect(page.locator("similar-items li a")).to_have_count(0)  # sketches have no page

    def test_min_matches__shows_nothing_rather_than_little(self, open_page: OpenPage) -> None:
        page = open_page("/pages/plain.html")
        expect(page.locator("similar-items").get_by_role("listitem")).to_have_count(8)
        set_attributes(page, limit="3", min_matches="4")
        expect(page.locator("similar-items").get_by_role("heading")).to_have_count(0)
        expect(page.locator("similar-items").get_by_role("link")).to_have_count(0)

    def test_empty__shows_its_text_or_slot(self, open_page: OpenPage) -> None:
        page = open_page("/pages/plain.html")
        set_attributes(page, params="min_similarity=100", text_empty="Nothing like it.")
        expect(page.locator("similar-items").get_by_role("status")).to_have_text("Nothing like it.")
        page.locator("similar-items").evaluate(
            """element => {
                const own = document.createElement("p");
                own.slot = "empty";
                own.textContent = "My own words";
                element.append(own);
                element.removeAttribute("text-empty");
                element.reload();
            }"""
        )
        expect(page.get_by_text("My own words")).to_be_visible()

    def test_missing_object__is_no_error(self, open_page: OpenPage) -> None:
        page = open_page("/pages/plain.html")
        expect(page.locator("similar-items").get_by_role("listitem")).to_have_count(8)
        set_attributes(page, pk="999999")
        expect(page.locator("similar-items").get_by_role("heading")).to_have_count(0)
        open_page.problems.clear()  # type: ignore[attr-defined]  # Chromium reports each 404 on its console

    def test_error__can_be_tried_again(self, open_page: OpenPage) -> None:
        page = open_page("/pages/plain.html")
        expect(page.locator("similar-items").get_by_role("listitem")).to_have_count(8)
        page.context.set_offline(True)
        set_attributes(page, limit="5")
        expect(page.locator("similar-items").get_by_role("status")).to_contain_text("can’t be loaded")
        assert find_barriers(page) == []
        page.context.set_offline(False)
        page.get_by_role("button", name="Try again").click()
        expect(page.locator("similar-items").get_by_role("listitem")).to_have_count(5)
        assert [name for name, _title in page.evaluate("window.events")] == ["load", "error", "load"]
        open_page.problems.clear()  # type: ignore[attr-defined]  # the request that failed

    @pytest.mark.parametrize("layout", ["grid", "row", "list"])
    def test_loading__shows_skeletons_of_the_final_size(self, open_page: OpenPage, layout: str) -> None:
        page = open_page("/pages/blank.html")
        held: list[Route] = []
        page.route("**/api/**", lambda route: held.append(route))
        page.goto("/pages/plain.html")
        set_attributes(page, layout=layout)
        bones = page.locator("similar-items [part=skeleton]")
        expect(bones).to_have_count(8)
        expect(page.locator("similar-items section")).to_have_attribute("aria-busy", "true")
        before = page.locator("similar-items").bounding_box()
        assert find_barriers(page) == []
        held[0].continue_()
        expect(page.locator("similar-items").get_by_role("listitem")).to_have_count(8)
        assert page.locator("similar-items").bounding_box() == before

    def test_lazy__loads_when_near(self, open_page: OpenPage) -> None:
        page = open_page("/pages/blank.html")
        requests: list[str] = []
        page.on("request", lambda each: requests.append(each.url) if "/api/" in each.url else None)
        page.goto("/pages/lazy.html")
        page.wait_for_load_state("networkidle")
        assert requests == []
        page.mouse.wheel(0, 3000)
        expect(page.locator("similar-items").get_by_role("listitem")).to_have_count(4)
        assert len(requests) == 1

    def test_hostile_answer__is_only_text(self, open_page: OpenPage) -> None:
        page = open_page("/pages/blank.html")
        match = {
            "title": "<img src=x onerror=alert(1)>",
            "url": "javascript:alert(1)",
            "image": "/favicon.ico",
            "similarity": 50.0,
        }
        page.route("**/api/**", lambda route: route.fulfill(json={"query": {}, "results": [match]}))
        page.goto("/pages/plain.html")
        expect(page.locator("similar-items [part=title]")).to_have_text(match["title"])
        expect(page.locator("similar-items li a")).to_have_count(0)
        expect(page.locator("similar-items li img")).to_have_count(1)

    def test_thumbnail__comes_with_its_size_and_widths(self, open_page: OpenPage) -> None:
        page = open_page("/pages/blank.html")
        thumbnail = {
            "url": "/media/items/0.jpg",
            "width": 320,
            "height": 240,
            "srcset": "/media/items/0.jpg 320w, /media/items/1.jpg 640w",
        }
        match = {"title": "A", "url": "/items/1/", "image": "/big.jpg", "thumbnail": thumbnail, "similarity": 50.0}
        page.route("**/api/**", lambda route: route.fulfill(json={"query": {}, "results": [match]}))
        page.goto("/pages/plain.html")
        image = page.locator("similar-items li img")
        expect(image).to_have_attribute("srcset", thumbnail["srcset"])
        assert [image.get_attribute(name) for name in ("src", "width", "height")] == [
            "/media/items/0.jpg",
            "320",
            "240",
        ]
        assert image.get_attribute("sizes")

    @pytest.mark.parametrize("direction", ["ltr", "rtl"])
    def test_row__scrolls_by_buttons_with_the_keyboard(self, open_page: OpenPage, direction: str) -> None:
        page = open_page("/pages/plain.html", viewport={"width": 600, "height": 800}, reduced_motion="reduce")
        page.evaluate("direction => document.documentElement.dir = direction", direction)
        set_attributes(page, layout="row")
        expect(page.locator("similar-items .row li")).to_have_count(8)
        previous, following = (page.get_by_role("button", name=f"{name} items") for name in ("Previous", "Next"))
        expect(previous).to_have_attribute("aria-disabled", "true")
        following.focus()
        page.keyboard.press("Enter")
        expect(previous).to_have_attribute("aria-disabled", "false")
        position = page.locator("similar-items .row").evaluate("list => list.scrollLeft")
        assert position > 100 if direction == "ltr" else position < -100
        for _ in range(5):
            page.keyboard.press("Enter")
        expect(following).to_have_attribute("aria-disabled", "true")
        expect(following).to_be_focused()
        previous.focus()
        for _ in range(6):
            page.keyboard.press("Space")
        expect(previous).to_have_attribute("aria-disabled", "true")

    @pytest.mark.parametrize("layout", ["grid", "row", "list"])
    @pytest.mark.parametrize("color_scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [360, 1440])
    def test_layouts__fit_without_barriers(
        self, open_page: OpenPage, layout: str, color_scheme: str, width: int
    ) -> None:
        page = open_page("/pages/plain.html", viewport={"width": width, "height": 800}, color_scheme=color_scheme)
        set_attributes(page, layout=layout)
        expect(page.locator(f"similar-items .{layout} li[part=item]")).to_have_count(8)
        assert find_barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def test_without_javascript__the_link_inside_is_there(self, open_page: OpenPage) -> None:
        page = open_page("/pages/plain.html", java_script_enabled=False)
        expect(page.get_by_role("link", name="All similar items")).to_be_visible()

    @pytest.mark.parametrize("framework", ["react", "vue"])
    def test_frameworks__use_it_as_any_element(
        self, open_page: OpenPage, framework: str, host: Host, node_folder: Path
    ) -> None:
        bundle(framework, node_folder, host)
        page = open_page(f"/pages/{framework}.html")
        items = page.locator("similar-items").get_by_role("listitem")
        expect(items).to_have_count(4)
        title = items.first.locator("[part=title]").inner_text()
        items.first.get_by_role("link").click()
        expect(page.locator("output")).to_have_text(title)
        before = items.first.get_by_role("link").get_attribute("href")
        page.get_by_role("button", name="Another item").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("page 2")
        expect(items.first.get_by_role("link")).not_to_have_attribute("href", before or "")
        expect(items).to_have_count(4)
        assert find_barriers(page) == []


def bundle(framework: str, node_folder: Path, host: Host) -> None:
    """Bundle the page of a framework, as its users do."""
    source = next(HERE.glob(f"pages/{framework}.js*"))
    shutil.copy(source, node_folder)
    pages = host.folder / "pages"
    options = ["--bundle", "--minify", "--jsx=automatic", '--define:process.env.NODE_ENV="production"']
    run_node(node_folder, "npx", "esbuild", source.name, *options, f"--outfile={pages / framework}.bundle.js")
    html = (pages / "framework.html").read_text()
    (pages / f"{framework}.html").write_text(html.replace("FRAMEWORK", framework))


def test_firefox(host: Host, node_folder: Path) -> None:
    """Firefox as Debian has it, which the driver of Playwright does not control: by WebDriver BiDi."""
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if not firefox:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("REQUIRE_BROWSER is set, but there is no Firefox.")
        pytest.skip("NO TESTS IN FIREFOX: there is none (apt-get install firefox-esr)")
    for framework in ("react", "vue"):
        bundle(framework, node_folder, host)
    shutil.copy(HERE / "firefox.mjs", node_folder)
    told: dict[str, Any] = json.loads(run_node(node_folder, "node", "firefox.mjs", firefox, host.url))
    assert told["errors"] == []
    assert told["counts"] == {"plain": 8, "react": 4, "vue": 4}
    assert told["selected"] == told["title"] != ""
    assert told["scrolled"] > 100
    assert told["rtl"] < -100
    assert told["empty"] == "Nothing like it."
    assert told["background"] != told["darkBackground"]

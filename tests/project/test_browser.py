"""The demo as a person uses it: the real command, a real browser."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests import drawing
from tests.browsers import find_barriers, needs_chromium
from tests.project.conftest import PRODUCTS, Demo
from tests.project.policy import POLICY

pytestmark = needs_chromium


def open_product(page: Page, name: str) -> None:
    page.goto("/")
    page.get_by_role("link", name=name, exact=False).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_admin__an_uploaded_image_appears_among_the_similar_items_of_its_twin(page: Page, tmp_path: Path) -> None:
    twin = tmp_path / "twin.jpg"
    twin.write_bytes(drawing.encoded(drawing.scene(3, size=(320, 240)), "JPEG", quality=60))
    page.goto("/admin/login/?next=/admin/catalog/product/add/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", "admin")
    page.click("[type=submit]")
    page.fill("#id_name", "The twin")
    page.fill("#id_slug", "the-twin")
    page.fill("#id_price", "9.99")
    page.select_option("#id_category", index=1)
    page.set_input_files("#id_photo", twin)
    page.click("[name=_continue]")
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    saved = time.monotonic()
    open_product(page, "Scene 3")
    widget = page.get_by_role("region", name="You may also like")
    while not widget.get_by_role("link", name="The twin").count():
        assert time.monotonic() - saved < 10, "the twin was not found within 10 s"
        time.sleep(0.3)
        page.reload()
    first = widget.get_by_role("listitem").first
    assert "The twin" in first.inner_text()
    assert int(first.inner_text().split("%")[0].split()[-1]) >= 90
    page.goto("/admin/catalog/product/?q=twin")
    page.locator("#result_list a[href*='/change/']").first.click()
    expect(page.locator(".similar-images-admin li").first).to_contain_text("Scene 3")


JUDGING = {"include": [[".similar-images-judging"]], "exclude": [[".select2"]]}
"""The part of the page on a pair that is ours: the field of Django's own autocomplete has no name."""


def test_admin__a_match_marked_as_not_similar_disappears(page: Page) -> None:
    page.goto("/admin/login/?next=/admin/catalog/product/%3Fq=Scene+7")
    page.fill("#id_username", "admin")
    page.fill("#id_password", "admin")
    page.click("[type=submit]")
    page.locator("#result_list a[href*='/change/']").first.click()
    first = page.locator(".similar-images-admin .similar-images-title").first
    title = first.inner_text()
    page.locator(".similar-images-admin summary").first.click()
    expect(page.locator(".similar-images-admin details").first).to_contain_text("found by this method")
    panel = find_barriers(page, ".similar-images-admin")
    page.get_by_role("link", name=f"Good match? {title}", exact=True).click()
    expect(page.locator(".similar-images-judging")).to_contain_text("It is listed at position 1")
    pair_page = find_barriers(page, JUDGING)
    page.get_by_role("button", name="Mark as not similar").click()
    expect(page.locator(".messagelist")).to_contain_text("Marked as not similar.")
    expect(first).not_to_have_text(title)
    page.get_by_role("link", name="Missing an item?").click()
    expect(page.get_by_role("button", name="Explain")).to_be_visible()
    empty_page = find_barriers(page, JUDGING)
    assert [*panel, *pair_page, *empty_page] == []


def test_similar__page_takes_options_and_links_on(page: Page) -> None:
    open_product(page, "Scene 5")
    page.get_by_role("link", name="All similar items").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Similar to Scene 5")
    page.get_by_label("Number of results").fill("2")
    page.get_by_role("button", name="Apply").click()
    matches = page.locator(".similar-images-matches li")
    expect(matches).to_have_count(2)
    shown = page.locator(".similar-images-matches img").first
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 320
    name = matches.first.locator(".similar-images-title").inner_text()
    matches.first.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def first_match(page: Page) -> Locator:
    return page.locator(".similar-images-matches li").first


def test_search__by_a_chosen_file(page: Page) -> None:
    page.goto("/similar-images/search/")
    data = drawing.encoded(drawing.scene(7, size=(320, 240)))
    page.set_input_files("input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": data})
    expect(page.locator(".similar-images-preview")).to_be_visible()
    page.locator("main").get_by_role("button", name="Search").click()
    expect(first_match(page)).to_contain_text("Scene 7")
    expect(first_match(page)).to_contain_text("100% similar")


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_search__by_a_picture_dropped_or_pasted(page: Page, way: str) -> None:
    page.goto("/similar-images/search/")
    data = base64.b64encode(drawing.encoded(drawing.scene(8, size=(320, 240)))).decode()
    page.evaluate(
        """([data, way]) => {
            const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
            const zone = document.querySelector(".similar-images-drop");
            const event = way === "drop"
                ? new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true})
                : new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true});
            zone.dispatchEvent(event);
        }""",
        [data, way],
    )
    expect(first_match(page)).to_contain_text("Scene 8")


def search_by_scene(page: Page, seed: int) -> None:
    page.goto("/similar-images/search/")
    data = drawing.encoded(drawing.scene(seed, size=(320, 240)))
    page.set_input_files("input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": data})
    page.locator("main").get_by_role("button", name="Search").click()
    expect(first_match(page)).to_contain_text(f"Scene {seed}")


def test_search__the_image_stays_and_a_part_of_it_is_drawn_with_the_mouse(page: Page) -> None:
    search_by_scene(page, 7)
    image = page.locator(".similar-images-part img")
    assert is_loaded(image)
    box = image.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    expect(page.locator(".similar-images-frame")).to_be_visible()
    page.locator("main").get_by_role("button", name="Search").click()
    page.wait_for_url("**box=0.*")
    expect(page.locator(".similar-images-frame")).to_be_visible()
    expect(page.locator(".similar-images-matches li").first).to_be_visible()
    page.get_by_role("button", name="Select a part").click()
    page.locator("main").get_by_role("button", name="Search").click()
    page.wait_for_url(lambda url: "box=" not in url)
    expect(first_match(page)).to_contain_text("100% similar")


def test_search__a_part_weights_and_threshold_by_keyboard(page: Page) -> None:
    search_by_scene(page, 7)
    page.get_by_role("button", name="Select a part").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("From left (%)")).to_be_focused()
    page.keyboard.type("10")
    page.get_by_label("Width (%)").fill("80")
    page.get_by_role("slider", name="Minimum similarity").focus()
    page.keyboard.press("Home")
    page.get_by_role("group", name="What counts").get_by_role("slider").last.focus()
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    expect(page.locator("main").get_by_role("button", name="Search")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**box=*")
    query = parse_qs(urlsplit(page.url).query)
    assert [float(number) for number in query["box"][0].split(",")] == [0.1, 0.25, 0.8, 0.5]
    assert query["min_similarity"] == ["0"]
    assert query["ranking"][0].endswith(":100")
    assert find_barriers(page) == []


def test_search__shows_more_without_leaving_the_page(page: Page) -> None:
    search_by_scene(page, 7)
    page.goto(f"{page.url}&limit=5&min_similarity=0")
    matches = page.locator(".similar-images-matches > li")
    expect(matches).to_have_count(5)
    more = page.get_by_role("link", name="Show more")
    status = page.locator(".similar-images-more [role=status]")
    expect(status).to_have_text("5 items shown")
    first = matches.first.element_handle()
    more.press("Enter")
    expect(matches).to_have_count(10)
    expect(status).to_have_text("10 items shown")
    expect(more).to_be_focused()
    assert first
    assert first.evaluate("item => item.isConnected"), "items that were there are made anew"
    more.press("Enter")
    expect(status).to_have_text(f"{PRODUCTS} items shown")
    expect(more).to_have_count(0)
    expect(matches.nth(10).locator("a").first).to_be_focused()
    page.reload()
    expect(matches).to_have_count(PRODUCTS)
    assert find_barriers(page) == []


def compare_dropped(page: Page, *seeds: int) -> None:
    """Drop pictures, all at once, on the first place for one."""
    data = [base64.b64encode(drawing.encoded(drawing.scene(seed, size=(320, 240)))).decode() for seed in seeds]
    answer = page.goto("/similar-images/compare/")
    assert answer
    assert answer.header_value("content-security-policy") == POLICY
    page.evaluate(
        """(files) => {
            const transfer = new DataTransfer();
            files.forEach((data, number) => {
                const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
                transfer.items.add(new File([bytes], `dropped-${number}.png`, {type: "image/png"}));
            });
            const zone = document.querySelector(".similar-images-drop");
            zone.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        data,
    )


def is_loaded(image: Locator) -> bool:
    expect(image).to_be_visible()
    return bool(image.evaluate("image => image.decode().then(() => image.naturalWidth)"))


def test_compare__two_pictures_dropped_one_after_the_other(page: Page) -> None:
    compare_dropped(page, 1)
    expect(page.locator(".similar-images-preview")).to_have_count(1)
    expect(page.locator(".similar-images-verdict")).to_have_count(0)
    data = drawing.encoded(drawing.scene(1, size=(320, 240)))
    page.get_by_label("Second image").set_input_files({"name": "b.png", "mimeType": "image/png", "buffer": data})
    expect(page.locator(".similar-images-preview")).to_have_count(2)
    page.locator("main").get_by_role("button", name="Compare").click()
    expect(page.locator(".similar-images-verdict h2")).to_have_text("Same file")


def test_compare__two_pictures_dropped_at_once(page: Page) -> None:
    compare_dropped(page, 1, 2)
    expect(page.locator(".similar-images-verdict h2")).to_be_visible()
    row = page.get_by_role("row", name="Brightness")
    expect(row).to_contain_text("How much brighter one of the two is.")
    expect(row.locator("meter")).to_be_visible()
    assert all(is_loaded(image) for image in page.locator(".similar-images-pair figure img").all())
    tabs = page.get_by_role("group", name="Visual explanations")
    expect(tabs).to_be_hidden()
    page.locator(".similar-images-drawings > summary").press("Enter")
    assert is_loaded(tabs.get_by_alt_text("Both pictures"))
    assert is_loaded(tabs.get_by_alt_text("Their light"))
    expect(tabs.get_by_alt_text("The same <pair>")).to_be_hidden()
    tabs.get_by_role("radio", name="Brightness").focus()
    page.keyboard.press("ArrowRight")
    assert is_loaded(tabs.get_by_alt_text("The same <pair>"))
    expect(tabs.get_by_alt_text("Both pictures")).to_be_hidden()


def test_compare__by_the_link_of_a_match_and_then_another_picture(page: Page) -> None:
    open_product(page, "Scene 4")
    page.get_by_role("link", name="All similar items").click()
    first_match(page).locator("summary").click()
    first_match(page).get_by_role("link", name="Compare with").click()
    expect(page.locator(".similar-images-pair figure").first).to_contain_text("Scene 4")
    data = drawing.encoded(drawing.scene(4, size=(320, 240)))
    page.get_by_label("Second image").set_input_files({"name": "b.png", "mimeType": "image/png", "buffer": data})
    page.locator("main").get_by_role("button", name="Compare").click()
    expect(page.locator(".similar-images-pair figure").last).to_contain_text("b.png")
    expect(page.get_by_role("row", name="Brightness")).to_contain_text("100.0%")


def test_compare__without_javascript(browser: Browser, demo: Demo) -> None:
    context = browser.new_context(base_url=demo.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/similar-images/compare/")
    expect(page.locator(".similar-images-drop").first).to_be_hidden()
    for label, data in {"First": drawing.encoded(drawing.scene(1)), "Second": b"this is no picture"}.items():
        page.get_by_label(label).set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": data})
    page.locator("main").get_by_role("button", name="Compare").click()
    expect(page.locator(".similar-images-side").last).to_contain_text("This is not an image")
    for label, seed in {"First": 1, "Second": 2}.items():
        data = drawing.encoded(drawing.scene(seed))
        page.get_by_label(label).set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": data})
    page.locator("main").get_by_role("button", name="Compare").click()
    expect(page.get_by_role("row", name="Brightness")).to_be_visible()
    page.locator(".similar-images-drawings > summary").click()
    expect(page.get_by_alt_text("Both pictures")).to_be_visible()
    page.locator(".similar-images-tabs").get_by_text("Darkness", exact=True).click()
    expect(page.get_by_alt_text("The same <pair>")).to_be_visible()
    expect(page.get_by_alt_text("Both pictures")).to_be_hidden()
    context.close()


@pytest.mark.parametrize("width", [375, 1200])
def test_pages__fit_and_have_no_barrier_that_axe_finds(browser: Browser, demo: Demo, width: int) -> None:
    context = browser.new_context(base_url=demo.url, viewport={"width": width, "height": 900})
    page = context.new_page()
    barriers_by_url: dict[str, list[str]] = {}

    def check_page() -> None:
        barriers_by_url[page.url] = find_barriers(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url

    compare_dropped(page, 1, 2)
    expect(page.locator(".similar-images-verdict")).to_be_visible()
    for summary in page.locator("summary").all():
        summary.click()
    check_page()
    page.goto("/similar-images/compare/?a=x&measures=y")
    check_page()
    page.goto("/similar-images/search/")
    check_page()
    search_by_scene(page, 5)
    page.get_by_role("button", name="Select a part").click()
    check_page()
    open_product(page, "Scene 6")
    check_page()
    page.get_by_role("link", name="All similar items").click()
    check_page()
    context.close()
    assert len(barriers_by_url) == 6
    assert not {url: barriers for url, barriers in barriers_by_url.items() if barriers}


def test_search__without_javascript(browser: Browser, demo: Demo) -> None:
    context = browser.new_context(base_url=demo.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/similar-images/search/")
    expect(page.locator(".similar-images-drop")).to_be_hidden()
    page.set_input_files(
        "input[type=file]", {"name": "no.png", "mimeType": "image/png", "buffer": b"this is no picture"}
    )
    page.locator("main").get_by_role("button", name="Search").click()
    expect(page.locator("main")).to_contain_text("This is not an image")
    data = drawing.encoded(drawing.scene(9, size=(320, 240)))
    page.set_input_files("input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": data})
    page.locator("main").get_by_role("button", name="Search").click()
    expect(first_match(page)).to_contain_text("Scene 9")
    page.get_by_label("Number of results").fill("1")
    page.locator("main").get_by_role("button", name="Search").click()
    expect(page.locator(".similar-images-matches li")).to_have_count(1)
    expect(first_match(page)).to_contain_text("Scene 9")
    page.get_by_role("link", name="Show more").click()
    expect(first_match(page)).to_contain_text("Scene 9")
    expect(page.locator(".similar-images-matches > li")).to_have_count(2)
    expect(page.locator(".similar-images-matches > li:target")).to_be_in_viewport()
    context.close()


def test_stop__leaves_no_process(demo: Demo) -> None:
    assert any("celery" in command for command in demo.processes())
    assert demo.stop() == 0
    assert demo.processes() == []

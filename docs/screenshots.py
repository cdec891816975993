"""Make the screenshots of the documentation anew: `make screenshots`, or some by the name of a site.

Runs the demo on its embedded servers, waits until every picture is indexed, and lets Chromium look at it.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from docs import contact_sheet
from project import services

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
SITES = ("wagtail", "djangocms", "oscar")
SIZE = {"width": 1200, "height": 1080}
SCAN_TIMEOUT = 1_800_000
"""Milliseconds that the search for duplicates among the products of the demo may take."""
FLAGS = ["--disable-background-networking", "--disable-component-update", "--no-first-run"]


def main() -> None:
    """Take the screenshots, each of a site that runs for it."""
    chosen = sys.argv[1:]
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in SITES:
        if chosen in ([], [name]):
            shoot_site(name)
    if chosen in ([], ["admin"]):
        with run_demo("project.settings") as (page, site):
            shoot_admin(page, site)
            if not chosen:
                shoot_pages(page, site)
    if chosen in ([], ["evaluation"]):
        shoot_evaluation()
    if chosen in ([], ["unfold"]):
        with run_demo("docs.unfold_settings") as (page, site):
            shoot_unfold(page, site)


@contextmanager
def run_demo(settings: str) -> Iterator[tuple[Page, str]]:
    """Run the demo with settings; yield a page of a browser and the site's address, once everything is indexed."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = os.environ | {"DEMO_PORT": str(port), "DJANGO_SETTINGS_MODULE": settings}
    demo = subprocess.Popen([sys.executable, "manage.py", "demo"], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    assert demo.stdout
    try:
        for line in demo.stdout:
            if " indexed" in line:
                break
        else:
            sys.exit("The demo did not start.")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=FLAGS, chromium_sandbox=os.geteuid() != 0
            )
            yield browser.new_page(viewport=SIZE), f"http://127.0.0.1:{port}"
            browser.close()
    finally:
        demo.terminate()
        demo.wait()


def save_screenshot(page: Page, name: str) -> None:
    """Save what the browser shows, once it has all of it."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}.png")


def shoot_admin(page: Page, site: str) -> None:
    """Take the screenshots of pages in the admin; the page of a product is left open."""
    save = partial(save_screenshot, page)
    page.goto(f"{site}/admin/login/?next=/admin/catalog/product/%3Fq=Halden+vase,+ink")
    page.fill("#id_username", "admin")
    page.fill("#id_password", "admin")
    page.click("[type=submit]")
    page.locator("#result_list a[href*='/change/']").first.click()
    change_url = page.url
    page.goto(f"{site}/admin/catalog/product/?similar_to={change_url.split('/')[-3]}")
    page.set_viewport_size({**SIZE, "width": 1560})  # the last column tells the similarity
    save("similar-to")
    page.set_viewport_size(SIZE)
    page.goto(f"{site}/admin/similar_images/health/")
    save("health")
    page.goto(f"{site}/admin/similar_images/map/")
    page.locator(".similar-images-map nav a", has_text="Products:").click()
    page.get_by_role("button", name=re.compile("Make|Update")).click()
    while page.get_by_text("The map is being updated. New").is_visible():
        page.wait_for_timeout(2_000)
        page.reload()
    page.locator(".similar-images-map-view[data-ready]").wait_for(timeout=60_000)
    save("map")
    page.goto(f"{site}/admin/similar_images/duplicates/")
    page.locator(".similar-images-scans li", has_text="Products:").get_by_role("button").click()
    page.get_by_role("link", name="The search is done. Show what it found.").first.click(timeout=SCAN_TIMEOUT)
    page.locator(".similar-images-group .similar-images-members").first.scroll_into_view_if_needed()
    save("review")
    page.goto(change_url)
    page.locator(".similar-images-admin").scroll_into_view_if_needed()
    save("admin")


def shoot_unfold(page: Page, site: str) -> None:
    """Take the screenshot of the admin with django-unfold."""
    page.goto(f"{site}/admin/login/?next=/admin/similar_images/health/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", "admin")
    page.click("[type=submit]")
    page.set_viewport_size({**SIZE, "width": 1440})
    while page.get_by_text("The sweep does not run").is_visible():  # it has not yet
        page.wait_for_timeout(2_000)
        page.reload()
    save_screenshot(page, "unfold")


def shoot_evaluation() -> None:
    """Take the screenshot of the page that tells how good the similar items of the shop are."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with services.postgres(Path(folder)) as server:
            os.environ |= {"DATABASE_URL": server.url, "DEMO_DATA": folder}
            with run_demo("project.settings") as (page, _site):
                file = f"{folder}/similarity.html"
                arguments = ["--source", "catalog.Product.photo", "--label", "category__name", "--page", file]
                subprocess.run([sys.executable, "manage.py", "evaluate_similarity", *arguments], cwd=ROOT, check=True)
                page.set_viewport_size({**SIZE, "height": 1560})
                page.goto(f"file://{file}")
                save_screenshot(page, "evaluation")
            del os.environ["DATABASE_URL"], os.environ["DEMO_DATA"]


def shoot_pages(page: Page, site: str) -> None:
    """Take the other screenshots, from the page of a product in the admin on."""
    contact_sheet.main(site, IMAGES / "similar-40.jpg")
    save = partial(save_screenshot, page)
    key = page.url.split("/")[-3]
    page.goto(f"{site}/similar-images/catalog.product/{key}/")
    save("similar")
    results = page.request.get(f"{site}/api/similar-images/catalog.product/{key}/similar/?limit=1").json()["results"]
    page.goto(f"{site}/products/halden-vase-cobalt/")
    save("product")
    page.goto(site)
    save("shop")
    data = page.request.get(results[0]["image"]).body()
    page.goto(f"{site}/admin/catalog/product/add/")
    page.set_input_files("#id_photo", {"name": "photo.png", "mimeType": "image/png", "buffer": data})
    page.locator(".similar-images-notice").scroll_into_view_if_needed()
    save("notice")
    page.goto(f"{site}/similar-images/search/")
    page.set_input_files("input[type=file]", {"name": "picture.png", "mimeType": "image/png", "buffer": data})
    page.locator("main").get_by_role("button", name="Search", exact=True).click()
    save("search")
    page.goto(f"{site}/products/atlas-rug-rust/")
    photo = page.request.get(site + str(page.locator("#view-1 img").get_attribute("src"))).body()
    page.goto(f"{site}/similar-images/search/")
    page.set_input_files("input[type=file]", {"name": "crop.png", "mimeType": "image/png", "buffer": crop(photo)})
    page.locator("select[name=mode]").select_option("copy")
    page.locator("main").get_by_role("button", name="Search", exact=True).click()
    save("copy")
    page.goto(f"{site}/similar-images/compare/")
    for name, title, data in [("a", "first", photo), ("b", "second", crop(photo))]:
        file = {"name": f"{title}.png", "mimeType": "image/png", "buffer": data}
        page.locator(f".similar-images-compare input[type=file][name={name}]").set_input_files(file)
    page.locator("main").get_by_role("button", name="Compare", exact=True).click()
    page.locator(".similar-images-verdict").wait_for()
    page.locator(".similar-images-drawings > summary").click()
    page.set_viewport_size({**SIZE, "height": 2110})
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / "compare.jpg", quality=85)


def shoot_site(name: str) -> None:
    """Take the screenshots of a site with a content management system, which its browser test does on the way."""
    command = [sys.executable, "-W", "ignore", "-m", "django", "test", f"tests.contrib.{name}", "--noinput"]
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with services.postgres(Path(folder)) as server:
            env = {"DJANGO_SETTINGS_MODULE": f"tests.contrib.{name}.settings", "DATABASE_URL": server.url}
            env |= {"SITE_MEDIA": f"{folder}/media", "SITE_SCREENSHOTS": str(IMAGES)}
            subprocess.run([*command, "--pattern=suite_browser.py"], cwd=ROOT, env=os.environ | env, check=True)


def crop(data: bytes) -> bytes:
    """The picture without its margins, turned a little."""
    picture = Image.open(io.BytesIO(data)).convert("RGB").rotate(5, Image.Resampling.BICUBIC)
    width, height = picture.size
    file = io.BytesIO()
    picture.crop((width // 6, height // 8, width * 7 // 8, height * 7 // 8)).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()

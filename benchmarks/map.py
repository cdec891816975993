"""The map of the admin: `python -m benchmarks map [--records N] [--datasets FOLDER]`.

Three measurements. Answers: the time and the number of queries of the page, of the points, and of a request for
thumbnails, in a generated source. The browser: seconds until all thumbnails are drawn, and frames per second while the
map is panned, by the timestamps of requestAnimationFrame, in a headless Chromium that draws in software. Neighbors: how
often the ten nearest on the map share the class of an image, divided by how often the ten nearest by embedding do.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path
from tqdm import tqdm

from similar_images import plugins
from similar_images.admin import MapAdmin
from similar_images.imaging.decode import decode
from similar_images.models import IndexedImage, Map, MapPoint, Source
from similar_images.similarity_map.layout import curve_index, lay_out
from similar_images.similarity_map.tiles import make_tile
from tests import commands, drawing
from tests.testapp.models import Picture

ROUNDS = 15
NEAREST = 10
PAN_SECONDS = 5
BATCH = 500

site = admin.AdminSite()
site.register(Picture, type("PictureAdmin", (admin.ModelAdmin,), {"list_filter": ["published"]}))
site.register(Map, MapAdmin)
urlpatterns = [path("admin/", site.urls)]

PAN = """(seconds) => new Promise((resolve) => {
    const canvas = document.querySelector(".similar-images-map canvas");
    const box = canvas.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const send = (type, dx) => canvas.dispatchEvent(new PointerEvent(type, {
        pointerId: 1, button: 0, bubbles: true, clientX: x + dx, clientY: y + dx / 3 }));
    canvas.setPointerCapture = () => {};
    send("pointerdown", 0);
    const times = [];
    const step = (now) => {
        times.push(now);
        send("pointermove", 200 * Math.sin((now - times[0]) / 400));
        if (now - times[0] < 1000 * seconds) return requestAnimationFrame(step);
        send("pointerup", 0);
        resolve((1000 * (times.length - 1)) / (times.at(-1) - times[0]));
    };
    requestAnimationFrame(step);
})"""


def make_map(records: int) -> Source:
    """Save pictures without files, with records, and with places and thumbnails on a map."""
    row = Source.objects.get(app_label="testapp", model="picture")
    tiles = [make_tile(np.asarray(drawing.textured(seed))) for seed in range(100)]
    image_map = Map.objects.create(source=row)
    rng = np.random.default_rng(1)
    points = np.clip(rng.normal(size=(records, 2)) / 40 + rng.random((50, 2))[rng.integers(50, size=records)], 0, 1)
    positions = curve_index(points).tolist()
    for start in tqdm(range(0, records, BATCH), "Records"):
        numbers = range(start, min(start + BATCH, records))
        Picture.objects.bulk_create(Picture(title=f"Picture {n}", image=f"pictures/{n}.png") for n in numbers)
        made = IndexedImage.objects.filter(source=row, map_point=None)
        for n, record in zip(numbers, made, strict=True):
            record.sha256, record.width, record.height, record.status = f"{n:064}", 320, 240, "indexed"
        IndexedImage.objects.bulk_update(made, ["sha256", "width", "height", "status"])
        MapPoint.objects.bulk_create(
            MapPoint(
                record=record,
                map=image_map,
                x=points[n, 0],
                y=points[n, 1],
                position=positions[n],
                sha256=record.sha256,
                tile=tiles[n % 100],
            )
            for n, record in zip(numbers, made, strict=True)
        )
    return row


def measure_answers(client: Client, url: str) -> Iterator[tuple[str, float, int]]:
    """Yield the name, the median time in milliseconds, and the number of queries of each answer."""
    first, last = client.get(f"{url}points/").json()["sheets"][0]
    for name, part in (("page", ""), ("points", "points/"), ("thumbnails", f"tiles/{first}/{last}/")):
        times = []
        for _round in range(ROUNDS + 1):
            start = time.perf_counter()
            with CaptureQueriesContext(connection) as queries:
                response = client.get(url + part)
                assert response.status_code == 200, response.status_code
            times.append(1000 * (time.perf_counter() - start))
        yield name, median(times[1:]), len(queries)


def measure_browser(address: str, client: Client) -> Iterator[tuple[str, float]]:
    """Yield seconds until all is drawn, and frames per second while the map is panned, whole and near."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), chromium_sandbox=False)
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": address}])
        page = context.new_page()
        for name in ("load", "load again"):
            start = time.perf_counter()
            page.goto(f"{address}/admin/similar_images/map/")
            page.locator(".similar-images-map-view[data-ready]").wait_for()
            yield f"{name}, s", time.perf_counter() - start
        yield "pan the whole map, frames/s", page.evaluate(PAN, PAN_SECONDS)
        for _step in range(5):
            page.locator("canvas").press("+")
        yield "pan near, frames/s", page.evaluate(PAN, PAN_SECONDS)
        chromium.close()


def serve() -> tuple[str, ThreadedWSGIServer]:
    """Serve the site, on a thread."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), type("Quiet", (WSGIRequestHandler,), {"log_message": _be_quiet}))
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}", server


def _be_quiet(*args: Any) -> None:
    pass


def share_of_class(distances: Any, classes: Any) -> float:
    """Return how often the nearest of each image have its class, from 0 to 1."""
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, NEAREST, axis=1)[:, :NEAREST]
    return float((classes[nearest] == classes[:, None]).mean())


def measure_neighbors(folder: Path) -> tuple[int, float, float, float]:
    """Return the number of images of a labeled set, both shares, and seconds to lay them out."""
    method = plugins.enabled_methods()["embedding"]
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["class"]]
    pictures = (decode((folder / row["path"]).read_bytes(), max_pixels=10**8).pixels for row in rows)
    vectors = np.array([method.compute(pixels) for pixels in tqdm(pictures, folder.name, len(rows))], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    classes = np.array([row["class"] for row in rows])
    start = time.perf_counter()
    points = lay_out(vectors)
    took = time.perf_counter() - start
    on_map = share_of_class(((points[:, None] - points[None]) ** 2).sum(-1), classes)
    return len(rows), share_of_class(1 - vectors @ vectors.T, classes), on_map, took


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--datasets", type=Path, help="folder of labeled sets, each with a labels.csv")
    parser.add_argument("--sets", nargs="*", default=["grocery", "corel", "furniture", "clothing", "emoji"])
    options = parser.parse_args()
    for name in options.sets if options.datasets else ():
        count, embedding, on_map, took = measure_neighbors(options.datasets / name)
        print(
            f"{name}, {count} images: same class among the {NEAREST} nearest by embedding {embedding:.3f}, on the map "
            f"{on_map:.3f}, ratio {on_map / embedding:.2f}; laid out in {took:.1f} s",
            flush=True,
        )
    override_settings(ROOT_URLCONF=__name__, DEBUG=False, ALLOWED_HOSTS=["*"]).enable()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    row = make_map(options.records)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE similar_images_mappoint, similar_images_indexedimage, testapp_picture")
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("root"))
    print(f"{options.records:,} records", flush=True)
    for name, milliseconds, queries in measure_answers(client, f"/admin/similar_images/map/{row.pk}/"):
        print(f"{name}: {milliseconds:.0f} ms in the median, {queries} queries", flush=True)
    address, server = serve()
    for name, figure in measure_browser(address, client):
        print(f"{name}: {figure:.1f}", flush=True)
    server.shutdown()


if __name__ == "__main__":
    sys.exit("Run it by: python -m benchmarks map")

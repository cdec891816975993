"""Cost of the notice about a file that is chosen in the admin: `python -m benchmarks notice [--records N] [FILE…]`.

The admin's whole answer about an image that is not there yet, in a generated source with an HNSW index: processor time
of the web process, of its decoders, and of the PostgreSQL process that answers it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import psutil
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client, override_settings
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import path
from tqdm import tqdm

from similar_images import plugins
from similar_images.admin import SimilarImagesMixin
from tests import commands

from .decoding import draw_file
from .scaling import SCHEMA, Item, build_indexes, generate_records, temporary_source


class ItemAdmin(SimilarImagesMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at runtime
    """The admin of the generated source."""


site = admin.AdminSite()
site.register(Item, ItemAdmin)
urlpatterns = [path("admin/", site.urls)]

MAX_SENT_BYTES = 500_000
"""Bytes of a file from which on the script sends a smaller image in its place."""

URL = f"/admin/{SCHEMA}/item/similar-images/notice/?field={SCHEMA}.item.image"


def list_processes() -> dict[str, list[psutil.Process]]:
    """Return the processes that work for an answer, by what they do."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    own = psutil.Process()
    decoders = [child for child in own.children(recursive=True) if "decoder.program" in " ".join(child.cmdline())]
    return {"web": [own], "decoder": decoders, "PostgreSQL": [psutil.Process(backend)]}


def measure(client: Client, data: bytes, rounds: int) -> Iterator[tuple[str, float]]:
    """Yield milliseconds an answer: the median of the wall clock, and the processor time of each kind of process."""
    digest = {"sha256": "0" * 64} if len(data) < MAX_SENT_BYTES else {}  # the script sends one beside a smaller image
    body = encode_multipart(BOUNDARY, {"image": SimpleUploadedFile("photo.jpg", data, "image/jpeg"), **digest})
    ask = partial(client.generic, "POST", URL, body, MULTIPART_CONTENT)
    for _ in range(3):  # models are loaded, and a decoder is started
        response = ask()
        assert response.status_code == 200, response.status_code
        assert "could not look" not in response.content.decode()
    processes = list_processes()

    def used() -> dict[str, float]:
        return {name: sum(sum(p.cpu_times()[:2]) for p in group) for name, group in processes.items()}

    before, times = used(), []
    for _ in range(rounds):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    after = used()
    yield "wall", 1000 * median(times)
    for name in processes:
        yield name, 1000 * (after[name] - before[name]) / rounds


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="*", help="images to ask about; else one of 12 megapixels is drawn")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    override_settings(ROOT_URLCONF=__name__, SIMILAR_IMAGES={"COSTLY_RATES": None, "REQUEST_TIMEOUT": 60}).enable()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    files = {file.name: file.read_bytes() for file in options.files}
    files = files or {"12 MP JPEG": draw_file((4000, 3000), 1), "as the script sends it": draw_file((1024, 768), 1)}
    methods = list(plugins.enabled_methods().values())
    with temporary_source() as (source, database):
        generate_records(source, methods, options.records, tqdm)
        print(
            f"{options.records:,} records; indexes built in {build_indexes(database, source, tqdm):.0f} s", flush=True
        )
        client = Client(headers={"host": "localhost"})
        client.force_login(User.objects.create_superuser("root"))
        for name, data in files.items():
            figures = dict(measure(client, data, options.rounds))
            total = sum(figures.values()) - figures["wall"]
            parts = ", ".join(f"{part} {figure:.0f}" for part, figure in figures.items() if part != "wall")
            print(
                f"{name}, {len(data) / 2**20:.1f} MB: processor {total:.0f} ms ({parts}); wall {figures['wall']:.0f} ms"
            )

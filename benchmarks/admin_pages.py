"""Pages of the admin with many objects: `python -m benchmarks admin_pages [--records N] [--groups N] [--rounds N]`.

Each page is asked for in one process, by the test client: the median time of an answer, its processor time, which other
work on the machine hardly changes, and its number of queries; with a quarter of the objects, and with all of them.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import psutil
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone

from similar_images import plugins, registry
from similar_images.admin import DuplicatesAdmin, HealthAdmin, IndexedImageAdmin, MarkAdmin, SimilarImagesMixin
from similar_images.evaluation.report import MarkdownTable
from similar_images.indexing import hnsw, versions
from similar_images.models import (
    DuplicateGroup,
    DuplicateImage,
    Duplicates,
    Health,
    IndexedImage,
    Mark,
    Source,
)
from similar_images.signatures import storage
from similar_images.sources.source import ImageSource
from tests import commands
from tests.mergeapp.models import Asset, Page, Tag

from .scaling import copy_signatures, value_generator
from .timing import median_ms

ADMIN = "/admin/similar_images"

CLUSTER = 25
"""Objects that look much alike."""

SIZES = (2, 2, 3, 4, 5)
"""Images of the groups, in turn."""

KINDS = (DuplicateGroup.Kind.COPIES, DuplicateGroup.Kind.COPIES, DuplicateGroup.Kind.EXACT, DuplicateGroup.Kind.SERIES)


class AssetAdmin(SimilarImagesMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at runtime
    """The admin of the generated source."""

    list_display = ["code", "image"]
    search_fields = ["code"]
    raw_id_fields = ["parent", "tags", "related"]


site = admin.AdminSite()
site.register(Asset, AssetAdmin)
site.register(Page)
for model, model_admin in (
    (Duplicates, DuplicatesAdmin),
    (Health, HealthAdmin),
    (IndexedImage, IndexedImageAdmin),
    (Mark, MarkAdmin),
):
    site.register(model, model_admin)
urlpatterns = [path("admin/", site.urls), path("similar-images/", include("similar_images.urls"))]


def add_objects(source: ImageSource, numbers: range) -> list[Asset]:
    """Create objects with signatures, and rows that refer to two in five of them."""
    rng = np.random.default_rng(numbers.start)
    source_id = Source.objects.get_id(source)
    items = Asset._base_manager.bulk_create(Asset(code=str(number), image=f"assets/{number}.png") for number in numbers)
    now = timezone.now()
    records = IndexedImage.objects.bulk_create(
        IndexedImage(
            source_id=source_id,
            object_id=str(item.pk),
            object_key=item.pk,
            file_name=str(item.image),
            sha256=f"{item.pk:064}",
            width=800,
            height=600,
            status="indexed",
            indexed_at=now,
        )
        for item in items
    )
    clusters = max(2, len(numbers) // CLUSTER)
    for method in plugins.enabled_methods().values():
        make = value_generator(method, clusters, rng)
        values = (storage.pack(method, make(number % clusters)) for number in range(len(records)))
        copy_signatures(source_id, method, zip(records, values, strict=True))
    tag = Tag._base_manager.create(name="tag")
    Page._base_manager.bulk_create(Page(title=f"Page {item}", hero=item, cover=item) for item in items[::5])
    Asset.tags.through._base_manager.bulk_create(Asset.tags.through(asset=item, tag=tag) for item in items[1::5])
    return items


def add_groups(source: ImageSource, items: list[Asset], count: int) -> None:
    """Create groups of the objects, none of which is in two."""
    source_id = Source.objects.get_id(source)
    remaining = iter(items)
    for number in range(count):
        members = [next(remaining) for _member in range(SIZES[number % len(SIZES)])]
        group = DuplicateGroup.objects.create(
            source_id=source_id,
            kind=KINDS[number % len(KINDS)],
            similarity=100 - number % 10,
            size=len(members),
            key=f"{members[0].pk}",
        )
        DuplicateImage.objects.bulk_create(
            DuplicateImage(
                group=group,
                source_id=source_id,
                object_id=str(item.pk),
                object_key=item.pk,
                file_name=str(item.image),
                sha256=f"{item.pk:064}",
                width=800,
                height=600,
                format="JPEG",
                bytes=100_000,
                sharpness=5.0,
                equivalence=1,
            )
            for item in members
        )


class Figures(NamedTuple):
    """The median time of an answer and its mean processor time, in milliseconds, and its number of queries."""

    wall: float
    processor: float
    queries: int


def measure(client: Client, url: str, rounds: int) -> Figures:
    """Ask for a page again and again; the processor time is that of this process, and of PostgreSQL's for it."""
    response = client.get(url)  # templates and models are loaded
    assert response.status_code == 200, (url, response.status_code)
    with CaptureQueriesContext(connection) as captured:
        client.get(url)
    queries = len(captured)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        processes = [psutil.Process(), psutil.Process(cursor.fetchone()[0])]

    def used() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    before = used()
    wall = median_ms(lambda: client.get(url), rounds)
    return Figures(wall, 1000 * (used() - before) / rounds, queries)


def list_pages() -> dict[str, str]:
    """Return the addresses of the pages, by what they are."""
    item = Asset._base_manager.order_by("-pk")[10]
    group = DuplicateGroup.objects.filter(kind="copies").order_by("pk")[0]
    return {
        "health": f"{ADMIN}/health/",
        "review": f"{ADMIN}/duplicates/?kind=copies",
        "review, page 5": f"{ADMIN}/duplicates/?kind=copies&p=5",
        "review of one group": f"{ADMIN}/duplicates/{group.pk}/merge/?others=remove&merge="
        + "&merge=".join(group.images.values_list("object_id", flat=True)),
        "merge of several groups": f"{ADMIN}/duplicates/bulk/?kind=copies&similarity=90",
        "change page": f"/admin/mergeapp/asset/{item.pk}/change/",
        "list of objects": "/admin/mergeapp/asset/",
        "list, similar to one": f"/admin/mergeapp/asset/?similar_to={item.pk}",
        "image records": f"{ADMIN}/indexedimage/",
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--groups", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    override_settings(ROOT_URLCONF=__name__, DEBUG=False).enable()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    source = ImageSource(Asset, "image")
    with patch.dict(registry._sources, {(Asset, "image"): source}, clear=True):
        Source.objects.create_missing([source])
        versions.register_versions()
        client = Client(headers={"host": "localhost"})
        client.force_login(User.objects.create_superuser("root"))
        figures: list[dict[str, Figures]] = []
        few = options.records // 4
        for records, groups in ((range(few), options.groups // 4), (range(few, options.records), None)):
            items = add_objects(source, records)
            add_groups(source, items, options.groups - options.groups // 4 if groups is None else groups)
            hnsw.sync_indexes()
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
            figures.append({name: measure(client, url, options.rounds) for name, url in list_pages().items()})
    rows = []
    for name, figure in figures[1].items():
        before = figures[0][name]
        times = [f"{each:.0f} ms" for each in (figure.wall, figure.processor, before.processor)]
        rows.append([name, *times, str(figure.queries), str(before.queries)])
    columns = ["Page", "Median", "Processor", f"with {few:,}", "Queries", f"with {few:,}"]
    print(MarkdownTable(f"{options.records:,} objects, {options.groups} groups", columns, rows))

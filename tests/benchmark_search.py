"""How searches scale: made-up signatures of one source, searched exactly and by index, while objects are saved.

    python -m tests.benchmark_search [COUNT]

For a dense, a bit and a sparse method: whether Postgres plans with the index, recall@10 against the exact search, and
median times of the whole call and of its SQL alone. Saves go on all the time from a process of their own: the slowest
of them, while indexes are built and dropped, says whether anybody had to wait.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

QUERIES = 50
CLUSTERS = 500
METHODS = {"embedding": {}, "phash": {}, "wavelet": {}}


def setup() -> None:
    os.environ.setdefault("DEMO_DATA", tempfile.mkdtemp(prefix="similar_images_"))
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ["TEST_SIMILAR_IMAGES"] = json.dumps({"METHODS": METHODS, "INDEX_FROM": 5000})
    import_module("tests.servers")  # starts PostgreSQL and Valkey
    import django  # isort: skip

    django.setup()


def save_all_the_time(stop: Path) -> None:
    """Save objects until the file STOP is there; print how long each took and when."""
    setup()
    from tests.testapp.models import Picture

    times = []
    number = 0
    while not stop.exists():
        start = time.time()
        Picture.objects.create(image=f"saved/{number}.png")
        times.append((start, time.time() - start))
        number += 1
        time.sleep(0.02)
    print(json.dumps(times))


def fill(count: int) -> list[Any]:
    """Objects with records and signatures, in clusters as pictures of like things are."""
    import numpy as np

    from similar_images import registry, signatures, vectors, versions
    from similar_images.models import IndexedImage, Signature, Source
    from tests.testapp.models import Picture

    rng = np.random.default_rng(1)
    source_id = Source.objects.id_of(registry.get(Picture))
    enabled = signatures.enabled()
    embedding, phash, wavelet = (enabled[name] for name in METHODS)
    # As the real ones: cosine 0.2 between strangers, 0.8 within a cluster, in some 60 directions that matter.
    directions = rng.normal(size=(60, embedding.dimensions))
    centers = rng.normal(size=(CLUSTERS, 60)) @ directions + 4 * np.abs(rng.normal(size=embedding.dimensions))
    hashes = rng.random((CLUSTERS, phash.dimensions)) < 0.5
    places = [rng.choice(wavelet.dimensions - 1, 180, replace=False) for _ in range(CLUSTERS)]
    pictures = []
    for start in range(0, count, 2000):
        some = Picture.objects.bulk_create([Picture(image=f"made/{i}.png") for i in range(start, start + 2000)])
        records = IndexedImage.objects.bulk_create(
            IndexedImage(
                source_id=source_id, object_id=str(p.pk), object_key=p.pk, file_name=p.image.name, status="indexed"
            )
            for p in some
        )
        rows = []
        for i, record in enumerate(records, start):
            cluster = i % CLUSTERS
            dense = centers[cluster] + rng.normal(size=60) @ directions * 0.5
            bits = hashes[cluster] ^ (rng.random(phash.dimensions) < 0.08)
            kept = rng.random(180) < 0.6
            sparse = {int(place): 0.7 for place in places[cluster][kept]}
            sparse |= dict.fromkeys(map(int, rng.choice(wavelet.dimensions - 1, 180 - kept.sum())), 0.5)
            values = ((embedding, dense / np.linalg.norm(dense)), (phash, bits), (wavelet, sparse))
            rows += [
                Signature(
                    record=record,
                    source_id=source_id,
                    method=method.name,
                    version=method.version,
                    **{vectors.column(method): vectors.pack(method, value)},
                )
                for method, value in values
            ]
        Signature.objects.bulk_create(rows, batch_size=500)
        pictures += some
    versions.sync()
    return pictures


def measure(pictures: list[Any], name: str) -> tuple[list[list[Any]], float, float, str]:
    """The ten best of some queries, the median milliseconds of a call and of its ranking SQL, and the plan."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from similar_images import indexes, nearest, similar_to

    found, calls, statements = [], [], []
    plan = ""
    for picture in pictures[:: len(pictures) // QUERIES][:QUERIES]:
        start = time.perf_counter()
        matches = similar_to(picture, method=name, limit=10)
        calls.append(time.perf_counter() - start)
        found.append([match.distances[name] for match in matches])
        with CaptureQueriesContext(connection) as queries:
            similar_to(picture, method=name, limit=10)
        (sql,) = [query["sql"] for query in queries if " LIMIT 100" in query["sql"]]
        with indexes.scanning(nearest.POOL), connection.cursor() as cursor:
            start = time.perf_counter()
            cursor.execute(sql)
            cursor.fetchall()
            statements.append(time.perf_counter() - start)
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
    return found, 1000 * statistics.median(calls), 1000 * statistics.median(statements), plan


def main(count: int) -> None:
    setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test.utils import override_settings

    call_command("migrate", run_syncdb=True, verbosity=0)
    from django.conf import settings

    from similar_images import indexes

    start = time.perf_counter()
    pictures = fill(count)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    print(f"{count} records with {len(METHODS)} signatures each, made in {time.perf_counter() - start:.0f} s")
    exact = {name: measure(pictures, name) for name in METHODS}
    stop = Path(os.environ["DEMO_DATA"]) / "stop"
    saver = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmark_search", "--save", str(stop)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    time.sleep(5)
    begin = time.time()
    indexes.sync()
    built = time.time()
    time.sleep(2)
    dropping = time.time()
    with override_settings(SIMILAR_IMAGES={**settings.SIMILAR_IMAGES, "METHODS": {"embedding": {}, "wavelet": {}}}):
        indexes.sync()
    dropped = time.time()
    indexes.sync()
    stop.touch()
    times = json.loads(saver.communicate()[0])
    calm = [took for at, took in times if at < begin or built < at < dropping]
    busy = [took for at, took in times if begin <= at <= built]
    print(f"All indexes built in {built - begin:.0f} s, one dropped in {1000 * (dropped - dropping):.0f} ms.")
    print(
        f"Saves, in ms: median {1000 * statistics.median(calm):.1f}, slowest {1000 * max(calm):.0f} before; "
        f"median {1000 * statistics.median(busy):.1f}, slowest {1000 * max(busy):.0f} while indexes are built; "
        f"slowest {1000 * max((took for at, took in times if at > dropping), default=0):.0f} "
        "while one is dropped and built again."
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for name in METHODS:
        found, call, sql, plan = measure(pictures, name)
        right, exact_call, exact_sql, _plan = exact[name]
        # By distance: of pictures equally far, any is right.
        recall = statistics.mean(
            sum(d <= max(best) + 1e-9 for d in some) / len(best) for some, best in zip(found, right, strict=True)
        )
        print(
            f"{name}: {'HNSW' if indexes.PREFIX in plan else 'NO INDEX'}, recall@10 {recall:.3f}, "
            f"call {call:.1f} ms (exact {exact_call:.1f}), SQL {sql:.1f} ms (exact {exact_sql:.1f})"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--save"]:
        save_all_the_time(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)

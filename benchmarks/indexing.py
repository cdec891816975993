"""How fast a worker indexes, against the bare model: `python -m benchmarks indexing FOLDER [--count N]`.

The bare model reads, decodes and resizes each picture and runs the network, one after another, in one process
and one thread. The worker does that, the color histogram, and all the rest: claim, hash, look-up, writing.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import onnxruntime
from django.conf import settings
from django.core.files.storage import default_storage

from project import services
from project.celery import app
from similar_images.imaging import decode
from similar_images.models import IndexedImage
from similar_images.signatures.embedding import efficientnet
from similar_images.signatures.embedding.preprocessing import preprocess
from tests import commands
from tests.testapp.models import Picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    paths = sorted(options.folder.rglob("*.jpg"))[: options.count]
    names = [default_storage.save(f"{number}.jpg", path.open("rb")) for number, path in enumerate(paths)]

    def bare() -> float:
        one_thread = onnxruntime.SessionOptions()
        one_thread.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(efficientnet.build_onnx_model(), one_thread)
        start = time.perf_counter()
        for name in names:
            with default_storage.open(name) as file:
                picture = decode.decode(file.read(), max_pixels=10**9)
            session.run(["embedding"], {"image": preprocess(picture.pixels)[None]})
        return len(names) / (time.perf_counter() - start)

    def worker() -> float:
        log = settings.DEMO_DATA / "worker.log"
        command = [sys.executable, "-m", "celery", "-A", "project", "worker", "--concurrency=1", "--loglevel=INFO"]
        with services.process(command, cwd=Path.cwd(), log=log):
            Picture.objects.create(image=default_storage.save("warm.jpg", paths[0].open("rb")))
            while not IndexedImage.objects.filter(status="indexed").exists():
                time.sleep(0.1)
            Picture.objects.all().delete()
            Picture.objects.bulk_create([Picture(image=name) for name in names])
            commands.run("index_images", verbosity=0)
            while IndexedImage.objects.filter(status="pending").exists():
                time.sleep(0.1)
            records = IndexedImage.objects.filter(status="indexed")
            times = list(records.order_by("indexed_at").values_list("indexed_at", flat=True))
            first = min(records.values_list("requested_at", flat=True))
            Picture.objects.all().delete()
            return len(times) / (times[-1] - first).total_seconds()

    rounds = [(bare(), worker()) for _ in range(3)]
    app.close()
    for alone, indexed in rounds:
        print(f"bare model {alone:.1f} pictures/s, worker {indexed:.1f} pictures/s, ratio {indexed / alone:.2f}")

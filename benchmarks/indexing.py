"""Speed of a worker against the bare model: `python -m benchmarks indexing [FOLDER] [--count N]`.

Without a folder of JPEGs, scenes are drawn.

The bare model reads, decodes and resizes each image and runs the network, one after another, in one process and one
thread. The worker does that, the color histogram, and all the rest: it claims, hashes, looks up and writes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import onnxruntime
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import Max, Min

from project import services
from project.celery import app
from similar_images.imaging import decode
from similar_images.models import IndexedImage
from similar_images.signatures.embedding.efficientnet import build_onnx_model
from similar_images.signatures.embedding.preprocessing import preprocess
from tests import commands, drawing
from tests.testapp.models import Picture


def model_speed(names: list[str]) -> float:
    """Return the images per second of the bare model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(build_onnx_model(), options)
    start = time.perf_counter()
    for name in names:
        with default_storage.open(name) as file:
            image = decode.decode(file.read(), max_pixels=10**9)
        session.run(["embedding"], {"image": preprocess(image.pixels)[None]})
    return len(names) / (time.perf_counter() - start)


def worker_speed(names: list[str]) -> float:
    """Return the images per second of a Celery worker with one process, from the request to the last signature."""
    command = [sys.executable, "-m", "celery", "-A", "project", "worker", "--concurrency=1", "--loglevel=INFO"]
    with services.process(command, cwd=Path.cwd(), log=settings.DEMO_DATA / "worker.log"):
        Picture.objects.create(image=default_storage.save("warm.jpg", default_storage.open(names[0])))
        while not IndexedImage.objects.filter(status="indexed").exists():
            time.sleep(0.1)
        Picture.objects.all().delete()
        Picture.objects.bulk_create([Picture(image=name) for name in names])
        commands.run("index_images", verbosity=0)
        while IndexedImage.objects.filter(status="pending").exists():
            time.sleep(0.1)
        records = IndexedImage.objects.filter(status="indexed")
        times = records.aggregate(start=Min("requested_at"), end=Max("indexed_at"))
        count = records.count()
        Picture.objects.all().delete()
        seconds: float = (times["end"] - times["start"]).total_seconds()
        return count / seconds


def read_files(folder: Path | None, count: int) -> Iterator[ContentFile[bytes]]:
    """Yield the JPEGs of a folder, or so many scenes that are drawn."""
    if folder:
        for path in sorted(folder.rglob("*.jpg"))[:count]:
            yield ContentFile(path.read_bytes())
    else:
        for seed in range(count):
            yield ContentFile(drawing.encoded(drawing.scene(seed, (800, 600)), "JPEG"))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the median ratio")
    options = parser.parse_args()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    files = enumerate(read_files(options.folder, options.count))
    names = [default_storage.save(f"{number}.jpg", file) for number, file in files]
    rounds = [(model_speed(names), worker_speed(names)) for _ in range(3)]
    app.close()
    for model, worker in rounds:
        print(f"bare model {model:.1f} images/s, worker {worker:.1f} images/s, ratio {worker / model:.2f}")
    if options.json:
        ratio = median(worker / model for model, worker in rounds)
        options.json.write_text(json.dumps({"indexing": {"ratio": round(ratio, 2)}}))

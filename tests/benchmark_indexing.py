"""How fast one worker process indexes, against the bare model on the same pictures, in one run.

    python -m tests.benchmark_indexing FOLDER [COUNT]

The bare model reads, decodes and resizes each picture and runs the network, one after another, in one process
and one thread. The worker does that, the color histogram, and all the rest: claim, hash, look-up, writing.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path


def main(folder: Path, count: int) -> None:
    import_module("tests.servers")  # starts PostgreSQL and Valkey
    data = Path(tempfile.mkdtemp(prefix="similar_images_"))
    os.environ |= {"DEMO_DATA": str(data), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    import django

    django.setup()
    from django.core.files.storage import default_storage
    from django.core.management import call_command

    from project import services
    from project.celery import app
    from similar_images.models import IndexedImage
    from tests.testapp.models import Picture

    call_command("migrate", run_syncdb=True, verbosity=0)
    paths = sorted(folder.rglob("*.jpg"))[:count]
    names = [default_storage.save(f"{number}.jpg", path.open("rb")) for number, path in enumerate(paths)]

    def bare() -> float:
        import onnxruntime

        from similar_images import images
        from similar_images.signatures import efficientnet, embedding

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(efficientnet.build(), options)
        start = time.perf_counter()
        for name in names:
            with default_storage.open(name) as file:
                picture = images.decode(file.read(), max_pixels=10**9)
            session.run(["embedding"], {"image": embedding.preprocess(picture.pixels)[None]})
        return len(names) / (time.perf_counter() - start)

    def worker() -> float:
        log = data / "worker.log"
        command = [sys.executable, "-m", "celery", "-A", "project", "worker", "--concurrency=1", "--loglevel=INFO"]
        with services.process(command, cwd=Path.cwd(), log=log):
            Picture.objects.create(image=default_storage.save("warm.jpg", paths[0].open("rb")))
            while not IndexedImage.objects.filter(status="indexed").exists():
                time.sleep(0.1)
            Picture.objects.all().delete()
            Picture.objects.bulk_create([Picture(image=name) for name in names])
            call_command("index_images", verbosity=0, stdout=io.StringIO())
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


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300)

"""What a backlog costs: `python -m benchmarks backlog [--records N]`.

Times of a save, of a claim and of a sweep with a short queue and with a million due records, in one run; and the
messages in the broker after a thousand saves while no worker runs.
"""

from __future__ import annotations

import argparse
import time

import redis
from django.conf import settings
from django.db import connection, transaction

from benchmarks.timing import median_ms
from similar_images.indexing import claims, notify
from similar_images.indexing.sweep import sweep_sources
from similar_images.models import IndexedImage, Source
from tests import commands
from tests.testapp.models import Picture

SAVES = 300
CLAIMS = 20

INSERT_OBJECTS = """
    INSERT INTO testapp_picture (id, title, image, published)
    SELECT 1000000 + number, '', 'pictures/' || number || '.png', true FROM generate_series(1, %s) AS number
"""

INSERT_RECORDS = """
    INSERT INTO similar_images_indexedimage
        (source_id, object_id, object_key, file_name, revision, sha256, status, error, attempts, requested_at)
    SELECT %s, id::text, id, image, gen_random_uuid(), '', 'pending', '', 0, now() FROM testapp_picture
    ON CONFLICT DO NOTHING
"""


def save() -> None:
    """Save an object whose file is in the storage already."""
    Picture.objects.create(image="pictures/there.png")


def claim() -> None:
    """Claim a batch, and give it back."""
    with transaction.atomic():
        claims.claim_batch()
        transaction.set_rollback(True)


def sweep() -> None:
    """Run the part of the sweep that goes through records and objects."""
    sweep_sources()


def measure(sweeps: int) -> dict[str, float]:
    """Return the times of everything in milliseconds."""
    figures = {"save": median_ms(save, SAVES), "claim": median_ms(claim, CLAIMS), "sweep": median_ms(sweep, sweeps)}
    assert notify._sender.wait(60)
    return figures


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args()
    commands.run("migrate", run_syncdb=True, verbosity=0)
    save()
    sweep_sources()
    queue = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    queue.delete("celery")
    start = time.perf_counter()
    for _ in range(1000):
        save()
    seconds = time.perf_counter() - start
    assert notify._sender.wait(60)
    print(f"messages in the broker after 1,000 saves in {seconds:.1f} s without a worker: {queue.llen('celery')}")
    before = measure(3)
    with connection.cursor() as cursor:
        cursor.execute(INSERT_OBJECTS, [options.records])
        cursor.execute(INSERT_RECORDS, [Source.objects.get(model="picture").pk])
        cursor.execute("VACUUM ANALYZE similar_images_indexedimage, testapp_picture")
    due = IndexedImage.objects.due().count()
    messages = queue.llen("celery")
    after = measure(1)
    print(f"messages that {due:,} due records and {SAVES} saves beside them added: {queue.llen('celery') - messages}")
    for name, value in before.items():
        print(f"{name}: {value:.2f} ms, with {due:,} due {after[name]:.2f} ms, ratio {after[name] / value:.2f}")
    IndexedImage.objects.filter(status="pending").update(retry_at="2100-01-01T00:00:00Z")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE similar_images_indexedimage")
    waiting = median_ms(claim, CLAIMS)
    print(f"claim with {due:,} that wait for their storage: {waiting:.2f} ms, ratio {waiting / before['claim']:.2f}")

"""What a save costs more with the app: `python -m benchmarks saves [--rounds N] [--json FILE]`.

Two models that differ in nothing but that the field of one is registered are created, saved, replaced and deleted in
turn, in one run, with a broker that takes the messages: in autocommit, which is Django's default, and in `atomic()`.
Every object that is saved, replaced or deleted has been indexed. Medians, in milliseconds. The thread that sends the
messages is waited for before each save, so that the messages of one model don't slow down the saves of the other; what
it takes of the processor is told apart.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import redis
from django.apps.registry import Apps
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import connection, models, transaction

import similar_images
from similar_images.evaluation.report import MarkdownTable
from similar_images.indexing import claims, notify, signals, worker
from similar_images.models import IndexedImage
from tests import commands, drawing


class SavedPicture(models.Model):
    """What the two models have in common."""

    title = models.CharField(max_length=50, default="")
    image = models.ImageField(upload_to="saves/", max_length=255)

    class Meta:
        """A registry of its own hides the models from the site."""

        abstract = True
        app_label = "benchmark_saves"
        apps = Apps()

    def __str__(self) -> str:
        """Return the title."""
        return self.title


class Twin(SavedPicture):
    """The model without the app."""


class Registered(SavedPicture):
    """The model whose field is registered."""


MODELS: tuple[type[models.Model], ...] = (Twin, Registered)

Transaction = Callable[[], AbstractContextManager[Any]]
MODES: dict[str, Transaction] = {"autocommit": nullcontext, "atomic": transaction.atomic}

WARM_UP = 5
"""Rounds that are not counted."""


def new_file(content: bytes) -> ContentFile[bytes]:
    """Return a file under a name that no other has."""
    return ContentFile(content, name=f"{uuid.uuid4().hex}.png")


def create(model: type[models.Model], content: bytes) -> None:
    """Create an object."""
    model._base_manager.create(image=new_file(content))


def save_unchanged(item: Any, content: bytes) -> None:
    """Save all fields of an object whose picture is what it was."""
    item.title = uuid.uuid4().hex
    item.save()


def save_others(item: Any, content: bytes) -> None:
    """Save a field that is not the picture."""
    item.title = uuid.uuid4().hex
    item.save(update_fields=["title"])


def replace(item: Any, content: bytes) -> None:
    """Give an object another picture."""
    item.image = new_file(content)
    item.save()


def delete(item: Any, content: bytes) -> None:
    """Delete an object."""
    item.delete()


KINDS: dict[str, Callable[[Any, bytes], None]] = {
    "create": create,
    "unchanged": save_unchanged,
    "other_fields": save_others,
    "replace": replace,
    "delete": delete,
}
"""Kinds of saves; all but the first take an object."""


def index_all() -> None:
    """Index what is due, as a worker does."""
    while records := claims.claim_batch():
        worker.index_records(records)


def turns(round_number: int) -> Sequence[type[models.Model]]:
    """Return the models in the order of this round."""
    return MODELS if round_number % 2 else MODELS[::-1]


def timed(action: Callable[[Any, bytes], None], subject: Any, content: bytes, transact: Transaction) -> float:
    """Return the milliseconds that an action takes while nothing is sent at its beginning."""
    assert notify._sender.wait(60)
    redis.Redis.from_url(settings.CELERY_BROKER_URL).delete("celery")  # no worker takes them, and a long queue delays
    start = time.perf_counter()
    with transact():
        action(subject, content)
    return 1000 * (time.perf_counter() - start)


def measure_kind(kind: str, transact: Transaction, rounds: int) -> dict[type[models.Model], float]:
    """Return the median milliseconds of a kind of save by model."""
    content = drawing.file(1).read()
    times: dict[type[models.Model], list[float]] = {model: [] for model in MODELS}
    items = {model: iter(model._base_manager.order_by("pk")[: WARM_UP + rounds]) for model in MODELS}
    for number in range(-WARM_UP, rounds):
        for model in turns(number):
            subject = model if kind == "create" else next(items[model])
            times[model].append(timed(KINDS[kind], subject, content, transact))
    return {model: median(values[WARM_UP:]) for model, values in times.items()}


def measure(rounds: int) -> Iterator[tuple[str, str, float, float]]:
    """Yield mode, kind, and the medians without and with the app, for `rounds` saves of each kind."""
    for mode, transact in MODES.items():
        for kind in KINDS:
            if kind != "create":
                index_all()
                assert IndexedImage.objects.indexed().filter(source__app_label="benchmark_saves").exists()
            with connection.cursor() as cursor:  # nothing of what was done before is cleaned up meanwhile
                cursor.execute("VACUUM ANALYZE")
            without, with_app = measure_kind(kind, transact, rounds).values()
            yield mode, kind, without, with_app


def measure_messages(count: int) -> float:
    """Return the milliseconds of the processor that a message takes, with all that is asked of the broker."""
    process = psutil.Process()
    assert notify._sender.wait(60)
    before = process.cpu_times()
    for _ in range(count):
        notify.notify_workers()  # fewer than would be delayed
        assert notify._sender.wait(60)
    after = process.cpu_times()
    return 1000 * (after.user + after.system - before.user - before.system) / count


def set_up() -> None:
    """Create the tables, and register the field."""
    commands.run("migrate", run_syncdb=True, verbosity=0)
    with connection.schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
    similar_images.register(Registered, "image")
    signals.prepare_database(using=connection.alias)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what each kind costs more, in milliseconds")
    options = parser.parse_args()
    set_up()
    costs: dict[str, dict[str, float]] = {mode: {} for mode in MODES}
    rows = []
    for mode, kind, without, with_app in measure(options.rounds):
        costs[mode][f"{kind}_ms"] = round(with_app - without, 3)
        rows.append([f"{kind}, {mode}", f"{without:.2f}", f"{with_app:.2f}", f"{with_app - without:+.2f}"])
    message_ms = measure_messages(80)
    print(MarkdownTable(f"{options.rounds} saves of each kind", ["Save", "without", "with", "more, ms"], rows))
    print(f"a message to the workers, in a thread of its own: {message_ms:.2f} ms of the processor")
    if options.json:
        figures = {**costs["autocommit"], "atomic": costs["atomic"], "message_ms": round(message_ms, 3)}
        options.json.write_text(json.dumps({"save": figures}) + "\n")

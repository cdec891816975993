from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand

from similar_images.indexing import claims, hnsw, notify, outbox, versions, worker
from similar_images.management.base import methods_by_name, progress_bar, sources_for_labels
from similar_images.models import IndexedImage, IndexedImageQuerySet, Source
from similar_images.registry import ImageSource

Status = IndexedImage.Status

FAILURES_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Index every picture that is not indexed yet: those from before similar_images was installed, those that "
        "were written past the signals (bulk_create, update, loaddata), and those that lack a signature. Queues "
        "them for the workers, or does the work itself with --sync. Can be stopped and started again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--model",
            action="append",
            metavar="app.Model",
            help="Only this model's pictures; may be repeated.",
        )
        parser.add_argument(
            "--method",
            action="append",
            metavar="NAME",
            help="Only pictures that lack this method's signature.",
        )
        parser.add_argument("--failed", action="store_true", help="Also try again what failed.")
        parser.add_argument("--again", action="store_true", help="Also read again what is indexed already.")
        parser.add_argument("--sync", action="store_true", help="Index here and now, without Celery.")
        parser.add_argument(
            "--prune", action="store_true", help="Only delete the signatures of former versions and methods."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        sources = sources_for_labels(options["model"])
        if options["prune"]:
            self._prune(sources, options)
            return
        methods = methods_by_name(options["method"])
        Source.objects.create_missing(sources)
        versions.register_versions()
        with progress_bar(options, unit="picture", desc="finding") as found:
            for source in sources:
                for size in outbox.enqueue_missing(source):
                    found.update(size)
        records = IndexedImage.objects.filter(source__in=[Source.objects.get_id(source) for source in sources])
        if options["failed"]:
            records.filter(status=Status.FAILED).reset()
        if options["again"]:
            records.filter(status=Status.INDEXED).reset()
        for source in sources:
            outbox.outdated_records(source, methods).reset()
        if options["sync"]:
            self._index(records, options)
            hnsw.sync_indexes()
            versions.switch_versions()
        else:
            due = records.due().count()
            if due:
                notify.notify_workers()
            self.stdout.write(f"{due} pictures are due and queued for the workers.")

    def _prune(self, sources: list[ImageSource], options: dict[str, Any]) -> None:
        count = 0
        with progress_bar(options, unit="signature", desc="pruning") as pruned:
            for size in versions.prune_versions(sources):
                count += size
                pruned.update(size)
        hnsw.sync_indexes()
        self.stdout.write(f"{count} signatures of former versions deleted.")

    def _index(self, records: IndexedImageQuerySet, options: dict[str, Any]) -> None:
        done: Counter[str] = Counter()
        with progress_bar(options, total=records.due().count(), unit="picture", desc="indexing") as indexed:
            while batch := claims.claim_batch(records):
                worker.index_records(batch)
                done.update(record.status for record in batch)
                indexed.update(len(batch))
        for record in records.filter(status=Status.FAILED).select_related("source")[:FAILURES_SHOWN]:
            self.stderr.write(f"{record}: {record.file_name}: {record.error}")
        self.stdout.write(
            f"{done[Status.INDEXED]} indexed, {done[Status.FAILED]} failed, {done[Status.PENDING]} to be tried later."
        )

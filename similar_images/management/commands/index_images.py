"""Index the images that are there already, or those that failed."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management import CommandError

from similar_images.indexing import claims, hnsw, notify, outbox, pruning, requests, versions, worker
from similar_images.indexing.unregistered import prune_unregistered, unregistered_sources
from similar_images.management.base import PrintableCommand, progress_bar, select_methods, select_sources
from similar_images.models import IndexedImage, IndexedImageQuerySet, Source
from similar_images.printable import make_printable
from similar_images.sources.source import ImageSource

Status = IndexedImage.Status

MAX_FAILURES_SHOWN = 20


class Command(PrintableCommand):
    """Indexes the images that are not indexed yet."""

    help = (
        "Index every image that is not indexed yet: those from before similar_images was installed, those that were "
        "saved where no trigger ran, and those that lack a signature. Queues them for the "
        "workers, or indexes them itself with --sync, which exits with 1 if an image could not be indexed. Can be "
        "stopped and restarted at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--model", action="append", metavar="app.Model", help="Only images of this model; may be repeated."
        )
        parser.add_argument(
            "--method", action="append", metavar="NAME", help="Only images without this method's signature."
        )
        parser.add_argument("--failed", action="store_true", help="Also retry images that failed.")
        parser.add_argument("--again", action="store_true", help="Also read indexed images again.")
        parser.add_argument("--sync", action="store_true", help="Index right here, without Celery.")
        parser.add_argument(
            "--prune",
            action="store_true",
            help="Only delete what is no longer used: signatures of former versions and methods, and, without --model, "
            "all records, signatures and marks of sources that are no longer registered.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Request the indexing of everything that is due, or do it.

        Raises:
            CommandError: an image was not indexed, after all others were.
        """
        sources = select_sources(options["model"])
        if options["prune"]:
            self._prune(sources, options)
            return
        self._report_unregistered()
        records = self._request(sources, options)
        if options["sync"]:
            remaining = self._index(records, options)
            hnsw.sync_indexes()
            versions.switch_versions()
            if remaining:
                raise CommandError(f"Images that could not be indexed: {remaining}. All others were.")
            return
        due = records.due().count()
        if due:
            notify.notify_workers()
        self.stdout.write(f"Images queued for the workers: {due}.")

    def _request(self, sources: list[ImageSource], options: dict[str, Any]) -> IndexedImageQuerySet:
        """Mark the images to index as pending, and return all records of the sources."""
        methods = select_methods(options["method"], stored=True)
        Source.objects.create_missing(sources)
        versions.register_versions()
        requests.take_requests()
        with progress_bar(options, unit=" images", desc="finding") as progress:
            for source in sources:
                for size in outbox.enqueue_missing(source):
                    progress.update(size)
        records = IndexedImage.primary.filter(source__in=[Source.objects.get_id(source) for source in sources])
        if options["failed"]:
            records.filter(status=Status.FAILED).reset()
        if options["again"]:
            records.filter(status=Status.INDEXED).reset()
        for source in sources:
            outbox.outdated_records(source, methods).reset()
        return records

    def _report_unregistered(self) -> None:
        for row in unregistered_sources():
            if count := row.records.count():
                self.stderr.write(f"{row} is no longer registered. Image records kept until you run --prune: {count}.")

    def _prune(self, sources: list[ImageSource], options: dict[str, Any]) -> None:
        if not options["model"]:
            for row, records, marks in prune_unregistered():
                self.stdout.write(f"{row} is no longer registered. Deleted: {records} image records, {marks} marks.")
        count = 0
        with progress_bar(options, unit=" signatures", desc="pruning") as progress:
            for size in pruning.prune_versions(sources):
                count += size
                progress.update(size)
        hnsw.sync_indexes()
        self.stdout.write(f"Signatures of former versions deleted: {count}.")

    def _index(self, records: IndexedImageQuerySet, options: dict[str, Any]) -> int:
        """Index what is due; return the number of images that failed, or have to be tried again."""
        counts: Counter[str] = Counter()
        with progress_bar(options, total=records.due().count(), unit=" images", desc="indexing") as progress:
            while batch := claims.claim_batch(records):
                worker.index_records(batch)
                counts.update(record.status for record in batch)
                progress.update(len(batch))
        for record in records.filter(status=Status.FAILED).select_related("source")[:MAX_FAILURES_SHOWN]:
            self.stderr.write(make_printable(f"{record}: {record.file_name}: {record.error}"))
        self.stdout.write(
            f"{counts[Status.INDEXED]} indexed, {counts[Status.FAILED]} failed, "
            f"{counts[Status.PENDING]} will be retried later."
        )
        return counts[Status.FAILED] + counts[Status.PENDING]

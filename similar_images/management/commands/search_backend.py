"""Fill the search backend of the setting, check it, and have searches go there or come back."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import OperationalError

from similar_images import plugins
from similar_images.backends.base import BackendError, SearchBackend
from similar_images.indexing import backend_copies, backend_feed, versions
from similar_images.management.base import PrintableCommand, progress_bar, select_sources
from similar_images.models import BackendChange, MethodVersion
from similar_images.search import backend_recall

MIN_RECALL = 0.9
"""Share of the nearest images that a copy must find for searches to go there."""

LOCK_ATTEMPTS = 20
"""Attempts at a lock that waits for writers, with a second between them."""


class Command(PrintableCommand):
    """Tells how the search backend is, fills it, and switches searches."""

    help = (
        "Have a search backend (SIMILAR_IMAGES['SEARCH_BACKEND']) find the nearest images in place of PostgreSQL. "
        "Without an option, or with --check, tell how each version is there. Each step can be stopped at any time and "
        "run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--model", action="append", metavar="app.Model", help="Only images of this model; may be repeated."
        )
        step = parser.add_mutually_exclusive_group()
        step.add_argument(
            "--check",
            action="store_true",
            help="Tell how complete each copy is and what it finds; fails if it is down.",
        )
        step.add_argument("--fill", action="store_true", help="Copy the signatures to the backend, or go on with it.")
        step.add_argument(
            "--refill", action="store_true", help="Copy all signatures anew; searches go to PostgreSQL meanwhile."
        )
        step.add_argument("--switch", action="store_true", help="Have searches ask the backend; needs --fill before.")
        step.add_argument("--back", action="store_true", help="Have searches ask PostgreSQL again; keeps the copies.")
        step.add_argument("--drop", action="store_true", help="Have searches ask PostgreSQL, and delete the copies.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take the step.

        Raises:
            CommandError: there is no backend, it does not answer, or its copies are not fit to be searched.
        """
        sources = select_sources(options["model"])
        if options["back"]:  # which must work where the backend, or the setting, is gone
            self._switch_back([source.label for source in sources])
            return
        backend = self._get_backend()
        versions.register_versions()
        copies = backend_copies.copies_of(sources, backend)
        try:
            if options["fill"] or options["refill"]:
                self._fill(backend, copies, options)
            elif options["switch"]:
                self._switch(backend, copies)
            elif options["drop"]:
                self._drop(backend, [source.label for source in sources])
            else:
                self._report(backend, copies)
        except BackendError as error:
            raise CommandError(str(error)) from error

    def _get_backend(self) -> SearchBackend:
        try:
            backend = plugins.search_backend()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if backend is None:
            raise CommandError("There is no search backend: set SIMILAR_IMAGES['SEARCH_BACKEND'].")
        if problems := backend.check():
            raise CommandError(f"The search backend can't be used: {'; '.join(problems)}.")
        return backend

    def _fill(self, backend: SearchBackend, copies: list[MethodVersion], options: dict[str, Any]) -> None:
        for version in copies:
            if options["refill"] or version.backend_cursor in (None, backend_feed.NOT_BEGUN):
                self._begin(backend, version)
            total = backend_copies.count_signatures(version)
            with progress_bar(options, total=total, unit=" signatures", desc=str(version)) as progress:
                for size in backend_feed.fill(backend, version):
                    progress.update(size)
        for _size in backend_feed.feed_changes(backend):
            pass
        self._report(backend, [MethodVersion.primary.get(pk=version.pk) for version in copies])

    def _begin(self, backend: SearchBackend, version: MethodVersion) -> None:
        """Begin a copy, as soon as no transaction that began before is writing signatures any more."""
        for attempt in range(LOCK_ATTEMPTS):
            try:
                backend_copies.begin_fill(backend, version)
            except OperationalError as error:
                if attempt == LOCK_ATTEMPTS - 1:
                    raise CommandError(
                        f"Signatures are being written all the time; try again later. ({error})"
                    ) from error
                time.sleep(1)
            else:
                return

    def _switch(self, backend: SearchBackend, copies: list[MethodVersion]) -> None:
        for _size in backend_feed.feed_changes(backend):
            pass
        served = [version for version in copies if version.is_active]
        if not served:
            raise CommandError("No method is compared in a way that the search backend knows.")
        for version in served:
            if version.backend_filled_at is None:
                raise CommandError(f"{version.source} {version} is not filled; run search_backend --fill first.")
            recall = backend_recall.measure_backend_recall(backend, version)
            if recall is not None and recall < MIN_RECALL:
                raise CommandError(
                    f"The copy of {version.source} {version} finds {recall:.0%} of the nearest images; nothing is "
                    "switched. Run search_backend --refill, or set another index."
                )
        backend_copies.switch(served)
        self.stdout.write(f"Searches ask the backend: {', '.join(f'{v.source} {v}' for v in served)}.")

    def _switch_back(self, labels: list[str]) -> None:
        served = [
            version
            for version in MethodVersion.primary.filter(is_in_backend=True).select_related("source")
            if (source := version.source.image_source) is not None and source.label in labels
        ]
        backend_copies.switch_back(served)
        self.stdout.write(f"Searches ask PostgreSQL again; versions: {len(served)}.")

    def _drop(self, backend: SearchBackend, labels: list[str]) -> None:
        self._switch_back(labels)
        copied = MethodVersion.primary.filter(backend_cursor__isnull=False).select_related("source")
        dropped = [v for v in copied if (source := v.source.image_source) is not None and source.label in labels]
        for version in dropped:
            backend_copies.drop_copy(backend, version)
        self.stdout.write(f"Copies deleted: {len(dropped)}.")

    def _report(self, backend: SearchBackend, copies: list[MethodVersion]) -> None:
        if not copies:
            self.stdout.write("No method is compared in a way that the search backend knows.")
        for version in copies:
            count, total = backend.count(backend_feed.collection_of(version)), backend_copies.count_signatures(version)
            waiting = BackendChange.primary.filter(version=version).count()
            if version.backend_cursor is None or count is None:
                state = "no copy"
            else:
                recall = backend_recall.measure_backend_recall(backend, version)
                found = "" if recall is None else f", recall@{backend_recall.BACKEND_RECALL_CUTOFF} {recall:.3f}"
                progress = "filled" if version.backend_filled_at else "being filled"
                role = "searched" if version.is_in_backend and version.is_active else "not searched"
                state = f"{count} of {total} signatures, {progress}, {role}, changes that wait: {waiting}{found}"
            self.stdout.write(f"{version.source} {version}: {state}.")

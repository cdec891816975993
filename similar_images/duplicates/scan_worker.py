"""Run the searches for duplicates that were requested."""

from __future__ import annotations

import logging

from django.db import transaction

from ..imaging.opencv import single_core
from ..models import Source, write_alias
from .scans import ScanProgress, ScanReplaced, due_scans
from .source_search import find_in_source
from .store import save_groups

logger = logging.getLogger("similar_images")

SCAN_JOBS = 1
"""Threads that compare images: the worker's other processes go on indexing."""


def run_due_scan() -> bool:
    """Run the search that has been due for longest; return whether there was one."""
    using = write_alias()
    with transaction.atomic(using=using):
        scan = due_scans().select_for_update(skip_locked=True).order_by("changed_at").first()
        if scan is None:
            return False
        source = Source.objects.get(pk=scan.source_id).image_source
        if source is None:  # no longer registered
            scan.delete(using=using)
            return True
        progress = ScanProgress.begin(scan.source_id)
    try:
        with single_core():
            found = find_in_source(source, jobs=SCAN_JOBS, report=progress.report)
            save_groups(source, found, beat=progress.beat)
        progress.finish(is_complete=found.is_complete)
    except ScanReplaced:
        logger.warning("A search for duplicates in %s was given up, as another process runs it.", source.label)
    except Exception:
        logger.exception("The search for duplicates in %s has failed.", source.label)
        progress.fail()
    return True

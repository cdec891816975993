"""The search for duplicates in a source, whose verdicts are kept in the database for the next one."""

from __future__ import annotations

from contextlib import closing

from ..measures.verdict import VerdictKind
from ..sources.source import ImageSource
from .detection import FoundDuplicates, Report, find_duplicates
from .source import SourceImages
from .verdict_store import SourceVerdicts

GROUPED_KINDS: tuple[VerdictKind, ...] = ("same-file", "same-picture", "edited-picture", "same-object")
"""Verdicts on pairs that are put into groups: copies, and shots of a series."""


def find_in_source(
    source: ImageSource, *, jobs: int, report: Report = lambda stage, done, total: None
) -> FoundDuplicates:
    """Find the copies and series of a source; of pairs that were compared before, the verdict is known.

    Args:
        source: the source.
        jobs: threads that compare images.
        report: told of the progress.
    """
    with closing(SourceVerdicts(source)) as verdicts:
        images = SourceImages(source)
        found = find_duplicates(images, kinds=GROUPED_KINDS, jobs=jobs, verdicts=verdicts, report=report)
        verdicts.forget_unused()
    return found

"""Calibrated sources: from so many images on, percentages are made stricter where too many pairs would be similar.

How many are, by each method, is measured from stored signatures, without labels and without reading an image; it is
measured again when the source has doubled. Percentages that a person has calibrated are left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django.db import transaction

from .. import conf, plugins, registry
from ..generations import clear_widgets_on_commit
from ..models import MethodVersion, Projection, Source, write_alias
from ..signatures.base import Curve, Method
from ..signatures.distances import SignatureArray
from ..signatures.tightening import MAX_IMAGES, different_pairs, similar_share, tighten_curve
from ..sources.source import ImageSource
from . import samples, versions

logger = logging.getLogger("similar_images")

MEASURE_AGAIN_AT = 2
"""Number of images, as a multiple of that when a source was measured, from which it is measured again."""


MIN_OVERLAP = 0.9
"""Share of the largest sample that another one has to have, to tell copies by both."""


def calibrate_sources() -> None:
    """Measure the sources that are large enough, and make percentages stricter where that is needed.

    Sources that a sweep has not seen the end of are left for later. An error of one source is logged and does not keep
    the others from being calibrated.
    """
    for source in registry.get_sources():
        source_id = Source.objects.get_id(source)
        try:
            if Source.objects.filter(pk=source_id, next_object="", swept_at__isnull=False).exists():
                _calibrate_source(source, source_id)
        except Exception:
            logger.exception("%s could not be calibrated.", source.label)


def _calibrate_source(source: ImageSource, source_id: int) -> None:
    min_images = conf.get().calibrate_from
    rows = list(_rows_to_calibrate(source_id))
    if min_images is None:
        for row, method in rows:
            if row.measured_images is not None:
                _save(row, method.curve, method, measured_images=None, share=None)
        return
    due = {row.pk for row, _method in rows if samples.is_described(source, row, _needed(row, min_images))}
    if not due:
        return
    read = {row.pk: samples.read_sample(source, row, MAX_IMAGES) for row, _method in rows}
    largest = max(map(len, read.values()))
    used = [(row, method) for row, method in rows if len(read[row.pk]) >= MIN_OVERLAP * largest or row.pk in due]
    shared = sorted(set.intersection(*(set(read[row.pk]) for row, _method in used)))
    arrays = [SignatureArray(method, [read[row.pk][key] for key in shared]) for row, method in used]
    for (row, method), distances in zip(used, different_pairs(arrays), strict=True):
        if row.pk in due:
            _save(
                row,
                tighten_curve(method.curve, distances),
                method,
                measured_images=samples.signatures_by(source, row).count(),
                share=similar_share(method.curve, distances),
            )


def _rows_to_calibrate(source_id: int) -> Iterator[tuple[MethodVersion, Method]]:
    """Yield the versions that are searched by, or soon, without those that a person or labels have calibrated."""
    rows = MethodVersion.primary.filter(source_id=source_id, name__in=plugins.enabled_methods())
    learned_from_labels = rows.filter(projection__isnull=False).exclude(
        projection__learned_from__has_key=Projection.FROM_ALL_IMAGES
    )
    for row in rows.exclude(pk__in=learned_from_labels).order_by("pk"):
        method = versions.instantiate(row)
        if method is not None and not _is_calibrated_by_hand(row, method):
            yield row, method


def _is_calibrated_by_hand(row: MethodVersion, method: Method) -> bool:
    return row.measured_images is None and row.is_calibrated and row.curve != _as_lists(method.curve)


def _needed(row: MethodVersion, min_images: int) -> int:
    return max(min_images, MEASURE_AGAIN_AT * (row.measured_images or 0))


def _save(
    row: MethodVersion, curve: Curve, method: Method, *, measured_images: int | None, share: float | None
) -> None:
    points = _as_lists(curve)
    is_calibrated = row.projection_id is not None or points != _as_lists(method.curve)
    with transaction.atomic(using=write_alias()):
        # A person may have calibrated it meanwhile.
        same = MethodVersion.primary.filter(pk=row.pk, curve=row.curve, measured_images=row.measured_images)
        same.update(curve=points, is_calibrated=is_calibrated, measured_images=measured_images, similar_share=share)
        if points != row.curve:
            clear_widgets_on_commit(write_alias())


def _as_lists(curve: Curve) -> list[list[float]]:
    return [list(point) for point in curve]

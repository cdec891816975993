"""Centered sources: from so many images on, what all of a source's images share is taken off their signatures.

The mean is learned from stored signatures, without labels and without reading an image; it is learned again when the
source has grown by half. What was learned from labels goes before it.
"""

from __future__ import annotations

import logging
from copy import copy
from math import ceil

import numpy as np
from django.db.models import Q, QuerySet
from numpy.typing import NDArray

from .. import conf, registry
from ..models import MethodVersion, Projection, Source
from ..signatures.base import Curve, Method
from ..signatures.centering import MAX_SAMPLE, carry_curve, center
from ..signatures.projection import ProjectedMethod, can_project
from ..sources.source import ImageSource
from . import projections, samples, versions

logger = logging.getLogger("similar_images")

GROWTH = 1.5
"""Number of images, as a multiple of that when a mean was learned, from which it is learned again."""

MAX_FILLED = 20_000
"""Signatures of a source that are computed, or deleted, at a time: the next sweep goes on."""

MIN_SAMPLE = 20
"""Images of a source from which percentages are carried over from one version to another, at least."""


def center_sources() -> None:
    """Center the sources that are large enough, by every method that gains by it, and forget former means.

    Sources that a sweep has not seen the end of are left for later. An error of one source is logged and does not keep
    the others from being centered.
    """
    for source in registry.get_sources():
        is_swept = Source.objects.filter(pk=Source.objects.get_id(source), next_object="", swept_at__isnull=False)
        for method in versions.base_methods(source).values():
            if method.gains_by_centering and can_project(method):
                try:
                    _center_source(source, method, may_learn=is_swept.exists())
                except Exception:
                    logger.exception("%s could not be centered by %s.", source.label, method.name)


def _center_source(source: ImageSource, method: Method, *, may_learn: bool) -> None:
    rows = MethodVersion.primary.filter(
        source_id=Source.objects.get_id(source), name=method.name, projection__isnull=False
    ).select_related("projection")
    means = rows.filter(projection__learned_from__has_key=Projection.FROM_ALL_IMAGES)
    known = means.filter(projection__base=method.version).order_by("-projection_id").first()
    if rows.filter(projection__is_enabled=True).exclude(pk__in=means).exists():
        known = None
    elif _is_too_small(source, method):
        if known and _projection_of(known).is_enabled:
            _go_back(source, method, known)
        known = None
    else:
        needed = max(conf.get().center_from or 0, ceil(GROWTH * _projection_of(known).centered_images) if known else 0)
        if may_learn and samples.is_described(source, method, needed):
            known = _learn_mean(source, method)
        if known:
            _go_on(source, known)
    _forget_means(means, method, kept=known)


def _is_too_small(source: ImageSource, method: Method) -> bool:
    """Check that a source is not to be centered, and is not so near to it that it would be tomorrow."""
    min_images = conf.get().center_from
    if min_images is None:
        return True
    least = ceil(min_images / GROWTH)
    return not samples.signatures_by(source, method).order_by()[least - 1 : least].exists()


def _learn_mean(source: ImageSource, method: Method) -> MethodVersion:
    """Store the mean of a source's signatures, which is not searched by yet."""
    values, images = _read_vectors(source, method), samples.signatures_by(source, method).count()
    learned_from = {Projection.FROM_ALL_IMAGES: True, "images": images, "sample": len(values)}
    centered = center(method, values, like=_searched_by(source, method))
    return projections.store_projection(source, centered, learned_from, figures={}).version


def _go_back(source: ImageSource, method: Method, version: MethodVersion) -> None:
    """Search by the method's own signatures again, with the percentages of a mean that was calibrated meanwhile."""
    searched_by = _searched_by(source, method)
    if searched_by is not None and searched_by.curve != _projection_of(version).curve:
        values = _read_vectors(source, method)
        if len(values) >= MIN_SAMPLE:
            own = MethodVersion.primary.filter(source_id=version.source_id, name=method.name, version=method.version)
            own.update(curve=carry_curve(searched_by, method, values), is_calibrated=True)
    projections.deactivate_projection(source, method.name)


def shipped_curve(source: ImageSource, method: Method) -> Curve:
    """Return the curve of a method as it is shipped; that of a centered one keeps the percentages of this."""
    if isinstance(method, ProjectedMethod) and not method.mean_and_matrix[1]:
        values = _read_vectors(source, method.base)
        if len(values) >= MIN_SAMPLE:
            return carry_curve(method.base, method, values)
    return method.curve


def _go_on(source: ImageSource, version: MethodVersion) -> None:
    """Compute a slice of the signatures that a mean lacks; with the last one, it is searched by."""
    method, filled = versions.instantiate(version), 0
    if _projection_of(version).is_enabled or not isinstance(method, ProjectedMethod):
        return
    for size in versions.fill_projection(source, method):
        filled += size
        if filled >= MAX_FILLED:
            return
    projections.activate_projection(source, method, _projection_of(version))


def is_large_enough(source: ImageSource, method: Method) -> bool:
    """Return whether the signatures of a source by this method are, or will be, searched by without their mean."""
    min_images = conf.get().center_from
    if min_images is None or not (method.gains_by_centering and can_project(method)):
        return False
    return samples.signatures_by(source, method).count() >= min_images


def _projection_of(version: MethodVersion) -> Projection:
    if version.projection is None:
        raise ValueError(f"{version} has no projection.")
    return version.projection


def _searched_by(source: ImageSource, method: Method) -> Method | None:
    """Return the method in use, with its curve as calibrated; None if that is neither this one nor a projection."""
    spec = versions.active_versions(source, MethodVersion.primary.all())[method.name]
    searched_by = versions.instantiate(spec)
    base = searched_by.base if isinstance(searched_by, ProjectedMethod) else searched_by
    if searched_by is None or base is not method:
        return None
    calibrated = copy(searched_by)
    if isinstance(spec, MethodVersion) and spec.measured_images is None:  # what was measured by itself is, again
        calibrated.curve = spec.curve
    return calibrated


def _read_vectors(source: ImageSource, method: Method) -> NDArray[np.float32]:
    return np.array([*samples.read_sample(source, method, MAX_SAMPLE).values()], np.float32)


def _forget_means(means: QuerySet[MethodVersion], method: Method, kept: MethodVersion | None) -> None:
    """Delete a slice of the signatures of the means that are no longer searched by; with the last one, the mean."""
    is_former = Q(projection__is_enabled=False) | ~Q(projection__base=method.version)
    deleted = 0
    for version in means.filter(is_former, is_active=False).exclude(pk=kept.pk if kept else 0):
        for size in versions.delete_signatures(version):
            deleted += size
            if deleted >= MAX_FILLED:
                return
        MethodVersion.primary.filter(pk=version.pk, is_active=False).delete()
    Projection.primary.filter(version=None).delete()

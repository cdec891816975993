"""Projections of a source: stored, filled with signatures that are computed from the stored ones, then searched by."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from ..models import MethodVersion, Projection, Source, write_alias
from ..signatures.projection import ProjectedMethod
from ..sources.source import ImageSource
from . import hnsw, versions


def store_projection(
    source: ImageSource, method: ProjectedMethod, learned_from: dict[str, Any], figures: dict[str, Any]
) -> Projection:
    """Store a projection that is not searched by yet.

    Args:
        source: the source.
        method: the method with the projection.
        learned_from: what it was learned from, as the projection's field.
        figures: how good it was found to be, as the projection's field.
    """
    rows = MethodVersion.primary.filter(source_id=Source.objects.get_id(source), name=method.name)
    base = rows.get(version=method.base.version)
    mean, matrix = method.mean_and_matrix
    with transaction.atomic(using=write_alias()):
        projection = Projection.primary.create(
            base=base.version,
            mean=mean,
            matrix=matrix,
            curve=method.curve,
            learned_from=learned_from,
            figures=figures,
        )
        rows.update_or_create(
            source_id=base.source_id,
            name=method.name,
            version=method.version,
            defaults={
                "storage": base.storage,
                "metric": base.metric,
                "method_config": base.method_config,
                "dimensions": method.dimensions,
                "curve": method.curve,
                "is_calibrated": True,
                "projection": projection,
            },
        )
        # The same projection learned again takes over the version, and leaves the former row without one.
        Projection.primary.filter(version=None).delete()
    return projection


def activate_projection(source: ImageSource, method: ProjectedMethod, projection: Projection) -> bool:
    """Compute the missing signatures of a stored projection from those of its base, and let searches use them.

    Returns:
        Whether searches use it already. If not, because a record was locked or lacks a signature, a later sweep
        completes the switch.
    """
    # Filled before it is enabled, or workers would read the files of all images that lack its signature.
    for _size in versions.fill_projection(source, method):
        pass
    return _set_active_projection(source, method.name, projection)


def is_centered(source: ImageSource, name: str) -> bool:
    """Return whether a mean is the projection in use."""
    enabled = Projection.primary.filter(
        version__source_id=Source.objects.get_id(source), version__name=name, is_enabled=True
    )
    return any(projection.centered_images for projection in enabled.defer("matrix", "mean"))


def deactivate_projection(source: ImageSource, name: str) -> bool:
    """Let searches use the method's own signatures again, and return whether they do already."""
    return _set_active_projection(source, name, None)


def _set_active_projection(source: ImageSource, name: str, projection: Projection | None) -> bool:
    rows = Projection.primary.filter(version__source_id=Source.objects.get_id(source), version__name=name)
    with transaction.atomic(using=write_alias()):
        rows.filter(is_enabled=True).update(is_enabled=False)
        if projection:
            rows.filter(pk=projection.pk).update(is_enabled=True)
    hnsw.sync_indexes()
    versions.switch_versions()
    active = versions.active_versions(source, MethodVersion.primary.all())
    return active[name].version == versions.configured_methods(source)[name].version

"""Status of the index: how many images of every source are indexed, and which versions searches use."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest

from . import permissions, plugins, registry
from .indexing import versions
from .indexing.unregistered import unregistered_sources
from .models import IndexedImage, MethodVersion
from .search.ranking import resolve_weights
from .sources.source import ImageSource


def index_status(request: HttpRequest) -> dict[str, Any]:
    """Return the records of every source by status, the methods, and the index of every source and method.

    Numbers are of the objects that the visitor may see, or may view as an editor.
    Sources that are no longer registered are told to such visitors only.
    """
    sources = registry.get_sources()
    return {
        "sources": [{"source": source.label, "records": _count_records(request, source)} for source in sources],
        "unregistered": [
            {"source": str(row), "records": _count_by_status(row.records.all())}
            for row in unregistered_sources()
            if permissions.can_view_model(request, row.app_label, row.model)
        ],
        "methods": _describe_methods(),
        "indexes": [index for source in sources for index in _describe_indexes(source)],
    }


def _count_records(request: HttpRequest, source: ImageSource) -> dict[str, int]:
    """Return the number of records by status."""
    records = IndexedImage.objects.for_source(source)
    is_editor = permissions.can_view(request, source)
    if is_editor and source.policy is None:  # who sees all
        return _count_by_status(records)
    counted = records.for_objects(source, source.visible_to(request))
    if is_editor:
        counted |= records.for_objects(source, permissions.get_policy(source).viewable(request))
    return _count_by_status(counted)


def _count_by_status(records: QuerySet[IndexedImage]) -> dict[str, int]:
    return dict.fromkeys(IndexedImage.Status.values, 0) | dict(records.values_list("status").annotate(Count("pk")))


def _describe_methods() -> list[dict[str, Any]]:
    weights = resolve_weights()
    return [
        {
            "name": method.name,
            "version": method.version,
            "dimensions": method.dimensions,
            "metric": method.metric,
            "weight": weights.get(method.name, 0),
        }
        for method in plugins.enabled_methods().values()
    ]


def _describe_indexes(source: ImageSource) -> list[dict[str, Any]]:
    configured = versions.configured_methods(source)
    return [
        {
            "source": source.label,
            "method": spec.name,
            "version": spec.version,
            "next_version": "" if spec.version == configured[spec.name].version else configured[spec.name].version,
            "search": "hnsw" if isinstance(spec, MethodVersion) and spec.has_index else "exact",
        }
        for spec in versions.active_versions(source).values()
    ]

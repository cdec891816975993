"""How far the sources are indexed, and by what they are searched."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Count
from django.http import HttpRequest

from . import permissions, plugins, registry
from .indexing import versions
from .models import IndexedImage, MethodVersion
from .registry import ImageSource
from .search.ranking import resolve_weights


def index_status(request: HttpRequest) -> dict[str, Any]:
    """How many records of every source are in which state, and by which methods they are searched.

    Staff counts all records; other visitors those of the objects that they may see.
    """
    staff = permissions.is_staff(request)
    enabled = plugins.enabled_methods()
    ranking = resolve_weights()

    def records_of(source: ImageSource) -> models.QuerySet[IndexedImage]:
        records = IndexedImage.objects.for_source(source)
        return records if staff else records.for_objects(source, source.visible_to(request))

    return {
        "sources": [
            {
                "source": source.label,
                "records": dict.fromkeys(IndexedImage.Status.values, 0)
                | dict(records_of(source).values_list("status").annotate(Count("pk"))),
            }
            for source in registry.get_sources()
        ],
        "methods": [
            {
                "name": method.name,
                "version": method.version,
                "dimensions": method.dimensions,
                "metric": method.metric,
                "weight": ranking.get(method.name, 0),
            }
            for method in enabled.values()
        ],
        "indexes": [
            {
                "source": source.label,
                "method": form.name,
                "version": form.version,
                "next_version": "" if form.version == wanted[form.name].version else wanted[form.name].version,
                "search": "hnsw" if isinstance(form, MethodVersion) and form.has_index else "exact",
            }
            for source in registry.get_sources()
            for wanted in [versions.configured_methods(source)]
            for form in versions.active_versions(source).values()
        ],
    }

"""The objects whose records and marks a user may look at in the admin: those that their model's own admin lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest

from .. import permissions
from ..models import IndexedImage, IndexedImageQuerySet, Source


def viewable_records(model_admin: Any, request: HttpRequest) -> Iterator[tuple[Source, IndexedImageQuerySet | None]]:
    """Yield each source that a user may look at, and the records of the objects in question; None for all of them.

    Args:
        model_admin: an admin on the site that has the models' own.
        request: the user's request.
    """
    site = model_admin.admin_site
    for source in Source.objects.all():
        image_source = source.image_source
        if image_source is None or not site.is_registered(image_source.model):
            if permissions.can_view_model(request, source.app_label, source.model):
                yield source, None
            continue
        own_admin = site.get_model_admin(image_source.model)
        if own_admin.has_view_or_change_permission(request):
            objects = own_admin.get_queryset(request)
            records = IndexedImage.objects.filter(source=source).for_objects(image_source, objects)
            yield source, records if objects.query.has_filters() else None

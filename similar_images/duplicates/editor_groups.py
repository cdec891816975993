"""Groups of duplicates for editors of a content management system, who see some of a source's objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import CharField, Count
from django.db.models.functions import Cast

from ..models import DuplicateGroup, DuplicateImage, Source, write_alias
from ..sources.source import ImageSource


def open_groups(source: ImageSource, objects: models.QuerySet[Any]) -> models.QuerySet[DuplicateGroup]:
    """Return the groups of a source that are to be reviewed, and have at least two of the objects, the best first."""
    seen = _images_of(source, objects).order_by().values("group").annotate(count=Count("pk"))
    groups = DuplicateGroup.objects.using(write_alias()).filter(
        source_id=Source.objects.get_id(source),
        status=DuplicateGroup.Status.OPEN,
        pk__in=seen.filter(count__gte=2).values("group"),
    )
    return groups.order_by("kind", "-similarity", "pk")


def load_members(
    source: ImageSource, groups: Iterable[DuplicateGroup], objects: models.QuerySet[Any]
) -> list[tuple[DuplicateGroup, list[dict[str, Any]]]]:
    """Return groups with those of the objects that are in them, and what was measured of their files."""
    groups = list(groups)
    rows = list(_images_of(source, objects).filter(group__in=groups).order_by("pk"))
    found = source.as_filterable(objects).filter(pk__in={row.object_id for row in rows})
    items = {source.object_id(item.pk): item for item in found}
    return [
        (
            group,
            [
                {"item": items[row.object_id], "row": row}
                for row in rows
                if row.group_id == group.pk and row.object_id in items
            ],
        )
        for group in groups
    ]


def _images_of(source: ImageSource, objects: models.QuerySet[Any]) -> models.QuerySet[DuplicateImage]:
    images = DuplicateImage.objects.using(write_alias()).filter(source_id=Source.objects.get_id(source))
    objects = source.as_filterable(objects).using(write_alias())
    if source.has_integer_key:
        return images.filter(object_key__in=objects.values("pk"))
    return images.filter(object_id__in=objects.annotate(text_key=Cast("pk", CharField())).values("text_key"))

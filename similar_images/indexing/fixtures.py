"""Fixtures that hold rows of this app, as those of `dumpdata`: they find their places taken.

`migrate` has created sources and versions already, and triggers the records of objects that were loaded before.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.signals import pre_save

from ..models import IndexedImage, MethodVersion, Source

UNIQUE_FIELDS: dict[type[models.Model], list[str]] = {
    Source: ["app_label", "model", "field"],
    MethodVersion: ["source_id", "name", "version"],
    IndexedImage: ["source_id", "object_id"],
}


def make_room_for_rows() -> None:
    """Delete, whenever a row is loaded, what would keep it from being saved."""
    for model in UNIQUE_FIELDS:
        pre_save.connect(_make_room, sender=model, dispatch_uid=f"{__name__}.{model.__name__}")


def _make_room(*, sender: type[models.Model], instance: Any, raw: bool, using: str, **kwargs: Any) -> None:
    """Delete the row that is what a fixture's row is, under another primary key."""
    if not raw:
        return
    others = sender._base_manager.using(using).exclude(pk=instance.pk)
    others.filter(**{name: getattr(instance, name) for name in UNIQUE_FIELDS[sender]}).delete()
    if sender is MethodVersion and instance.is_active:
        others.filter(source_id=instance.source_id, name=instance.name, is_active=True).delete()
    Source.objects.clear_cache()

"""The hooks: an object of a source is saved or deleted, its file replaced.

All of it happens in the caller's transaction and costs a query or two; only `dispatch.wake`
after the commit leads out of the database, and it neither waits nor fails.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.files import File
from django.db import models, router, transaction
from django.db.models.fields.files import FieldFile
from django.db.models.signals import post_delete, post_migrate, post_save

from . import dispatch, indexing, registry
from .models import IndexedImage, Source
from .registry import ImageSource

_ASSIGNED = "_similar_images_assigned"


def connect(source: ImageSource) -> None:
    """Listen to the source's model, and to its children and proxies: Django signals only exact classes."""
    for model in _family(source.model):
        post_save.connect(_saved, sender=model, dispatch_uid=f"{__name__}.saved.{model._meta.label}")
        post_delete.connect(_deleted, sender=model, dispatch_uid=f"{__name__}.deleted.{model._meta.label}")
    _watch(source.field)
    post_migrate.connect(_forget_source_ids, dispatch_uid=f"{__name__}.migrated")


def _family(model: type[models.Model]) -> set[type[models.Model]]:
    return {model}.union(*(_family(child) for child in model.__subclasses__() if not child._meta.abstract))


def _watch(field: models.FileField) -> None:
    """Let the field's descriptor note when a file is assigned.

    That note is the only sign of new bytes under an old name: storages may overwrite, and a deleted
    file's name is given out again.
    """
    descriptor = vars(field.model)[field.attname]
    kind = type(descriptor)
    if not hasattr(kind, "watches_similar_images"):
        namespace = {"watches_similar_images": True, "__set__": _noting(kind.__set__)}
        setattr(field.model, field.attname, type(kind.__name__, (kind,), namespace)(field))


def _noting(set_file: Any) -> Any:
    def __set__(descriptor: Any, instance: models.Model, value: Any) -> None:  # noqa: N807
        name = descriptor.field.attname
        is_new_file = isinstance(value, File) and not isinstance(value, FieldFile)
        # photo.save() assigns the stored name, as a string; loading an object does so only once
        if is_new_file or (isinstance(value, str) and name in instance.__dict__):
            instance.__dict__.setdefault(_ASSIGNED, set()).add(name)
        set_file(descriptor, instance, value)

    return __set__


def _saved(
    *,
    sender: type[models.Model],
    instance: models.Model,
    raw: bool,
    using: str,
    update_fields: Collection[str] | None,
    **kwargs: Any,
) -> None:
    if raw or not _has_records(using):
        return
    assigned: set[str] = instance.__dict__.get(_ASSIGNED, set())
    for source in registry.of(sender):
        name = source.field_name
        if update_fields is None or name in update_fields:
            if indexing.note(source, instance.pk, source.file_name(instance), replaced=name in assigned):
                transaction.on_commit(dispatch.wake, using=using, robust=True)
            assigned.discard(name)


def _deleted(*, sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any) -> None:
    if _has_records(using):
        for source in registry.of(sender):
            indexing.forget(source, [instance.pk])


def _has_records(using: str) -> bool:
    """Whether records live in the database that is written to; others are not ours to follow."""
    return using == router.db_for_write(IndexedImage)


def _forget_source_ids(**kwargs: Any) -> None:
    Source.objects.clear_cache()

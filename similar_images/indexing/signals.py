"""The hooks: an object of a source is saved or deleted, its file replaced.

All of it happens in the caller's transaction and costs a query or two; only `dispatch.wake`
after the commit leads out of the database, and it neither waits nor fails.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.apps import apps as global_apps
from django.apps.registry import Apps
from django.core.exceptions import ImproperlyConfigured
from django.db import models, router, transaction
from django.db.models.signals import post_delete, post_save

from .. import registry
from ..models import IndexedImage, MethodVersion, Source
from ..registry import ImageSource
from . import notify, outbox, versions

PENDING_FILES_ATTR = "_similar_images_written"


def connect(source: ImageSource) -> None:
    """Listen to the source's model, and to its children and proxies: Django signals only exact classes."""
    for model in _concrete_subclasses(source.model):
        label = model._meta.label
        post_save.connect(_on_save, sender=model, dispatch_uid=f"{__name__}.saved.{label}")
        if model._meta.concrete_model is source.model:  # a child's row may go alone, and signals its parent's too
            post_delete.connect(_on_delete, sender=model, dispatch_uid=f"{__name__}.deleted.{label}")
    if not isinstance(source.field.generate_filename, FilenameHook):
        vars(source.field)["generate_filename"] = FilenameHook(source.field)


def _concrete_subclasses(model: type[models.Model]) -> set[type[models.Model]]:
    return {model}.union(*(_concrete_subclasses(child) for child in model.__subclasses__() if not child._meta.abstract))


class FilenameHook:
    """Stands in for a field's `generate_filename`, which is called whenever a file is written, and notes that.

    The object then knows the name of the field, and the order that was given for it, None until it is saved.

    The note is the only sign of new bytes under an old name: storages may overwrite, and a deleted
    file's name is given out again.
    """

    def __init__(self, field: models.FileField) -> None:
        self.name = field.name
        self.generate = field.generate_filename

    def __call__(self, instance: models.Model, filename: str) -> str:
        instance.__dict__.setdefault(PENDING_FILES_ATTR, {})[self.name] = None
        return self.generate(instance, filename)


def _on_save(
    *,
    sender: type[models.Model],
    instance: models.Model,
    raw: bool,
    using: str,
    update_fields: Collection[str] | None,
    **kwargs: Any,
) -> None:
    if raw or not _is_record_database(using):
        return
    written: dict[str, UUID | None] = instance.__dict__.get(PENDING_FILES_ATTR, {})
    for source in registry.get_sources_for_model(sender):
        name = source.field_name
        if update_fields is None or name in update_fields:
            is_replaced = name in written
            order = outbox.enqueue(
                source, instance.pk, source.get_file_name(instance), replaced=is_replaced, ordered=written.get(name)
            )
            if order:
                transaction.on_commit(notify.notify_workers, using=using, robust=True)
                if is_replaced:  # remembered, not forgotten: a rollback would take the order back
                    written[name] = order


def _on_delete(*, sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any) -> None:
    if _is_record_database(using):
        for source in registry.get_sources_for_model(sender):
            # Of an object that goes with a child of its model, Django tells, too; it may also stay.
            if source.model._meta.concrete_model is sender._meta.concrete_model:
                outbox.delete_records(source, [instance.pk])


def _is_record_database(using: str) -> bool:
    """Whether records live in the database that is written to; others are not ours to follow."""
    return using == router.db_for_write(IndexedImage)


def create_sources(*, using: str, apps: Apps = global_apps, **kwargs: Any) -> None:
    """Make the rows of the sources, after every migrate and flush."""
    Source.objects.clear_cache()
    if _is_record_database(using) and MethodVersion._meta.model_name in apps.all_models[Source._meta.app_label]:
        Source.objects.create_missing(registry.get_sources(), using)
        with suppress(ImproperlyConfigured):  # the system check tells
            versions.register_versions()

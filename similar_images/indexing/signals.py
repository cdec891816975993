"""Signal receivers: an object of a source is saved or deleted, or its file replaced.

They run in the caller's transaction and cost a query or two. Only `notify_workers`, after the commit, does more than
write to the database, and it neither waits nor fails.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.apps import apps as global_apps
from django.apps.registry import Apps
from django.core.exceptions import ImproperlyConfigured
from django.db import models, transaction
from django.db.models.signals import post_delete, post_save

from .. import registry
from ..models import MethodVersion, Source, write_alias
from ..registry import ImageSource
from . import notify, outbox, versions

PENDING_FILES_ATTR = "_similar_images_pending_files"
"""Attribute of an object whose files were written: a dict from field name to the revision of the request to index
it, None until the object is saved."""


def connect(source: ImageSource) -> None:
    """Listen to the source's model and all its children and proxies, as Django sends signals for exact classes."""
    for model in _with_subclasses(source.model):
        label = model._meta.label
        post_save.connect(_on_save, sender=model, dispatch_uid=f"{__name__}.saved.{label}")
        if model._meta.concrete_model is source.model:  # deleting a child sends its parent's signal, too
            post_delete.connect(_on_delete, sender=model, dispatch_uid=f"{__name__}.deleted.{label}")
    if not isinstance(source.field.generate_filename, FilenameHook):
        vars(source.field)["generate_filename"] = FilenameHook(source.field)


def _with_subclasses(model: type[models.Model]) -> set[type[models.Model]]:
    return {model}.union(*map(_with_subclasses, model.__subclasses__()))


class FilenameHook:
    """Replaces a field's `generate_filename`, called whenever a file is written, to mark the object's file as pending.

    The mark is the only way to detect new content under an unchanged name: storages may overwrite files, and the name
    of a deleted file is used again.
    """

    def __init__(self, field: models.FileField) -> None:
        """Keep the field's own `generate_filename`, to call it."""
        self._field_name = field.name
        self._generate_filename = field.generate_filename

    def __call__(self, instance: models.Model, filename: str) -> str:
        """Mark the file as pending, and return its name in the storage."""
        instance.__dict__.setdefault(PENDING_FILES_ATTR, {})[self._field_name] = None
        return self._generate_filename(instance, filename)


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
    pending: dict[str, UUID | None] = instance.__dict__.get(PENDING_FILES_ATTR, {})
    for source in registry.get_sources_for_model(sender):
        field_name = source.field_name
        if update_fields is not None and field_name not in update_fields:
            continue
        revision = outbox.enqueue(
            source,
            instance.pk,
            source.get_file_name(instance),
            is_rewritten=field_name in pending,
            last_revision=pending.get(field_name),
        )
        if revision:
            transaction.on_commit(notify.notify_workers, using=using, robust=True)
            if field_name in pending:  # keep the mark, as a rollback would undo the request
                pending[field_name] = revision


def _on_delete(*, sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any) -> None:
    if _is_record_database(using):
        for source in registry.get_sources_for_model(sender):
            # Deleting a child sends a signal of its own for its parent, unless the parent is kept.
            if source.model._meta.concrete_model is sender._meta.concrete_model:
                outbox.delete_records(source, [instance.pk])


def _is_record_database(using: str) -> bool:
    """Check that the database being written to is the one that holds the records; others are not indexed."""
    return using == write_alias()


def create_sources(*, using: str, apps: Apps = global_apps, **kwargs: Any) -> None:
    """Create the rows of the sources, after every migrate and flush."""
    Source.objects.clear_cache()
    if _is_record_database(using) and MethodVersion._meta.model_name in apps.all_models[Source._meta.app_label]:
        Source.objects.create_missing(registry.get_sources())
        with suppress(ImproperlyConfigured):  # reported by the system checks
            versions.register_versions()

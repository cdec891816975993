"""Signal receivers: workers are notified of saved objects, and files overwritten under their own name are noticed.

The records themselves are written by the database (see triggers.py).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.apps import apps as global_apps
from django.apps.registry import Apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, models, router, transaction
from django.db.models.signals import post_save

from .. import registry
from ..models import Source, write_alias
from ..sources.source import ImageSource
from . import notices, notify, requests, triggers, versions

REQUESTS_ATTR = "_similar_images_requests"
"""Attribute of an object whose file was written: the requests that were made before, to be due once it is saved."""


def connect(source: ImageSource) -> None:
    """Listen to the source's model and all its children and proxies, as Django sends signals for exact classes."""
    for model in _with_subclasses(source.model):
        post_save.connect(_on_save, sender=model, dispatch_uid=f"{__name__}.saved.{model._meta.label}")
    if not isinstance(source.field.generate_filename, FilenameHook):
        vars(source.field)["generate_filename"] = FilenameHook(source.field)


def _with_subclasses(model: type[models.Model]) -> set[type[models.Model]]:
    return {model}.union(*map(_with_subclasses, model.__subclasses__()))


class FilenameHook:
    """Replaces a field's `generate_filename`, which is called before a file is written.

    That is the only way to notice new content under an unchanged name: storages may overwrite files, and the name of a
    deleted file is used again.
    """

    def __init__(self, field: models.FileField) -> None:
        """Keep the field's own `generate_filename`, to call it."""
        self._field = field
        self._generate_filename = field.generate_filename

    def __call__(self, instance: models.Model, filename: str) -> str:
        """Return the file's name in the storage; before, request that objects whose file it is be looked at anew."""
        name = self._generate_filename(instance, filename)
        if router.db_for_write(type(instance), instance=instance) == write_alias():
            made = instance.__dict__.setdefault(REQUESTS_ATTR, [])
            made += requests.request_before_write(getattr(instance, self._field.attname), name)
        return name


def _on_save(*, sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any) -> None:
    if using != write_alias():
        return
    told = notices.take(connections[using])
    if instance.__dict__.get(REQUESTS_ATTR):
        if connections[using].in_atomic_block or connections[using].get_autocommit():
            transaction.on_commit(lambda: _on_file_written(instance), using=using, robust=True)
        # Or else nothing tells when a transaction ends that Django does not manage: they are due after CLAIM_TIMEOUT.
    elif (instance.__dict__.pop(REQUESTS_ATTR, None) is not None and not told) or told is False:
        notices.notify_after_commit(connections[using])


def _on_file_written(instance: models.Model) -> None:
    # Only now, as after a rollback the next save has to do it.
    requests.set_due(instance.__dict__.pop(REQUESTS_ATTR, ()))
    notify.notify_workers()


def prepare_database(*, using: str, apps: Apps = global_apps, **kwargs: Any) -> None:
    """Create the rows and triggers of the sources, after every migrate and flush."""
    Source.objects.clear_cache()
    if using == write_alias() and _are_present(apps) and Source.objects.has_table():
        sources = registry.get_sources()
        Source.objects.create_missing(sources)
        triggers.create_function(using)
        triggers.create_missing_triggers(sources, using)
        triggers.drop_obsolete_triggers(sources, using)
        with suppress(ImproperlyConfigured):  # reported by the system checks
            versions.register_versions()


def _are_present(apps: Apps) -> bool:
    """Tell whether the app's models are those of this version, and not of a former one that was migrated back to."""
    label = Source._meta.app_label
    return all(
        _columns_of(apps.all_models[label].get(str(model._meta.model_name))) == _columns_of(model)
        for model in global_apps.get_app_config(label).get_models()
    )


def _columns_of(model: type[models.Model] | None) -> set[str | None]:
    return {field.column for field in model._meta.local_concrete_fields} if model else set()

"""The generation of all answers: a text in Django's cache that changes with whatever may change what a widget shows.

It is part of the keys of cached widgets, which are out of date at once where it changes, in all processes: with results
of workers, with marks, and when an object of a source, or an owner, is saved or deleted. What Django sends no signal
of, such as `queryset.update()` and SQL, is not noticed.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from typing import Any

from django.core.cache import BaseCache, caches
from django.core.exceptions import ImproperlyConfigured
from django.db import models, transaction
from django.db.models.signals import post_delete, post_save

from . import conf, registry
from .models import current_schema
from .sources.source import ImageSource

logger = logging.getLogger("similar_images")


def get_widget_cache() -> BaseCache | None:
    """Return the cache of the setting WIDGET_CACHE, None where it names none."""
    alias = conf.get().widget_cache
    return caches[alias] if alias else None


def get_generation(cache: BaseCache) -> str:
    """Return the present generation."""
    return str(cache.get_or_set(_generation_key(), lambda: uuid.uuid4().hex, timeout=None))


def clear_widgets() -> None:
    """Forget all cached widgets, for use after what Django sends no signal of, such as `queryset.update()`."""
    cache = get_widget_cache()
    if cache is None:
        return
    try:
        cache.set(_generation_key(), uuid.uuid4().hex, timeout=None)
    except Exception as error:  # whatever a cache raises that is down: what was saved is saved
        logger.warning("Cached widgets can't be cleared: %s", error)


def clear_widgets_on_commit(using: str) -> None:
    """Forget all cached widgets when the transaction commits: before, they would be made of what it replaces."""
    if conf.get().widget_cache:
        transaction.on_commit(clear_widgets, using=using, robust=True)


def connect_signals() -> None:
    """Listen to what is saved and deleted: what comes back of a source, and how, may depend on any field."""
    for signal in (post_save, post_delete):
        signal.connect(_on_change, dispatch_uid=f"{__name__}.changed")


def _on_change(*, sender: type[models.Model], using: str, **kwargs: Any) -> None:
    with suppress(ImproperlyConfigured):  # reported by the system checks; it is no reason for a save to fail
        if conf.get().widget_cache and any(_is_shown(sender, source) for source in registry.get_sources()):
            clear_widgets_on_commit(using)


def _is_shown(model: type[models.Model], source: ImageSource) -> bool:
    return issubclass(model, source.model) or source.has_results_of(model)


def _generation_key() -> str:
    return f"similar_images:generation:{current_schema(None)}"

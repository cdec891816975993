"""What the commands have in common: a progress bar, and what is named on the command line."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from similar_images import registry
from similar_images.registry import ImageSource
from similar_images.signatures.base import Method

from .. import plugins


def progress_bar(options: dict[str, Any], things: Iterable[Any] | None = None, **kwargs: Any) -> tqdm[Any]:
    """A progress bar on stderr; none where that is no terminal."""
    return tqdm(things, file=sys.stderr, disable=None if options["verbosity"] else True, **kwargs)


def source_by_label(label: str) -> ImageSource:
    """The source "app.Model.field"."""
    model, _dot, field = label.rpartition(".")
    return source_for_options(model, field)


def source_for_options(model: str, field: str | None) -> ImageSource:
    """The source of a model, the first one where no field is named."""
    try:
        return registry.get_source(model, field)
    except registry.NotRegistered as error:
        raise CommandError(str(error)) from error


def sources_for_labels(models: Iterable[str] | None) -> list[ImageSource]:
    """The sources of these models; all of them, where no model is named."""
    try:
        return registry.get_sources_by_label(models)
    except registry.NotRegistered as error:
        raise CommandError(str(error)) from error


def methods_by_name(names: Collection[str] | None) -> dict[str, Method]:
    """The enabled methods of these names; all of them, where none is named."""
    enabled = plugins.enabled_methods()
    if unknown := set(names or ()) - enabled.keys():
        raise CommandError(f"No such method: {', '.join(sorted(unknown))}. There are {', '.join(enabled)}.")
    return {name: enabled[name] for name in names or enabled}

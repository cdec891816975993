"""Shared parts of the commands: a progress bar, and the lookup of sources and methods by command-line options."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from similar_images import plugins, registry
from similar_images.registry import ImageSource
from similar_images.signatures.base import Method


def progress_bar(options: dict[str, Any], iterable: Iterable[Any] | None = None, **kwargs: Any) -> tqdm[Any]:
    """Show progress on stderr if it is a terminal and the verbosity is not 0."""
    return tqdm(iterable, file=sys.stderr, disable=None if options["verbosity"] else True, **kwargs)


def select_source_by_label(label: str) -> ImageSource:
    """Return the source "app.Model.field".

    Raises:
        CommandError: it is not registered.
    """
    model, _dot, field = label.rpartition(".")
    return select_source(model, field)


def select_source(model: str, field: str | None) -> ImageSource:
    """Return the source of a model's field, or the model's first source.

    Raises:
        CommandError: it is not registered.
    """
    try:
        return registry.get_source(model, field)
    except registry.NotRegistered as error:
        raise CommandError(str(error)) from error


def select_sources(models: Iterable[str] | None) -> list[ImageSource]:
    """Return the sources of these models, or all sources.

    Raises:
        CommandError: a model is not registered.
    """
    try:
        return registry.get_sources_by_label(models)
    except registry.NotRegistered as error:
        raise CommandError(str(error)) from error


def select_methods(names: Collection[str] | None) -> dict[str, Method]:
    """Return the enabled methods with these names, or all enabled methods.

    Raises:
        CommandError: a method is not enabled.
    """
    enabled = plugins.enabled_methods()
    if unknown := set(names or ()) - enabled.keys():
        raise CommandError(f"Unknown method: {', '.join(sorted(unknown))}. Choices: {', '.join(enabled)}.")
    return {name: enabled[name] for name in names or enabled}

"""Shared parts of the commands: printable output, a progress bar, and the lookup of sources and methods by options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from tqdm import tqdm

from similar_images import plugins, registry
from similar_images.printable import make_printable
from similar_images.signatures.base import Method
from similar_images.sources.source import ImageSource


class PrintableOutput(OutputWrapper):
    """An output of a command on which no file name or other text can control the terminal."""

    def write(  # type: ignore[override]  # the stubs take it for a file's
        self, msg: str = "", style_func: Callable[[str], str] | None = None, ending: str | None = None
    ) -> None:
        """Write a message of one or several lines."""
        super().write(make_printable(msg, keep="\n"), style_func, ending)


class PrintableCommand(BaseCommand):
    """A command whose outputs are printable."""

    @property
    def stdout(self) -> OutputWrapper:
        """The standard output."""
        return self._stdout

    @stdout.setter
    def stdout(self, output: Any) -> None:
        """Make an output printable."""
        self._stdout = PrintableOutput(output._out)

    @property
    def stderr(self) -> OutputWrapper:
        """The standard error."""
        return self._stderr

    @stderr.setter
    def stderr(self, output: Any) -> None:
        """Make an output printable."""
        self._stderr = PrintableOutput(output._out)


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
    """Return the source of a model's field, which may be left out where the model has one source.

    Raises:
        CommandError: it is not registered, or there are several.
    """
    try:
        return registry.get_source(model, field)
    except (registry.NotRegistered, registry.AmbiguousField) as error:
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

"""Shared parts of the commands: printable output, progress, and the lookup of sources and methods by options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Self

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
        super().write(make_printable(msg, keep="\n\t"), style_func, ending)


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


PROGRESS_SECONDS = 10.0
"""Time between two lines of progress where stderr is no terminal; what takes less prints none."""


class ProgressLines(tqdm):  # type: ignore[type-arg]  # not generic at runtime
    """Progress as plain lines, now and then, for a log or a pipe: "photos: 40% (400/1000), 20 s, 30 s left"."""

    def __init__(self, iterable: Iterable[Any] | None = None, **kwargs: Any) -> None:
        """Take what tqdm takes, but how often and how it is printed."""
        times: dict[str, Any] = {"mininterval": PROGRESS_SECONDS, "delay": PROGRESS_SECONDS, "miniters": 1}
        super().__init__(iterable, leave=False, **times, **kwargs)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Print a line; none to clear a bar, which is empty."""
        if msg != "":
            sys.stderr.write(f"{self._describe()}\n")
            sys.stderr.flush()

    def _describe(self) -> str:
        title = f"{self.desc.removesuffix(': ')}: " if self.desc else ""
        values = self.format_dict
        unit, elapsed = str(values["unit"]).strip(), tqdm.format_interval(values["elapsed"])
        if not self.total:
            return f"{title}{self.n} {unit}, {elapsed}"
        left = values["elapsed"] / self.n * (self.total - self.n) if self.n else None
        remaining = f", {tqdm.format_interval(left)} left" if left else ""
        return f"{title}{100 * self.n // self.total}% ({self.n}/{self.total} {unit}), {elapsed}{remaining}"


def progress_bar(options: dict[str, Any], iterable: Iterable[Any] | None = None, **kwargs: Any) -> tqdm[Any]:
    """Show progress on stderr, unless the verbosity is 0: as a bar on a terminal, elsewhere as a line now and then."""
    if options["verbosity"] and not sys.stderr.isatty():
        return ProgressLines(iterable, **kwargs)
    return tqdm(iterable, file=sys.stderr, disable=not options["verbosity"], **kwargs)


class StageProgress:
    """The progress of work in stages, each with a bar, or lines, of its own; a context manager.

    Args:
        options: those of the command.
        titles: the unit of each stage, by its name.
        label: what the work is about; stands before the name of the stage.
    """

    def __init__(self, options: dict[str, Any], titles: Mapping[str, str], label: str = "") -> None:
        """Begin no stage yet."""
        self._options, self._titles, self._label = options, titles, label
        self._stage = ""
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the last stage."""
        if self._bar is not None:
            self._bar.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show how much of a stage is done."""
        if stage != self._stage or self._bar is None:
            self.__exit__()
            title = f"{self._label}: {stage}" if self._label else stage
            self._bar = progress_bar(self._options, total=total, unit=self._titles[stage], desc=title)
            self._stage = stage
        self._bar.update(done - self._bar.n)


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


def select_methods(names: Collection[str] | None, *, stored: bool = False) -> dict[str, Method]:
    """Return the enabled methods with these names, or all of them; with `stored`, also what nothing is searched by.

    Raises:
        CommandError: a method is not enabled.
    """
    enabled = plugins.stored_methods() if stored else plugins.enabled_methods()
    if unknown := set(names or ()) - enabled.keys():
        raise CommandError(f"Unknown method: {', '.join(sorted(unknown))}. Choices: {', '.join(enabled)}.")
    return {name: enabled[name] for name in names or enabled}

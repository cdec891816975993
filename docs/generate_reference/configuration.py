"""Settings, methods, measures, commands, style sheet, and exceptions."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from django.utils.module_loading import import_string

from similar_images import conf
from similar_images.ranking_presets import RANKING_PRESETS

from .docstrings import default_of, docstring, field_docs, summary
from .markdown import code, prose, table

APP = Path(importlib.import_module("similar_images").__file__ or "").parent

CSS_PROPERTIES = {
    "--si-text": "Text.",
    "--si-soft": "Secondary text, such as similarities and hints.",
    "--si-line": "Borders.",
    "--si-mat": "Background behind images and panels.",
    "--si-paper": "Background of the pages and of form fields.",
    "--si-accent": "Links, buttons, focus rings, and bars.",
    "--si-on-accent": "Text on buttons.",
    "--si-error": "Errors.",
    "--si-warning": "Warnings.",
    "--si-size": "Least width of an image in a list; columns fill the rest.",
    "--si-gap": "Space between items.",
    "--si-radius": "Rounding of corners.",
}


def settings() -> str:
    """Describe the keys of SIMILAR_IMAGES."""
    return table(
        ["Key", "Type", "Default", "Meaning"],
        (
            [
                code(key.name),
                ", ".join(filter(None, [key.type_names, key.bounds])),
                code(number(key.default)),
                prose(key.help),
            ]
            for key in conf.KEYS.values()
        ),
    )


def number(value: Any) -> str:
    """Return a value as it is written in a settings file."""
    return f"{value:_}" if isinstance(value, int) and value >= 10_000 else repr(value).replace("'", '"')


def ranking_presets() -> str:
    """Describe the default ranking and those with a name."""
    presets = {
        "(default)": conf.KEYS["RANKING"].default,
        **{code(name): weights for name, weights in RANKING_PRESETS.items()},
    }
    return table(
        ["Preset", "Weights", "Suits"],
        (
            [name, ", ".join(f"{code(method)} {weight:g}" for method, weight in weights.items()), PRESET_USES[name]]
            for name, weights in presets.items()
        ),
    )


PRESET_USES = {
    "(default)": "anything",
    "`product`": "items in a shop, where color and outline tell variants apart",
    "`photo`": "scenes: what is shown counts more than how",
    "`logo`": "flat drawings, where the layout counts",
    "`best`": "anything, where an image may take three times as long; needs [a second network](#two-networks)",
    "`copy`": "the same image",
}


def encoder_presets() -> str:
    """Describe the presets of image encoders."""
    from similar_images.encoders.catalog import CATALOG
    from similar_images.signatures.embedding.presets import DEFAULT_PRESET, PRESETS

    def weights_of(preset: str) -> str:
        if preset == DEFAULT_PRESET:
            return "installed"
        return code(f"encoders add {preset}" if CATALOG[preset].package else "file")

    def numbers(values: Iterable[float]) -> str:
        return next(
            (name for name, known in NAMED_COLORS.items() if tuple(values) == known),
            ", ".join(f"{value:.4g}" for value in dict.fromkeys(values)),
        )

    return table(
        ["Preset", "Side, px", "Mean", "Standard deviation", "Dimensions", "Output", "Pooling", "Weights"],
        (
            [
                code(name),
                f"{preset.size}{', squashed' if preset.squash == 1 else ''}",
                numbers(preset.mean),
                numbers(preset.std),
                preset.dimensions,
                " or ".join(map(code, [preset.output] if isinstance(preset.output, str) else preset.output))
                or "name it",
                preset.pooling,
                weights_of(name),
            ]
            for name, preset in PRESETS.items()
        ),
    )


NAMED_COLORS = {
    "ImageNet": (0.485, 0.456, 0.406),
    "ImageNet ": (0.229, 0.224, 0.225),
    "CLIP": (0.48145466, 0.4578275, 0.40821073),
    "CLIP ": (0.26862954, 0.26130258, 0.27577711),
    "127/255": (127 / 255,) * 3,
    "128/255": (128 / 255,) * 3,
}


def encoder_options() -> str:
    """Describe the options of an image encoder."""
    from similar_images.signatures.embedding.options import EncoderOptions

    texts = field_docs(EncoderOptions)
    return table(
        ["Option", "Default", "Meaning"],
        ([code(f.name), code(repr(default_of(f))), prose(texts[f.name])] for f in dataclasses.fields(EncoderOptions)),
    )


def methods() -> str:
    """Describe the built-in methods."""
    from similar_images.signatures import BUILT_IN_METHODS

    rows = []
    for name, path in BUILT_IN_METHODS.items():
        method = import_string(path)()
        size = f"{method.storage}({method.dimensions})"
        options = ", ".join(option_list(type(method)))
        rows.append([code(name), method.title, code(size), method.metric, summary(type(method)), options])
    return table(["Method", "Title", "Stored as", "Distance", "Describes", "Options"], rows)


def measures() -> str:
    """Describe the built-in measures."""
    from similar_images.measures import BUILT_IN_MEASURES

    rows = []
    for name, path in BUILT_IN_MEASURES.items():
        measure = import_string(path)
        bounds = f"{measure.best:g} to {measure.worst:g}".replace("-", "−")
        drawings = "; ".join(map(str, measure.drawings.values()))
        rows.append([code(name), measure.title, measure.meaning, bounds, drawings, ", ".join(option_list(measure))])
    return table(["Measure", "Title", "Value", "Identical to unrelated", "Drawings", "Options"], rows)


def option_list(cls: type) -> list[str]:
    """Return the options of a method or measure, each with its default."""
    parameters = list(inspect.signature(cls).parameters.values())
    return [f"`{p.name}` ({p.default!r})" for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def commands() -> str:
    """Describe every command, with its arguments."""
    folder = APP / "management" / "commands"
    base = {action.dest for action in BaseCommand().create_parser("manage.py", "command")._actions}
    parts = []
    for name in sorted(path.stem for path in folder.glob("[!_]*.py")):
        command = load_command_class("similar_images", name)
        parser = command.create_parser("manage.py", name)
        parts.append(f"## {name}\n\n{prose(str(command.help))}")
        for title, each in {"": parser, **subcommands(parser)}.items():
            rows = [describe_argument(action) for action in each._actions if is_described(action, base)]
            parts += [f"### {name} {title}\n\n{prose(str(each.description))}"] if title else []
            parts += [table(["Argument", "Value", "Meaning"], rows)] if rows else []
    return "\n\n".join(parts)


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of a command's actions, by name."""
    return {
        name: each
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, each in action.choices.items()
    }


def is_described(action: argparse.Action, base: set[str]) -> bool:
    """Tell whether an argument is one of the command's own."""
    return action.dest not in base and not isinstance(action, argparse._SubParsersAction)


def describe_argument(action: argparse.Action) -> list[str]:
    """Return the name, the value, and the meaning of an argument of a command."""
    text = prose(str(action.help or "") % vars(action))
    if not action.option_strings:
        return [code(action.metavar or action.dest), "", text]
    names = list(action.choices or [action.metavar or action.dest.upper()])
    value = "" if action.nargs == 0 else ", ".join(code(name) for name in names)
    return [code(", ".join(action.option_strings)), value, text]


def css() -> str:
    """Describe the custom properties of the style sheet."""
    sheet = (APP / "static/similar_images/similar_images.css").read_text(encoding="utf-8")
    values: dict[str, dict[str, str]] = {}
    for selector, block in re.findall(r"([^{}]+)\{([^{}]*)\}", sheet):
        for name, value in re.findall(r"(--si-[\w-]+):\s*([^;]+);", block):
            is_admin = "admin" in selector.rpartition("*/")[2]
            values.setdefault(name, {})["admin" if is_admin else "page"] = value
    rows = [
        [code(name), code(value.get("page", "")), code(value.get("admin", "")), CSS_PROPERTIES[name]]
        for name, value in values.items()
    ]
    return table(["Property", "Default", "In the admin", "Sets"], rows)


def exceptions() -> str:
    """Describe the exceptions of the public API."""
    package = importlib.import_module("similar_images")
    found = [getattr(package, name) for name in package.__all__]
    rows = [
        [
            code(f"similar_images.{cls.__name__}"),
            code(cls.__base__.__name__),
            prose(docstring(cls)[""].replace("\n", " ")),
        ]
        for cls in found
        if inspect.isclass(cls) and issubclass(cls, Exception)
    ]
    return table(["Exception", "Derived from", "Raised when"], rows)

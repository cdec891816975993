"""Functions and classes of the public API."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
from typing import Any

import similar_images
from similar_images.search.options import Option, SearchOptions
from similar_images.sources.source import SourceOptions

from .docstrings import docstring, entries, field_docs, summary
from .markdown import annotation, code, prose, table

OPTIONS_LINK = "Options of [`similar_to()`](python-api.md#similar_to)."


def describe(name: str) -> str:
    """Describe a public function or class, named from `similar_images` on."""
    item = pkgutil.resolve_name(f"similar_images.{name}")
    return describe_class(item) if inspect.isclass(item) else describe_function(item)


def describe_in_words(name: str) -> str:
    """Return only the docstring."""
    return prose(docstring(pkgutil.resolve_name(f"similar_images.{name}"))[""])


def describe_function(function: Any) -> str:
    """Return the docstring, with tables of arguments and exceptions."""
    sections = docstring(function)
    texts = entries(sections.get("Args", ""))
    options = SearchOptions.declared() if takes_options(function) else {}
    rows = [
        [
            code(parameter.name),
            annotation(parameter.annotation),
            "" if parameter.default is parameter.empty else code(repr(parameter.default).replace("'", '"')),
            "",
            prose(texts.get(parameter.name, "")),
        ]
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in ("self", "context", "options", *options)
    ]
    if function is similar_images.register:
        texts = entries(docstring(SourceOptions)["Attributes"])
        rows += [[code(name), "", code("None"), "", prose(text)] for name, text in texts.items()]
    elif function is similar_images.similar_to:
        rows += option_rows()
    elif options:
        rows.append(["`**options`", "", "", "", OPTIONS_LINK])
    parts = [prose(sections[""]), table(["Argument", "Type", "Default", "Also on", "Meaning"], rows)]
    if returns := sections.get("Returns"):
        parts.append(f"**Returns** {prose(returns)}")
    if raises := entries(sections.get("Raises", "")):
        parts.append(table(["Raises", "When"], ([code(name), prose(text)] for name, text in raises.items())))
    return "\n\n".join(parts)


def takes_options(function: Any) -> bool:
    """Tell whether a function takes the options of a search."""
    names = set(inspect.signature(function).parameters)
    return "options" in names or names >= SearchOptions.on("python").keys()


def option_rows() -> list[list[str]]:
    """Return a row for every option of a search that Python may set."""
    return [
        [code(name), option_type(spec), code(repr(spec.default).replace("'", '"')), surfaces(spec), prose(spec.help)]
        for name, spec in SearchOptions.on("python").items()
    ]


def option_type(spec: Option) -> str:
    """Return the type of an option, with its choices or bounds."""
    hint = SearchOptions.__dataclass_fields__[spec.name].type
    if spec.types == (str,) and spec.choices:
        return " or ".join(
            [code(f'"{choice}"') for choice in spec.choices] + (["`None`"] if spec.default is None else [])
        )
    if spec.minimum is None:
        return annotation(hint)
    high = spec.maximum
    return f"{annotation(hint)}, {f'at least {spec.minimum}' if high is None else f'{spec.minimum} to {high}'}"


def surfaces(spec: Option) -> str:
    """Return where else an option may be set."""
    return ", ".join({"page": "pages", "rest": "REST"}[surface] for surface in spec.surfaces if surface != "python")


def describe_class(cls: Any) -> str:
    """Return the docstring, with a table of fields, properties, and methods."""
    sections = docstring(cls)
    texts = entries(sections.get("Args", "") or sections.get("Attributes", ""))
    rows = []
    if dataclasses.is_dataclass(cls):
        texts = field_docs(cls) | texts
        rows += [[code(f.name), annotation(f.type), prose(texts.get(f.name, ""))] for f in dataclasses.fields(cls)]
    for name, member in vars(cls).items():
        if isinstance(member, property) and not name.startswith("_"):
            rows.append([code(name), annotation(member.fget.__annotations__.get("return", "")), summary(member.fget)])
        elif inspect.isfunction(member) and not name.startswith("_"):
            rows.append([code(f"{name}()"), annotation(member.__annotations__.get("return", "")), summary(member)])
    return prose(sections[""]) + ("\n\n" + table(["Attribute", "Type", "Meaning"], rows) if rows else "")

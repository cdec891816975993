"""Docstrings in Google's style, and those that stand under the fields of a class."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from typing import Any

from .markdown import prose


def docstring(item: Any) -> dict[str, str]:
    """Return the sections of a docstring: "" for the text before the first, then Args, Returns, Raises."""
    sections, title = {"": ""}, ""
    for line in inspect.cleandoc(item if isinstance(item, str) else item.__doc__ or "").splitlines():
        if match := re.fullmatch(r"(Args|Attributes|Returns|Raises|Yields):", line):
            title = match[1]
            sections[title] = ""
        else:
            sections[title] += line + "\n"
    return {name: inspect.cleandoc("\n" + text) for name, text in sections.items()}


def entries(section: str) -> dict[str, str]:
    """Return the entries `name: text` of a section of a docstring."""
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if match := re.match(r"(\*{0,2}\w[\w, ]*): (.*)", line):
            name, found[match[1]] = match[1], match[2][:1].upper() + match[2][1:]
        elif name and line.startswith(" "):
            found[name] += " " + line.strip()
    return found


def summary(item: Any) -> str:
    """Return the first paragraph of a docstring."""
    return prose(docstring(item)[""].split("\n\n")[0].replace("\n", " "))


def field_docs(cls: type) -> dict[str, str]:
    """Return the docstrings that stand under the fields of a class."""
    (body,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = inspect.cleandoc(str(text.value.value)).replace("\n", " ")
    return found


def default_of(field: Any) -> Any:
    """Return the default of a field of a dataclass; `dataclasses.MISSING` if it has none."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()

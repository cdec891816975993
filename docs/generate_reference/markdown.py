"""Tables and text in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table of Markdown; columns that are empty in every row are left out."""
    titles, body = list(header), [[cell(value) for value in row] for row in rows]
    used = [column for column in range(len(titles)) if column == 0 or any(row[column] for row in body)]
    lines = [[titles[column] for column in used], ["---"] * len(used), *([row[i] for i in used] for row in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: Any) -> str:
    """Return the text of a cell of a table, on one line."""
    return "" if value is None else re.sub(r"\s+", " ", str(value)).replace("|", "\\|").strip()


def code(value: Any) -> str:
    """Return a value as code; nothing for an empty one."""
    return f"`{value}`" if str(value) else ""


def prose(text: str) -> str:
    """Return text with what Markdown would take for HTML escaped, outside of code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def annotation(text: Any) -> str:
    """Return a type as people write it: `int or None`."""
    name = text if isinstance(text, str) else getattr(text, "__name__", str(text))
    name = re.sub(r"\b(?:models|decode|multi_query|rankings?|registry|plan|options)\.(?=[A-Z])", "", name)
    return code(name.replace('"', "").replace(" | ", " or ")) if name else ""

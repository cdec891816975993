"""A hook of MkDocs: no page of the documentation may load anything from another host."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.exceptions import PluginError

LOADS = re.compile(
    r"<(?:script|img|iframe|source|link(?=[^>]*\brel=\"?(?:stylesheet|preconnect|icon)))\b[^>]*?"
    r"\b(?:src|href)=\"?((?:https?:)?//[^\"\s>]+)"
)


def on_post_page(output: str, *, page: Any, **kwargs: Any) -> str:
    """Refuse a page with a script, style sheet, image or frame of another host."""
    if match := LOADS.search(output):
        raise PluginError(f"{page.file.src_path} loads {match[1]}, which would tell that host who reads the docs.")
    return output

"""Text of unknown origin, such as file names, made fit to print: on a terminal, in logs, and in reports."""

from __future__ import annotations

import json
import unicodedata

CONTROLS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that move the cursor, change colors or the direction of writing, break lines, or show nothing."""

JOINERS = "\u200c\u200d"
"""Characters of these categories that some scripts, and emoji, are written with."""


def make_printable(text: str, keep: str = "") -> str:
    r"""Escape the characters of a text that control a terminal or hide what it says, as JSON does: ESC as \u001b.

    Args:
        text: the text.
        keep: characters that stay as they are, such as a line feed.
    """
    if text.isprintable():  # the usual case
        return text
    is_control = {char: unicodedata.category(char) in CONTROLS and char not in keep + JOINERS for char in set(text)}
    return "".join(json.dumps(char)[1:-1] if is_control[char] else char for char in text)

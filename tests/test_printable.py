"""Text of unknown origin neither controls a terminal nor hides what it says."""

from __future__ import annotations

import json
import unicodedata
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from similar_images.management.base import PrintableCommand
from similar_images.printable import CONTROLS, make_printable

COMMANDS = Path(__file__).parent.parent / "similar_images" / "management" / "commands"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("ordinary – Größe 目 \u00a0\u3000.png", None),
        ("می\u200cخواهم, 👩\u200d🔬", None),
        ("\x1b]0;title\x07", r"\u001b]0;title\u0007"),
        ("\x9b31m", r"\u009b31m"),
        ("a\nb\r\t\x7f", r"a\nb\r\t\u007f"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        ("\ufeff\u2028\u00ad\U000e0041", r"\ufeff\u2028\u00ad\udb40\udc41"),
        ("\udcff.png", r"\udcff.png"),
    ],
)
def test_make_printable__escapes_controls_only(text: str, printed: str | None) -> None:
    assert make_printable(text) == (text if printed is None else printed)


@given(text=st.text(st.characters(codec=None)))
def test_make_printable__leaves_no_control_and_keeps_json_valid(text: str) -> None:
    printed = make_printable(text).replace("\u200c", "").replace("\u200d", "")
    assert not any(unicodedata.category(char) in CONTROLS for char in printed)
    document = json.dumps({"name": text}, ensure_ascii=False, indent=1)
    assert json.loads(make_printable(document, keep="\n"))["name"] == json.loads(json.dumps(text))


@pytest.mark.parametrize("name", [file.stem for file in sorted(COMMANDS.glob("[a-z]*.py"))])
def test_commands__print_no_controls(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = import_module(f"similar_images.management.commands.{name}").Command()
    assert isinstance(command, PrintableCommand)
    command.stdout.write("a\x1b[2J\nb")
    command.stderr.write("\x9bm", ending="")
    captured = capsys.readouterr()
    assert captured.out == "a\\u001b[2J\nb\n"
    assert captured.err == "\\u009bm"


def test_commands__color_errors_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> None:
            self.text += text

    terminal: Any = Terminal()
    command = PrintableCommand(stderr=terminal, force_color=True)
    command.stderr.write("wrong\x1b")
    assert terminal.text.startswith("\x1b[")
    assert "wrong\\u001b" in terminal.text

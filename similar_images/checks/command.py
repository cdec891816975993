"""The command that runs the checks: some things are said by `check` alone, not by every command."""

from __future__ import annotations

import sys


def is_check_command() -> bool:
    """Tell whether advice is wanted: other commands run the checks, too, but have nothing to do with it."""
    return sys.argv[1:2] == ["check"]

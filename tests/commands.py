"""Management commands, as they are called on a command line."""

from __future__ import annotations

import io
from typing import Any

from django.core.management import call_command


def run(name: str, *args: Any, **options: Any) -> tuple[str, str]:
    """What a command says on stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    call_command(name, *args, **{"stdout": out, "stderr": err, **options})
    return out.getvalue(), err.getvalue()

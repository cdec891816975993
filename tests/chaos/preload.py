"""What every forked process needs, loaded once: Django, the models and the app."""

from __future__ import annotations

import os
from pathlib import Path

import django

django.setup()

from similar_images.imaging import decode as decode  # noqa: E402 - loads OpenCV, before the fork

from . import reader, writer  # noqa: E402


def play(role: str, number: int, life: int, folder: str, port: int) -> None:
    """Be a writer, a reader or the web server."""
    log = os.open(Path(folder) / f"{role}{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if role == "writer":
        writer.main(number, life, folder)
    elif role == "reader":
        reader.main(number, life, folder, port)
    else:
        reader.serve(port)

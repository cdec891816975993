"""After a step that was cut short: wait until nothing of it goes on, and find out what has become of it."""

from __future__ import annotations

import time
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from . import pictures
from .journal import Journal, read_journal
from .models import Asset, Photo


def wait_for_database() -> None:
    """Wait until the database answers, on a new connection if the former one is broken."""
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            return
        except DatabaseError:
            connection.close()
            time.sleep(0.1)


def recover(path: Path, journal: Journal, application_name: str) -> None:
    """Write down which names and contents the unfinished steps of a journal have left behind."""
    keys, files = find_unfinished(path)
    while True:
        try:
            wait_for_database()
            _wait_for_former_connections(application_name)
            start = time.monotonic()
            names = {key: _current_name(key) for key in sorted(keys)}
            break
        except (OperationalError, InterfaceError):
            connection.close()
    journal.write("recovered", start=start, names=names, files={name: _read_file(name) for name in sorted(files)})


def find_unfinished(path: Path) -> tuple[set[str], set[str]]:
    """Return the objects' fields and the files of steps whose end nobody wrote down."""
    keys: set[str] = set()
    files: set[str] = set()
    for event in read_journal(path):
        if event["event"] == "change":
            keys |= set(event["names"])
        elif event["event"] == "write":
            files.add(event["file"])
        elif event["event"] == "written":
            files.discard(event["file"])
        elif event["event"] == "end":
            keys.clear()
        elif event["event"] == "recovered":
            keys.clear()
            files.clear()
    return keys, files


def _wait_for_former_connections(application_name: str) -> None:
    """Wait until the server has noticed that the process before this one is dead, or its connection closed."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()",
                [application_name],
            )
            if not cursor.fetchone()[0]:
                return
            time.sleep(0.02)


def _current_name(key: str) -> str | None:
    """Return the file name that an object's field has in the database; None if there is no such object."""
    label, _, pk = key.partition(":")
    model_name, _, field = label.partition(".")
    model = Asset if model_name == "asset" else Photo
    return model._base_manager.filter(pk=pk).values_list(field, flat=True).first()


def _read_file(name: str) -> pictures.Content:
    path = Path(settings.MEDIA_ROOT) / name
    return pictures.read(path.read_bytes())[0] if path.exists() else None

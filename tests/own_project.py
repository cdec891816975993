"""A project of its own, in a process and with a database of its own, for apps that change all of a project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from tests.databases import connection


def run_project(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a project, and run its `run.py`, which has to print "done" last.

    Its settings find their database in the environment variable PROJECT_DATABASE_URL; the caller's test has to be one
    with real transactions.
    """
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
    database = f"{connection.settings_dict['NAME']}_project"
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{database}"')
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "run.py"],
            cwd=folder,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "settings",
                "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[1])]),
                "PROJECT_DATABASE_URL": os.environ["DATABASE_URL"].replace("/postgres?", f"/{database}?"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{database}" WITH (FORCE)')
    assert done.stdout.strip().endswith("done"), done.stdout + done.stderr

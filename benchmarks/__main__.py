"""Run a benchmark, with servers of its own: `python -m benchmarks verdicts …`.

Django is set up before the benchmark is imported.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module

import django

if __name__ == "__main__":
    name = sys.argv.pop(1)
    with tempfile.TemporaryDirectory(prefix="similar_images_") as data:
        os.environ["DEMO_DATA"] = data
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
        import_module("tests.servers")  # starts PostgreSQL and Valkey
        django.setup()
        import_module(f"benchmarks.{name}").main()

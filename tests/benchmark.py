"""Run a benchmark that needs Django set up before it is imported: `python -m tests.benchmark verdicts …`."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    module = import_module(f"tests.benchmark_{sys.argv.pop(1)}")
    module.main()

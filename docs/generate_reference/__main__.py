"""Write the generated parts of the documentation: `make docs-reference`.

With `--check`, nothing is written, and the exit code says whether a page differs from what the code gives.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import django
from django.utils import translation

DOCS = Path(__file__).resolve().parents[1]


def main() -> int:
    """Write, or check, every page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="Change nothing; fail if a page is out of date.")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    from .pages import render

    outdated = []
    for path in sorted(DOCS.rglob("*.md")):
        before = path.read_text(encoding="utf-8")
        with translation.override("en"):
            after = render(before)
        if before != after:
            outdated.append(path.relative_to(DOCS.parent))
            if not options.check:
                path.write_text(after, encoding="utf-8")
    for path in outdated:
        print(f"{path} {'is out of date: run make docs-reference' if options.check else 'is written'}.")
    return int(bool(outdated) and options.check)


if __name__ == "__main__":
    sys.exit(main())

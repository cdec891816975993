"""Run chaos and print what came of it: `python -m tests.chaos [--minutes N] [--seed N] [--keep]`."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from .conductor import Conductor
from .summary import summarize


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--keep", action="store_true", help="keep journals, logs and files, as after a fault")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chaos_"))
    folder.chmod(0o755)
    print(f"seed {options.seed}, in {folder}", flush=True)
    conductor = Conductor(folder, options.seed)
    try:
        report = conductor.run(options.minutes * 60)
    finally:
        conductor.close()
    summary = summarize(folder, report)
    print("\n".join(summary.lines))
    if not options.keep and not summary.faults:
        shutil.rmtree(folder)
    return len(summary.faults) > 0


if __name__ == "__main__":
    sys.exit(main())

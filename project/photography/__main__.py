"""Render the photographs of the shop, and write the tables about them: `python -m project.photography --help`."""

from __future__ import annotations

import argparse
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "catalog" / "images"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m project.photography", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where pictures and tables are written (%(default)s)"
    )
    parser.add_argument("--only", default="", help="render only files whose name contains this")
    parser.add_argument("--samples", type=int, default=4, help="rays through a pixel (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads to render with (%(default)s)")
    parser.add_argument(
        "--variant", default="scalar_rgb", help="of Mitsuba; llvm_ad_rgb is faster, and needs LLVM 16 or newer"
    )
    parser.add_argument("--tables", action="store_true", help="render nothing: make the copies and the tables")
    options = parser.parse_args()

    import mitsuba

    mitsuba.set_variant(options.variant)
    if options.variant.startswith("llvm"):
        import drjit

        drjit.set_thread_count(options.threads)
    from project.photography import pictures

    options.folder.mkdir(parents=True, exist_ok=True)
    if not options.tables:
        pictures.render_missing(options.folder, options.only, options.samples)
    pictures.make_copies(options.folder)
    pictures.write_tables(options.folder)


if __name__ == "__main__":
    main()

"""The tests of other packages with the app installed and without: `python -m tests.contrib.foreign_suites filer`.

The tests are in the source distribution of a package, or are installed with it; what they lack is in the folder of that
name below `foreign`. Each is the version that is installed. Told are the tests that fail with the app alone: there
should be none. Further arguments are labels of tests, in place of all of the suite.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from project import services

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

PACKAGES = {"filer": "django-filer", "wagtail": "wagtail"}
"""Suites, and the packages that they are of."""

INSTALLED = {"wagtail": ["wagtail.images", "wagtail.admin"]}
"""Labels of tests that are installed with their package, by suite."""


def unpack_tests(suite: str, folder: Path) -> str:
    """Put the tests of a package into a folder, with what they lack, and return the version."""
    name = f"{PACKAGES[suite]}=={version(PACKAGES[suite])}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PACKAGES[suite]]
    subprocess.run([*command, name, "--dest", folder], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (tests,) = folder.glob("*/tests")
    shutil.move(tests, folder / "tests")
    shutil.copytree(HERE / "foreign" / suite, folder / "tests", dirs_exist_ok=True)
    (folder / "tests" / "__init__.py").touch()
    return name


def copy_installed(suite: str, folder: Path) -> str:
    """Put what the tests of an installed package lack into a folder, and return the version."""
    spec = find_spec(suite)
    assert spec
    assert spec.origin
    (folder / suite).symlink_to(Path(spec.origin).parent)  # some tests open their files from the folder above
    shutil.copytree(HERE / "foreign" / suite, folder / "tests")
    (folder / "tests" / "__init__.py").touch()
    return f"{PACKAGES[suite]}=={version(PACKAGES[suite])}"


def run_tests(folder: Path, url: str, labels: Sequence[str], *, with_app: bool) -> tuple[int, set[str]]:
    """Return the number of tests, and the names of those that fail."""
    media = folder / f"media-{with_app}"
    media.mkdir()
    env = {"PYTHONPATH": f"{folder}:{ROOT}", "DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": url}
    env |= {"WITH_APP": "1" if with_app else "", "MEDIA": str(media)}
    command = [sys.executable, "-W", "ignore", "-m", "django", "test", *labels, "--noinput"]
    done = subprocess.run(command, cwd=folder, env=os.environ | env, capture_output=True, text=True)
    count = re.search(r"^Ran (\d+) tests?", done.stderr, re.MULTILINE)
    if count is None:
        sys.exit(done.stderr)
    return int(count[1]), set(re.findall(r"^(?:FAIL|ERROR): (\w+ \(.*\))", done.stderr, re.MULTILINE))


def main(suite: str, *labels: str) -> None:
    """Run a suite twice, and compare the failures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        package = copy_installed(suite, folder) if suite in INSTALLED else unpack_tests(suite, folder)
        labels = labels or tuple(INSTALLED.get(suite, ["tests"]))
        with services.postgres(folder) as server:
            count, failed_without = run_tests(folder, server.url, labels, with_app=False)
            count_with, failed_with = run_tests(folder, server.url, labels, with_app=True)
    print(f"{package}: {count} tests, {len(failed_without)} fail; {count_with} with the app, {len(failed_with)} fail")
    for test in sorted(failed_with & failed_without):
        print(f"  fails either way: {test}")
    for test in sorted(failed_with - failed_without):
        print(f"  fails with the app: {test}")
    sys.exit(bool(failed_with - failed_without) or count_with < count)


if __name__ == "__main__":
    main(*sys.argv[1:])

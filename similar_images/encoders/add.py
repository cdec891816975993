"""Addition of encoders: a file from a package, an address or a path is verified, and put in its folder at once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..signatures.embedding import Embedding
from ..signatures.embedding.presets import CHECKPOINTS
from . import wheels
from .catalog import CATALOG
from .download import BLOCK_BYTES, ByteReport, download, open_for_writing
from .store import RECORD_FILE, TEXT_FILES, AddedEncoder, check_encoder_name, encoders_folder


class NotAdded(Exception):
    """An encoder was not added; the message says why, and what to do."""


@dataclass(frozen=True)
class Origin:
    """Where an encoder comes from: one of a package, an address and a path.

    Attributes:
        requirement: a package of PyPI, "name" or "name==1.0".
        url: an address.
        file: a path; of a wheel, as if it had been downloaded.
        member: path of the file in the wheel; None for the only model.
        sha256: hash that the file must have; None for any.
    """

    requirement: str | None = None
    url: str | None = None
    file: Path | None = None
    member: str | None = None
    sha256: str | None = None

    @property
    def is_wheel(self) -> bool:
        """Tell whether the model is to be taken out of a wheel."""
        return self.requirement is not None or (self.file is not None and self.file.suffix == ".whl")


@dataclass
class Addition:
    """An encoder that is to be added under a name.

    Attributes:
        name: the name.
        origin: where it comes from.
        accept: function that is shown a license, and its texts by name of the file, and returns whether it is accepted.
        license: its license; empty where the wheel says it.
        options: options of `embedding`, "preset" among them.
        text_files: addresses or paths of the files of its text encoder, by the options of `embedding` that take them.
        report: is told of progress.
        is_quiet: let pip say nothing of its progress.
    """

    name: str
    origin: Origin
    accept: Callable[[str, Mapping[str, bytes]], bool]
    license: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    text_files: Mapping[str, str] = field(default_factory=dict)
    report: ByteReport = lambda _done, _total: None
    is_quiet: bool = False


def complete_origin(name: str, origin: Origin) -> tuple[Origin, str, dict[str, Any]]:
    """Return an origin with what is known of an encoder of this name, its license if that is known, and its options.

    Without a package, an address and a path, it is the package that is known to have it. Of a wheel that is named, the
    file is the known one; that its hash is, too, is not required of another version of the package.

    Raises:
        NotAdded: nothing is named, and no package is known to have it.
    """
    known = CATALOG.get(name)
    package = known.package if known else None
    is_named, is_wheel = bool(origin.requirement or origin.url or origin.file), origin.is_wheel
    if not is_named and package is None:
        where = f" Its publisher: {known.license_url}" if known else ""
        raise NotAdded(f"No package is known that has {name}: name its ONNX file by --url or --file.{where}")
    if known is None:
        return origin, "", {}
    if package is None or (is_named and not is_wheel):
        return origin, known.license, {"preset": name}
    sha256 = origin.sha256 or (None if origin.requirement else package.sha256)
    requirement = origin.requirement if is_named else f"{package.distribution}=={package.version}"
    completed = replace(origin, requirement=requirement, member=origin.member or package.member, sha256=sha256)
    return completed, known.license, {"preset": name, **package.options}


def add_encoder(addition: Addition) -> AddedEncoder:
    """Add an encoder, and return its record.

    Its folder appears when all is well, at once; what was downloaded before an interruption is kept beside it, under a
    name that begins with a point.

    Raises:
        NotAdded: the name is taken or invalid; the license was not accepted; or the file is another one than it should
            be, or can't be used.
        DownloadFailed, BadWheel, OSError: the file can't be had.
        ImproperlyConfigured: the setting names no folder.
    """
    name, folder = addition.name, encoders_folder()
    if addition.text_files and addition.text_files.keys() != TEXT_FILES.keys():
        raise NotAdded("A text encoder and its tokenizer belong together: name both, or neither.")
    try:
        check_encoder_name(name)
    except ValueError as error:
        raise NotAdded(str(error)) from error
    if (folder / name).exists():
        raise NotAdded(f"{folder / name} exists. Give the encoder another name, or delete that folder first.")
    work = folder / f".{name}.part"
    work.mkdir(parents=True, exist_ok=True)
    with _exclusive(work):
        try:
            if addition.license:
                _accept(addition, addition.license, {})
            file, origin, license_name = _acquire(addition, work)
            for option, place in addition.text_files.items():
                _fetch(place, work / TEXT_FILES[option], addition.report)
            encoder = _make_record(addition, file, origin, license_name)
            _verify(addition, encoder, work)
        except (NotAdded, wheels.BadWheel):
            shutil.rmtree(work)
            raise
        with open_for_writing(work / RECORD_FILE) as record:
            record.write(encoder.as_json().encode())
        text_files = {TEXT_FILES[option] for option in encoder.text_files}
        _put_in_place(work, folder / name, keep={RECORD_FILE, encoder.file, "licenses", *text_files})
    return encoder


@contextmanager
def _exclusive(work: Path) -> Iterator[None]:
    """Keep another process from adding the same encoder meanwhile."""
    with (work / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise NotAdded(f"{work}: another process is adding this encoder.") from error
        yield


def _accept(addition: Addition, license_name: str, texts: Mapping[str, bytes]) -> None:
    if not addition.accept(license_name, texts):
        raise NotAdded(
            f"{addition.name} was not added, as its license was not accepted: {license_name}. Read it, and repeat the "
            "command with --accept-license."
        )


def _acquire(addition: Addition, work: Path) -> tuple[Path, str, str]:
    """Return the path of the file in the working folder, where it came from, and its license."""
    origin = addition.origin
    if origin.is_wheel:
        return _acquire_from_wheel(addition, work)
    if not addition.license:
        raise NotAdded("Name the license of the file by --license; it is recorded with the encoder.")
    if origin.url:
        target = work / _file_name_for(urlsplit(origin.url).path)
        download(origin.url, target, addition.report)
        return target, _without_password(origin.url), addition.license
    if origin.file is None:
        raise NotAdded("Name a package, a URL or a file.")
    target = work / _file_name_for(origin.file.name)
    _copy_file(origin.file, target, addition.report)
    return target, str(origin.file.absolute()), addition.license


def _acquire_from_wheel(addition: Addition, work: Path) -> tuple[Path, str, str]:
    origin = addition.origin
    for stale in work.glob("*.whl"):
        stale.unlink()
    wheel = origin.file or wheels.fetch_wheel(origin.requirement or "", work, is_quiet=addition.is_quiet)
    facts = wheels.read_facts(wheel)
    if not addition.license:
        _accept(addition, facts.license or "not stated by the package", facts.license_texts)
    target = work / "model"
    member = wheels.extract_model(wheel, origin.member, target)
    # The notices of a file go where it goes.
    (work / "licenses").mkdir(exist_ok=True)
    for number, (name, text) in enumerate(facts.license_texts.items(), 1):
        (work / "licenses" / f"{number}-{PurePosixPath(name).name}").write_bytes(text)
    named = target.rename(work / _file_name_for(member))
    return named, f"{facts.requirement}, {member}", addition.license or facts.license or "not stated"


def _without_password(url: str) -> str:
    """Return an address as it may be told to others."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _file_name_for(path: str) -> str:
    """Return the name of a file in the folder of an encoder, by its suffix."""
    return "weights.pth" if path.endswith(".pth") else "model.onnx"


def _copy_file(source: Path, target: Path, report: ByteReport) -> None:
    with source.open("rb") as file, open_for_writing(target) as copy:
        total, done = os.fstat(file.fileno()).st_size, 0
        while block := file.read(BLOCK_BYTES):
            copy.write(block)
            done += len(block)
            report(done, total)


def _fetch(place: str, target: Path, report: ByteReport) -> None:
    """Download the file of an address, or copy that of a path."""
    if urlsplit(place).scheme in ("http", "https"):
        download(place, target, report)
    else:
        _copy_file(Path(place), target, report)


def _make_record(addition: Addition, file: Path, origin: str, license_name: str) -> AddedEncoder:
    return AddedEncoder(
        name=addition.name,
        file=file.name,
        option="weights" if file.suffix == ".pth" else "file",
        sha256=_sha256_of(file),
        bytes=file.stat().st_size,
        origin=origin,
        license=license_name,
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        options=dict(addition.options),
        text_files={option: _sha256_of(file.parent / TEXT_FILES[option]) for option in addition.text_files},
    )


def _sha256_of(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _verify(addition: Addition, encoder: AddedEncoder, work: Path) -> None:
    """Refuse another file than was meant, and one that can't be used."""
    expected = {
        addition.origin.sha256,
        CHECKPOINTS.get(encoder.options.get("preset", "")) if encoder.option == "weights" else None,
    }
    if wrong := [sha256 for sha256 in expected if sha256 and sha256.lower() != encoder.sha256]:
        raise NotAdded(
            f"{encoder.origin} is another file than expected, and was not added: its SHA-256 is {encoder.sha256}, not "
            f"{wrong[0]}."
        )
    try:
        problems = Embedding(**encoder.options_in(work)).check()
    except (TypeError, ValueError) as error:
        problems = [f"{error}."]
    if problems:
        # The copies in the working folder are named as who added them knows them.
        places = {encoder.file: encoder.origin} | {TEXT_FILES[name]: text for name, text in addition.text_files.items()}
        told = " ".join(problems)
        for copy, place in places.items():
            told = told.replace(str(work / copy), place)
        raise NotAdded(f"{addition.name} was not added, as it can't be used: {told}")


def _put_in_place(work: Path, target: Path, keep: set[str]) -> None:
    """Rename the working folder, with nothing else in it than is to be kept, to that of the encoder."""
    for entry in work.iterdir():
        if entry.name not in keep:
            entry.unlink() if entry.is_file() else shutil.rmtree(entry)
    work.rename(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

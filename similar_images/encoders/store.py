"""Encoders that were added: a folder each in SIMILAR_IMAGES["ENCODERS"], with a file, its license, and its record."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .. import conf
from ..signatures.embedding.presets import PRESETS

RECORD_FILE = "encoder.json"

ENCODER_NAME = re.compile("[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
"""Pattern of a name, which is that of a folder, too."""

TEXT_FILES: Mapping[str, str] = MappingProxyType({"text_file": "text.onnx", "tokenizer": "tokenizer.json"})
"""Names of the files of a text encoder in the folder of its image encoder, by the options that take them."""

MAX_NAME = 64
"""Characters of a name, at most."""


class UnknownEncoder(LookupError):
    """No encoder of a name was added on this host; the message says what to do."""


@dataclass(frozen=True)
class AddedEncoder:
    """The record of an encoder that was added.

    Attributes:
        name: name of the encoder, and of its folder.
        file: name of the ONNX model, or of the checkpoint, in its folder.
        option: option of `embedding` that takes the file: "file", or "weights" for a checkpoint.
        sha256: hash of the file, in hexadecimal digits.
        bytes: size of the file.
        origin: where it came from: a package and its version, an address, or a path.
        license: name of its license, as it was accepted.
        added: date and time when it was added, in UTC.
        options: further options of `embedding`.
        text_files: hashes of the files of its text encoder, by the options of `embedding` that take them.
    """

    name: str
    file: str
    option: str
    sha256: str
    bytes: int
    origin: str
    license: str
    added: str
    options: Mapping[str, Any] = field(default_factory=dict)
    text_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Path of the file."""
        return encoders_folder() / self.name / self.file

    @property
    def embedding_options(self) -> dict[str, Any]:
        """Options by which `embedding` uses the encoder."""
        return self.options_in(self.path.parent)

    def options_in(self, folder: Path) -> dict[str, Any]:
        """Return the options by which `embedding` uses the files in a folder."""
        files = {self.option: self.file, **{option: TEXT_FILES[option] for option in self.text_files}}
        return {**self.options, **{option: str(folder / name) for option, name in files.items()}}

    def as_json(self) -> str:
        """Return the record as it is written to its file."""
        return json.dumps(asdict(self), indent=2) + "\n"


def encoders_folder() -> Path:
    """Return the folder of the added encoders.

    Raises:
        ImproperlyConfigured: the setting names none.
    """
    folder = conf.get().encoders
    if folder is None:
        raise ImproperlyConfigured(
            "SIMILAR_IMAGES['ENCODERS'] names no folder for encoders: set it to one that web processes and workers can "
            'read, e.g. "/srv/encoders".'
        )
    return Path(folder).expanduser().absolute()


def check_encoder_name(name: str) -> None:
    """Refuse a name that can't be that of a folder.

    Raises:
        ValueError: the name is invalid.
    """
    if not (len(name) <= MAX_NAME and ENCODER_NAME.fullmatch(name)):
        raise ValueError(
            f"{name!r} can't be the name of an encoder: use up to {MAX_NAME} letters and digits, with single . - or _ "
            "between them."
        )


def list_added() -> dict[str, AddedEncoder]:
    """Return the encoders that were added, by name; none without a folder."""
    if conf.get().encoders is None or not (folder := encoders_folder()).is_dir():
        return {}
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and ENCODER_NAME.fullmatch(entry.name))
    return {name: get_added(name) for name in names if (folder / name / RECORD_FILE).is_file()}


def get_added(name: str) -> AddedEncoder:
    """Return the record of an added encoder.

    Raises:
        ImproperlyConfigured: the setting names no folder.
        UnknownEncoder: it was not added on this host, or its record can't be read.
    """
    folder = encoders_folder()
    try:
        check_encoder_name(name)
        values = json.loads((folder / name / RECORD_FILE).read_text(encoding="utf-8"))
        encoder = AddedEncoder(**values)
    except (OSError, ValueError, TypeError) as error:
        raise UnknownEncoder(
            f"there is no encoder {name!r} in {folder} on this host: run “manage.py encoders add {name}” here, or copy "
            f"the folder from a host that has it ({error})"
        ) from error
    return encoder


def resolve_encoder(key: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a method with those of an added encoder in place of "encoder".

    Args:
        key: the entry of the setting, for messages.
        options: options of a method, maybe with "encoder", the name of one; the others go before those of the encoder.

    Raises:
        ImproperlyConfigured: there is no such encoder on this host.
    """
    if "encoder" not in options:
        return dict(options)
    try:
        encoder = get_added(str(options["encoder"]))
    except UnknownEncoder as error:
        raise ImproperlyConfigured(f"{key} can't be used: {error}.") from error
    return {**encoder.embedding_options, **{name: value for name, value in options.items() if name != "encoder"}}


def encoder_options(name: str) -> dict[str, str]:
    """Return the options by which a method uses an encoder: one that was added, or else a preset.

    Raises:
        UnknownEncoder: there is none of this name.
    """
    is_added = conf.get().encoders is not None and ENCODER_NAME.fullmatch(name) is not None
    if is_added and (encoders_folder() / name / RECORD_FILE).is_file():
        return {"encoder": name}
    if name in PRESETS:
        return {"preset": name}
    added = list_added()
    raise UnknownEncoder(f"There is no encoder {name!r}. Choices: {', '.join(dict.fromkeys([*PRESETS, *added]))}.")

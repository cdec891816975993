"""Read image files from storages and open files, up to a number of bytes."""

from __future__ import annotations

import errno
import hashlib
from typing import Protocol

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from .decode import UnreadableImage


class MissingFile(UnreadableImage):
    """The file does not exist, or this machine's storage does not show it."""


class Readable(Protocol):
    """An open binary file; Django's `File` is one."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""


class StoredFile(Protocol):
    """A file in a storage; Django's `FieldFile` is one."""

    storage: Storage
    name: str | None


def read_stored(file: StoredFile, *, max_bytes: int) -> bytes:
    """Read a stored file.

    Raises:
        MissingFile: the storage has no such file, or refuses its name.
        UnreadableImage: the file is empty or larger than `max_bytes`.
        Exception: whatever an unavailable storage raises; worth another try.
    """
    try:
        with file.storage.open(file.name or "", "rb") as opened:
            return read_bounded(opened, max_bytes=max_bytes)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, SuspiciousFileOperation) as error:
        raise MissingFile(_("The file is missing from the storage.")) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise MissingFile(_("The file is missing from the storage.")) from error
        raise


def read_bounded(file: Readable, *, max_bytes: int) -> bytes:
    """Read an open file, at most one byte beyond `max_bytes`.

    Raises:
        UnreadableImage: the file is empty or larger than `max_bytes`.
    """
    data = file.read(max_bytes + 1)
    if not data:
        raise UnreadableImage(_("The file is empty."))
    if len(data) > max_bytes:
        message = _("The file is larger than %(limit)s. Please choose a smaller one.")
        raise UnreadableImage(message % {"limit": filesizeformat(max_bytes)})
    return data


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 digest as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()

"""A SQLite file with the results of a scan, so that a later run continues where one was stopped."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..signatures.base import Method

if TYPE_CHECKING:
    from ..signatures.base import Value

CACHE_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT);
CREATE TABLE IF NOT EXISTS image (sha256 TEXT PRIMARY KEY, width INTEGER, height INTEGER);
CREATE TABLE IF NOT EXISTS signature (sha256 TEXT, method TEXT, value BLOB, PRIMARY KEY (sha256, method)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pair (a TEXT, b TEXT, verdict TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
"""


class ScanCache:
    """Results by SHA-256 of the files, in a SQLite file that one process opens; safe to share between its threads.

    Raises:
        sqlite3.OperationalError: another process has it open, or it can't be written.
        sqlite3.DatabaseError: the file is no such cache.
    """

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(CACHE_SCHEMA)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, so that other processes can open it."""
        self._connection.close()

    def get_sha256(self, name: str, stamp: str) -> str | None:
        """Return the SHA-256 of a file; None where it is unknown or the file's stamp has changed."""
        rows = self._execute("SELECT sha256 FROM file WHERE name = ? AND stamp = ?", name, stamp)
        return str(rows[0][0]) if rows and re.fullmatch("[0-9a-f]{64}", str(rows[0][0])) else None

    def get_size(self, sha256: str, methods: Iterable[Method]) -> tuple[int, int] | None:
        """Return width and height of an image, in pixels; None unless all these methods have described it."""
        described = {row[0] for row in self._execute("SELECT method FROM signature WHERE sha256 = ?", sha256)}
        rows = self._execute("SELECT width, height FROM image WHERE sha256 = ?", sha256)
        if not rows or not described.issuperset(map(_method_key, methods)):
            return None
        width, height = rows[0]
        if not isinstance(width, int) or not isinstance(height, int):
            raise sqlite3.DatabaseError("a size is not a number")
        return width, height

    def get_signatures(self, sha256: str, method: Method) -> list[Value] | None:
        """Return an image's signature in each orientation; None where the method found too little detail."""
        rows = self._execute("SELECT value FROM signature WHERE sha256 = ? AND method = ?", sha256, _method_key(method))
        if not rows or not rows[0][0]:
            return None
        try:
            return _unpack_values(method, rows[0][0])
        except (ValueError, TypeError, RecursionError) as error:
            raise sqlite3.DatabaseError(f"a signature can't be read: {error}") from error

    def get_verdicts(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Any]:
        """Return what `save_verdict` was given for pairs of images, by their SHA-256."""
        found: dict[tuple[str, str], Any] = {}
        for a, b in pairs:
            rows = self._execute("SELECT verdict FROM pair WHERE a = ? AND b = ?", a, b)
            try:
                found |= {(a, b): json.loads(rows[0][0])} if rows else {}
            except (ValueError, TypeError, RecursionError) as error:
                raise sqlite3.DatabaseError(f"a verdict can't be read: {error}") from error
        return found

    def save_file(self, name: str, stamp: str, sha256: str) -> None:
        """Save the SHA-256 of a file."""
        self._execute("REPLACE INTO file VALUES (?, ?, ?)", name, stamp, sha256)

    def save_image(self, sha256: str, size: tuple[int, int], values: Mapping[Method, Sequence[Value] | None]) -> None:
        """Save width and height of an image, and its signatures in each orientation by method."""
        self._execute("REPLACE INTO image VALUES (?, ?, ?)", sha256, *size)
        for method, signatures in values.items():
            packed = _pack_values(method, signatures) if signatures else None
            self._execute("REPLACE INTO signature VALUES (?, ?, ?)", sha256, _method_key(method), packed)

    def save_verdict(self, a: str, b: str, verdict: Mapping[str, Any]) -> None:
        """Save the verdict on two images, as JSON takes it."""
        self._execute("REPLACE INTO pair VALUES (?, ?, ?)", a, b, json.dumps(verdict))

    def _execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def _method_key(method: Method) -> str:
    return f"{method.name} {method.version}"


def _pack_values(method: Method, values: Sequence[Value]) -> bytes:
    """Pack dense vectors in half precision, bits as bytes, and sparse vectors as JSON."""
    if method.storage == "sparsevec":
        vectors = [value for value in values if isinstance(value, dict)]
        return json.dumps([[(int(i), float(number)) for i, number in vector.items()] for vector in vectors]).encode()
    if method.storage == "bit":
        return np.packbits(np.array(values, bool), axis=1).tobytes()
    return np.array(values, np.float16).tobytes()


def _unpack_values(method: Method, data: bytes) -> list[Value]:
    if method.storage == "sparsevec":
        return [{int(i): float(number) for i, number in vector} for vector in json.loads(data)]
    if method.storage == "bit":
        rows = np.frombuffer(data, np.uint8).reshape(-1, -(-method.dimensions // 8))
        return list(np.unpackbits(rows, axis=1, count=method.dimensions).astype(bool))
    return list(np.frombuffer(data, np.float16).reshape(-1, method.dimensions).astype(np.float32))

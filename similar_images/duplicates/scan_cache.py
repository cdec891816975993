"""What an audit found out, kept in a SQLite file, so that a later run goes on where one was stopped."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..signatures.base import Method

if TYPE_CHECKING:
    from ..signatures.base import Value

SCHEMA = """
CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT);
CREATE TABLE IF NOT EXISTS picture (sha256 TEXT PRIMARY KEY, width INTEGER, height INTEGER);
CREATE TABLE IF NOT EXISTS signature (sha256 TEXT, method TEXT, value BLOB, PRIMARY KEY (sha256, method)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdict (a TEXT, b TEXT, said TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
"""


class ScanCache:
    """A SQLite file of what is known by the content of files, for one process and any of its threads.

    Raises:
        sqlite3.OperationalError: another process has it open, or it can't be written.
        sqlite3.DatabaseError: the file is something else.
    """

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(SCHEMA)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def digest(self, name: str, stamp: str) -> str | None:
        """The SHA-256 of a file, where it is known and its stamp is still the same."""
        rows = self._do("SELECT sha256 FROM file WHERE name = ? AND stamp = ?", name, stamp)
        return rows[0][0] if rows else None

    def size(self, sha256: str, methods: Iterable[Method]) -> tuple[int, int] | None:
        """Width and height of a picture, where all these methods described it."""
        known = {row[0] for row in self._do("SELECT method FROM signature WHERE sha256 = ?", sha256)}
        rows = self._do("SELECT width, height FROM picture WHERE sha256 = ?", sha256)
        return rows[0] if rows and known.issuperset(map(_key, methods)) else None

    def signature(self, sha256: str, method: Method) -> list[Value] | None:
        """What a method saw in each orientation of a picture; None where that was next to nothing."""
        rows = self._do("SELECT value FROM signature WHERE sha256 = ? AND method = ?", sha256, _key(method))
        return _unpacked(method, rows[0][0]) if rows and rows[0][0] else None

    def verdict(self, a: str, b: str) -> dict[str, Any] | None:
        """What was said of two pictures."""
        rows = self._do("SELECT said FROM verdict WHERE a = ? AND b = ?", a, b)
        said: dict[str, Any] | None = json.loads(rows[0][0]) if rows else None
        return said

    def keep_file(self, name: str, stamp: str, sha256: str) -> None:
        self._do("REPLACE INTO file VALUES (?, ?, ?)", name, stamp, sha256)

    def keep_picture(self, sha256: str, size: tuple[int, int], values: Mapping[Method, Sequence[Value] | None]) -> None:
        self._do("REPLACE INTO picture VALUES (?, ?, ?)", sha256, *size)
        for method, own in values.items():
            packed = _packed(method, own) if own else None
            self._do("REPLACE INTO signature VALUES (?, ?, ?)", sha256, _key(method), packed)

    def keep_verdict(self, a: str, b: str, said: Mapping[str, Any]) -> None:
        self._do("REPLACE INTO verdict VALUES (?, ?, ?)", a, b, json.dumps(said))

    def _do(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


def _key(method: Method) -> str:
    return f"{method.name} {method.version}"


def _packed(method: Method, values: Sequence[Value]) -> bytes:
    """Dense ones in half precision and bits in bytes, as they are stored; sparse ones as text."""
    if method.storage == "sparsevec":
        return json.dumps([_pairs(value) for value in values if isinstance(value, dict)]).encode()
    if method.storage == "bit":
        return np.packbits(np.array(values, bool), axis=1).tobytes()
    return np.array(values, np.float16).tobytes()


def _pairs(value: Mapping[int, float]) -> list[tuple[int, float]]:
    return [(int(place), float(number)) for place, number in value.items()]


def _unpacked(method: Method, data: bytes) -> list[Value]:
    if method.storage == "sparsevec":
        return [dict(pairs) for pairs in json.loads(data)]
    if method.storage == "bit":
        rows = np.frombuffer(data, np.uint8).reshape(-1, -(-method.dimensions // 8))
        return list(np.unpackbits(rows, axis=1, count=method.dimensions).astype(bool))
    return list(np.frombuffer(data, np.float16).reshape(-1, method.dimensions).astype(np.float32))

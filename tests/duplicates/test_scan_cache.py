"""Results of a scan in a SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similar_images.duplicates.scan_cache import ScanCache
from similar_images.signatures.hashes import DHash, PHash
from tests import drawing
from tests.methods import Bits, Mean, Sparse


def test_signatures__of_every_storage_are_kept(tmp_path: Path) -> None:
    cache = ScanCache(tmp_path / "cache.sqlite3")
    pixels = np.asarray(drawing.scene(1))
    methods = (Mean(), Bits(), Sparse())
    values = {method: [method.compute(pixels)] * 2 for method in methods}
    cache.save_image("abc", (4, 3), {**values, PHash(): None})
    assert cache.get_size("abc", [*methods, PHash()]) == (4, 3)
    assert cache.get_size("abc", [DHash()]) is None
    assert cache.get_size("unknown", methods) is None
    assert cache.get_signatures("abc", PHash()) is None
    for method in methods:
        signatures = cache.get_signatures("abc", method)
        assert signatures is not None
        assert len(signatures) == 2
        if isinstance(signatures[0], dict):
            assert signatures[0] == values[method][0]
        else:
            assert signatures[0] == pytest.approx(values[method][0], abs=0.001)
    cache.close()
    with pytest.raises(sqlite3.ProgrammingError):
        cache.get_size("abc", [])


def test_files_and_verdicts__are_kept_in_the_file(tmp_path: Path) -> None:
    cache = ScanCache(tmp_path / "cache.sqlite3")
    cache.save_file("a.png", "stamp", "a1" * 32)
    cache.save_file("b.png", "stamp", "../" * 22)
    cache.save_verdict("abc", "def", {"kind": "same-picture"})
    cache.close()
    cache = ScanCache(tmp_path / "cache.sqlite3")
    assert cache.get_sha256("a.png", "stamp") == "a1" * 32
    assert cache.get_sha256("b.png", "stamp") is None  # a report names files by it
    assert cache.get_sha256("a.png", "newer") is None
    verdicts = cache.get_verdicts([("abc", "def"), ("def", "abc")])
    assert verdicts == {("abc", "def"): {"kind": "same-picture"}}
    cache.close()


@settings(deadline=None, max_examples=200)
@given(value=st.none() | st.text() | st.binary() | st.integers(-(2**63), 2**63 - 1) | st.floats())
def test_values__that_another_program_wrote_are_read_or_a_database_error(value: Any) -> None:
    cache = ScanCache(Path(":memory:"))
    for method in (Mean(), Bits(), Sparse()):
        cache._execute("REPLACE INTO image VALUES ('a', ?, ?)", value, value)
        cache._execute("REPLACE INTO signature VALUES ('a', ?, ?)", f"{method.name} {method.version}", value)
        cache._execute("REPLACE INTO pair VALUES ('a', 'b', ?)", value)
        for read in (
            lambda method=method: cache.get_size("a", [method]),
            lambda method=method: cache.get_signatures("a", method),
            lambda: cache.get_verdicts([("a", "b")]),
        ):
            with suppress(sqlite3.DatabaseError):
                read()
    cache.close()

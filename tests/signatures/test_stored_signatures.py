"""Stored signatures stay comparable: the same image gets the same signature until the version changes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from similar_images import plugins, signatures

from .contract import distance, stored
from .make_signatures import FILE, compute, serialize

if TYPE_CHECKING:
    from similar_images.signatures.base import Value

STORED = json.loads(FILE.read_text())

PRINT_HASHES = """
import hashlib, json
from tests.signatures.make_signatures import compute, serialize
from similar_images import signatures
print(json.dumps({
    name: hashlib.sha256(repr([serialize(value) for value in compute(name)]).encode()).hexdigest()
    for name in signatures.BUILT_IN_METHODS
}))
"""


def parse(stored_value: Any, is_bits: bool) -> Value:
    if isinstance(stored_value, dict):
        return {int(index): number for index, number in stored_value.items()}
    data = bytes.fromhex(stored_value)
    if is_bits:
        return np.unpackbits(np.frombuffer(data, np.uint8)).astype(bool)
    return np.frombuffer(data, np.float16).astype(np.float32)


@pytest.mark.parametrize("name", signatures.BUILT_IN_METHODS)
def test_signature__is_the_stored_one_of_the_version(name: str) -> None:
    """Processors round differently, which may move a value or a bit; a change of the method moves more."""
    method = plugins.load_method(name, {})
    assert STORED[name]["version"] == method.version, "a new version: run python -m tests.signatures.make_signatures"
    tolerance = next(d for d, percent in method.curve[1:] if percent <= 70) / 20
    for stored_value, value in zip(STORED[name]["values"], compute(name), strict=True):
        expected = parse(stored_value, method.storage == "bit")
        assert distance(method, expected, stored(value)) <= tolerance, "another result needs another version"


def test_signature__is_equal_in_every_process() -> None:
    command = [sys.executable, "-c", PRINT_HASHES]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    first, second = (json.loads(process.communicate(timeout=120)[0]) for process in processes)
    expected = {
        name: hashlib.sha256(repr([serialize(value) for value in compute(name)]).encode()).hexdigest()
        for name in signatures.BUILT_IN_METHODS
    }
    assert first == second == expected

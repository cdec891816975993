"""Stored signatures stay comparable: the same picture always gets the same one, until the version changes."""

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
from .make_signatures import FILE, compute, text

if TYPE_CHECKING:
    from similar_images.signatures.base import Value

KEPT = json.loads(FILE.read_text())

HASHES = """
import hashlib, json
from tests.signatures.make_signatures import compute, text
from similar_images import signatures
print(json.dumps({
    name: hashlib.sha256(repr([text(value) for value in compute(name)]).encode()).hexdigest()
    for name in signatures.BUILT_IN_METHODS
}))
"""


def read(kept: Any, is_bits: bool) -> Value:
    if isinstance(kept, dict):
        return {int(place): number for place, number in kept.items()}
    data = bytes.fromhex(kept)
    if is_bits:
        return np.unpackbits(np.frombuffer(data, np.uint8)).astype(bool)
    return np.frombuffer(data, np.float16).astype(np.float32)


@pytest.mark.parametrize("name", signatures.BUILT_IN_METHODS)
def test_signature__is_that_of_before_or_the_version_is_another(name: str) -> None:
    """Processors round differently, which may move a value or a bit; a change of the method moves more."""
    method = plugins.load_method(name, {})
    assert KEPT[name]["version"] == method.version, "a new version: run python -m tests.signatures.make_signatures"
    near = next(d for d, percent in method.curve[1:] if percent <= 70) / 20
    for kept, value in zip(KEPT[name]["values"], compute(name), strict=True):
        before = read(kept, method.storage == "bit")
        assert distance(method, before, stored(value)) <= near, "another result needs another version"


def test_signature__is_the_same_in_every_process_bit_for_bit() -> None:
    command = [sys.executable, "-c", HASHES]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    one, other = (json.loads(process.communicate(timeout=120)[0]) for process in processes)
    here = {
        name: hashlib.sha256(repr([text(value) for value in compute(name)]).encode()).hexdigest()
        for name in signatures.BUILT_IN_METHODS
    }
    assert one == other == here

"""A file of weights is the one that is pinned; and whatever a file contains, reading it ends in a clear error."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from similar_images.signatures.embedding import checkpoint, efficientnet
from similar_images.signatures.embedding.checkpoint import MAGIC, UnreadableCheckpoint, parse_checkpoint
from similar_images.signatures.embedding.presets import CHECKPOINTS
from tests.signatures.embedding.samples import mutate, mutations

LITE0 = efficientnet.checkpoint_path("efficientnet-lite0")
DATA = LITE0.read_bytes()
PICKLES_END = 47_176
"""Bytes before the numbers: all that a parser may stumble over."""

KEY = b"X\x01\x00\x00\x000"
KEYS = b"](" + KEY + b"e."
NUMBERS = struct.pack("<q4f", 4, 0, 1, 2, 3)


def frame(tensors: bytes, keys: bytes = KEYS, numbers: bytes = NUMBERS) -> bytes:
    """Return a checkpoint with this pickle of tensors, by default with one storage."""
    start = b"".join(pickle.dumps(value, 2) for value in (MAGIC, 1001, {"little_endian": True}))
    return start + tensors + keys + numbers


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04NtQ"
"""The opcodes of a storage of four floats."""


def tensor(
    storage: bytes = STORAGE, offset: bytes = b"K\x00", shape: bytes = b"K\x02K\x02", strides: bytes = b"K\x01K\x02"
) -> bytes:
    """Return the pickle of a dict with one tensor, by default of two columns and two rows."""
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + b"(" + shape + b"t(" + strides + b"t\x89NtR"
    return b"\x80\x02}X\x01\x00\x00\x00a" + call + b"s."


def test_parse_checkpoint__reads_strided_tensors() -> None:
    (read,) = parse_checkpoint(frame(tensor())).values()
    assert read.tolist() == [[0, 2], [1, 3]]


def test_read_checkpoint__takes_the_pinned_file_only(tmp_path: Path) -> None:
    sha256 = CHECKPOINTS["efficientnet-lite0"]
    tensors = checkpoint.read_checkpoint(LITE0, sha256)
    assert tensors["_fc.weight"].shape == (1000, 1280)
    changed = tmp_path / "weights.pth"
    changed.write_bytes(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    with pytest.raises(UnreadableCheckpoint, match=r"weights\.pth is damaged, or of another version"):
        checkpoint.read_checkpoint(changed, sha256)


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.getenv, ("HOME",)


@pytest.mark.parametrize(
    "data", [pickle.dumps(RunsCode(), 2), frame(pickle.dumps(RunsCode(), 2))], ids=["at once", "later"]
)
def test_parse_checkpoint__cannot_run_code(data: bytes) -> None:
    with pytest.raises(UnreadableCheckpoint, match="getenv"):
        parse_checkpoint(data)


def text(value: str) -> bytes:
    """Return the opcode of a short text."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


OBJECTS = (
    b"ccollections\nOrderedDict\n)R}("
    + (text("itemsize") + b"K\x08" + text("dtype") + text("O") + text("data") + STORAGE)
    + b"ub"
)
"""A dict with attributes: numbers of the file as addresses of objects."""

HUGE = b"\x8a\xff" + b"\x7f" * 255
WRONG = {
    "not a checkpoint": pickle.dumps({"weights": 1}, 2),
    "no bytes": b"",
    "truncated": DATA[:1_000_000],
    "bytes at the end": DATA + b"\0",
    "another tensor": frame(pickle.dumps({"a": 1}, 2)),
    "numbers as addresses of objects": frame(tensor(storage=OBJECTS, shape=b"K\x01", strides=b"K\x01")),
    "a tensor as storage": frame(tensor(storage=tensor()[9:-2])),
    "numbers out of the storage": frame(tensor(shape=b"K\x02K\x03")),
    "an offset out of the storage": frame(tensor(offset=b"K\x01")),
    "a negative offset": frame(tensor(offset=b"J\xff\xff\xff\xff")),
    "a negative stride": frame(tensor(strides=b"J\xff\xff\xff\xffK\x01")),
    "one number over and over": frame(tensor(shape=b"J\x00\x00\x00\x7fK\x01", strides=b"K\x00K\x00")),
    "a huge stride": frame(tensor(strides=HUGE + b"K\x01")),
    "more strides than sides": frame(tensor(strides=b"K\x01K\x01K\x01")),
    "a long shape": frame(tensor(shape=b"K\x01" * 65, strides=b"K\x01" * 65)),
    "a side that is a text": frame(tensor(shape=b"X\x01\x00\x00\x002K\x02")),
    "a side that is true": frame(tensor(shape=b"\x88K\x02")),
    "a huge storage": frame(tensor(storage=STORAGE.replace(b"K\x04", b"J\xff\xff\xff\x7f"))),
    "an endless storage": frame(tensor(storage=STORAGE.replace(b"K\x04", HUGE))),
    "a storage of no length": frame(tensor(storage=STORAGE.replace(b"K\x04", b"K\x00"))),
    "another length before the numbers": frame(tensor(), numbers=struct.pack("<q4f", 3, 0, 1, 2, 3)),
    "other keys": frame(tensor(), keys=KEYS.replace(b"0", b"1")),
    "a key twice": frame(tensor(), keys=b"](" + 2 * KEY + b"e."),
    "deep keys": frame(tensor(), keys=b"](" + (b"K\x01" + b"\x85" * 40_000) * 2 + b"e."),
    "a deep name": frame(tensor(storage=STORAGE.replace(b"ctorch\nFloatStorage\n", b"K\x01" + b"\x85" * 90_000))),
    "a far place in the memo": frame(b"\x80\x02}r\xff\xff\xff\x7fj\xfe\xff\xff\x7f."),
    "a text longer than the file": frame(b"\x80\x02X\xff\xff\xff\x7fa."),
    "no end": frame(b"\x80\x02" + b"N" * 1_000_000),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_parse_checkpoint__refuses(data: bytes) -> None:
    with pytest.raises(UnreadableCheckpoint):
        parse_checkpoint(data)


SMALL = frame(tensor())


@settings(deadline=None, max_examples=300)
@given(changes=mutations)
def test_parse_checkpoint__of_a_mutated_file_gives_tensors_or_a_clear_error(
    changes: list[tuple[int, bytes, int]],
) -> None:
    try:
        tensors = parse_checkpoint(mutate(SMALL, changes))
    except UnreadableCheckpoint:
        return
    for values in tensors.values():
        assert values.size * values.itemsize <= len(SMALL) + 48
        assert np.isfinite(values.sum()) in (True, False)  # every number can be read


@settings(deadline=None, max_examples=25)
@given(changes=mutations)
def test_parse_checkpoint__of_mutated_weights_gives_tensors_or_a_clear_error(
    changes: list[tuple[int, bytes, int]],
) -> None:
    data = mutate(DATA[:PICKLES_END], changes) + DATA[PICKLES_END:]
    try:
        tensors = parse_checkpoint(data)
    except UnreadableCheckpoint:
        return
    assert sum(values.nbytes for values in tensors.values()) <= 2 * len(DATA)
    assert all(np.isfinite(values.sum()) in (True, False) for values in tensors.values())

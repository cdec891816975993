"""Tensors of a PyTorch checkpoint, in the layout before version 1.6, read without PyTorch and without pickle.

The layout: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py, `_legacy_save`
"""

from __future__ import annotations

import hashlib
import io
import math
import pickletools
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Tensors = dict[str, NDArray[Any]]

MAGIC = 0x1950A86A20F9469CFC6C
MAX_AXES = 8
"""Axes of a tensor, at most; those of a convolution's kernels are four."""

MAX_OPCODES = 100_000
"""Opcodes of a pickle, at most; that of EfficientNet-Lite2's tensors has 13,000."""


class UnreadableCheckpoint(RuntimeError):
    """A file of weights can't be read: it is damaged, or another one."""


def read_checkpoint(path: Path, sha256: str) -> Tensors:
    """Read the tensors of a file, by name.

    Raises:
        UnreadableCheckpoint: the file is another than that with this SHA-256.
        OSError: it can't be read.
    """
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UnreadableCheckpoint(f"{path} is damaged, or of another version: install its package again.")
    return parse_checkpoint(data)


def parse_checkpoint(data: bytes) -> Tensors:
    """Parse the content of a file, to tensors by name.

    Only what such a file needs is understood: numbers, texts, tuples, lists, dicts and tensors. No code is run, and no
    more memory is taken than the file's size allows.

    Raises:
        UnreadableCheckpoint: the file has another layout, or is damaged.
    """
    try:
        return _parse(data)
    except (ValueError, TypeError, LookupError) as error:  # whatever the stack lacks, or has in a wrong place
        raise UnreadableCheckpoint(f"not a checkpoint in the layout of PyTorch before version 1.6: {error}") from error


def _parse(data: bytes) -> Tensors:
    file = io.BytesIO(data)
    parser = _PickleParser(file)
    if parser.parse() != MAGIC:
        raise ValueError("it begins otherwise")
    _protocol, _system, tensors, keys = (parser.parse() for _pickle in range(4))
    _require(type(tensors) is dict and all(isinstance(tensor, np.ndarray) for tensor in tensors.values()), "a tensor")
    _require(type(keys) is list and all(type(key) is str for key in keys), "the storages")
    _require(sorted(keys) == sorted(parser.storages), "the storages")
    for key in keys:
        storage = parser.storages[key]
        _require(int.from_bytes(file.read(8), "little") == len(storage), "the length of a storage")
        _require(file.readinto(storage.data) == storage.nbytes, "the end")
    _require(file.tell() == len(data), "the end")
    return dict(tensors)


class _Name(Enum):
    """A function or class that a checkpoint may name."""

    DICT = "collections OrderedDict"
    TENSOR = "torch._utils _rebuild_tensor_v2"
    FLOATS = "torch FloatStorage"
    INTEGERS = "torch LongStorage"


_STORAGE_TYPES: dict[_Name, np.dtype[Any]] = {_Name.FLOATS: np.dtype("<f4"), _Name.INTEGERS: np.dtype("<i8")}

_MARK = object()
_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": _MARK}
_NUMBERS_AND_TEXTS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}
_WITH_ARGUMENT = {*_NUMBERS_AND_TEXTS, "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "PROTO"}


class _PickleParser:
    """Parse the pickles of a checkpoint, one after another; `storages` are filled from what follows them."""

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file
        self._bytes_left = len(file.getbuffer())
        self._stack: list[Any] = []
        self.storages: Tensors = {}

    def parse(self) -> Any:
        """Return the value of the next pickle."""
        self._stack = stack = []
        memo: dict[int, Any] = {}
        for name, argument in self._read_opcodes():
            if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            elif name in _NUMBERS_AND_TEXTS:
                stack.append(argument)
            elif name in ("BINPUT", "LONG_BINPUT"):
                memo[argument] = stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[argument])
            elif name == "GLOBAL":
                stack.append(_Name(argument))
            elif name != "PROTO":
                self._build(name)
        (value,) = stack
        return value

    def _read_opcodes(self) -> Iterator[tuple[str, Any]]:
        """Yield the opcodes of a pickle but for the last, each with its argument."""
        for _count in range(MAX_OPCODES):
            opcode = _OPCODES[self._file.read(1).decode("latin-1")]
            if opcode.name == "STOP":
                return
            if opcode.name == "GLOBAL":
                yield opcode.name, " ".join(self._file.readline().decode().strip() for _part in range(2))
            elif opcode.arg is None:
                yield opcode.name, None
            else:
                _require(opcode.name in _WITH_ARGUMENT, opcode.name)
                yield opcode.name, opcode.arg.reader(self._file)
        raise ValueError("a pickle has no end")

    def _build(self, opcode: str) -> None:
        """Carry out an opcode that makes a value of those on the stack."""
        stack = self._stack
        match opcode:
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "TUPLE":
                stack.append(tuple(self._pop_to_mark()))
            case "TUPLE1" | "TUPLE2":
                count = int(opcode[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "APPENDS":
                values = self._pop_to_mark()
                _require(type(stack[-1]) is list, "a list")
                stack[-1].extend(values)
            case "SETITEM" | "SETITEMS":
                values = self._pop_to_mark() if opcode == "SETITEMS" else [stack.pop() for _item in range(2)][::-1]
                _require(type(stack[-1]) is dict and all(type(key) is str for key in values[::2]), "a dict")
                stack[-1].update(zip(values[::2], values[1::2], strict=True))
            case "BINPERSID":
                stack.append(self._storage(*stack.pop()))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(_call(function, arguments))
            case "BUILD":  # the metadata of the dict of all tensors
                _require(type(stack.pop()) is dict and type(stack[-1]) is dict, "metadata")
            case _:
                raise ValueError(f"it contains {opcode}")

    def _pop_to_mark(self) -> list[Any]:
        stack = self._stack
        start = len(stack) - 1
        while stack[start] is not _MARK:  # an IndexError below the bottom, where there is none
            start -= 1
        values = stack[start + 1 :]
        del stack[start:]
        return values

    def _storage(self, tag: Any, kind: Any, key: Any, _device: Any, length: Any, view: Any) -> NDArray[Any]:
        """Return the storage of a key, empty at first."""
        _require(type(tag) is type(key) is str and tag == "storage" and view is None, "a storage")
        _require(type(kind) is _Name and type(length) is int, "a storage")
        dtype = _STORAGE_TYPES[kind]
        if key not in self.storages:
            self._bytes_left -= length * dtype.itemsize
            _require(length > 0 and self._bytes_left >= 0, "a storage's length")
            self.storages[key] = np.zeros(length, dtype)
        storage = self.storages[key]
        _require(len(storage) == length and storage.dtype == dtype, "a storage")
        return storage


def _call(function: Any, arguments: Any) -> Any:
    """Return what a function that a checkpoint names makes of its arguments: an empty dict, or a tensor.

    Raises:
        ValueError: there is no such function, or it takes other arguments.
    """
    _require(type(arguments) is tuple, "a function")
    if function is _Name.DICT:
        _require(not arguments, "a dict")
        return {}
    _require(function is _Name.TENSOR, "a function")
    storage, offset, shape, strides, _requires_grad, _hooks = arguments
    _require(isinstance(storage, np.ndarray) and storage.base is None, "a storage")
    _require(type(shape) is type(strides) is tuple and len(shape) == len(strides) <= MAX_AXES, "a shape")
    _require(all(type(number) is int and number >= 0 for number in (offset, *shape, *strides)), "a shape")
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    _require(0 < math.prod(shape) <= len(storage) and last < len(storage), "a shape")
    size = storage.itemsize
    return np.ndarray(shape, storage.dtype, storage.data, offset * size, [stride * size for stride in strides])


def _require(condition: bool, what: str) -> None:
    """Refuse a checkpoint in which something is not as it should be.

    Raises:
        ValueError: the condition is not met.
    """
    if not condition:
        raise ValueError(f"it has another form than expected: {what}")

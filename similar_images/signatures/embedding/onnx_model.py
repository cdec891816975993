"""ONNX models: their declared inputs and outputs, and the sessions that run them."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from django.utils.functional import cached_property

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PREFERRED_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
DATA_SUFFIXES = (".data", "_data")
"""Suffixes that exporters append to the name of a model for a file with its weights."""

FileStamps = tuple[tuple[str, int, int], ...]
"""Path, modification time in nanoseconds and size in bytes of each file of a model."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model.

    Attributes:
        dtype: NumPy's name of its type.
        shape: None for an axis of any length; () if not declared.
    """

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join('any' if side is None else str(side) for side in self.shape)})"

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Return whether a value of this shape may be fed."""
        return len(self.shape) == len(shape) and all(
            side in (None, length) for side, length in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True)
class ModelSignature:
    """The inputs and outputs that a model declares, by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]

    def select_output(self, output: str | Sequence[str]) -> str:
        """Return the first of these names that is an output, or the only output.

        Raises:
            ValueError: none is, or none was named among several; the message names the outputs.
        """
        names = [output] if isinstance(output, str) else output
        if not isinstance(output, str) and len(self.outputs) == 1:
            return next(iter(self.outputs))
        for name in names:
            if name in self.outputs:
                return name
        problem = f"has no output {' or '.join(map(repr, names))}" if names else "has several outputs"
        raise ValueError(f"{problem}: name one of {', '.join(self.outputs)}")


def read_signature(path: Path) -> ModelSignature:
    """Read the signature that an ONNX file declares, without its weights.

    Raises:
        OSError: the file can't be read.
        ValueError: the file is no ONNX model, or its weights are in a file of an unexpected name.
    """
    return _read_stamped_signature(str(path), _stamp_files(path))


@lru_cache(maxsize=16)
def _read_stamped_signature(name: str, stamps: FileStamps) -> ModelSignature:
    import onnx

    try:
        graph = onnx.load(name, load_external_data=False).graph
    except OSError:
        raise
    except Exception as error:  # protobuf parsers raise errors of their own
        raise ValueError(f"{name} is not an ONNX model: {error}") from error
    if not graph.output:
        raise ValueError(f"{name} is not an ONNX model: it has no output")
    used = {entry.value for weight in graph.initializer for entry in weight.external_data if entry.key == "location"}
    known = {Path(file).name for file, *_ in stamps}
    if missing := sorted(used - known):
        raise ValueError(
            f"{name} keeps its weights in {', '.join(missing)}: keep them in it, or beside it as {Path(name).name}.data"
        )
    weights = {weight.name for weight in graph.initializer}
    return ModelSignature(
        {value.name: _tensor_from_proto(value) for value in graph.input if value.name not in weights},
        {value.name: _tensor_from_proto(value) for value in graph.output},
    )


def _tensor_from_proto(value: Any) -> Tensor:
    from onnx import helper

    tensor = value.type.tensor_type
    sides = (side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim)
    try:
        dtype = str(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:  # it is not declared, or newer than this onnx
        dtype = "unknown"
    return Tensor(dtype, tuple(sides))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of an ONNX file and of the weights beside it.

    The files are read once per process, until they change; 300 MB take about a quarter of a second.
    """
    return _hash_files(_stamp_files(path))


@lru_cache(maxsize=16)
def _hash_files(stamps: FileStamps) -> str:
    total = hashlib.sha256()
    for name, *_ in stamps:
        with open(name, "rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _stamp_files(path: Path) -> FileStamps:
    """Return the files of a model, weights included, each with its time and size."""
    weights = [file for suffix in DATA_SUFFIXES if (file := Path(f"{path}{suffix}")).is_file()]
    return tuple((str(file), (stat := file.stat()).st_mtime_ns, stat.st_size) for file in (path, *weights))


class OnnxModel(ABC):
    """A model from a file, or from bytes built on demand; each process opens a session on first use.

    Args:
        model: the file, or a function that builds the bytes.
        known: the signature of what the function builds, to know it without building.
        threads: processor cores for one run.
        providers: as onnxruntime takes them; None selects CUDA where available, or else the processor.
    """

    def __init__(
        self,
        model: Path | Callable[[], bytes],
        *,
        known: ModelSignature | None = None,
        threads: int = 1,
        providers: Sequence[Any] | None = None,
    ) -> None:
        self.model = model
        self.known = known
        self.title = str(model) if isinstance(model, Path) else "the built-in model"
        self.threads = threads
        self.providers = providers
        self._lock = Lock()
        self._sessions: dict[int, tuple[InferenceSession, ModelSignature]] = {}

    @abstractmethod
    def find_problems(self, signature: ModelSignature) -> list[str]:
        """Return what keeps a model of this signature from being used: one predicate each, such as "has 2 inputs"."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file; like the session, it stays that of the first use."""
        if not isinstance(self.model, Path):
            raise ValueError("only a file has a digest")
        return file_sha256(self.model)

    def get_signature(self) -> ModelSignature:
        """Return the declared inputs and outputs, without opening a session on a file.

        Raises:
            OSError, ValueError: see `read_signature`.
        """
        if isinstance(self.model, Path):
            return read_signature(self.model)
        return self.known or self.open_session()[1]

    def check(self) -> list[str]:
        """Return one message per problem, without opening a session on a file."""
        try:
            signature = self.get_signature()
        except OSError as error:
            return [f"{self.title} can't be read: {error.strerror}."]
        except ValueError as error:
            return [f"{error}."]
        return [f"{self.title} {problem}." for problem in self.find_problems(signature)]

    def open_session(self) -> tuple[InferenceSession, ModelSignature]:
        """Return this process's session, opened on first use, and its signature.

        Raises:
            RuntimeError: the model can't be used, or the file has changed since this process started.
        """
        process = os.getpid()
        with self._lock:
            # A fork does not copy a session's threads: the child needs a session of its own, and must not even free
            # the inherited one, which would wait for those threads.
            if process not in self._sessions:
                self._sessions[process] = self._create_session()
            return self._sessions[process]

    def _create_session(self) -> tuple[InferenceSession, ModelSignature]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        available = onnxruntime.get_available_providers()
        providers = self.providers or [provider for provider in PREFERRED_PROVIDERS if provider in available]
        if not isinstance(self.model, Path):
            session = onnxruntime.InferenceSession(self.model(), options, providers=providers)
        else:
            digest = self.digest
            try:
                session = onnxruntime.InferenceSession(str(self.model), options, providers=providers)
            except Exception as error:  # onnxruntime raises an exception type per status
                raise RuntimeError(f"{self.model} can't be opened: {error}") from error
            if file_sha256(self.model) != digest:
                raise RuntimeError(f"{self.model} has changed since this process started: restart it")
        signature = ModelSignature(
            {value.name: _tensor_from_session(value) for value in session.get_inputs()},
            {value.name: _tensor_from_session(value) for value in session.get_outputs()},
        )
        if problems := self.find_problems(signature):
            raise RuntimeError(f"{self.title} {'; '.join(problems)}")
        return session, signature


def _tensor_from_session(value: Any) -> Tensor:
    onnx_type = value.type.removeprefix("tensor(").removesuffix(")")
    dtype = {"float": "float32", "double": "float64"}.get(onnx_type, onnx_type)
    return Tensor(dtype, tuple(side if isinstance(side, int) else None for side in value.shape))


def find_provider_problems(providers: Sequence[Any] | None) -> list[str]:
    """Return one message per provider that the installed onnxruntime lacks."""
    if not providers:
        return []
    import onnxruntime

    available = onnxruntime.get_available_providers()
    names = [provider if isinstance(provider, str) else provider[0] for provider in providers]
    return [
        f"providers: this onnxruntime has no {name!r}; it has: {', '.join(available)}."
        for name in names
        if name not in available
    ]

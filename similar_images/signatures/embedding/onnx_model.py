"""ONNX graphs: what a file holds, and sessions that run it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")
DATA_SUFFIXES = (".data", "_data")
"""What exporters append to a model's name for a file with its weights."""

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Tensor:
    """An input or output: NumPy's name of its type, and its shape, None where that is free, () where it is untold."""

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join('any' if side is None else str(side) for side in self.shape)})"


@dataclass(frozen=True)
class ModelSignature:
    """What goes into a model and what comes out, by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]

    def choose(self, output: str | Sequence[str]) -> str:
        """The name of the output: the first of these that there is, or the only one.

        Raises:
            ValueError: there is none, or it is not clear which; the message names those there are.
        """
        names = [output] if isinstance(output, str) else output
        if not isinstance(output, str) and len(self.outputs) == 1:
            return next(iter(self.outputs))
        for name in names:
            if name in self.outputs:
                return name
        wanted = " or ".join(map(repr, names))
        what = f"has no output {wanted}" if wanted else "has several outputs"
        raise ValueError(f"{what}: name one of {', '.join(self.outputs)}")


def read_signature(path: Path) -> ModelSignature:
    """What the graph of an ONNX file declares, without its weights.

    Raises:
        OSError: the file can't be read.
        ValueError: it is no ONNX model, or its weights are in a file of an unexpected name.
    """
    return _read_graph(str(path), _stamp(path))


@lru_cache(maxsize=16)
def _read_graph(name: str, stamp: Stamp) -> ModelSignature:
    import onnx

    try:
        graph = onnx.load(name, load_external_data=False).graph
    except OSError:
        raise
    except Exception as error:  # what a protobuf parser raises is its own
        raise ValueError(f"{name} is not an ONNX model: {error}") from error
    if not graph.output:
        raise ValueError(f"{name} is not an ONNX model: it has no output")
    beside = {entry.value for weight in graph.initializer for entry in weight.external_data if entry.key == "location"}
    known = {Path(file).name for file, *_ in stamp}
    if missing := sorted(beside - known):
        raise ValueError(
            f"{name} keeps its weights in {', '.join(missing)}: keep them in it, or beside it as {Path(name).name}.data"
        )
    weights = {weight.name for weight in graph.initializer}
    return ModelSignature(
        {value.name: _tensor(value) for value in graph.input if value.name not in weights},
        {value.name: _tensor(value) for value in graph.output},
    )


def _tensor(value: Any) -> Tensor:
    from onnx import helper

    tensor = value.type.tensor_type
    sides = (side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim)
    dtype = str(helper.tensor_dtype_to_np_dtype(tensor.elem_type)) if tensor.elem_type else "unknown"
    return Tensor(dtype, tuple(sides))


def file_sha256(path: Path) -> str:
    """SHA-256 of an ONNX file and of the weights beside it; read once a process as long as they do not change.

    300 MB take about a quarter of a second.
    """
    return _digest(_stamp(path))


@lru_cache(maxsize=16)
def _digest(stamp: Stamp) -> str:
    total = hashlib.sha256()
    for name, *_ in stamp:
        with open(name, "rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _stamp(path: Path) -> Stamp:
    """The files of a model, each with its time and size."""
    beside = [file for suffix in DATA_SUFFIXES if (file := Path(f"{path}{suffix}")).is_file()]
    return tuple((str(file), (stat := file.stat()).st_mtime_ns, stat.st_size) for file in (path, *beside))


class OnnxModel:
    """A model, from a file or from bytes made on demand, that opens itself in every process on first use.

    `known`: what goes in and comes out, of bytes.
    `problems`: says of the graph, in a sentence each, what keeps it from being used.
    `threads`: processor cores for one run. `providers`: as onnxruntime takes them; None is CUDA where there is, or
    the processor.
    """

    def __init__(
        self,
        model: Path | Callable[[], bytes],
        problems: Callable[[ModelSignature], list[str]],
        *,
        known: ModelSignature | None = None,
        threads: int = 1,
        providers: Sequence[Any] | None = None,
    ) -> None:
        self.model = model
        self.problems = problems
        self.known = known
        self.title = str(model) if isinstance(model, Path) else "the built-in model"
        self.threads = threads
        self.providers = providers
        self._lock = Lock()
        self._open: dict[int, tuple[InferenceSession, ModelSignature]] = {}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file; stays what it was when first asked for, as does the session."""
        if not isinstance(self.model, Path):
            raise ValueError("only a file has a digest")
        return file_sha256(self.model)

    def graph(self) -> ModelSignature:
        """What the model declares, without its weights. Raises as `read_graph`."""
        if isinstance(self.model, Path):
            return read_signature(self.model)
        return self.known or self.open()[1]

    def check(self) -> list[str]:
        """What keeps the model from being used, in a sentence each, without opening a session."""
        try:
            graph = self.graph()
        except OSError as error:
            return [f"{self.title} can't be read: {error.strerror}."]
        except ValueError as error:
            return [f"{error}."]
        return [f"{self.title} {problem}." for problem in self.problems(graph)]

    def open(self) -> tuple[InferenceSession, ModelSignature]:
        """This process's session.

        Raises:
            RuntimeError: the model can't be used, or the file is another one than when this process started.
        """
        process = os.getpid()
        with self._lock:
            # A fork leaves a session's threads behind: the child needs one of its own, and must not even free
            # the inherited one, which would wait for those threads.
            if process not in self._open:
                self._open[process] = self._opened()
            return self._open[process]

    def _opened(self) -> tuple[InferenceSession, ModelSignature]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        available = onnxruntime.get_available_providers()
        providers = self.providers or [provider for provider in PREFERRED if provider in available]
        if not isinstance(self.model, Path):
            session = onnxruntime.InferenceSession(self.model(), options, providers=providers)
        else:
            before = self.digest
            try:
                session = onnxruntime.InferenceSession(str(self.model), options, providers=providers)
            except Exception as error:  # onnxruntime has an exception for every status of its own
                raise RuntimeError(f"{self.model} can't be opened: {error}") from error
            if file_sha256(self.model) != before:
                raise RuntimeError(f"{self.model} has changed since this process started: restart it")
        graph = ModelSignature(
            {value.name: _declared(value) for value in session.get_inputs()},
            {value.name: _declared(value) for value in session.get_outputs()},
        )
        if problems := self.problems(graph):
            raise RuntimeError(f"{self.title} {'; '.join(problems)}")
        return session, graph


def _declared(value: Any) -> Tensor:
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    dtype = {"float": "float32", "double": "float64"}.get(kind, kind)
    return Tensor(dtype, tuple(side if isinstance(side, int) else None for side in value.shape))


def provider_problems(providers: Sequence[Any] | None) -> list[str]:
    """What keeps onnxruntime from using these providers."""
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

"""The same work on many things, on a few threads: decoding, OpenCV and onnxruntime leave the interpreter to others."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def map_in_threads(work: Callable[[Thing], Result], things: Iterable[Thing], jobs: int) -> Iterator[Result]:
    """What `work` makes of each thing, in order; when the caller stops or is stopped, what is not begun is not done."""
    context = contextvars.copy_context()  # messages come in the caller's language
    executor = ThreadPoolExecutor(jobs, thread_name_prefix="similar_images")
    try:
        yield from executor.map(lambda thing: context.copy().run(work, thing), things)
    finally:
        executor.shutdown(cancel_futures=True)

"""Do the same work for many items on a few threads: decoding, OpenCV and onnxruntime release the interpreter lock."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.utils.translation import get_language, override

Entry = TypeVar("Entry")
Output = TypeVar("Output")


def bind_context(work: Callable[..., Output]) -> Callable[..., Output]:
    """Return `work` bound to the caller's language and context variables, to be called on another thread.

    The language is activated there, because Django ties it to the thread as well as to the context.
    """
    context, language = contextvars.copy_context(), get_language()

    def run_in_language(*args: Any) -> Output:
        """Return `work(*args)`, in the language of the caller."""
        with override(language):
            return work(*args)

    return lambda *args: context.copy().run(run_in_language, *args)


def map_in_threads(work: Callable[[Entry], Output], entries: Iterable[Entry], jobs: int) -> Iterator[Output]:
    """Yield `work(entry)` in order, computed on `jobs` threads in the caller's context.

    When the iterator is closed or `work` raises, pending entries are cancelled.
    """
    executor = ThreadPoolExecutor(jobs, thread_name_prefix="similar_images")
    try:
        yield from executor.map(bind_context(work), entries)
    finally:
        executor.shutdown(cancel_futures=True)

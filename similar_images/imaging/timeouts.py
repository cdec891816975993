"""Run work that a visitor waits for on a few threads, in bounded time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _

from .threads import Output, bind_context

POOL_THREADS = 2
"""Threads of each pool; further work waits, which counts toward its timeout."""

REQUESTS = "requests"
"""The pool that describes and compares images and texts for visitors."""


class SearchTimeout(Exception):
    """An image or text to search with was not described, or two images not compared, in time."""


@contextmanager
def report_timeout() -> Iterator[None]:
    """Turn a TimeoutError of the block into SearchTimeout, with a message for visitors."""
    try:
        yield
    except TimeoutError:
        raise SearchTimeout(_("This took too long. Please try again later, or use a smaller image.")) from None


def run_for_request(seconds: float, work: Callable[..., Output], *args: Any, pool: str = REQUESTS) -> Output:
    """Return `work(*args)`, which loads models, for one request.

    Images are decoded before, on the request's own thread: waiting for a decoder must not hold a thread that others
    wait for.

    Raises:
        SearchTimeout: it took longer than `seconds`.
    """
    with report_timeout():
        return run_with_timeout(seconds, pool, work, *args)


def run_with_timeout(seconds: float, pool: str, work: Callable[..., Output], *args: Any) -> Output:
    """Return `work(*args)`, run in the pool of this name, in the caller's context.

    Work that waits for other work needs a pool of its own: within one pool, they would wait for each other's threads
    forever. A thread can't be stopped: late work goes on, and its result is dropped.

    Raises:
        TimeoutError: it took longer than `seconds`.
    """
    future = _thread_pool(pool).submit(bind_context(work), *args)
    try:
        return future.result(seconds)
    except TimeoutError:
        future.cancel()
        raise


@lru_cache
def _thread_pool(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(POOL_THREADS, thread_name_prefix=f"similar_images_{name}")


os.register_at_fork(after_in_child=_thread_pool.cache_clear)  # threads do not survive a fork

"""Work that a visitor waits for, in bounded time and on few threads."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

from django.utils.translation import gettext as _

THREADS = 2

Result = TypeVar("Result")


class SearchTimeout(Exception):
    """A picture or text to search with could not be described, or two pictures not compared, in time."""


def run_for_request(seconds: float, work: Callable[..., Result], *args: Any) -> Result:
    """Do what loads models, or looks at pictures, for one request.

    Raises:
        SearchTimeout: it took longer than `seconds`.
    """
    try:
        return run_with_timeout(seconds, "requests", work, *args)
    except TimeoutError:
        raise SearchTimeout(_("This took too long; try again later, or with a smaller picture.")) from None


def run_with_timeout(seconds: float, threads: str, work: Callable[..., Result], *args: Any) -> Result:
    """Do it on the threads of this name. What waits for others must not be on the threads that they are to run on.

    A thread can't be ended: what takes too long goes on, and nobody waits for it.

    Raises:
        TimeoutError: it took longer.
    """
    context = contextvars.copy_context()  # messages come in the caller's language
    future = _threads(threads).submit(context.run, work, *args)
    try:
        return future.result(seconds)
    except TimeoutError:
        future.cancel()
        raise


@lru_cache
def _threads(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix=f"similar_images_{name}")


os.register_at_fork(after_in_child=_threads.cache_clear)  # threads do not live on in a forked process

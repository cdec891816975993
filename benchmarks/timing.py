"""Times of actions."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median


def median_ms(action: Callable[[], object], count: int) -> float:
    """Return the median time of an action in milliseconds."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return 1000 * median(times)

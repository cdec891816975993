"""Input from outside, damaged and invented: every case is answered, or refused with a reason, within its bounds.

pytest runs a few hundred cases of each kind, always the same; `FUZZ_EXAMPLES=20000` sets another number, and makes
every run another one. `run_decoder` runs a hundred thousand files through the decoder, and `atheris_targets` looks for
inputs that reach code that no other input has reached.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

_examples = os.environ.get("FUZZ_EXAMPLES")

fuzzed = settings(
    max_examples=int(_examples or 150),
    deadline=None,
    derandomize=not _examples,
    database=None,
    # Fixtures are made once for all cases: none of them changes what another one sees.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""Settings of the tests with many cases."""


def answer_or_refusal(refusal: type[Exception], function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a function returns; None if it refuses, which it must do with a reason. Other errors are faults."""
    try:
        return function(*args, **kwargs)
    except refusal as error:
        reason = str(error)
    assert reason
    return None

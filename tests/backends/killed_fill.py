"""A process that fills a backend and switches to it, and is killed on the way: run by test_killed_fills.py.

It forks a process for each attempt, and asks the backend in such processes only, as connections to it do not survive
that. A killed one gets SIGKILL, before a statement that writes, before a commit, or before or after a request.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

FIXED_SEED = 20_261_128


def main(attempts: int) -> None:
    django.setup()
    import pymilvus  # noqa: F401 - once for all processes
    from django.db import connections
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

    from similar_images import plugins, registry
    from similar_images.backends.milvus import Milvus
    from similar_images.indexing import backend_copies, backend_feed
    from similar_images.management.commands import search_backend
    from similar_images.models import BackendChange, MethodVersion, Signature
    from tests.backends.conftest import make_indexed
    from tests.testapp.models import Picture

    backend_feed.FEED_CHUNK = 7

    def run(work: Callable[[], None], last: int = 0) -> int:
        """Run work in a process that is killed at a step; return the number of steps, or -9 where it was killed."""
        connections.close_all()
        reader, writer = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writer)
            with os.fdopen(reader) as steps:
                text = steps.read()
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            return int(text) if code == 0 else code
        count = 0

        def step(*args: Any) -> None:
            nonlocal count
            sql = str(args[1]) if args and isinstance(args[0], CursorWrapper) else ""
            if not sql.startswith("SELECT"):
                count += 1
                if count == last:
                    os.kill(os.getpid(), signal.SIGKILL)

        def stepping(real: Any, *, is_request: bool = False) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                step(*args)
                found = real(*args, **kwargs)
                if is_request:
                    step()
                return found

            return call

        try:
            CursorWrapper.execute = stepping(CursorWrapper.execute)  # type: ignore[method-assign]  # so that it can be killed at any statement
            BaseDatabaseWrapper._commit = stepping(BaseDatabaseWrapper._commit)
            for name in ("create", "write", "finish", "drop"):
                setattr(Milvus, name, stepping(getattr(Milvus, name), is_request=True))
            work()
            os.write(writer, str(count).encode())
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)

    def call_step(*steps: str) -> None:
        from django.core.management import call_command

        call_command(search_backend.Command(), "--model", "testapp.Picture", *steps, verbosity=0, stdout=sys.stderr)

    def fill_and_switch() -> None:
        call_step("--fill")
        call_step("--switch")

    def verify() -> None:
        """Compare the copy with what an exact search has: the same records, no more and no fewer."""
        backend, source = plugins.search_backend(), registry.get_source(Picture)
        assert backend is not None
        (version,) = backend_copies.copies_of([source], backend)
        assert version.is_in_backend
        assert not BackendChange.objects.exists()
        stored = {*Signature.objects.filter(method="angle").values_list("record_id", flat=True)}
        import numpy as np

        (hits,) = backend.find_nearest(backend_feed.collection_of(version), [np.array([1, 0], np.float32)], 1_000)
        assert {hit.record_id for hit in hits} == stored, (len(hits), len(stored))

    make_indexed(range(100, 140))
    total = run(fill_and_switch)
    assert total > 20, total
    assert run(verify) >= 0
    choices = random.Random(FIXED_SEED)
    for attempt in range(attempts):
        assert run(lambda: call_step("--drop")) >= 0
        last = choices.randint(1, total)
        assert run(fill_and_switch, last) == -signal.SIGKILL, last
        served = MethodVersion.objects.filter(is_in_backend=True)
        assert not served.filter(backend_filled_at=None).exists(), "only what is whole is searched"
        Picture.objects.order_by("?")[0].delete()
        make_indexed([150 + attempt])
        assert run(fill_and_switch) >= 0, last
        assert run(verify) >= 0, last
    print(f"{attempts} of {total} steps")


if __name__ == "__main__":
    main(int(sys.argv[1]))

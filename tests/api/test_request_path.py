"""A request for similar items reads top-down: it enters few modules of the app, and goes back and forth little."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import similar_images
from similar_images.search import neighbors, recollection
from tests.databases import VARIANT, connection
from tests.testapp.models import Picture

APP = str(Path(similar_images.__file__).parent)

MAX_OF_FIRST = (26, 167)
"""Files, and calls between them, of a request for what the process has not searched by before."""

MAX_OF_OTHERS = (25, 148)
"""The same, where it has, and something else was written since: the usual request of a busy site."""

pytestmark = pytest.mark.django_db(transaction=True)


WITHOUT_REPLICA = pytest.mark.skipif(VARIANT == "replica", reason="nothing is kept of a replica")


class PathRecorder:
    """Counts the calls from one file of the app into another, also by way of code that is not the app's."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self.files: set[str] = set()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Record an event of `sys.setprofile`."""
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(APP):
            return
        self.files.add(file)
        caller = frame.f_back
        while caller and not caller.f_code.co_filename.startswith(APP):
            caller = caller.f_back
        if caller and caller.f_code.co_filename != file:
            self.calls[caller.f_code.co_filename, file, frame.f_code.co_name] += 1

    def report(self) -> str:
        """Return the files and the calls, most frequent first."""
        files = [name[len(APP) + 1 :] for name in sorted(self.files)]
        calls = [
            f"{count} {caller[len(APP) + 1 :]} → {file[len(APP) + 1 :]}:{name}"
            for (caller, file, name), count in self.calls.most_common()
        ]
        return "\n".join([f"{len(files)} files, {self.calls.total()} calls", *files, *calls])


@pytest.fixture
def item(make_picture: Any, index_now: Any, configure: Any) -> Picture:
    configure(NEAR_DUPLICATE_THRESHOLD=85)
    pictures = [make_picture(seed) for seed in range(12)]
    index_now()
    return pictures[0]


@pytest.mark.parametrize("is_first", [True, pytest.param(False, marks=WITHOUT_REPLICA)])
def test_similar__enters_few_files_and_makes_few_calls_between_them(is_first: bool, item: Picture, client: Any) -> None:
    url = f"/api/similar-images/testapp.picture/{item.pk}/similar/?limit=6"
    client.get(url)  # what is read once a process, such as the setting, is no part of a request's path
    if is_first:
        recollection._kept_vectors_of.cache_clear()
        neighbors._place_of.cache_clear()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")  # writes, as far as kept answers go
    recorder = PathRecorder()
    sys.setprofile(recorder)
    try:
        answer = client.get(url)
    finally:
        sys.setprofile(None)
    assert len(answer.json()["results"]) == 6
    max_files, max_calls = MAX_OF_FIRST if is_first else MAX_OF_OTHERS
    assert len(recorder.files) <= max_files, recorder.report()
    assert recorder.calls.total() <= max_calls, recorder.report()

"""The matrix of visibility holds where a search backend says what is near, too.

A part of it is looked at each time; all of it, which takes as long as the matrix itself, with TEST_BACKEND_MATRIX=1.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from similar_images.backends.base import SearchBackend
from similar_images.indexing import claims, requests, worker
from similar_images.models import Signature
from tests import test_visibility_matrix as matrix
from tests.backends.conftest import AskedBackend, switch_to
from tests.test_visibility_matrix import visitors, world

__all__ = ["visitors", "world"]

SAMPLE = ("similar", "why not", "batch with another", "search like", "page")
"""Ways to ask that are looked at each time."""


@pytest.fixture
def mean_method(milvus: SearchBackend, configure: Any) -> None:
    """Configure a method that a backend finds the nearest signatures of."""
    configure(METHODS={"mean": {"class": "tests.methods.Angle"}}, RANKING={"mean": 1})


@pytest.fixture
def index_now(milvus: SearchBackend, mean_method: None, db: None) -> Callable[[], None]:
    """Index what is due, and have searches of all that is indexed ask the backend."""

    def index_now() -> None:
        requests.take_requests()
        while records := claims.claim_batch():
            worker.index_records(records)
        switch_to(milvus, *{signature.source.image_source for signature in Signature.objects.all()})

    return index_now


if os.environ.get("TEST_BACKEND_MATRIX"):
    from tests.test_visibility_matrix import *  # noqa: F403 - its tests, with the fixtures of this module
else:

    @pytest.mark.parametrize("name", SAMPLE)
    def test_unseen_objects__are_answered_like_one_that_never_was(
        name: str, visitors: list[matrix.Visitor], asked: AskedBackend
    ) -> None:
        matrix.test_unseen_objects__are_answered_like_one_that_never_was(name, visitors)
        assert asked.limits, "the backend has a part in it"

    @pytest.mark.parametrize("name", SAMPLE)
    def test_hidden_objects__neither_show_nor_count(
        name: str, visitors: list[matrix.Visitor], asked: AskedBackend
    ) -> None:
        matrix.test_hidden_objects__neither_show_nor_count_in_answers_about_others(name, visitors)
        assert asked.limits, "the backend has a part in it"


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("world", "asks_backend")]  # that of the matrix, and more

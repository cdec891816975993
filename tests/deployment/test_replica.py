"""Reads on a streaming replica, which may be behind: the writer goes by what it wrote, and nothing crashes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connections

import similar_images
from project import services
from similar_images import marks, registry
from similar_images.indexing import claims, sweep, versions
from similar_images.models import IndexedImage, Signature
from tests import postgres
from tests.databases import VARIANT
from tests.items import save_gray
from tests.methods import PX
from tests.testapp.models import Picture

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("mean_method"),
    pytest.mark.skipif(VARIANT != "", reason="it needs a replica of its own, of the server itself"),
]

SEARCH = "/api/similar-images/testapp.picture/{}/similar/"


@pytest.fixture(scope="module", autouse=True)
def server(open_folder: Callable[[], Path], django_db_setup: None) -> Iterator[services.Service]:
    """Run a replica that the primary does not wait for, with the alias `replica`."""
    with postgres.replica(os.environ["DATABASE_URL"], open_folder() / "replica", name="lagging") as server:
        primary = connections["default"].settings_dict
        options = {**primary["OPTIONS"], "host": postgres.socket_folder(server.url)}
        mirror = {"OPTIONS": options, "TEST": {**primary["TEST"], "MIRROR": "default"}}
        connections.settings["replica"] = {**primary, **mirror}
        yield server
        del connections.settings["replica"]


class Replica:
    """The replica, by the alias `replica`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def catch_up(self) -> None:
        """Wait until everything that was written is there."""
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_lsn()")
            (written,) = cursor.fetchone()
        end = time.monotonic() + 30
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not connection.execute("SELECT pg_last_wal_replay_lsn() >= %s", [written]).fetchone()[0]:
                assert time.monotonic() < end
                time.sleep(0.01)

    @contextmanager
    def behind(self) -> Iterator[None]:
        """Let the replica stay where it is."""
        self.catch_up()
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            while connection.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
                time.sleep(0.01)
            try:
                yield
            finally:
                connection.execute("SELECT pg_wal_replay_resume()")
        self.catch_up()


@pytest.fixture
def replica(server: services.Service, settings: Any, transactional_db: None) -> Iterator[Replica]:
    """Send all reads of a router to the replica."""
    settings.DATABASE_ROUTERS = ["tests.databases.ReplicaRouter"]
    yield Replica(server.url)
    connections["replica"].close()
    del connections["replica"]


@contextmanager
def refused(alias: str) -> Iterator[None]:
    """Refuse every statement to a database."""

    def refuse(execute: Any, sql: str, *args: Any) -> Any:
        raise AssertionError(f"to {alias}: {sql}")

    with connections[alias].execute_wrapper(refuse):
        yield


def found(client: Any, item: Picture) -> list[int]:
    return [int(row["pk"]) for row in client.get(SEARCH.format(item.pk)).json()["results"]]


def test_replica__is_read_by_visitors_from_save_to_deletion(replica: Replica, index_now: Any, client: Any) -> None:
    items = [save_gray(level) for level in (100, 101, 102)]
    index_now()
    replica.catch_up()
    assert found(client, items[0]) == [items[1].pk, items[2].pk]
    with refused("default"):
        assert found(client, items[0]) == [items[1].pk, items[2].pk]
        assert [match.object for match in similar_images.similar_to(items[2])] == [items[1], items[0]]
        assert list(Picture.objects.similar_to(items[0], limit=1)) == [items[1]]
    similar_images.mark(items[0], items[1], alike=False, user=User.objects.create(username="editor"))
    replica.catch_up()
    assert found(client, items[0]) == [items[2].pk]
    items[2].delete()
    replica.catch_up()
    assert found(client, items[0]) == []
    assert client.get(SEARCH.format(items[2].pk or 0)).status_code == 404


def test_writers__never_ask_the_replica(replica: Replica, index_now: Any, configure: Any) -> None:
    with refused("replica"):
        a, b = save_gray(100), save_gray(101)
        assert sweep.sweep_sources() == 2
        assert len(index_now()) == 2
        similar_images.mark(a, b, alike=False)
        assert marks.get_mark(registry.get_source(Picture), a, b) is not None
        configure(METHODS={"tests.methods.Mean": {}, "tests.methods.Bits": {}}, RANKING={"mean": 1, "bits": 1})
        assert sweep.sweep_sources() == 2
        assert len(index_now()) == 2
        assert versions.switch_versions() == []
        a.delete()
    assert IndexedImage.primary.count() == 1


def test_stale_replica__makes_no_worker_skip_or_repeat_anything(replica: Replica, index_now: Any, client: Any) -> None:
    first = save_gray(100)
    index_now()
    with replica.behind():
        second = save_gray(101)
        assert [record.object_id for record in index_now()] == [str(second.pk)]
        assert not IndexedImage.objects.filter(object_id=str(second.pk)).exists(), "the replica does not know it yet"
        assert sweep.sweep_sources() == 0
        assert claims.claim_batch() == []
        assert Signature.primary.count() == 2
        assert found(client, first) == []
        assert client.get(SEARCH.format(second.pk)).status_code == 404
        assert similar_images.similar_to(second) == []
        assert similar_images.mark(first, second, alike=True) == marks.get_mark(
            registry.get_source(Picture), first, second
        )
    assert found(client, first) == [second.pk]


def test_stale_replica__is_searched_by_the_versions_that_it_has(
    replica: Replica, index_now: Any, configure: Any
) -> None:
    configure(METHODS={"tests.methods.Grid": {"side": 2}}, RANKING={"grid": 1})
    first, second = save_gray(100), save_gray(101)
    index_now()
    with replica.behind():
        configure(METHODS={"tests.methods.Grid": {"side": 3}})
        assert sweep.sweep_sources() == 2
        assert len(index_now()) == 2
        assert {row.version for row in versions.switch_versions()} == {f"side3{PX}"}
        assert [match.object for match in similar_images.similar_to(first)] == [second]
    assert [match.object for match in similar_images.similar_to(first)] == [second]


def test_queryset__that_names_the_primary_may_restrict_a_search_on_the_replica(
    replica: Replica, index_now: Any
) -> None:
    items = [save_gray(level) for level in (100, 101, 102)]
    index_now()
    replica.catch_up()
    named = Picture.objects.using("default").exclude(pk=items[1].pk)
    for queryset in (named, named[:5]):
        assert [match.object for match in similar_images.similar_to(items[0], queryset=queryset)] == items[2:]
    assert list(named.similar_to(items[0])) == items[2:]

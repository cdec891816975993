"""Sites whose nearest signatures are found by pgvector, or by Milvus Lite, in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from similar_images import plugins, registry
from similar_images.backends.base import BackendError, Collection, SearchBackend
from similar_images.indexing import backend_copies, backend_feed, versions
from similar_images.models import IndexedImage, MethodVersion, Signature, Source
from similar_images.search import backend_candidates, selectivity
from similar_images.signatures import storage
from similar_images.sources.source import ImageSource
from tests.methods import Angle, loaded
from tests.testapp.models import Picture

pytest.importorskip("pymilvus", reason="NO SEARCH BACKEND: pip install pymilvus[milvus-lite]")


@pytest.fixture(scope="session")
def lite_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the path of a database of Milvus Lite, and stop its server in the end: that takes two seconds."""
    from milvus_lite.server_manager import server_manager_instance

    uri = str(tmp_path_factory.mktemp("milvus") / "milvus.db")
    yield uri
    server_manager_instance.release_server(uri)


@pytest.fixture
def milvus(lite_uri: str, configure: Any) -> SearchBackend:
    """Name Milvus Lite in the setting; nothing is searched by it yet."""
    configure(SEARCH_BACKEND={"class": "milvus", "uri": lite_uri, "timeout": 30})
    backend_candidates._resting.clear()
    backend = plugins.search_backend()
    assert backend is not None
    for attempts_left in reversed(range(5)):
        try:
            backend.count(Collection("similar_images_none", 2, "cosine"))
            break
        except BackendError:  # on a busy machine, the server in this process may take long to begin
            if not attempts_left:
                raise
    return backend


def switch_to(backend: SearchBackend, *models: Any) -> list[MethodVersion]:
    """Fill the copies of all versions of sources, or of models', that a backend can serve, and search by them."""
    sources = [model if isinstance(model, ImageSource) else registry.get_source(model) for model in models]
    copies = backend_copies.copies_of(sources, backend)
    for version in copies:
        backend_copies.begin_fill(backend, version)
        for _size in backend_feed.fill(backend, version):
            pass
    backend_copies.switch(copies)
    return copies


def make_indexed(levels: Iterable[int], **fields: Any) -> list[Picture]:
    """Make pictures of gray levels, which are their titles, as if they were indexed by `Angle`; no file is written."""
    method, source_id = loaded(Angle), Source.objects.get_id(registry.get_source(Picture))
    pictures = [Picture(title=str(level), image=f"pictures/{level}.png", **fields) for level in levels]
    pictures = Picture.objects.bulk_create(pictures)
    versions.register_versions()
    records = IndexedImage.objects.filter(object_key__in=[picture.pk for picture in pictures], source_id=source_id)
    records.update(status=IndexedImage.Status.INDEXED, width=8, height=8, indexed_at=timezone.now())
    titles = {picture.pk: int(picture.title) for picture in pictures}
    Signature.objects.bulk_create(
        Signature(
            record=record,
            source_id=source_id,
            method=method.name,
            version=method.version,
            dense=storage.pack(method, method.compute(np.full((1, 1, 3), titles[record.object_key], np.uint8))),
        )
        for record in records
    )
    return pictures


@pytest.fixture
def asks_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small sources ask the backend, too, where filters leave few records, which are else compared each."""
    monkeypatch.setattr(selectivity, "VISIT_COST", 0)


class AskedBackend:
    """Counts the requests to a backend, and the hits that it gave."""

    def __init__(self, backend: SearchBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        self.limits: list[int] = []
        self.conditions: list[Any] = []
        real = type(backend).find_nearest

        def find_nearest(backend: Any, collection: Any, queries: Any, limit: int, conditions: Any = ()) -> Any:
            self.limits.append(limit)
            self.conditions.append(list(conditions))
            return real(backend, collection, queries, limit, conditions)

        monkeypatch.setattr(type(backend), "find_nearest", find_nearest)


@pytest.fixture
def asked(milvus: SearchBackend, monkeypatch: pytest.MonkeyPatch) -> AskedBackend:
    return AskedBackend(milvus, monkeypatch)


@pytest.fixture(params=["pgvector", "milvus"])
def make_searchable(request: pytest.FixtureRequest, asks_backend: None) -> Callable[[], None]:
    """Give the function that makes what was indexed searchable: by pgvector, which it is at once, or by Milvus."""
    if request.param == "pgvector":
        return lambda: None
    backend = request.getfixturevalue("milvus")

    def switch() -> None:
        switch_to(backend, Picture)

    return switch

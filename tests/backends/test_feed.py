"""The feed: what PostgreSQL has and a backend has not gets there once, or again, and what is gone goes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from django.db import connections

import similar_images
from similar_images import registry
from similar_images.backends.base import BackendError, SearchBackend
from similar_images.indexing import backend_copies, backend_feed, backend_triggers, pruning, versions
from similar_images.models import BackendChange, IndexedImage, MethodVersion, Signature, Source, write_alias
from tests.backends.conftest import make_indexed, switch_to
from tests.items import save_gray
from tests.testapp.models import Picture, Shelf

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _angle_method(configure: Any) -> None:
    configure(METHODS={"tests.methods.Angle": {}}, RANKING={"angle": 1})


@pytest.fixture
def pictures(db: None) -> list[Picture]:
    return make_indexed(range(100, 107))


def version_of() -> MethodVersion:
    source_id = Source.objects.get_id(registry.get_source(Picture))
    return MethodVersion.objects.get(source_id=source_id, name="angle", is_active=True)


def copied_objects(backend: SearchBackend) -> set[str]:
    """Return the titles of the objects of all records in the copy, "?" for one that has no record."""
    query = np.array([1, 0], np.float32)
    (hits,) = backend.find_nearest(backend_feed.collection_of(version_of()), [query], 1_000)
    objects = dict(IndexedImage.objects.values_list("pk", "object_id"))
    titles = {str(pk): title for pk, title in Picture.objects.values_list("pk", "title")}
    return {titles.get(objects.get(hit.record_id, ""), "?") for hit in hits}


def drain(batches: Iterable[int]) -> int:
    return sum(batches)


def trigger_names() -> set[str]:
    with connections[write_alias()].cursor() as cursor:
        cursor.execute("SELECT DISTINCT tgname FROM pg_trigger WHERE tgname LIKE 'similar_images_note%%'")
        return {name for (name,) in cursor.fetchall()}


def test_projects_without_a_backend__have_no_triggers_and_no_changes(pictures: list[Picture]) -> None:
    assert trigger_names() == set()
    assert not BackendChange.objects.exists()
    backend_feed.feed_quietly()
    backend_copies.follow_versions()
    assert version_of().backend_cursor is None


def test_fill__copies_all_and_goes_on_where_it_ended(
    pictures: list[Picture], milvus: SearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_feed, "FEED_CHUNK", 2)
    backend_copies.begin_fill(milvus, version_of())
    assert next(backend_feed.fill(milvus, version_of())) == 2
    assert len(copied_objects(milvus)) == 2
    assert version_of().backend_filled_at is None
    assert drain(backend_feed.fill(milvus, version_of())) == 5
    assert copied_objects(milvus) == {picture.title for picture in pictures}
    assert version_of().backend_filled_at is not None
    assert drain(backend_feed.fill(milvus, version_of())) == 0


def test_fill__does_nothing_to_a_copy_that_was_not_begun_in_full(
    pictures: list[Picture], milvus: SearchBackend
) -> None:
    """As by a process that was killed before the triggers were there."""
    assert drain(backend_feed.fill(milvus, version_of())) == 0
    MethodVersion.objects.update(backend_cursor=backend_feed.NOT_BEGUN)
    assert drain(backend_feed.fill(milvus, version_of())) == 0
    assert version_of().backend_filled_at is None


def test_switch__takes_no_copy_that_is_not_filled(pictures: list[Picture], milvus: SearchBackend) -> None:
    backend_copies.begin_fill(milvus, version_of())
    backend_copies.switch([version_of()])
    assert not version_of().is_in_backend
    drain(backend_feed.fill(milvus, version_of()))
    backend_copies.switch([version_of()])
    assert version_of().is_in_backend


def test_changes__of_all_kinds_are_fed(pictures: list[Picture], milvus: SearchBackend, index_now: Any) -> None:
    switch_to(milvus, Picture)
    save_gray(110)
    Picture.objects.filter(pk=pictures[0].pk).delete()
    with connections[write_alias()].cursor() as cursor:
        cursor.execute("DELETE FROM testapp_picture WHERE id = %s", [pictures[1].pk])
    other = save_gray(120)
    Picture.objects.filter(pk=pictures[2].pk).update(image=other.image.name, title="replaced")
    index_now()
    assert BackendChange.objects.count() >= 4
    assert drain(backend_feed.feed_changes(milvus)) >= 4
    assert copied_objects(milvus) == {"103", "104", "105", "106", "110", "120", "replaced"}
    assert not BackendChange.objects.exists()


def test_changes__before_the_filling_comes_to_them_make_no_difference(
    pictures: list[Picture], milvus: SearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_feed, "FEED_CHUNK", 2)
    backend_copies.begin_fill(milvus, version_of())
    filling = backend_feed.fill(milvus, version_of())
    next(filling)
    Picture.objects.filter(title__in=["100", "105"]).delete()
    drain(filling)
    drain(backend_feed.feed_changes(milvus))
    assert copied_objects(milvus) == {"101", "102", "103", "104", "106"}


def test_changes__are_told_again_where_the_backend_took_them_and_the_process_died(
    pictures: list[Picture], milvus: SearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_to(milvus, Picture)
    pictures[0].delete()
    real = milvus.write

    def write(*args: Any) -> None:
        real(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(milvus, "write", write)
        drain(backend_feed.feed_changes(milvus))
    assert BackendChange.objects.count() == 1
    assert drain(backend_feed.feed_changes(milvus)) == 1
    assert copied_objects(milvus) == {str(level) for level in range(101, 107)}


def test_feed_quietly__keeps_the_changes_while_the_backend_is_down(
    pictures: list[Picture], milvus: SearchBackend, configure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    switch_to(milvus, Picture)
    pictures[0].delete()
    configure(SEARCH_BACKEND={"class": "milvus", "uri": "http://127.0.0.1:9", "timeout": 0.2})
    backend_feed.feed_quietly()
    backend_copies.follow_versions()
    assert "could not be told of changes" in caplog.text
    assert "a sweep could not reach it" in caplog.text
    assert BackendChange.objects.count() == 1


def test_attributes__are_those_of_the_filters_and_follow_their_objects(
    pictures: list[Picture], milvus: SearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_sources", registry._sources.copy())
    similar_images.register(Picture, "image", filters=["shelf", "published"])
    switch_to(milvus, Picture)
    assert version_of().backend_attributes == ["shelf_id", "published"]
    Picture.objects.filter(pk=pictures[0].pk).update(title="other")
    assert not BackendChange.objects.exists(), "no filter goes by the title"
    Picture.objects.filter(pk=pictures[0].pk).update(shelf=Shelf.objects.create())
    assert BackendChange.objects.count() == 1


def test_drop_copy__leaves_nothing(pictures: list[Picture], milvus: SearchBackend) -> None:
    (version,) = switch_to(milvus, Picture)
    collection = backend_feed.collection_of(version)
    assert milvus.count(collection) == 7
    events = ("insert", "update", "delete")
    assert trigger_names() == {f"{backend_triggers.SIGNATURE_FUNCTION}_{event}" for event in events}
    pictures[0].delete()
    backend_copies.drop_copy(milvus, version)
    assert milvus.count(collection) is None
    assert trigger_names() == set()
    assert not BackendChange.objects.exists()
    assert not version_of().is_in_backend
    with pytest.raises(BackendError):
        milvus.find_nearest(collection, [np.ones(2, np.float32)], 1)


def test_follow_versions__takes_the_next_version_to_the_backend_and_deletes_the_former(
    pictures: list[Picture], milvus: SearchBackend, configure: Any
) -> None:
    (old,) = switch_to(milvus, Picture)
    configure(METHODS={"tests.methods.Angle": {"trim": True}})
    versions.register_versions()
    new = MethodVersion.objects.exclude(version=old.version).get(source_id=old.source_id, name="angle")
    for signature in Signature.objects.filter(method="angle"):
        signature.pk, signature.version = None, new.version
        signature.save()
    backend_copies.follow_versions()
    new.refresh_from_db()
    assert (new.is_active, new.is_in_backend) == (False, True), "it has its copy before it is switched to"
    versions.switch_versions()
    assert version_of() == new
    backend_copies.follow_versions()
    old.refresh_from_db()
    assert old.backend_cursor is None
    assert milvus.count(backend_feed.collection_of(old)) is None
    assert milvus.count(backend_feed.collection_of(new)) == 7
    drain(pruning.prune_versions([registry.get_source(Picture)]))
    backend_copies.follow_versions()
    assert drain(backend_feed.feed_changes(milvus)) == 0


def test_follow_versions__goes_on_with_a_fill_that_was_left(
    pictures: list[Picture], milvus: SearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_feed, "FEED_CHUNK", 2)
    backend_copies.begin_fill(milvus, version_of())
    next(backend_feed.fill(milvus, version_of()))
    backend_copies.follow_versions()
    assert version_of().backend_filled_at is not None
    assert not version_of().is_in_backend, "whoever fills switches"


def test_images_without_detail__are_not_copied(pictures: list[Picture], milvus: SearchBackend) -> None:
    Signature.objects.filter(record__object_id=str(pictures[0].pk)).update(low_detail=True)
    switch_to(milvus, Picture)
    assert copied_objects(milvus) == {str(level) for level in range(101, 107)}
    assert backend_copies.count_signatures(version_of()) == 6

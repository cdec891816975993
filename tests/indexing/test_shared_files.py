"""A file that several objects have: who overwrites it for one does so for all."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connections

import similar_images
from similar_images import registry
from similar_images.imaging.files import sha256_of
from similar_images.indexing import requests
from similar_images.models import IndexedImage, ReindexRequest
from tests import drawing
from tests.databases import ALIAS
from tests.indexing.faults import pass_time, set_storage
from tests.testapp.models import Picture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("mean_method")]


class Slow(FileSystemStorage):
    """Overwrites files; before it does, calls `meanwhile`."""

    meanwhile: Any = staticmethod(lambda name: None)

    def _save(self, name: str, content: Any) -> str:
        self.meanwhile(name)
        return super()._save(name, content)


@pytest.fixture
def storage(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Slow:
    storage = Slow(settings.MEDIA_ROOT, allow_overwrite=True)
    set_storage(monkeypatch, storage)
    return storage


@pytest.fixture
def overwritten(storage: Slow, index_now: Any) -> list[Picture]:
    """Overwrite the file of the first; the second is given the same one, and is indexed, before the bytes are there."""
    first = Picture.objects.create(image=drawing.file(1, "shared.png"))
    index_now()
    items = [first]

    def share(name: str) -> None:
        items.append(Picture.objects.create(image=name))
        index_now()

    storage.meanwhile = share
    first.image.save("shared.png", drawing.file(2))
    return items


def test_overwritten_file__of_an_object_that_got_it_meanwhile_is_indexed_anew(
    overwritten: list[Picture], storage: Slow, index_now: Any
) -> None:
    requests.take_requests()
    index_now()
    with storage.open(overwritten[0].image.name) as file:
        current = sha256_of(file.read())
    assert list(IndexedImage.objects.values_list("status", "sha256")) == [("indexed", current)] * 2


def test_overwritten_file__no_object_that_has_it_is_found_until_then(overwritten: list[Picture]) -> None:
    with drawing.file(1).open() as old:
        assert similar_images.similar_to(old, model=Picture) == []
    sharer = overwritten[1]
    source = registry.get_source(Picture)
    assert IndexedImage.objects.get_status(source, sharer.pk) == "pending"


def test_overwritten_file__waits_for_every_object_that_has_it(overwritten: list[Picture], index_now: Any) -> None:
    other = connections.create_connection(ALIAS)
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM testapp_picture WHERE id = %s FOR UPDATE", [overwritten[1].pk])
        assert requests.take_requests() == 0
        other.rollback()
    finally:
        other.close()
    assert ReindexRequest.objects.exists()
    assert requests.take_requests() == 1
    index_now()
    assert IndexedImage.objects.values("sha256").distinct().count() == 1


def test_overwritten_file__is_requested_although_the_object_that_was_saved_is_deleted(
    storage: Slow, index_now: Any
) -> None:
    """The writer dies once the bytes are there; others have the file, too."""
    first = Picture.objects.create(image=drawing.file(1, "shared.png"))
    sharer = Picture.objects.create(image=first.image.name)
    index_now()
    assert requests.request_before_write(first.image, first.image.name)
    storage.save(first.image.name, drawing.file(2))
    Picture.objects.filter(pk=first.pk).delete()
    source = registry.get_source(Picture)
    with drawing.file(1).open() as old:
        assert similar_images.similar_to(old, model=Picture) == []
    assert IndexedImage.objects.get_status(source, sharer.pk) == "pending"
    assert requests.take_requests() == 0, "it is not due yet"
    pass_time(seconds=400)
    assert requests.take_requests() == 1
    index_now()
    with drawing.file(2).open() as new:
        (match,) = similar_images.similar_to(new, model=Picture)
    assert (match.object, match.similarity) == (sharer, 100)

"""What an upload repeats, for integrations."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile

from similar_images import registry
from similar_images.search import known_images
from similar_images.search.known_images import find_known_images
from tests import drawing
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def pictures(make_picture: Any, index_now: Any) -> list[Picture]:
    pictures = [make_picture(1), make_picture(1), make_picture(2)]
    index_now()
    return pictures


def test_known_images__are_those_of_the_same_bytes_and_near_duplicates(pictures: list[Picture]) -> None:
    source = registry.get_source(Picture)
    data = drawing.file(1).read()
    found = find_known_images(source, data, Picture.objects.all())
    assert [(known.object, known.is_same_file) for known in found] == [(picture, True) for picture in pictures[:2]]
    assert find_known_images(source, data, Picture.objects.filter(pk=pictures[2].pk)) == []


def test_known_images__of_the_file_of_an_object_without_itself(pictures: list[Picture]) -> None:
    first, second, _other = pictures
    found = find_known_images(registry.get_source(Picture), first.image, Picture.objects.all(), [first.pk])
    assert [known.object for known in found] == [second]


@pytest.mark.parametrize("data", [b"", b"no image"])
def test_known_images__of_what_is_no_image_are_none(data: bytes, pictures: list[Picture]) -> None:
    assert find_known_images(registry.get_source(Picture), data, Picture.objects.all()) == []


def test_known_images__never_raises_for_the_storage(pictures: list[Picture], caplog: Any) -> None:
    gone = Picture.objects.create(image=ContentFile(drawing.file(3).read(), name="gone.png"))
    gone.image.storage.delete(gone.image.name)
    assert find_known_images(registry.get_source(Picture), gone.image, Picture.objects.all()) == []


def test_known_images__that_take_too_long_are_left_out(
    pictures: list[Picture], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def time_out(*args: Any, **kwargs: Any) -> Any:
        raise known_images.SearchTimeout

    monkeypatch.setattr(known_images, "find_near_duplicates", time_out)
    found = find_known_images(registry.get_source(Picture), drawing.file(1).read(), Picture.objects.all())
    assert [known.object for known in found] == pictures[:2]
    assert "was not looked up" in caplog.text


def test_known_images__with_no_time_left_leave_the_transaction_alone(pictures: list[Picture], caplog: Any) -> None:
    slow = Picture.objects.extra(where=["pg_sleep(1) IS NOT NULL"])
    assert find_known_images(registry.get_source(Picture), drawing.file(1).read(), slow, timeout=0.0001) == []
    assert "statement timeout" in caplog.text
    assert Picture.objects.count() == 3

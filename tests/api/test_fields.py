"""The field for serializers of the project's own."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.test import APIRequestFactory

from similar_images.api.fields import SimilarItemsField
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db


class PictureSerializer(serializers.Serializer[Any]):
    similar = SimilarItemsField(limit=1, options={"fold": False})


class FrameSerializer(serializers.Serializer[Any]):
    similar = SimilarItemsField(source="picture", options={"fold": False})


def serialize(serializer: type[serializers.Serializer[Any]], item: Any) -> Any:
    return serializer(item, context={"request": APIRequestFactory().get("/")}).data["similar"]


def test_field__has_the_matches_of_the_object(make_picture: Any, index_now: Any) -> None:
    item, near, _far = make_picture(1), make_picture(1), make_picture(2)
    index_now()
    (match,) = serialize(PictureSerializer, item)
    assert (match["model"], match["pk"], match["similarity"]) == ("testapp.picture", str(near.pk), 100.0)
    assert match["image"] == f"http://testserver{near.image.url}"


def test_field__is_about_the_object_that_source_names(make_picture: Any, index_now: Any) -> None:
    item, other = make_picture(1), make_picture(1)
    index_now()
    assert [match["pk"] for match in serialize(FrameSerializer, {"picture": item})] == [str(other.pk)]
    assert serialize(FrameSerializer, {"picture": None}) is None
    assert serialize(FrameSerializer, {"picture": Picture.objects.create(title="no image")}) == []

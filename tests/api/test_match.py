"""What a JSON match has of the project's own: a thumbnail, and what its serializer says of the object."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rest_framework import serializers

from similar_images import registry
from similar_images.api.serializers.search import MatchesSerializer
from similar_images.thumbnails import Thumbnail
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db


class PictureSerializer(serializers.ModelSerializer):
    class Meta:
        model = Picture
        fields = ["title", "published"]


def make_thumbnail(file: Any) -> Thumbnail:
    return Thumbnail("/small.jpg", 320, 240, "/small.jpg 320w, https://cdn.example.com/large.jpg 640w")


@pytest.fixture
def row(make_picture: Any, index_now: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the first match under other options of the source."""
    item, _other = make_picture(1), make_picture(1)
    index_now()
    source = registry.get_source(Picture)

    def row(**options: Any) -> dict[str, Any]:
        sources = {**registry._sources, (Picture, "image"): replace(source, **options)}
        monkeypatch.setattr(registry, "_sources", sources)
        answer = client.get(f"/api/similar-images/testapp.picture/{item.pk}/similar/").json()
        body = {"ids": [item.pk]}
        batch = client.post("/api/similar-images/testapp.picture/similar/batch/", body, content_type="application/json")
        assert batch.json()["results"][0]["results"] == answer["results"]
        return dict(answer["results"][0])

    return row


def test_thumbnail__stands_beside_the_image_with_absolute_addresses(row: Any) -> None:
    assert row()["thumbnail"] is None
    match = row(thumbnail=make_thumbnail)
    assert match["image"].startswith("http://testserver/")
    assert match["thumbnail"] == {
        "url": "http://testserver/small.jpg",
        "width": 320,
        "height": 240,
        "srcset": "http://testserver/small.jpg 320w, https://cdn.example.com/large.jpg 640w",
    }
    assert row(thumbnail=lambda file: None)["thumbnail"] is None


@pytest.mark.parametrize("serializer", [PictureSerializer, "tests.api.test_match.PictureSerializer"])
def test_serializer__says_what_object_has(row: Any, serializer: Any) -> None:
    assert "object" not in row()
    assert row(serializer=serializer)["object"] == {"title": "Scene 1", "published": True}


def test_answer__has_the_fields_that_the_schema_declares(
    make_picture: Any, index_now: Any, client: Any, configure: Any
) -> None:
    item, other = make_picture(1), make_picture(1)
    index_now()
    base = f"/api/similar-images/testapp.picture/{item.pk}/similar/"
    answer = client.get(base, {"explain": "1", "why_not": str(other.pk)}).json()
    compared = client.get(base, {"mode": "copy"}).json()
    declared = MatchesSerializer().fields
    assert list(answer) == list(declared)
    assert set(answer["query"]) == set(declared["query"].fields) - {"text", "labels", "upload"}
    assert list(answer["why_not"]) == list(declared["why_not"].fields)
    fields = declared["results"].child.fields
    match = answer["results"][0]
    assert {*match, *compared["results"][0]} == set(fields) - {"object"}
    assert list(match) == [name for name in fields if name not in ("object", "verdict")]
    assert list(match["explanation"]) == list(fields["explanation"].fields)

"""The OpenAPI document says what this site offers: filters of its sources, and nothing that is off or not installed."""

from __future__ import annotations

from typing import Any

import django_filters
import pytest

import similar_images
from similar_images import registry
from similar_images.api.schema import generate_document
from tests import drawing
from tests.testapp.models import Item, NamedPicture, Photo, Picture, Shelf

pytestmark = pytest.mark.django_db

API = "/api/similar-images"
SIMILAR = f"{API}/{{model}}/{{pk}}/similar/"


@pytest.fixture(autouse=True)
def _only_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the sources of this app's own tests alone registered, and let each test register more."""
    sources = {key: source for key, source in registry._sources.items() if key[0]._meta.app_label == "testapp"}
    monkeypatch.setattr(registry, "_sources", sources)


def parameters(path: str, method: str = "get") -> dict[str, Any]:
    operation = generate_document()["paths"][path][method]
    return {each["name"]: each for each in operation["parameters"]}


def body_fields(path: str) -> dict[str, Any]:
    document = generate_document()
    (content,) = document["paths"][path]["post"]["requestBody"]["content"].values()
    return dict(document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]["properties"])


class PictureFilters(django_filters.FilterSet):
    title = django_filters.MultipleChoiceFilter(choices=[("a", "A"), ("b", "B")])
    keys = django_filters.BaseInFilter(field_name="id", label="Keys")
    key = django_filters.RangeFilter(field_name="id", label="Key")
    shelf__name = django_filters.ChoiceFilter(choices=[("upper", "Upper")], label="Shelf")
    visible = django_filters.BooleanFilter(field_name="published")

    class Meta:
        model = Picture
        fields: list[str] = []


def test_filters__are_parameters_wherever_they_are_taken() -> None:
    found = parameters(SIMILAR)
    assert found["price__lte"]["schema"] == {"type": "number"}
    assert "For testapp.item, testapp.photo." in found["price__lte"]["description"]
    assert found["shelf"]["schema"]["type"] == "integer"
    assert not found["shelf__name"].get("required")
    for path in (f"{API}/search/", f"{API}/{{model}}/similar/batch/"):
        fields = body_fields(path)
        assert fields["price__lte"]["type"] == "number"
        assert "For testapp.item" in fields["price__lte"]["description"]


def test_filters__of_a_filterset_have_their_types_and_styles() -> None:
    similar_images.register(Picture, "image", filters=PictureFilters)
    found = parameters(SIMILAR)
    assert found["title"]["schema"] == {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}
    assert found["title"]["explode"] is True
    assert (found["keys"]["schema"]["type"], found["keys"]["explode"]) == ("array", False)
    assert {"key_min", "key_max"} <= set(found)
    assert found["visible"]["schema"] == {"type": "boolean"}
    assert found["shelf__name"]["schema"] == {"anyOf": [{"type": "string", "enum": ["upper"]}, {"type": "string"}]}
    assert "testapp.picture, testapp.item, testapp.photo." in found["shelf__name"]["description"]
    fields = body_fields(f"{API}/{{model}}/similar/batch/")
    assert fields["keys"]["type"] == "string"
    assert fields["title"]["type"] == "array"


@pytest.mark.parametrize("filters", ["tests.nothing.Filters", ["nope"], object])
def test_filters__that_are_wrong_leave_the_document_whole(filters: Any) -> None:
    similar_images.register(NamedPicture, "image", filters=filters)
    assert "price__lte" in parameters(SIMILAR)


def test_filters__are_taken_as_the_document_says_and_refused_for_other_models(client: Any, index_now: Any) -> None:
    similar_images.register(Picture, "image", filters=PictureFilters)
    shelf = Shelf.objects.create(name="upper")
    items = [Item.objects.create(name=str(number), price=number, shelf=shelf) for number in range(3)]
    pictures = [Picture.objects.create(image=drawing.file(1), title=title, shelf=shelf) for title in "abab"]
    for item in items:
        Photo.objects.create(item=item, image=drawing.file(1))
    index_now()

    def similar(item: Any, query: dict[str, Any], status: int = 200) -> Any:
        url = f"{API}/{item._meta.label_lower}/{item.pk}/similar/"
        answer = client.get(url, query)
        assert answer.status_code == status, answer.json()
        return [row["pk"] for row in answer.json()["results"]] if status == 200 else set(answer.json()["errors"])

    def batch(item: Any, data: dict[str, Any], status: int = 200) -> Any:
        url = f"{API}/{item._meta.label_lower}/similar/batch/"
        answer = client.post(url, {"ids": [item.pk], **data}, "application/json")
        assert answer.status_code == status, answer.json()
        if status != 200:
            return set(answer.json()["errors"])
        return [row["pk"] for row in answer.json()["results"][0]["results"]]

    first, second, third, fourth = (str(item.pk) for item in pictures)
    assert similar(items[0], {"price__lte": 1, "shelf": shelf.pk}) == [str(items[1].pk)]
    assert batch(items[0], {"price__lte": 1.0, "shelf": shelf.pk}) == [str(items[1].pk)]
    for ask in (similar, batch):
        assert sorted(ask(pictures[0], {"title": ["a", "b"]})) == [second, third, fourth]
        assert ask(pictures[0], {"title": ["a"], "visible": "true"}) == [third]
        assert ask(pictures[0], {"keys": f"{first},{second}"}) == [second]
        assert ask(pictures[0], {"key_min": second, "key_max": third, "title": ["b"]}) == [second]
        assert ask(pictures[0], {"price__lte": 1}, 400) == {"price__lte"}
        assert ask(items[0], {"visible": "true"}, 400) == {"visible"}
    assert batch(pictures[0], {"title": ["a"], "visible": True}) == [third]
    assert batch(pictures[0], {"title": None, "visible": False}) == []


def test_off__is_not_in_the_document_nor_taken(client: Any, configure: Any, make_picture: Any) -> None:
    assert {"rerank", "why_not", "box"} <= set(parameters(SIMILAR))
    item = make_picture(1)
    configure(COPY="nobody", RERANK="nobody", WHY_NOT="nobody")
    found = parameters(SIMILAR)
    assert "why_not" not in found
    for name, offered in (("mode", ["similar"]), ("rerank", ["neighbors"])):
        assert found[name]["schema"]["enum"] == offered
        assert generate_document()["components"]["schemas"][f"{name.title()}Enum"]["enum"] == offered
    assert "why_not" not in body_fields(f"{API}/search/")
    url = f"{API}/testapp.picture/{item.pk}/similar/"
    answer = client.get(url, {"rerank": "keypoints", "mode": "copy", "why_not": "1"})
    assert set(answer.json()["errors"]) == {"rerank", "mode", "why_not"}
    assert answer.json()["errors"]["rerank"] == [
        "Select a valid choice. keypoints is not one of the available choices."
    ]
    assert client.get(url, {"rerank": "neighbors"}).status_code == 200
    configure(COMPARE="nobody", SEARCH_BY_PICTURE="nobody")
    document = generate_document()
    assert not {f"{API}/search/", f"{API}/compare/"} & set(document["paths"])
    assert not {"Search", "Comparison"} & set(document["components"]["schemas"])
    assert "box" not in parameters(SIMILAR)
    assert client.get(url, {"box": "0,0,1,1"}).status_code == 400


def test_text__is_in_the_document_where_a_method_understands_it(configure: Any) -> None:
    assert set(generate_document()["paths"][f"{API}/search/"]) == {"post"}
    configure(METHODS={"tests.methods.SlowReader": {}, "color": {}}, RANKING={"color": 1})
    found = parameters(f"{API}/search/")
    assert found["text"]["required"]
    assert found["method"]["schema"]["enum"] == ["mean"]
    assert "price__lte" in found

"""REST: comparing two images, the contract to the letter."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

import similar_images
from similar_images.comparison.compare import compare_opened
from similar_images.measures.verdict import GeometricTransform, Verdict
from tests import drawing
from tests.drawing import upload
from tests.items import comparison_key
from tests.testapp.models import Couple, Item, NamedPicture, Photo, Picture, Private

pytestmark = pytest.mark.django_db

API = "/api/similar-images"


@pytest.fixture(autouse=True)
def _measures(configure: Any) -> None:
    configure(MEASURES={"tests.measures.sample_measures.Brightness": {}}, COMPARE_MEASURES=["brightness", "phash"])


def compare(client: Any, a: Any, b: Any, **fields: Any) -> Any:
    return client.post(f"{API}/compare/", {"a": a, "b": b} | fields)


def test_compare__takes_the_owner_of_images_by_the_first_that_may_be_seen(client: Any) -> None:
    item, hidden = Item.objects.create(name="1"), Item.objects.create(name="2", published=False)
    photos = [Photo.objects.create(item=item, image=drawing.file(seed)) for seed in (3, 4)]
    Photo.objects.create(item=hidden, image=drawing.file(5))
    answer = compare(client, upload(3), f"testapp.item:{item.pk}").json()
    assert (answer["b"]["model"], answer["b"]["pk"]) == ("testapp.photo", str(photos[0].pk))
    assert answer["verdict"]["kind"] == "same-file"
    refused = [compare(client, upload(3), f"testapp.item:{pk}") for pk in (hidden.pk, 0)]
    assert [each.status_code for each in refused] == [400, 400]
    assert refused[0].content == refused[1].content


def test_compare__has_the_documented_fields(client: Any, make_picture: Any) -> None:
    item = make_picture(2)
    answer = compare(client, upload(1), comparison_key(item))
    assert answer.status_code == 200
    data = answer.json()
    (one, other) = (data.pop(name) for name in ("a", "b"))
    assert one.pop("image").startswith("http://testserver/api/similar-images/compare/")
    assert one == {"title": "scene1.png", "width": 160, "height": 120, "url": ""}
    assert other == {
        "title": "Scene 2",
        "width": 160,
        "height": 120,
        "image": f"http://testserver{item.image.url}",
        "url": item.get_absolute_url(),
        "model": "testapp.picture",
        "field": "image",
        "pk": str(item.pk),
    }
    brightness, phash = data.pop("measures")
    means = brightness["details"]["means"]
    assert 0 <= brightness.pop("seconds") < 5
    assert brightness == {
        "name": "brightness",
        "title": "Brightness",
        "meaning": "How much brighter one of the two is.",
        "value": abs(means[0] - means[1]),
        "best": 0.0,
        "worst": None,
        "similarity": round(100 - abs(means[0] - means[1]) / 2.55, 1),
        "details": {"means": means},
        "problem": "",
    }
    assert (phash["name"], phash["best"], phash["worst"]) == ("phash", 0.0, 64.0)
    pictures = data.pop("pictures")
    assert [(picture["measure"], picture["name"], picture["title"]) for picture in pictures] == [
        ("brightness", "brightness-pair", "Both pictures"),
        ("brightness", "brightness-light", "Their light"),
    ]
    verdict = similar_images.compare(upload(1), item).verdict
    assert data == {
        "verdict": {
            "kind": verdict.kind,
            "title": verdict.title,
            "text": verdict.text,
            "changes": [],
            "transform": None,
            "probability": verdict.probability,
        },
        "complete": True,
    }


def test_compare__agrees_with_python(client: Any, make_picture: Any) -> None:
    a, b = make_picture(1), make_picture(2)
    expected = similar_images.compare(a, b)
    data = compare(client, comparison_key(a), comparison_key(b), measures="all").json()
    assert [row["name"] for row in data["measures"]] == list(expected)
    for row in data["measures"]:
        assert (row["value"], row["similarity"]) == (expected[row["name"]].value, expected[row["name"]].similarity)
    names = [
        row["name"]
        for row in compare(client, comparison_key(a), comparison_key(b), measures=" ahash, phash,").json()["measures"]
    ]
    assert names == ["ahash", "phash"]


def test_compare__returns_the_transform(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    transform = GeometricTransform(True, 90.0, 0.5, (0.0, 0.1, 0.5, 0.9), (0.0, 0.0, 1.0, 1.0))
    verdict = Verdict("edited-picture", ("cropped", "mirrored"), transform, probability=0.9)
    monkeypatch.setattr(
        "similar_images.comparison.results.compare_opened",
        lambda *a, **k: replace(compare_opened(*a, **k), verdict=verdict),
    )
    verdict_json = compare(client, upload(1), upload(2)).json()["verdict"]
    assert verdict_json["changes"] == ["cropped", "mirrored"]
    assert verdict_json["transform"] == {
        "is_mirrored": True,
        "angle": 90.0,
        "scale": 0.5,
        "part": [0.0, 0.1, 0.5, 0.9],
        "whole": [0.0, 0.0, 1.0, 1.0],
        "stretch": 0.0,
    }
    assert verdict_json["probability"] == 0.9


def test_compare__images_can_be_fetched(client: Any) -> None:
    data = compare(client, upload(1), upload(2)).json()
    assert "pk" not in data["a"]
    for address in (data["a"]["image"], data["b"]["image"], *(picture["url"] for picture in data["pictures"])):
        answer = client.get(address)
        assert answer["Content-Type"] == "image/png"
        Image.open(io.BytesIO(answer.content)).verify()
    assert client.get(data["pictures"][0]["url"].replace("pair", "other")).status_code == 404


def test_compare__drawings_are_served_to_the_user_that_the_api_authenticates(
    client: Any, django_user_model: Any
) -> None:
    django_user_model.objects.create_user("ada", password="pass")
    by_ada = {"HTTP_AUTHORIZATION": f"Basic {base64.b64encode(b'ada:pass').decode()}"}
    private = Private.objects.create(owner="ada", image=drawing.file(2))
    fields = {"a": upload(1), "b": comparison_key(private)}
    (address, *_) = [picture["url"] for picture in client.post(f"{API}/compare/", fields, **by_ada).json()["pictures"]]
    assert client.get(address).status_code == 404
    answer = client.get(address, HTTP_ACCEPT="image/png", **by_ada)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    private.delete()
    assert client.get(address, **by_ada).status_code == 404


def test_compare__objects_without_a_multipart_form(client: Any, make_picture: Any) -> None:
    a, b = make_picture(1), make_picture(1)
    body = f"a={comparison_key(a)}&b={comparison_key(b)}"
    answer = client.post(f"{API}/compare/", body, content_type="application/x-www-form-urlencoded")
    assert answer.json()["verdict"]["kind"] == "same-file"


def test_compare__keys_of_every_kind_and_fields_by_name(client: Any) -> None:
    couple = Couple.objects.create(front=drawing.file(1), back=drawing.file(2))
    unclear = compare(client, f"testapp.couple:{couple.pk}", f"testapp.Couple.back:{couple.pk}")
    assert (unclear.status_code, "front, back" in unclear.content.decode()) == (400, True)
    data = compare(client, f"testapp.couple.front:{couple.pk}", f"testapp.Couple.back:{couple.pk}").json()
    assert (data["a"]["field"], data["b"]["field"]) == ("front", "back")
    named = NamedPicture.objects.create(name="a/b: ä", image=drawing.file(1))
    assert compare(client, comparison_key(named), comparison_key(named)).json()["a"]["pk"] == "a/b: ä"


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"b": None}, "b", "Please choose an image"),
        ({"a": ""}, "a", "Please choose an image"),
        ({"a": [upload(), upload()]}, "a", "exactly one image"),
        ({"a": [upload(), "testapp.picture:1"]}, "a", "exactly one image"),
        ({"b": upload(data=b"x")}, "b", "not an image"),
        ({"a": upload(data=b"")}, "a", "empty"),
        ({"b": upload(data=b"x" * 60_000)}, "b", "larger than"),
        ({"b": "testapp.picture"}, "b", "app_label.model:pk"),
        ({"measures": "nonsense"}, "measures", "phash"),
        ({"measures": "all,phash"}, "measures", "no measure “all”"),
    ],
)
def test_compare__reports_bad_input_at_its_field(
    client: Any, configure: Any, fields: Any, name: str, words: str
) -> None:
    configure(SEARCH_MAX_BYTES=50_000)
    data = {"a": upload(), "b": upload()} | fields
    for value in data.values():
        for file in value if isinstance(value, list) else [value]:
            if isinstance(file, SimpleUploadedFile):
                file.seek(0)
    answer = client.post(f"{API}/compare/", {field: value for field, value in data.items() if value is not None})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [name]
    assert words in answer.json()["errors"][name][0]
    assert answer.json()["errors"][name][0].endswith(".")


def test_compare__limits_for_visitors_apply_to_uploads_only(client: Any, configure: Any, make_picture: Any) -> None:
    item = make_picture(1)
    configure(SEARCH_MAX_PIXELS=100)
    assert compare(client, comparison_key(item), comparison_key(item)).status_code == 200
    answer = compare(client, comparison_key(item), upload(2))
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["b"]
    assert "more than 100 pixels" in answer.json()["errors"]["b"][0]


def test_compare__hidden_and_missing_objects_give_the_same_answer(client: Any, make_picture: Any) -> None:
    hidden = make_picture(1, published=False)
    answers = [
        compare(client, upload(), name)
        for name in (
            comparison_key(hidden),
            f"testapp.picture.image:{hidden.pk}",
            "testapp.picture:999999",
            "testapp.picture:abc",
            "testapp.picture:",
            "testapp.picture:99999999999999999999999",
            "testapp.namedpicture:a\0b",
            "testapp.uuidpicture:1",
            "auth.user:1",
            "no.such:1",
        )
    ]
    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["errors"] == {"b": ["There is no such object."]}


def test_compare__reports_an_object_without_an_image(client: Any) -> None:
    bare = Picture.objects.create(title="Bare")
    answer = compare(client, comparison_key(bare), upload())
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"a": ["Bare has no image."]}


def test_compare__needs_as_many_queries_for_all_measures_as_for_few(
    client: Any, make_picture: Any, django_assert_num_queries: Any
) -> None:
    a, b = make_picture(1), make_picture(2)
    for measures in ("ahash", "ahash,dhash,phash,blockmean,tiny,color"):
        with django_assert_num_queries(2):
            assert compare(client, comparison_key(a), comparison_key(b), measures=measures).status_code == 200


def test_compare__times_out(client: Any, configure: Any, tmp_path: Any) -> None:
    (tmp_path / "hold").touch()
    configure(MEASURES={"tests.measures.sample_measures.Slow": {"folder": str(tmp_path)}}, REQUEST_TIMEOUT=0.1)
    try:
        answer = compare(client, upload(1), upload(2), measures="slow")
    finally:
        (tmp_path / "hold").unlink()
    assert answer.status_code == 503
    assert "too long" in answer.json()["detail"]


def test_compare__reports_a_problem_in_its_row(client: Any, configure: Any) -> None:
    configure(MEASURES={"tests.measures.sample_measures.Failing": {}})
    failing, ahash = compare(client, upload(1), upload(2), measures="failing,ahash").json()["measures"]
    assert failing["problem"]
    assert (failing["value"], failing["similarity"], failing["details"]) == (None, None, {})
    assert ahash["problem"] == ""


def test_schema__describes_the_comparison(client: Any) -> None:
    schema = client.get(f"{API}/schema/").json()
    operation = schema["paths"][f"{API}/compare/"]["post"]
    (reference,) = {content["schema"]["$ref"] for content in operation["requestBody"]["content"].values()}
    assert set(operation["requestBody"]["content"]) == {"multipart/form-data"}
    form = schema["components"]["schemas"][reference.rsplit("/", 1)[1]]
    assert form["required"] == ["a", "b"]
    assert {"type": "string", "format": "binary"} in form["properties"]["a"]["anyOf"]
    answer = schema["components"]["schemas"]["Comparison"]["properties"]
    assert set(answer) == {"a", "b", "verdict", "measures", "pictures", "complete"}
    row = schema["components"]["schemas"]["MeasureRow"]["properties"]
    assert row["worst"] == {
        "type": ["number", "null"],
        "format": "double",
        "description": "Value of images that share nothing; null if unbounded.",
        "readOnly": True,
    }

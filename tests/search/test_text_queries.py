"""Text queries, and configured encoders of images and text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from PIL import Image

import similar_images
from similar_images import plugins
from similar_images.models import Signature
from tests import drawing, encoders
from tests.testapp.models import Couple, Picture

pytestmark = pytest.mark.django_db

API = "/api/similar-images/search/"
PAGE = "/similar-images/search/"
COLORS = {"red": (200, 20, 30), "green": (20, 190, 40), "blue": (10, 30, 180)}


@pytest.fixture
def shop(configure: Any, tmp_path: Path, index_now: Any) -> dict[str, Picture]:
    """A picture of each color, and the default methods beside a pair of encoders."""
    pair = {"class": "embedding", **encoders.pair(tmp_path), "text_curve": [[0, 100], [0.5, 50], [2, 0]]}
    configure(METHODS={"embedding": {}, "color": {}, "clip": pair})
    return add_pictures(index_now)


def add_pictures(index_now: Any) -> dict[str, Picture]:
    pictures = {
        name: Picture.objects.create(
            title=name,
            image=ContentFile(drawing.encoded(Image.new("RGB", (60, 40), color)), name=f"{name}.png"),
        )
        for name, color in COLORS.items()
    }
    index_now()
    return pictures


# --- several encoders ------------------------------------------------------------------------------------------


def test_encoders__are_stored_beside_each_other(shop: dict[str, Picture]) -> None:
    stored = Signature.objects.filter(record__object_id=str(shop["red"].pk))
    assert sorted(len(row.dense) for row in stored) == [3, 216, 1280]
    assert set(stored.values_list("method", flat=True)) == {"embedding", "color", "clip"}
    matches = similar_images.similar_to(shop["red"], method="clip")
    assert {match.object for match in matches} == {shop["green"], shop["blue"]}
    assert set(matches[0].scores) == {"clip"}
    both = similar_images.similar_to(shop["red"], ranking={"embedding": 0.5, "clip": 0.5})
    assert set(both[0].scores) == {"embedding", "clip"}


def test_encoders__may_have_2048_dimensions(configure: Any, tmp_path: Path, make_picture: Any, index_now: Any) -> None:
    file = str(encoders.image_encoder(tmp_path / "wide.onnx", size=224, dimensions=2048))
    resnet = {"class": "embedding", "preset": "resnet50", "file": file, "output": "map"}
    configure(METHODS={"resnet": resnet}, RANKING={"resnet": 1})
    call_command("check")
    item, copy, *_others = make_picture(1), make_picture(1), make_picture(2), make_picture(3)
    index_now()
    assert len(Signature.objects.first().dense) == 2048
    matches = similar_images.similar_to(item)
    assert (matches[0].object, matches[0].similarity) == (copy, 100.0)
    assert matches[1].similarity < 100
    assert len(matches) == 3


# --- by text, in Python ----------------------------------------------------------------------------------------


def test_text__finds_images_that_fit_it(shop: dict[str, Picture]) -> None:
    for name, item in shop.items():
        matches = similar_images.similar_to(text=f"a {name} thing", model=Picture)
        assert matches[0].object == item
        assert len(matches) == 3
        assert set(matches[0].scores) == {"clip"}
        assert matches[0].similarity > 80 > matches[1].similarity


def test_text__accepts_the_options_of_a_search(shop: dict[str, Picture]) -> None:
    def search(**options: Any) -> list[Any]:
        matches = similar_images.similar_to(text="red", **{"model": "testapp.Picture", **options})
        return [match.object for match in matches]

    red, green, blue = shop.values()
    assert search(limit=1) == [red]
    assert search(min_similarity=80) == [red]
    assert set(search(exclude=[red])) == {green, blue}
    assert search(queryset=Picture.objects.filter(pk=blue.pk)) == [blue]
    assert search(method="clip", limit=1) == [red]
    Picture.objects.filter(pk=red.pk).update(published=False)
    assert set(search()) == {green, blue}


def test_text__searches_one_of_two_fields(shop: dict[str, Picture], index_now: Any) -> None:
    def plain(name: str) -> ContentFile[bytes]:
        return ContentFile(drawing.encoded(Image.new("RGB", (60, 40), COLORS[name])), name=f"{name}.png")

    first = Couple.objects.create(front=plain("blue"), back=plain("red"))
    second = Couple.objects.create(front=plain("red"), back=plain("blue"))
    index_now()
    for field, expected in (("front", second), ("back", first)):
        assert similar_images.similar_to(text="red", model=Couple, field=field)[0].object == expected


def test_text__has_a_curve_of_its_own(shop: dict[str, Picture]) -> None:
    """The similarity to a text goes by the curve for texts."""
    (match,) = similar_images.similar_to(text="red blue", model=Picture, queryset=Picture.objects.filter(title="red"))
    method = plugins.enabled_methods()["clip"]
    distance = float(1 - method.compute_text("red blue") @ method.compute(plain_pixels("red")))
    assert 0.3 < distance < 0.7
    assert match.similarity == pytest.approx(method.text_similarity(distance), abs=0.2)
    assert abs(match.similarity - method.similarity(distance)) > 1


def plain_pixels(name: str) -> Any:
    import numpy as np

    return np.full((40, 60, 3), COLORS[name], np.uint8)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"text": ""}, "Enter what to look for"),
        ({"text": " \n"}, "Enter what to look for"),
        ({"text": "x" * 301}, "at most 300 characters"),
        ({"method": "color"}, "“color” does not understand text. Choices: clip"),
        ({"method": "nonsense"}, "“nonsense” does not understand text"),
        ({"ranking": {"clip": 1}}, "not a ranking"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"model": None}, "say where"),
        ({"query": Picture()}, "Say what to search by"),
        ({"text": None}, "Say what to search by"),
    ],
    ids=str,
)
def test_text__refuses_bad_options(shop: dict[str, Picture], options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        similar_images.similar_to(**{"text": "red", "model": Picture, **options})


def test_text__without_a_method_that_takes_text_is_refused_without_words_for_developers() -> None:
    with pytest.raises(ValueError, match=r"set “text_file” and “tokenizer” of one in SIMILAR_IMAGES\['METHODS'\]"):
        similar_images.similar_to(text="red", model=Picture)


# --- by text, over REST ----------------------------------------------------------------------------------------


def test_rest__has_the_matches_of_python(client: Any, shop: dict[str, Picture]) -> None:
    answer = client.get(API, {"text": " red armchair ", "model": "testapp.picture", "min_similarity": 80})
    assert answer.status_code == 200
    data = answer.json()
    assert data["query"] == {
        "model": "testapp.picture",
        "text": "red armchair",
        "status": "indexed",
        "indexed_at": None,
    }
    (match,) = similar_images.similar_to(text="red armchair", model=Picture, min_similarity=80)
    (row,) = data["results"]
    assert (row["pk"], row["similarity"], row["scores"]) == (str(shop["red"].pk), match.similarity, match.scores)
    shop["red"].published = False
    shop["red"].save()
    rows = client.get(API, {"text": "red", "model": "testapp.picture"}).json()["results"]
    assert {row["title"] for row in rows} == {"green", "blue"}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": "x" * 301}, "text"),
        ({"text": "a\0b"}, "text"),
        ({"method": "color"}, "method"),
        ({"ranking": "clip:1"}, "ranking"),
        ({"like": "1"}, "like"),
        ({"model": "auth.user"}, "model"),
        ({"model": ""}, "model"),
        ({"field": "nonsense"}, "field"),
        ({"limit": 0}, "limit"),
        ({"min_similarity": 101}, "min_similarity"),
    ],
    ids=str,
)
def test_rest__bad_parameters_are_named(client: Any, shop: dict[str, Picture], params: Any, field: str) -> None:
    answer = client.get(API, {"text": "red", "model": "testapp.picture", **params})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]


def test_rest__without_a_method_that_takes_text_is_refused_without_words_for_developers(client: Any) -> None:
    answer = client.get(API, {"text": "red", "model": "testapp.picture"})
    assert (answer.status_code, answer["Allow"]) == (405, "POST, OPTIONS")
    assert answer.json()["detail"] == "Search by text is not available on this site."


def test_rest_and_page__are_503_where_the_text_takes_too_long(client: Any, configure: Any) -> None:
    configure(METHODS={"tests.methods.SlowReader": {}}, RANKING={"mean": 1}, REQUEST_TIMEOUT=0.01)
    answer = client.get(API, {"text": "red", "model": "testapp.picture"})
    assert answer.status_code == 503
    page = client.get(PAGE, {"text": "red", "model": "testapp.picture"})
    assert page.status_code == 503
    assert "took too long" in page.content.decode()


def test_schema__has_searches_by_text_and_by_image(client: Any, shop: dict[str, Picture]) -> None:
    methods = client.get("/api/similar-images/schema/").json()["paths"]["/api/similar-images/search/"]
    assert set(methods) == {"get", "post"}
    assert {parameter["name"] for parameter in methods["get"]["parameters"]} >= {"text", "model", "limit", "method"}


# --- by text, on the page --------------------------------------------------------------------------------------


def test_page__finds_by_text(client: Any, shop: dict[str, Picture]) -> None:
    assert 'name="text"' in client.get(PAGE).content.decode()
    answer = client.get(PAGE, {"text": "red", "model": "testapp.picture", "limit": 1})
    assert [match.object for match in answer.context["matches"]] == [shop["red"]]
    html = answer.content.decode()
    assert 'value="red"' in html
    ids = [part.split('"')[0] for part in html.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_page__without_a_method_that_takes_text_has_no_text_box(client: Any) -> None:
    for answer in (client.get(PAGE), client.get(PAGE, {"text": "red"})):
        assert answer.status_code == 200
        assert 'name="text"' not in answer.content.decode()


def test_page__shows_errors_of_the_text(client: Any, shop: dict[str, Picture]) -> None:
    answer = client.get(PAGE, {"text": "x" * 301, "model": "testapp.picture"})
    assert answer.status_code == 400
    assert "errorlist" in answer.content.decode()


def test_page__keeps_the_text_box_after_an_upload(client: Any, shop: dict[str, Picture]) -> None:
    assert 'name="text"' in client.post(PAGE, {"model": "testapp.picture"}).content.decode()


# --- manage.py check -------------------------------------------------------------------------------------------


def test_check__names_the_key_and_the_file(configure: Any, tmp_path: Path) -> None:
    file = encoders.image_encoder(tmp_path / "x.onnx")
    other = {"class": "embedding", "file": str(file), "size": 32, "output": "nope"}
    configure(METHODS={"embedding": {}, "other": other}, RANKING={"embedding": 1})
    with pytest.raises(SystemCheckError) as failed:
        call_command("check")
    report = str(failed.value)
    assert f"(similar_images.E003) SIMILAR_IMAGES['METHODS']['other']: {file} has no output 'nope': name one" in report
    assert report.count("E003") == 1


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        ({"mine": {"class": "nope"}}, r"\['mine'\]: neither a built-in method"),
        ({"mine": {"class": 3}}, r"\['mine'\]: neither a built-in method"),
        ({"mine": {"class": []}}, r"\['mine'\]: neither a built-in method"),
        ({"mine": {"class": "pathlib.Path"}}, r"\['mine'\] is not a subclass"),
        ({"mine": {"class": "embedding", "file": "/no.onnx"}}, r"\['mine'\] can't be used: file: there is no file /no"),
        ({"my clip": {"class": "color"}}, r"\['my clip'\]: a name has"),
        ({"a:1": {"class": "color"}}, r"\['a:1'\]: a name has"),
        ({"a--b": {"class": "color"}}, r"\['a--b'\]: a name has"),
        ({"": {"class": "color"}}, r"\[''\]: a name has"),
        ({"x" * 65: {"class": "color"}}, r"\['x+'\]: a name has at most 64"),
        (
            {"color": {}, "similar_images.signatures.color.Color": {}},
            r"\['similar_images\.signatures\.color\.Color'\] is stored as 'color', as is another",
        ),
    ],
    ids=str,
)
def test_check__wrong_classes(methods: dict[str, Any], reason: str, configure: Any) -> None:
    configure(METHODS=methods, RANKING={"embedding": 1})
    with pytest.raises(SystemCheckError, match=rf"\(similar_images\.E003\) SIMILAR_IMAGES\['METHODS'\]{reason}"):
        call_command("check")


def test_check__a_method_under_several_names(configure: Any) -> None:
    methods = {"color": {}, "light": {"class": "color", "white_tolerance": 30}, "all": {"class": "tests.methods.Mean"}}
    configure(METHODS=methods, RANKING={"color": 1, "light": 1, "all": 0.5})
    call_command("check")
    assert [method.name for method in plugins.enabled_methods().values()] == ["color", "light", "all"]

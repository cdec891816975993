"""Parameters that an endpoint does not know are refused by name, and errors are problem details."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.drawing import upload
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db

API = "/api/similar-images"


@pytest.fixture
def editor(client: Any) -> Any:
    client.force_login(User.objects.create_superuser("editor"))
    return client


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("limt", "Unknown parameter “limt”. Did you mean “limit”?"),
        ("page", "Unknown parameter “page”."),
        ("min-similarity", "Unknown parameter “min-similarity”. Did you mean “min_similarity”?"),
        ("distinct", "Unknown parameter “distinct”. Did you mean “distances”?"),
        ("text", "Unknown parameter “text”."),
        ("labels", "Unknown parameter “labels”."),
        ("", "Unknown parameter “”."),
        ("\x1b\ud800", "Unknown parameter “\\u001b���”."),
        ("x" * 500, f"Unknown parameter “{'x' * 80}”."),
    ],
)
def test_similar__refuses_an_unknown_parameter_by_name(
    client: Any, make_picture: Any, name: str, sentence: str
) -> None:
    url = f"{API}/testapp.picture/{make_picture(1).pk}/similar/"
    answer = client.get(url, {name.encode(errors="surrogatepass"): "3"})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    ((key, messages),) = answer.json()["errors"].items()
    assert messages == [sentence]
    assert key in sentence
    assert answer.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": sentence,
        "errors": {key: [sentence]},
    }


@pytest.mark.parametrize(
    ("method", "path", "query", "data"),
    [
        ("get", "status/", {"source": "x"}, None),
        ("get", "schema/", {"lnag": "de"}, None),
        ("post", "search/", {"limit": "3"}, {"image": "upload", "model": "testapp.picture"}),
        ("post", "search/", {}, {"image": "upload", "model": "testapp.picture", "limt": "3"}),
        ("post", "search/", {}, {"image": "upload", "model": "testapp.picture", "mask": "upload"}),
        ("post", "compare/", {}, {"a": "upload", "b": "upload", "c": "upload"}),
        ("post", "compare/", {"measures": "all"}, {"a": "upload", "b": "upload"}),
        ("post", "mark/", {}, {"other": "{b}", "alike": True, "alik": False}),
        ("post", "mark/", {"alike": "1"}, {"other": "{b}"}),
        ("delete", "mark/", {"other": "{b}", "alike": "1"}, None),
    ],
)
def test_endpoints__refuse_unknown_parameters_wherever_they_stand(
    editor: Any, make_picture: Any, method: str, path: str, query: dict[str, str], data: dict[str, Any] | None
) -> None:
    a, b = make_picture(1), make_picture(2)
    url = f"{API}/testapp.picture/{a.pk}/{path}" if path == "mark/" else f"{API}/{path}"
    query = {name: value.format(b=b.pk) for name, value in query.items()}
    fields = {
        name: upload() if value == "upload" else value.format(b=b.pk) if isinstance(value, str) else value
        for name, value in (data or {}).items()
    }
    options = {"content_type": "application/json"} if path == "mark/" and method == "post" else {}
    if method == "post":
        answer = editor.post(url, fields, query_params=query, **options)
    else:
        answer = getattr(editor, method)(url, query_params=query)
    assert answer.status_code == 400
    assert any("Unknown parameter" in message for messages in answer.json()["errors"].values() for message in messages)


@pytest.mark.parametrize(
    ("path", "data", "names"),
    [
        ("?limit=1&limit=2", None, ["limit"]),
        ("?limit=1&limit=2&method=color&method=color", None, ["limit", "method"]),
        ("?field=image&field=nope", None, ["field"]),
        ("search/", {"image": ["upload", "upload"], "model": "testapp.picture"}, ["image"]),
        ("search/", {"image": "upload", "model": "testapp.picture", "limit": ["1", "2"]}, ["limit"]),
        ("compare/", {"a": ["upload", "upload"], "b": "upload"}, ["a"]),
        ("testapp.item?price__lte=1&price__lte=2", None, ["price__lte"]),
    ],
)
def test_what_is_given_twice__is_refused_rather_than_half_ignored(
    client: Any, make_picture: Any, path: str, data: dict[str, Any] | None, names: list[str]
) -> None:
    if data is None:
        label, _mark, query = path.partition("?")
        item = make_picture(1) if not label else Item.objects.create()
        answer = client.get(f"{API}/{label or 'testapp.picture'}/{item.pk}/similar/?{query}")
    else:
        fields = {
            name: [upload() if each == "upload" else each for each in value]
            if isinstance(value, list)
            else upload()
            if value == "upload"
            else value
            for name, value in data.items()
        }
        answer = client.post(f"{API}/{path}", fields)
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"].keys() >= set(names)


@pytest.mark.parametrize("query", ["like={a}&like={b}", "unlike={a}&unlike={b}"])
def test_lists__are_given_value_by_value(client: Any, make_picture: Any, query: str) -> None:
    item, a, b = (make_picture(seed) for seed in range(3))
    answer = client.get(f"{API}/testapp.picture/{item.pk}/similar/?{query.format(a=a.pk, b=b.pk)}")
    assert answer.status_code == 200


def test_known_and_unknown_errors__come_together(client: Any, make_picture: Any) -> None:
    url = f"{API}/testapp.picture/{make_picture(1).pk}/similar/"
    answer = client.get(url, {"limt": 3, "limit": 0, "method": "nonsense"}).json()
    assert set(answer["errors"]) == {"limt", "limit", "method"}
    assert all(message in answer["detail"] for messages in answer["errors"].values() for message in messages)


def test_format__of_the_rest_framework_is_json(client: Any, make_picture: Any) -> None:
    url = f"{API}/testapp.picture/{make_picture(1).pk}/similar/"
    assert client.get(url, {"format": "json"}).status_code == 200
    answer = client.get(url, {"format": "xml"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["format"])


def test_token_of_a_form__is_no_unknown_parameter(client: Any) -> None:
    fields = {"a": upload(1), "b": upload(1), "measures": "ahash", "csrfmiddlewaretoken": "x"}
    assert client.post(f"{API}/compare/", fields).status_code == 200


@pytest.mark.parametrize("value", ["maybe", "2", "yes", "\0"])
def test_flags__are_true_or_false(client: Any, make_picture: Any, value: str) -> None:
    url = f"{API}/testapp.picture/{make_picture(1).pk}/similar/"
    for name in ("explain", "distances", "fold"):
        answer = client.get(url, {name: value})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [name])
        for right in ("true", "false", "1", "0", ""):
            assert client.get(url, {name: right}).status_code == 200


def test_errors_of_every_kind__are_problem_details(client: Any, editor: Any, make_picture: Any, settings: Any) -> None:
    item = f"{API}/testapp.picture/{make_picture(1).pk}"
    answers = {
        400: client.get(f"{item}/similar/", {"limit": 0}),
        404: client.get(f"{API}/testapp.picture/999999/similar/"),
        405: client.put(f"{item}/similar/"),
        413: client.generic("POST", f"{API}/search/", CONTENT_LENGTH=str(10**9), CONTENT_TYPE="multipart/form-data"),
        415: client.post(f"{API}/search/", "{}", content_type="application/json"),
    }
    client.logout()
    answers[403] = client.post(f"{item}/mark/", {"other": 1, "alike": True}, content_type="application/json")
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["type"], problem["status"]) == ("about:blank", status)
        assert problem["title"]
        assert problem["detail"].endswith(".")

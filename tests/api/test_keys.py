"""Keys with whatever characters: an object that has one is found, and where there is none, that is a problem."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.template import engines
from django.test import RequestFactory

from tests import drawing
from tests.testapp.models import NamedPicture

pytestmark = pytest.mark.django_db

API = "/api/similar-images"

ODD_TEXTS = [
    *("\n", "a\nb", "\r", "\u2028", "\x00", "\x0b", "\x1f", "a/b", "/", "//", "?", "#", ";", "%0A", "\\", "'", '"'),
    *("é", "\U0001f600", "..%2F", "similar", "batch", "a\n/similar", "-1", "1e5", "9" * 30, "x" * 400, "\ufffd", "<b>"),
]
"""Keys that URL patterns, databases and clients stumble over."""


def address(model: str, pk: str, action: str = "similar") -> str:
    return f"{API}/{quote(model, safe='')}/{quote(pk, safe='')}/{action}/"


@pytest.mark.parametrize("text", ODD_TEXTS, ids=ascii)
@pytest.mark.parametrize("model", ["testapp.namedpicture", "testapp.picture", "testapp.uuidpicture", "testapp.essay"])
def test_missing_object__of_any_key_is_a_problem(client: Any, model: str, text: str) -> None:
    answer = client.get(address(model, text))
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert client.get(f"/similar-images/{model}/{quote(text, safe='')}/").status_code == 404


@pytest.mark.parametrize("text", [text for text in ODD_TEXTS if text.strip("/")], ids=ascii)
def test_missing_model__of_any_name_is_a_problem(client: Any, text: str) -> None:
    for action in ("similar", "mark"):
        call = client.get if action == "similar" else client.delete
        answer = call(address(text, "1", action))
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert client.post(f"{API}/{quote(text)}/similar/batch/", {"ids": [1]}, "application/json").status_code == 404


@pytest.mark.parametrize("text", [*ODD_TEXTS, ""], ids=ascii)
def test_missing_object__of_any_key_in_a_parameter_is_a_problem(client: Any, make_picture: Any, text: str) -> None:
    client.force_login(User.objects.create_superuser("editor"))
    item = make_picture(1)
    NamedPicture.objects.create(name="a", image=drawing.file(1))
    for model in ("testapp.picture", "testapp.namedpicture", "testapp.essay"):
        answer = client.post(f"{API}/{model}/similar/batch/", {"ids": [text]}, "application/json")
        assert answer.status_code == 200, answer.content
        assert answer.json()["results"][0]["results"] == []
    answer = client.post(
        address("testapp.namedpicture", "a", "mark"), {"other": text, "alike": True}, "application/json"
    )
    assert answer.status_code in (400, 404), answer.content
    for name in ("like", "unlike", "why_not", "cursor", "ranking", "method"):
        answer = client.get(address("testapp.picture", str(item.pk)), {name: text.encode(errors="surrogatepass")})
        assert answer.status_code in (200, 400), (name, answer.content)


def test_half_of_a_surrogate_pair_in_a_body__is_refused(client: Any) -> None:
    client.force_login(User.objects.create_superuser("editor"))
    batch, mark = f"{API}/testapp.namedpicture/similar/batch/", address("testapp.namedpicture", "a", "mark")
    for path, body in ((batch, r'{"ids": ["\ud800"]}'), (mark, r'{"other": "\ud800", "alike": true}')):
        answer = client.post(path, body, "application/json")
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("key", [text for text in ODD_TEXTS if "\x00" not in text], ids=ascii)
def test_object__of_any_key_is_found(client: Any, index_now: Any, key: str, mean_method: None) -> None:
    items = [NamedPicture.objects.create(name=name, image=drawing.file(1)) for name in (key, "other")]
    index_now()
    answer = client.get(address("testapp.namedpicture", key))
    assert [row["pk"] for row in answer.json()["results"]] == ["other"]
    assert [row["pk"] for row in client.get(address("testapp.namedpicture", "other")).json()["results"]] == [key]
    assert client.get(f"/similar-images/testapp.namedpicture/{quote(key, safe='')}/").status_code == 200
    tag = "{% load similar_images %}{% similar_items_widget item lazy=True %}"
    text = engines["django"].from_string(tag).render({"item": items[0]}, RequestFactory().get("/"))
    (link,) = re.findall(r'<a href="([^"]*)">', text)
    assert client.get(unescape(link)).context["object"] == items[0]

"""Bodies of requests are refused unread where they are too large, and in JSON whatever is wrong with them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.handlers.asgi import ASGIHandler
from django.test import Client, override_settings

from tests.drawing import upload

pytestmark = pytest.mark.django_db

API = "/api/similar-images"
PAGES = "/similar-images"
MEGABYTE = 1_000_000
MULTIPART = "multipart/form-data; boundary=part"


class UnreadBody:
    """A body that must not be read."""

    def read(self, *args: Any) -> bytes:
        raise AssertionError("the body was read")

    readline = read


@pytest.fixture(params=["anonymous", "editor"])
def sender(request: pytest.FixtureRequest) -> Client:
    """A client that is held to CSRF tokens, as a browser is; of nobody, or of an editor in a session."""
    client = Client(enforce_csrf_checks=True)
    client.get(f"{PAGES}/search/")  # sets the token's cookie
    if request.param == "editor":
        client.force_login(make_editor())
    return client


def make_editor() -> User:
    user = User.objects.create(username="editor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="change_picture"))
    return user


def announce(
    client: Client, path: str, length: int | str, content_type: str = MULTIPART, accept: str = "application/json"
) -> Any:
    """Send a request with this Content-Length, and a body that must not be read."""
    environ = {
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(length),
        "wsgi.input": UnreadBody(),
        "HTTP_ACCEPT": accept,
    }
    return client.generic("POST", path, **environ)


@pytest.mark.parametrize(
    ("path", "images", "words"),
    [
        ("/search/", 1, "The file is larger than 2.9"),
        ("/compare/", 2, "The file is larger than 2.9"),
        ("/testapp.picture/1/mark/", 0, "The request is too large."),
        ("/testapp.picture/1/similar/", 0, "The request is too large."),
        ("/status/", 0, "The request is too large."),
    ],
)
def test_body__that_is_too_large_is_refused_unread(
    path: str, images: int, words: str, sender: Client, configure: Any
) -> None:
    configure(SEARCH_MAX_BYTES=3 * MEGABYTE)
    limit = images * 3 * MEGABYTE + MEGABYTE
    for content_type in (MULTIPART, "application/json", "application/x-www-form-urlencoded"):
        answer = announce(sender, API + path, limit + 1, content_type)
        assert answer.status_code == 413
        assert answer["Content-Type"] == "application/problem+json"
        assert words in answer.json()["detail"]
        assert announce(sender, API + path, limit + 1, content_type, "text/html").status_code == 413
    if images:
        with pytest.raises(AssertionError, match="the body was read"):
            announce(sender, API + path, limit)


@pytest.mark.parametrize(("path", "images"), [("/search/", 1), ("/compare/", 2)])
def test_body__of_a_page_that_is_too_large_is_refused_unread(path: str, images: int, configure: Any) -> None:
    """Before the CSRF token, which is in the body, and with the page's own form."""
    configure(SEARCH_MAX_BYTES=3 * MEGABYTE)
    limit = images * 3 * MEGABYTE + MEGABYTE
    client = Client(enforce_csrf_checks=True)
    client.get(f"{PAGES}/search/")
    answer = announce(client, PAGES + path, limit + 1)
    assert answer.status_code == 413
    html = answer.content.decode()
    assert "The file is larger than 2.9" in html
    assert '<input type="file"' in html
    with pytest.raises(AssertionError, match="the body was read"):
        announce(client, PAGES + path, limit)


@pytest.mark.parametrize("length", ["", "-1", "many", "0"])
def test_body__without_a_true_length_is_empty(length: str, sender: Client) -> None:
    assert announce(sender, f"{API}/search/", length).status_code in (400, 403)
    assert announce(sender, f"{PAGES}/search/", length).status_code in (400, 403)


def test_body__in_chunks_is_empty(settings: Any) -> None:
    """Nothing says how long it will be: Django takes it for empty, whatever comes."""
    settings.ALLOWED_HOSTS = ["*"]
    sent: list[dict[str, Any]] = []
    chunks = iter([True] * 20 + [False])

    async def receive() -> dict[str, Any]:
        if (more := next(chunks, None)) is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": b"x" * 100_000, "more_body": bool(more)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": f"{API}/search/", "query_string": b"", "http_version": "1.1"}
    headers = [(b"host", b"testserver"), (b"content-type", MULTIPART.encode()), (b"transfer-encoding", b"chunked")]
    asyncio.run(ASGIHandler()({**scope, "headers": headers}, receive, send))
    assert sent[0]["status"] == 400
    assert "image" in json.loads(sent[1]["body"])["errors"]


def many_fields(count: int) -> dict[str, Any]:
    return {f"field{number}": "x" for number in range(count)}


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
@pytest.mark.parametrize("path", ["/search/", "/compare/", "/testapp.picture/1/mark/"])
@pytest.mark.parametrize(
    ("limit", "data", "status", "words"),
    [
        ("DATA_UPLOAD_MAX_NUMBER_FIELDS", many_fields(9), 400, "too many fields"),
        ("DATA_UPLOAD_MAX_NUMBER_FILES", {f"file{number}": upload() for number in range(9)}, 400, "too many files"),
        ("DATA_UPLOAD_MAX_MEMORY_SIZE", {"field": "x" * 1000}, 413, "too large"),
    ],
    ids=["fields", "files", "memory"],
)
def test_limits_of_django__are_answered_as_any_other(
    limit: str, data: dict[str, Any], status: int, words: str, path: str, accept: str, settings: Any
) -> None:
    setattr(settings, limit, 5)
    client = Client(enforce_csrf_checks=True)
    client.get(f"{PAGES}/search/")
    client.force_login(make_editor())  # in a session, authentication reads the body, for the token
    for value in data.values():
        if hasattr(value, "seek"):
            value.seek(0)
    answer = client.post(API + path, data, headers={"accept": accept})
    assert answer.status_code == status
    assert words in answer.content.decode()
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--other\r\n", "multipart/form-data; boundary=part"),
        (b"--part\r\nContent-Disposition: form-data; name=a\r\n", "multipart/form-data"),
        (b"--part\r\n\r\n", "multipart/form-data; boundary=\xc3\xa9"),
        (b"a=1", "application/x-www-form-urlencoded; charset=utf-16"),
        (b"a=1", "application/x-www-form-urlencoded; charset=bz2"),
        (b"a=1", "application/x-www-form-urlencoded; charset=nonsense"),
        (b"{}", "application/json; charset=nonsense"),
        (b"{}", "application/json; charset=bz2"),
        (b"\xff\xfe{", "application/json"),
        (b"{", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"other":' * 100_000, "application/json"),
        (b'{"other": %s}' % (b"[" * 300 + b"]" * 300), "application/json"),
        (b'{"other": {"a": 1}}', "application/json"),
        (b'{"other": %s}' % (b"9" * 5000), "application/json"),
        (b'{"other": "\\ud800", "alike": true, "field": "\\u0000"}', "application/json"),
        (b"[1]", "application/json"),
        (b'"text"', "application/json"),
        (b"null", "application/json"),
    ],
)
@pytest.mark.parametrize("path", ["/testapp.picture/1/mark/", "/search/", "/compare/"])
def test_body__that_cannot_be_read_is_a_4xx_in_json(path: str, body: bytes, content_type: str, sender: Client) -> None:
    sender.handler.enforce_csrf_checks = False
    answer = sender.generic("POST", API + path, body, content_type)
    assert 400 <= answer.status_code < 500
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()


@pytest.mark.parametrize("depth", [*range(100, 1200, 50), 100_000])
def test_json__of_any_depth_is_refused(depth: int, make_picture: Any) -> None:
    """Not only where the parser gives up, but also where what is made of it would."""
    client = Client()
    client.force_login(make_editor())
    path = f"{API}/testapp.picture/{make_picture(1).pk}/mark/"
    for body in (b"[" * depth + b"]" * depth, b'{"other": %s, "alike": true}' % (b"[" * depth + b"]" * depth)):
        answer = client.post(path, body, content_type="application/json")
        assert (answer.status_code, answer.json()["detail"]) == (400, "Send a JSON object without nested values.")


def test_json__is_parsed_only_for_those_who_may_mark(client: Client) -> None:
    for body in (b"[" * 100_000, b"{", b"{}", b'{"other": 1}'):
        answer = client.post(f"{API}/testapp.picture/1/mark/", body, content_type="application/json")
        assert answer.status_code == 403


def test_json__is_ours_whatever_the_project_parses(make_picture: Any) -> None:
    client = Client()
    client.force_login(make_editor())
    with override_settings(REST_FRAMEWORK={"DEFAULT_PARSER_CLASSES": ["tests.no.Such"]}):
        answer = client.post(f"{API}/testapp.picture/1/mark/", b"[" * 10_000, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("testapp.picture/{pk}/mark/", '{"other": "1", "alike": true, "other": "2"}', "other"),
        ("testapp.picture/{pk}/mark/", '{"alike": true, "more": {"x": 1, "x": 2}}', "x"),
        ("testapp.picture/similar/batch/", '{"ids": ["1"], "ids": ["2"]}', "ids"),
        ("testapp.picture/similar/batch/", '{"ids": [{"a": 1, "a": 1}]}', "a"),
    ],
)
def test_json__a_key_that_is_there_twice_is_refused_by_name(path: str, body: str, name: str, make_picture: Any) -> None:
    client = Client()
    client.force_login(make_editor())
    answer = client.post(f"{API}/{path.format(pk=make_picture(1).pk)}", body, content_type="application/json")
    assert (answer.status_code, answer.json()["errors"]) == (400, {name: ["Send this only once."]})

"""An upload over REST that is kept on request, and searched by again with its token."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import Client

from tests.drawing import upload
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

URL = "/api/similar-images/search/"


@pytest.fixture(autouse=True)
def _shared_cache(settings: Any, configure: Any) -> None:
    """Keep uploads in the database, which all processes share, as a server's cache is."""
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": str(settings.MEDIA_ROOT.parent / "cache")}}
    caches["default"].clear()


@pytest.fixture
def pictures(mean_method: None, make_picture: Any, index_now: Any) -> list[Picture]:
    items = [make_picture(seed) for seed in (1, 2)]
    index_now()
    return items


def search(client: Any, **fields: Any) -> Any:
    return client.post(URL, {"model": "testapp.picture", "min_similarity": 0, **fields})


def test_upload__that_is_kept_is_searched_by_again(client: Any, pictures: list[Picture]) -> None:
    first = search(client, image=upload(2), keep=1)
    token = first.json()["query"]["upload"]
    again = search(client, image=token, limit=1, method="mean")
    assert [row["pk"] for row in again.json()["results"]] == [str(pictures[1].pk)]
    assert "upload" not in again.json()["query"]
    assert search(Client(), image=token, box="0,0,0.5,0.5").status_code == 200
    assert search(client, image=token, keep=1).json()["query"]["upload"]


def test_upload__is_kept_on_request_alone(client: Any, pictures: list[Picture], settings: Any) -> None:
    for fields in ({}, {"keep": 0}):
        assert "upload" not in search(client, image=upload(2), **fields).json()["query"]
    assert not list((settings.MEDIA_ROOT.parent / "cache").rglob("*.djcache"))


def test_token__of_a_user_is_for_this_user_alone(client: Any, pictures: list[Picture]) -> None:
    client.force_login(User.objects.create_user("ada"))
    token = search(client, image=upload(2), keep=1).json()["query"]["upload"]
    assert search(client, image=token).status_code == 200
    other = Client()
    other.force_login(User.objects.create_user("bob"))
    for stranger in (Client(), other):
        answer = search(stranger, image=token)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["image"])


@pytest.mark.parametrize("token", ["x", "a:b:c", "\0"])
def test_token__that_is_none_is_refused(client: Any, pictures: list[Picture], token: str) -> None:
    answer = search(client, image=token)
    assert answer.json()["errors"] == {"image": ["This image has expired. Please choose it again."]}


def test_token__is_empty_where_the_upload_is_not_kept(
    client: Any, pictures: list[Picture], settings: Any, configure: Any
) -> None:
    configure(COMPARE_CACHE_VISITOR_BYTES=10)
    assert search(client, image=upload(2), keep=1).json()["query"]["upload"] == ""
    configure(COMPARE_CACHE_VISITOR_BYTES=2**25)
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert search(client, image=upload(2), keep=1).json()["query"]["upload"] == ""

"""Uploads and drawings of visitors: kept for ten minutes, within budgets, and used again by a token."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache, caches
from django.core.management import call_command
from django.test import Client, RequestFactory

from similar_images import visitor_files
from similar_images.visitor_files import VisitorFile
from tests.databases import ALIAS
from tests.drawing import upload
from tests.items import comparison_key

pytestmark = pytest.mark.django_db

PAGE, COMPARE = "/similar-images/search/", "/similar-images/compare/"
MODEL = {"model": "testapp.picture"}


def kept_files() -> dict[str, int]:
    """Return the bytes of each file that the cache holds, by its entry and name."""
    return {
        f"{entry}/{name}": len(file.data)
        for entry, kept in visitor_files._read_ledger(cache).items()
        for name in kept.names
        if (file := visitor_files.fetch_file(entry, name))
    }


def kept_bytes() -> int:
    """Return the bytes of all files in the folder of the cache, whatever the ledger says."""
    folder = Path(caches["default"]._dir)
    return sum(file.stat().st_size for file in folder.iterdir()) if folder.exists() else 0


def request_of(address: str, user: Any = None) -> Any:
    request = RequestFactory().get("/", REMOTE_ADDR=address)
    request.user = user or AnonymousUser()
    return request


@pytest.fixture(autouse=True)
def _file_cache(settings: Any, tmp_path: Path, configure: Any) -> None:
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {
        "default": {"BACKEND": backend, "LOCATION": tmp_path / "cache", "OPTIONS": {"MAX_ENTRIES": 10**6}}
    }
    configure(MEASURES={"tests.measures.sample_measures.Brightness": {}}, COMPARE_MEASURES=["brightness"])


@pytest.fixture(params=["file", "locmem", "db", "redis"])
def backend(request: pytest.FixtureRequest, settings: Any, _file_cache: None) -> None:
    """Use each of Django's cache backends in turn."""
    name = request.param
    if name == "locmem":
        locmem = "django.core.cache.backends.locmem.LocMemCache"
        settings.CACHES = {
            "default": {"BACKEND": locmem, "LOCATION": "visitor-files", "OPTIONS": {"MAX_ENTRIES": 10**6}}
        }
    elif name == "db":
        settings.CACHES = {
            "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "visitor_files_cache"}
        }
        call_command("createcachetable", database=ALIAS)
    elif name == "redis":
        redis = "django.core.cache.backends.redis.RedisCache"
        settings.CACHES = {"default": {"BACKEND": redis, "LOCATION": settings.REDIS_URL, "KEY_PREFIX": "files"}}
    cache.clear()


# --- budgets ---------------------------------------------------------------------------------------------------


def test_budget__of_a_visitor_makes_the_oldest_go(backend: None, configure: Any) -> None:
    configure(COMPARE_CACHE_VISITOR_BYTES=250)
    for number in range(4):
        assert visitor_files.keep_files(f"a{number}", {"x": VisitorFile(bytes(100))}, request_of("192.0.2.1")) == ["x"]
    visitor_files.keep_files("b", {"x": VisitorFile(bytes(100))}, request_of("192.0.2.2"))
    assert set(kept_files()) == {"a2/x", "a3/x", "b/x"}
    assert visitor_files.fetch_file("a0", "x") is None


def test_budget__of_all_makes_the_oldest_of_anybody_go(backend: None, configure: Any) -> None:
    configure(COMPARE_CACHE_MAX_BYTES=250)
    for number in range(4):
        visitor_files.keep_files(f"{number}", {"x": VisitorFile(bytes(100))}, request_of(f"192.0.2.{number}"))
    assert set(kept_files()) == {"2/x", "3/x"}


def test_budget__that_holds_a_part_keeps_the_first_files(backend: None, configure: Any) -> None:
    configure(COMPARE_CACHE_VISITOR_BYTES=250)
    files = {name: VisitorFile(bytes(100)) for name in "abc"}
    assert visitor_files.keep_files("x", files, request_of("192.0.2.1")) == ["a", "b"]
    assert visitor_files.keep_files("y", {"a": VisitorFile(bytes(300))}, request_of("192.0.2.1")) == []


def test_budget__counts_the_same_entry_once(backend: None, configure: Any) -> None:
    configure(COMPARE_CACHE_VISITOR_BYTES=250)
    for names in ("ab", "bc"):
        visitor_files.keep_files("x", {name: VisitorFile(bytes(100)) for name in names}, request_of("192.0.2.1"))
    assert set(kept_files()) == {"x/b", "x/c"}
    assert visitor_files.fetch_file("x", "a") is None


def test_budget__holds_for_requests_at_the_same_time(configure: Any, settings: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": settings.REDIS_URL,
            "KEY_PREFIX": "concurrent",
        }
    }
    configure(COMPARE_CACHE_VISITOR_BYTES=1_000, COMPARE_CACHE_MAX_BYTES=2_000)
    with ThreadPoolExecutor(8) as executor:
        list(
            executor.map(
                lambda n: visitor_files.keep_files(
                    f"{n}", {"x": VisitorFile(bytes(100))}, request_of(f"192.0.2.{n % 4}")
                ),
                range(80),
            )
        )
    found = [n for n in range(80) if visitor_files.fetch_file(f"{n}", "x")]
    assert 10 <= len(found) <= 20
    assert {f"{n}/x" for n in found} == set(kept_files())


def test_compare__adds_nothing_for_the_same_pair(client: Any, make_picture: Any) -> None:
    keys = {"a": comparison_key(make_picture(1)), "b": comparison_key(make_picture(2))}
    client.get(COMPARE, keys)
    once = kept_bytes()
    assert once > 1_000
    for number in range(5):
        answer = client.get(COMPARE, keys, REMOTE_ADDR=f"192.0.2.{number}")
        assert all(client.get(drawing.url).status_code == 200 for drawing in answer.context["result"].drawings)
    assert kept_bytes() <= once * 1.05


def test_compare__stays_within_the_budget_of_a_visitor(client: Any, make_picture: Any, configure: Any) -> None:
    configure(COMPARE_CACHE_VISITOR_BYTES=100_000)
    first = make_picture(1)
    for seed in range(2, 12):
        client.get(COMPARE, {"a": comparison_key(first), "b": comparison_key(make_picture(seed))})
    assert 0 < sum(kept_files().values()) <= 100_000
    assert kept_bytes() < 130_000


# --- tokens ----------------------------------------------------------------------------------------------------


def test_search__keeps_the_image_while_its_options_change(client: Any, make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    make_picture(2)
    index_now()
    answer = client.post(PAGE, {"image": upload(), "limit": "1", "method": "", **MODEL})
    assert answer.status_code == 303
    assert "csrf" not in answer["Location"]
    assert "method" not in answer["Location"]
    page = client.get(answer["Location"])
    assert [match.object for match in page.context["matches"]] == [item]
    assert page["Cache-Control"] == "private, no-store"
    assert page["Referrer-Policy"] == "same-origin"
    token = page.context["form"].token
    preview = client.get(re.findall(r'src="(/similar-images/uploads/[^"]+)"', page.content.decode())[0])
    assert preview["Content-Type"] == "image/png"
    assert preview["X-Content-Type-Options"] == "nosniff"
    assert len(client.get(PAGE, {"image": token, "limit": 5, **MODEL}).context["matches"]) == 2
    again = client.post(PAGE, {"image": token, "mode": "copy", **MODEL}, follow=True)
    assert [match.object for match in again.context["matches"]] == [item]


def test_search__links_to_comparisons_with_the_upload(client: Any, make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    page = client.post(PAGE, {"image": upload(), **MODEL}, follow=True).content.decode()
    (link,) = re.findall(r'href="(/similar-images/compare/\?a=upload[^"]*)"', page)
    assert client.get(link.replace("&amp;", "&")).context["result"].verdict.kind == "same-file"


def test_compare__keeps_uploads_while_measures_change(client: Any) -> None:
    page = client.post(COMPARE, {"a": upload(1), "b": upload(2)}).content.decode()
    tokens = re.findall(r'name="[ab]" value="(upload:[^"]+)"', page)
    assert len(tokens) == 2
    answer = client.post(COMPARE, {"a": tokens[0], "b": tokens[1], "measures": "phash"})
    assert [row.measure.name for row in answer.context["result"].rows] == ["phash"]


def test_token__expires_and_is_refused_where_it_was_changed(
    client: Any, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = visitor_files.keep_upload(upload(), request_of("192.0.2.1"))
    expired = "This image has expired. Please choose it again."
    for wrong in (token[:-1] + ("a" if token[-1] != "a" else "b"), "x", f"{token}:x", "😀"):
        answer = client.get(PAGE, {"image": wrong, **MODEL})
        assert answer.status_code == 400
        assert expired in answer.content.decode()
        assert client.get(f"/similar-images/uploads/{wrong}.png").status_code == 404
        assert client.get(COMPARE, {"a": f"upload:{wrong}", "b": f"upload:{token}"}).status_code == 400
    monkeypatch.setattr(visitor_files, "LIFETIME", -1)
    assert visitor_files.load_upload(token, request_of("192.0.2.1")) is None


def test_token__of_a_user_is_for_this_user_alone(django_user_model: Any) -> None:
    ada, bob = (django_user_model.objects.create_user(name) for name in ("ada", "bob"))
    token = visitor_files.keep_upload(upload(), request_of("192.0.2.1", ada))
    assert visitor_files.load_upload(token, request_of("192.0.2.9", ada))
    for request in (request_of("192.0.2.1", bob), request_of("192.0.2.1"), None):
        assert visitor_files.load_upload(token, request) is None


@pytest.mark.parametrize(
    "absent",
    [
        {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"},
        {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    ],
    ids=["dummy", "down", "of each process"],
)
def test_search__needs_no_shared_cache(
    make_picture: Any, index_now: Any, settings: Any, absent: dict[str, str]
) -> None:
    item = make_picture(1)
    index_now()
    settings.CACHES = {"default": absent}
    answer = Client().post(PAGE, {"image": upload(), **MODEL})
    assert answer.status_code == 200
    assert [match.object for match in answer.context["matches"]] == [item]

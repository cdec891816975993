"""Who may ask for costly work, and how often: pages and REST, as the setting says."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpRequest
from django.test import RequestFactory
from django.urls import clear_url_caches

import similar_images
from similar_images import access, urls
from similar_images.api import urls as api_urls
from similar_images.checks import servers, setting
from tests.drawing import upload
from tests.items import comparison_key
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

PAGES, API = "/similar-images", "/api/similar-images"
RULES = {"SEARCH_BY_PICTURE": "search", "COMPARE": "compare", "COPY": "copy", "RERANK": "rerank", "WHY_NOT": "why_not"}


@pytest.fixture(autouse=True)
def _fresh_cache(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "access"}}
    cache.clear()


@pytest.fixture(autouse=True)
def _quick(mean_method: None, configure: Any) -> None:
    configure(COMPARE_MEASURES=["phash"])


@pytest.fixture
def pair(make_picture: Any, index_now: Any) -> tuple[Picture, Picture]:
    pictures = make_picture(1), make_picture(1)
    index_now()
    return pictures


def costly_requests(client: Any, pair: tuple[Picture, Picture]) -> dict[str, list[Any]]:
    """Ask for each kind of costly work, in every way that there is; return the functions that ask, by action."""
    item, other = pair
    page, endpoint = f"{PAGES}/testapp.picture/{item.pk}/", f"{API}/testapp.picture/{item.pk}/similar/"
    model = {"model": "testapp.picture"}
    keys = {"a": comparison_key(item), "b": comparison_key(other)}
    return {
        "search": [
            lambda: client.post(f"{PAGES}/search/", {"image": upload(), **model}, follow=True),
            lambda: client.post(f"{API}/search/", {"image": upload(), **model}),
            lambda: client.get(page, {"box": "0,0,0.5,0.5"}),
            lambda: client.get(endpoint, {"box": "0,0,0.5,0.5"}),
        ],
        "compare": [
            lambda: client.get(f"{PAGES}/compare/", keys),
            lambda: client.post(f"{PAGES}/compare/", {"a": upload(1), "b": upload(2)}),
            lambda: client.post(f"{API}/compare/", keys),
        ],
        "copy": [
            lambda: client.get(page, {"mode": "copy"}),
            lambda: client.get(endpoint, {"mode": "copy"}),
            lambda: client.post(f"{API}/search/", {"image": upload(), "mode": "copy", **model}),
        ],
        "rerank": [
            lambda: client.get(page, {"rerank": "keypoints"}),
            lambda: client.get(endpoint, {"rerank": "keypoints"}),
        ],
        "why_not": [lambda: client.get(endpoint, {"why_not": other.pk})],
    }


@pytest.mark.parametrize("key", RULES)
@pytest.mark.parametrize(
    ("level", "allowed"),
    [
        ("everyone", [True, True, True]),
        ("authenticated", [False, True, True]),
        ("staff", [False, False, True]),
        ("nobody", [False, False, False]),
        ("tests.test_access.is_ada", [False, True, False]),
    ],
)
def test_levels__give_costly_work_to_whom_they_name(
    client: Any, django_user_model: Any, pair: Any, configure: Any, key: str, level: str, allowed: list[bool]
) -> None:
    configure(**{key: level})
    users = [None, *(django_user_model.objects.create_user(name, is_staff=name == "bob") for name in ("ada", "bob"))]
    for user, is_allowed in zip(users, allowed, strict=True):
        if user:
            client.force_login(user)
        for ask in costly_requests(client, pair)[RULES[key]]:
            expected = {200} if is_allowed else {400, 403, 404} if level == "nobody" else {403, 404}
            assert ask().status_code in expected
        for path in (f"{PAGES}/testapp.picture/{pair[0].pk}/", f"{API}/testapp.picture/{pair[0].pk}/similar/"):
            assert client.get(path).status_code == 200


def is_ada(request: HttpRequest) -> bool:
    return request.user.get_username() == "ada"


def test_levels__take_a_callable(client: Any, pair: Any, configure: Any) -> None:
    configure(COPY=lambda request: "copies" in request.META.get("HTTP_USER_AGENT", ""))
    ask = f"{API}/testapp.picture/{pair[0].pk}/similar/?mode=copy"
    assert client.get(ask).status_code == 403
    assert client.get(ask, headers={"user-agent": "copies"}).status_code == 200


def test_refusals__say_why_on_pages_and_in_json(client: Any, pair: Any, configure: Any) -> None:
    configure(COMPARE="authenticated", COPY="staff")
    assert "Please log in to use this." in client.get(f"{PAGES}/compare/").content.decode()
    answer = client.get(f"{API}/testapp.picture/{pair[0].pk}/similar/?mode=copy")
    assert answer.status_code == 403
    assert answer.json()["detail"]


def own_part(answer: Any) -> str:
    """Return the app's own part of a page of the demo."""
    return str(answer.content.decode().partition('<section class="similar-images">')[2].partition("</section>")[0])


def test_off__has_no_address_and_no_link(client: Any, pair: Any, configure: Any) -> None:
    client.get(f"{PAGES}/search/")  # the addresses of the other tests are read before they are changed
    try:
        configure(COMPARE="nobody", SEARCH_BY_PICTURE="nobody", COPY="nobody")
        patterns = [importlib.reload(module).urlpatterns for module in (urls, api_urls)]
        assert not {"search", "compare", "picture", "upload"} & {pattern.name for each in patterns for pattern in each}
        clear_url_caches()
        page = own_part(client.get(f"{PAGES}/testapp.picture/{pair[0].pk}/"))
        assert "Compare" not in page
        assert "Copies" not in page
        assert "100% similar" in page
    finally:
        configure(COMPARE="everyone", SEARCH_BY_PICTURE="everyone", COPY="everyone")
        importlib.reload(urls)
        importlib.reload(api_urls)
        clear_url_caches()


@pytest.mark.parametrize("path", [f"{PAGES}/search/", f"{PAGES}/compare/", f"{PAGES}/compare/x/a.png"])
def test_off__is_not_found_also_where_the_address_was_made_before(client: Any, configure: Any, path: str) -> None:
    configure(COMPARE="nobody", SEARCH_BY_PICTURE="nobody")
    assert client.get(path).status_code == 404


def test_links__lead_to_nothing_that_the_visitor_may_not_have(
    client: Any, django_user_model: Any, pair: Any, configure: Any
) -> None:
    configure(COMPARE="staff", COPY="staff")
    path = f"{PAGES}/testapp.picture/{pair[0].pk}/"
    for page in (own_part(client.get(path)), own_part(client.get(f"{PAGES}/search/"))):
        assert "/similar-images/compare/" not in page
        assert "Copies of this image" not in page
    client.force_login(django_user_model.objects.create_user("bob", is_staff=True))
    page = own_part(client.get(path))
    assert "/similar-images/compare/" in page
    assert "Copies of this image" in page


# --- how often -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", RULES.values())
def test_rates__bound_each_kind_of_costly_work(client: Any, pair: Any, configure: Any, action: str) -> None:
    configure(COSTLY_RATES={"anonymous": "1/day"})
    for ask in costly_requests(client, pair)[action]:
        cache.clear()
        assert ask().status_code == 200
        answer = ask()
        assert answer.status_code == 429
        assert 0 < int(answer["Retry-After"]) <= 86_400
        if answer["Content-Type"] == "application/json":
            assert answer.json()["detail"]
        else:
            assert "Too many requests. Please try again in" in answer.content.decode()


def test_rates__count_all_costly_work_of_a_visitor_together(client: Any, pair: Any, configure: Any) -> None:
    configure(COSTLY_RATES={"anonymous": "3/day"})
    asks = costly_requests(client, pair)
    answers = [asks[action][0]().status_code for action in RULES.values()]
    assert answers == [200, 200, 200, 429, 429]
    assert client.get(f"{PAGES}/testapp.picture/{pair[0].pk}/", REMOTE_ADDR="192.0.2.7").status_code == 200


def test_rates__never_bound_what_is_stored(client: Any, pair: Any, configure: Any) -> None:
    configure(COSTLY_RATES={"anonymous": "0/day"})
    for _ in range(3):
        assert client.get(f"{API}/testapp.picture/{pair[0].pk}/similar/?limit=5&explain=1").status_code == 200
        assert client.get(f"{PAGES}/testapp.picture/{pair[0].pk}/?fold=0").status_code == 200
        assert client.get(f"{PAGES}/search/").status_code == 200
        assert client.get(f"{PAGES}/compare/").status_code == 200
    assert similar_images.similar_to(pair[0], mode="copy")


def test_rates__tell_visitors_apart_and_allow_users_more(
    client: Any, django_user_model: Any, pair: Any, configure: Any
) -> None:
    configure(COSTLY_RATES={"anonymous": "1/day", "authenticated": "2/day"})
    ask = f"{API}/testapp.picture/{pair[0].pk}/similar/?mode=copy"
    first, second = ({"REMOTE_ADDR": address} for address in ("192.0.2.1", "192.0.2.2"))
    assert [client.get(ask, **who).status_code for who in (first, first, second)] == [200, 429, 200]
    for name in ("ada", "bob"):
        client.force_login(django_user_model.objects.create_user(name))
        assert [client.get(ask, **first).status_code for _ in range(3)] == [200, 200, 429]


def test_rates__none_are_no_limit(client: Any, pair: Any, configure: Any) -> None:
    ask = f"{API}/testapp.picture/{pair[0].pk}/similar/?mode=copy"
    for rates in (None, {"anonymous": None}):
        configure(COSTLY_RATES=rates)
        assert {client.get(ask).status_code for _ in range(3)} == {200}


@pytest.mark.parametrize(
    "backend",
    [
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"},
        {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    ],
    ids=["down", "dummy"],
)
def test_rates__break_nothing_where_the_cache_counts_nothing(
    client: Any, pair: Any, configure: Any, settings: Any, backend: Any
) -> None:
    configure(COSTLY_RATES={"anonymous": "1/day"})
    settings.CACHES = {"default": backend}
    ask = f"{API}/testapp.picture/{pair[0].pk}/similar/?mode=copy"
    assert [client.get(ask).status_code for _ in range(2)] == [200, 200]


def test_visitor__is_an_address_of_four_bytes_or_a_network() -> None:
    def visitor(address: str) -> str:
        return access.identify_visitor(RequestFactory().get("/", REMOTE_ADDR=address))

    assert visitor("192.0.2.1") != visitor("192.0.2.2")
    assert visitor("2001:db8::1") == visitor("2001:db8::ffff:1") != visitor("2001:db8:0:1::1")
    assert visitor("::ffff:192.0.2.1") == visitor("192.0.2.1")
    assert visitor("") != visitor("192.0.2.1")


def test_visitor__is_no_header_by_default_and_behind_a_proxy_what_the_setting_says(
    client: Any, pair: Any, configure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    configure(COSTLY_RATES={"anonymous": "1/day"})

    def ask(forwarded: str) -> int:
        path = f"{API}/testapp.picture/{pair[0].pk}/similar/?mode=copy"
        return int(client.get(path, headers={"x-forwarded-for": forwarded}).status_code)

    assert [ask("192.0.2.1"), ask("192.0.2.2")] == [200, 429]
    assert "set SIMILAR_IMAGES['VISITOR']" in caplog.text
    cache.clear()
    configure(VISITOR="similar_images.access.last_forwarded_address")
    assert [ask(by) for by in ("192.0.2.1", "192.0.2.2", "192.0.2.9, 192.0.2.2")] == [200, 200, 429]


# --- how much --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"mode": "copy"}, {"rerank": "keypoints"}])
def test_limit__of_searches_that_compare_images_has_a_bound_of_its_own(
    client: Any, pair: Any, configure: Any, options: dict[str, str]
) -> None:
    page, endpoint = f"{PAGES}/testapp.picture/{pair[0].pk}/", f"{API}/testapp.picture/{pair[0].pk}/similar/"
    for path in (page, endpoint):
        assert client.get(path, {**options, "limit": 24}).status_code == 200
        answer = client.get(path, {**options, "limit": 25})
        assert answer.status_code == 400
        assert "At most 24 results where images are compared" in answer.content.decode()
    configure(LIMIT=50, COSTLY_MAX_LIMIT=1)
    assert client.get(endpoint, options).status_code == 200


# --- checks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["nope.function", "tests.test_access.PAGES"])
@pytest.mark.parametrize("key", [*RULES, "VISITOR"])
def test_check__names_what_is_no_callable(configure: Any, key: str, value: str) -> None:
    configure(**{key: value})
    (error,) = setting.check_access()
    assert f"SIMILAR_IMAGES[{key!r}]" in error.msg
    assert "takes a request" in str(error.hint)


def test_check__asks_for_the_visitor_before_it_is_deployed(configure: Any) -> None:
    configure(COSTLY_RATES={})
    (warning,) = servers.check_visitor()
    assert "REMOTE_ADDR" in warning.msg
    configure(COSTLY_RATES=None)
    assert servers.check_visitor() == []
    configure(COSTLY_RATES={}, VISITOR=lambda request: "x")
    assert servers.check_visitor() == []

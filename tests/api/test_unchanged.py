"""A 304 without a search: only while nothing was written to the database, and the client is the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework import serializers

import similar_images
from similar_images import marks, registry
from similar_images.api import caching
from tests.databases import await_replica, read_connection
from tests.testapp.models import Picture, Shelf

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/similar-images/testapp.picture/{}/similar/"


@pytest.fixture
def item(make_picture: Any, index_now: Any) -> Picture:
    first = make_picture(1, title="first")
    for seed in range(2, 6):
        make_picture(seed, title=f"{seed}")
    index_now()
    await_replica()
    return first


@pytest.fixture
def visible() -> Iterator[Any]:
    """Return a function that registers the source with another `visible`."""
    source = registry.get_source(Picture)

    def register(callable_: Any) -> None:
        similar_images.register(Picture, "image", visible=callable_)

    yield register
    similar_images.register(Picture, "image", visible=source.visible)


def ask(item: Picture, etag: str = "", client: Client | None = None, **headers: str) -> Any:
    if etag:
        headers["if-none-match"] = etag
    return (client or Client()).get(PATH.format(item.pk), headers=headers)


def ask_until_kept(item: Picture, etag: str = "") -> Any:
    """Return the answer to a request that needed no search: other tests write to the same server at any time."""
    for _ in range(100):
        with CaptureQueriesContext(read_connection) as queries:
            answer = ask(item, etag)
        if len(queries) == 1:
            return answer
        etag = answer["ETag"] if etag.startswith("W/") else etag
    raise AssertionError("Every request was answered by a search.")


def seal_of(answer: Any) -> str:
    return str(answer["ETag"]).partition(".")[2]


def test_unchanged__takes_one_query_and_no_search(item: Picture) -> None:
    again = ask_until_kept(item, ask(item)["ETag"])
    assert (again.status_code, again.content, again.has_header("Content-Type")) == (304, b"", False)
    assert again["Cache-Control"] == "public, no-cache"
    assert {"Accept-Language", "Authorization", "Cookie"} <= set(again["Vary"].split(", "))


@pytest.mark.parametrize(
    "write",
    [
        lambda item: Picture.objects.exclude(pk=item.pk).update(published=False),
        lambda item: Picture.objects.exclude(pk=item.pk).update(title="Renamed"),
        lambda item: Picture.objects.exclude(pk=item.pk).first().delete(),  # type: ignore[union-attr]  # there is one
        lambda item: marks.mark(item, Picture.objects.exclude(pk=item.pk).first(), alike=False),  # type: ignore[arg-type]  # as above
        lambda item: item.delete(),
    ],
    ids=["hidden", "renamed", "deleted", "marked", "itself"],
)
def test_write__is_seen_by_the_next_request(write: Any, item: Picture) -> None:
    etag = ask(item)["ETag"]
    pk = item.pk
    write(item)
    await_replica()
    item.pk = pk
    assert ask(item, etag).status_code in (200, 404)


def test_write_of_something_else__is_answered_with_a_new_seal(item: Picture) -> None:
    etag = ask(item)["ETag"]
    Shelf.objects.create(name="another")
    await_replica()
    again = ask(item, etag)
    assert again.status_code == 304
    assert again["ETag"] != etag
    assert ask_until_kept(item, again["ETag"]).status_code == 304


def test_write_of_something_else__and_another_visitor_before_is_no_change(item: Picture) -> None:
    etag = ask(item)["ETag"]
    Shelf.objects.create(name="another")
    await_replica()
    ask(item)
    assert ask(item, etag).status_code == 304
    assert ask_until_kept(item, '"other"').status_code == 200
    assert ask_until_kept(item, "*").status_code == 304


def test_what_the_project_shows_by_itself__is_made_each_time(item: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A serializer may read the request, a title the time."""
    source = registry.get_source(Picture)
    for options in ({"title": lambda item: f"{time.time()}"}, {"serializer": CurrencySerializer}):
        monkeypatch.setitem(registry._sources, (Picture, "image"), replace(source, **options))
        answers = [ask(item, **{"x-currency": currency}) for currency in ("EUR", "USD")]
        assert answers[0].json() != answers[1].json()
        assert ask(item, answers[0]["ETag"], **{"x-currency": "USD"}).status_code == 200


class CurrencySerializer(serializers.ModelSerializer):
    currency = serializers.SerializerMethodField()

    class Meta:
        model = Picture
        fields = ["title", "currency"]

    def get_currency(self, item: Picture) -> str:
        return str(self.context["request"].headers["x-currency"])


def test_answer__is_kept(item: Picture) -> None:
    answer = ask(item)
    again = ask_until_kept(item)
    assert (again.status_code, again.json(), again["Content-Type"]) == (200, answer.json(), answer["Content-Type"])
    assert {name: again[name] for name in ("Vary", "Cache-Control")} == {
        name: answer[name] for name in ("Vary", "Cache-Control")
    }
    assert again.has_header("Last-Modified")


def test_seal__is_good_for_one_visitor_address_and_language(item: Picture, client: Client) -> None:
    client.force_login(User.objects.create(username="ann"))
    etag = ask(item)["ETag"]
    others = [
        ask(item, etag, client),
        ask(item, etag, **{"accept-language": "de"}),
        ask(item, etag, authorization="Token x"),
        Client().get(PATH.format(item.pk) + "?limit=2", headers={"if-none-match": etag}),
        Client().get(PATH.format(item.pk), headers={"if-none-match": etag}, SERVER_NAME="127.0.0.1"),
    ]
    seals = {seal_of(answer) for answer in others}
    assert len(seals) == len(others)
    assert etag not in [answer["ETag"] for answer in others]


def test_hidden_item__is_not_told_by_a_made_up_seal(item: Picture) -> None:
    etag = ask(item)["ETag"]
    Picture.objects.filter(pk=item.pk).update(published=False)
    await_replica()
    assert ask(item, etag).status_code == 404
    digest, _dot, seal = etag.removeprefix('W/"').removesuffix('"').partition(".")
    for made_up in (f'W/"{digest}.{int(time.time())}.{seal[-32:]}"', f'W/"x.{seal}"', 'W/"..."', 'W/"x.²."', "*"):
        assert ask(item, made_up).status_code == 404


@pytest.mark.parametrize("moment", [timezone.now, Now], ids=["time of Python", "time of the database"])
def test_rows_that_change_by_themselves__are_searched_each_time(item: Picture, visible: Any, moment: Any) -> None:
    visible(lambda request: Picture.objects.alias(now=Now()).filter(now__lt=moment() + timedelta(days=1)))
    etag = ask(item)["ETag"]
    with CaptureQueriesContext(read_connection) as queries:
        assert ask(item, etag).status_code == 304
    assert len(queries) > 1


def test_what_visible_asks_of_the_request__is_part_of_the_seal(item: Picture, visible: Any) -> None:
    shown = {"titles": ["first", "2", "3"]}
    visible(lambda request: Picture.objects.filter(title__in=shown["titles"]))
    etag = ask(item)["ETag"]
    shown["titles"] = ["first", "2"]
    answer = ask(item, etag)
    assert answer.status_code == 200
    assert [match["title"] for match in answer.json()["results"]] == ["2"]


def test_setting__is_part_of_the_seal(item: Picture, configure: Any) -> None:
    etag = ask(item)["ETag"]
    configure(LIMIT=2)
    answer = ask(item, etag)
    assert (answer.status_code, len(answer.json()["results"])) == (200, 2)


def test_seal__holds_for_some_minutes(item: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    etag = ask(item)["ETag"]
    monkeypatch.setattr(caching, "SEAL_SECONDS", 0)
    caching._kept_answers.clear()
    with CaptureQueriesContext(read_connection) as queries:
        again = ask(item, etag)
    assert again.status_code == 304
    assert len(queries) > 1


def test_costly_answers__have_no_seal(item: Picture) -> None:
    answer = Client().get(PATH.format(item.pk), {"mode": "copy"})
    assert "." not in answer["ETag"]

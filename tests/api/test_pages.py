"""Pages of matches, exact searches, freshness, and what caches may keep."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from similar_images import marks
from similar_images.models import IndexedImage
from tests.items import save_gray
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

API = "/api/similar-images"


@pytest.fixture
def levels(mean_method: None, index_now: Any) -> list[Picture]:
    """Thirty pictures, each less similar to the first one than those before it."""
    items = [save_gray(level) for level in range(100, 130)]
    index_now()
    return items


def get(item: Picture, client: Any = None, **params: Any) -> Any:
    return (client or Client()).get(f"{API}/testapp.picture/{item.pk}/similar/", params)


def keys(answer: Any) -> list[str]:
    return [row["pk"] for row in answer.json()["results"]]


def follow(answer: Any, client: Any = None) -> Any:
    return (client or Client()).get(answer.json()["next"])


def test_next__goes_through_all_matches_in_order(levels: list[Picture]) -> None:
    answer = get(levels[0], limit=12, method="mean")
    pages = [keys(answer)]
    while answer.json()["next"]:
        assert answer.json()["next"].startswith("http://testserver/")
        answer = follow(answer)
        assert answer.status_code == 200
        pages.append(keys(answer))
    assert [len(page) for page in pages] == [12, 12, 5]
    assert [pk for page in pages for pk in page] == [str(item.pk) for item in levels[1:]]


def test_next__is_stable_while_others_are_indexed_hidden_and_deleted(levels: list[Picture], index_now: Any) -> None:
    first = get(levels[0], limit=10)
    later = [save_gray(100) for _ in range(5)]
    index_now()
    levels[3].delete()
    Picture.objects.filter(pk=levels[15].pk).update(published=False)
    second = follow(first)
    expected = [str(item.pk) for item in levels[11:22] if item.pk != levels[15].pk]
    assert keys(second) == expected[:10]
    assert not {str(item.pk) for item in later} & set(keys(second))
    assert set(keys(get(levels[0], limit=5))) == {str(item.pk) for item in later}


def test_next__goes_on_where_the_last_match_is_gone(levels: list[Picture]) -> None:
    first = get(levels[0], limit=10)
    levels[10].delete()
    assert keys(follow(first)) == [str(item.pk) for item in levels[11:21]]


def test_next__ends_at_a_bound(levels: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("similar_images.forms.cursors.MAX_RANK", 15)
    answer = get(levels[0], limit=10)
    second = follow(answer)
    assert (len(keys(second)), second.json()["next"]) == (5, None)


def test_next__keeps_the_parameters_and_takes_another_limit(levels: list[Picture]) -> None:
    first = get(levels[0], limit=4, method="mean", distances=1)
    query = parse_qs(urlsplit(first.json()["next"]).query)
    assert query.keys() == {"limit", "method", "distances", "cursor"}
    answer = get(levels[0], **{name: values[0] for name, values in query.items()} | {"limit": 7})
    assert keys(answer) == [str(item.pk) for item in levels[5:12]]


def test_cursor__of_another_search_is_refused(levels: list[Picture]) -> None:
    first = get(levels[0], limit=4)
    (cursor,) = parse_qs(urlsplit(first.json()["next"]).query)["cursor"]
    for answer in (
        get(levels[1], limit=4, cursor=cursor),
        get(levels[0], limit=4, cursor=cursor, min_similarity=3),
        get(levels[0], limit=4, cursor=cursor[:-1]),
        get(levels[0], limit=4, cursor="x:y:z"),
        get(levels[0], limit=4, cursor="é\u2028"),
    ):
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == ["cursor"]


def test_next__of_a_fallback_and_of_compared_images_there_is_none(levels: list[Picture]) -> None:
    assert get(levels[0], limit=4, min_similarity=100, method="mean", fallback="newest").json()["next"] is None
    assert get(levels[0], limit=4, rerank="keypoints").json()["next"] is None


def test_exact__is_for_staff(levels: list[Picture], client: Any) -> None:
    assert get(levels[0], exact=0).status_code == 200
    assert get(levels[0], exact=1).status_code == 403
    client.force_login(User.objects.create(username="staff", is_staff=True))
    assert keys(get(levels[0], client, exact=1)) == keys(get(levels[0]))


def test_freshness__is_told(levels: list[Picture], index_now: Any) -> None:
    record = IndexedImage.objects.get(object_id=levels[0].pk)
    query = get(levels[0]).json()["query"]
    assert query["status"] == "indexed"
    assert query["indexed_at"] == record.indexed_at.isoformat().replace("+00:00", "Z")
    pending = save_gray(3)
    assert get(pending).json()["query"] == {
        "model": "testapp.picture",
        "pk": str(pending.pk),
        "status": "pending",
        "indexed_at": None,
    }
    index_now()
    assert get(pending).json()["query"]["indexed_at"]


def test_etag__is_of_the_answer(levels: list[Picture]) -> None:
    answer = get(levels[0], limit=3)
    headers = {"if-none-match": answer["ETag"]}
    url = f"{API}/testapp.picture/{levels[0].pk}/similar/?limit=3"
    again = Client().get(url, headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    assert (again["ETag"], again["Cache-Control"]) == (answer["ETag"], "public, no-cache")
    assert {"Accept-Language", "Authorization", "Cookie"} <= set(again["Vary"].split(", "))
    assert Client().head(url)["ETag"] == answer["ETag"]
    assert Client().get(url, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda items, index: (save_gray(100), index()),
        lambda items, index: Picture.objects.filter(pk=items[1].pk).update(published=False),
        lambda items, index: Picture.objects.filter(pk=items[1].pk).update(title="Renamed"),
        lambda items, index: items[2].delete(),
        lambda items, index: marks.mark(items[0], items[1], alike=False),
        lambda items, index: Picture.objects.filter(pk=items[0].pk).update(image=items[9].image.name),
    ],
    ids=["index", "visible", "object", "deleted", "mark", "own file"],
)
def test_etag__changes_with_all_that_an_answer_depends_on(change: Any, levels: list[Picture], index_now: Any) -> None:
    before = get(levels[0], limit=3)["ETag"]
    change(levels, index_now)
    answer = Client().get(
        f"{API}/testapp.picture/{levels[0].pk}/similar/", {"limit": 3}, headers={"if-none-match": before}
    )
    assert answer.status_code == 200
    assert answer["ETag"] != before


def test_etag__changes_with_the_setting(levels: list[Picture], configure: Any) -> None:
    before = get(levels[0])["ETag"]
    configure(LIMIT=3)
    assert get(levels[0])["ETag"] != before


def test_answers__to_a_user_are_private(levels: list[Picture], client: Any) -> None:
    user = User.objects.create(username="editor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="change_picture"))
    client.force_login(user)
    assert get(levels[0], client)["Cache-Control"] == "private, no-cache"
    assert client.get(f"{API}/status/")["Cache-Control"] == "private, no-cache"
    data = {"other": levels[1].pk, "alike": True}
    url = f"{API}/testapp.picture/{levels[0].pk}/mark/"
    assert client.post(url, data, content_type="application/json")["Cache-Control"] == "no-store"


def test_errors__are_not_stored(levels: list[Picture]) -> None:
    for answer in (get(Picture(pk=999_999)), get(levels[0], limit=0)):
        assert answer["Cache-Control"] == "no-store"
        assert not answer.has_header("ETag")

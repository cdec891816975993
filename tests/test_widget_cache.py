"""Cached widgets: no query, nothing out of date, and nothing of one visitor for another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import cache, caches
from django.http import HttpRequest
from django.template import Context, Template
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import translation

import similar_images
from similar_images.generations import clear_widgets
from similar_images.models import IndexedImage
from tests import drawing
from tests.databases import connection
from tests.testapp.models import Item, Photo, Picture, Private

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("mean_method")]

WIDGET = "{% load similar_images %}{% similar_items_widget item cache=300 "


@pytest.fixture(autouse=True)
def _cache(configure: Any, mean_method: None) -> Iterator[None]:
    configure(WIDGET_CACHE="default")
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def pictures(make_picture: Any, index_now: Any) -> list[Picture]:
    made = [make_picture(seed) for seed in range(4)]
    index_now()
    return made


def request_of(user: Any) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = user
    return request


def render(item: Any, options: str = "", **context: Any) -> str:
    return Template(WIDGET + options + " %}").render(Context({"item": item, **context}))


def test_cached__takes_no_query_for_a_page_of_24(
    pictures: list[Picture], django_assert_num_queries: Any, make_picture: Any, index_now: Any
) -> None:
    shown = [*pictures, *(make_picture(seed) for seed in range(4, 24))]
    index_now()
    template = Template(
        "{% load similar_images %}{% for item in items %}{% similar_items_widget item limit=4 cache=300 %}{% endfor %}"
    )
    first = template.render(Context({"items": shown}))
    assert first.count("<li>") == 24 * 4
    with django_assert_num_queries(0):
        assert template.render(Context({"items": shown})) == first


def test_prefetched__takes_as_many_queries_for_24_items_as_for_6(make_picture: Any, index_now: Any) -> None:
    shown = [make_picture(seed) for seed in range(24)]
    index_now()
    widgets = "{% for item in items %}{% similar_items_widget item limit=4 min_similarity=0 %}{% endfor %}"
    alone = Template("{% load similar_images %}" + widgets)
    together = Template(
        "{% load similar_images %}{% prefetch_similar_items items limit=4 min_similarity=0 %}" + widgets
    )
    counts = []
    for items in (shown[:6], shown):
        with CaptureQueriesContext(connection) as captured:
            html = together.render(Context({"items": items}))
        assert html == alone.render(Context({"items": items}))
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 10


def test_cached__is_that_of_the_same_arguments_language_and_item(pictures: list[Picture]) -> None:
    html = render(pictures[0])
    assert render(pictures[0], "limit=1").count("<li>") == 1
    assert "Alike" in render(pictures[0], "title='Alike'")
    assert "similar-images-row" in render(pictures[0], "layout='row'")
    assert render(pictures[1]) != html
    with translation.override("de"):
        assert "ähnlich" in render(pictures[0])
    assert render(pictures[0]) == html


def test_cached__nothing_is_kept_as_nothing(pictures: list[Picture], django_assert_num_queries: Any) -> None:
    assert render(pictures[0], "min_similarity=100").strip() == ""
    with django_assert_num_queries(0):
        assert render(pictures[0], "min_similarity=100").strip() == ""


def test_change__of_an_object_shows_at_once(pictures: list[Picture], make_picture: Any, index_now: Any) -> None:
    assert "Scene 2" in render(pictures[0])
    pictures[2].published = False
    pictures[2].save()
    assert "Scene 2" not in render(pictures[0])
    pictures[1].title = "Another name"
    pictures[1].save()
    assert "Another name" in render(pictures[0])
    pictures[1].delete()
    assert "Another name" not in render(pictures[0])
    make_picture(9)
    assert "Scene 9" not in render(pictures[0])
    index_now()
    assert "Scene 9" in render(pictures[0])


def test_change__of_an_owner_shows_at_once(index_now: Any) -> None:
    items = [Item.objects.create(name=f"Chair {number}") for number in range(3)]
    for seed, item in enumerate(items):
        Photo.objects.create(item=item, image=drawing.file(seed))
    index_now()
    assert "Item Chair 2" in render(items[0])
    items[2].name = "Table"
    items[2].save()
    assert "Item Table" in render(items[0])
    items[2].published = False
    items[2].save()
    assert "Item Table" not in render(items[0])


def test_change__of_a_mark_shows_at_once(pictures: list[Picture]) -> None:
    assert "Scene 2" in render(pictures[0])
    similar_images.mark(pictures[0], pictures[2], alike=False)
    assert "Scene 2" not in render(pictures[0])
    similar_images.unmark(pictures[0], pictures[2])
    assert "Scene 2" in render(pictures[0])


def test_change__of_the_setting_shows_at_once(pictures: list[Picture], configure: Any) -> None:
    assert render(pictures[0]).count("<li>") == 3
    configure(LIMIT=1)
    assert render(pictures[0]).count("<li>") == 1


def test_change__without_a_signal_shows_once_widgets_are_cleared(pictures: list[Picture]) -> None:
    assert "Scene 2" in render(pictures[0])
    Picture.objects.filter(pk=pictures[2].pk).update(published=False)
    assert "Scene 2" in render(pictures[0])
    clear_widgets()
    assert "Scene 2" not in render(pictures[0])


def test_visitors__who_are_logged_in_share_nothing(index_now: Any) -> None:
    mine, other = [Private.objects.create(owner="me", image=drawing.file(seed)) for seed in (1, 2)]
    index_now()
    assert other.image.url in render(mine, request=request_of(User(username="me")))
    assert render(mine, request=request_of(User(username="stranger"))).strip() == ""
    assert render(mine, request=request_of(AnonymousUser())).strip() == ""
    assert render(mine).strip() == ""
    assert other.image.url in render(mine, request=request_of(User(username="me")))


def group_by_name(request: HttpRequest | None) -> str | None:
    return request.user.get_username() if request else None


def test_visitors__of_a_group_share_what_the_setting_says(
    index_now: Any, configure: Any, django_assert_num_queries: Any
) -> None:
    configure(WIDGET_CACHE_GROUP="tests.test_widget_cache.group_by_name")
    mine, other = [Private.objects.create(owner="me", image=drawing.file(seed)) for seed in (1, 2)]
    index_now()
    html = render(mine, request=request_of(User(username="me")))
    assert other.image.url in html
    with django_assert_num_queries(0):
        assert render(mine, request=request_of(User(username="me"))) == html
    assert render(mine, request=request_of(User(username="stranger"))).strip() == ""


def test_wrong_use__is_told(pictures: list[Picture], configure: Any) -> None:
    with pytest.raises(ValueError, match="cache= takes options that are texts or numbers, not queryset="):
        render(pictures[0], "queryset=all", all=Picture.objects.all())
    configure(WIDGET_CACHE=None)
    with pytest.raises(ValueError, match="cache= needs the key WIDGET_CACHE"):
        render(pictures[0])


class Down:
    """A cache that is down."""

    def __getattr__(self, name: str) -> Any:
        raise ConnectionError("refused")


def test_save__does_not_fail_where_the_cache_is_down(
    pictures: list[Picture], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(caches._connections.__dict__, "default", Down())  # type: ignore[attr-defined]
        pictures[0].save()
        pictures[1].delete()
    assert "Cached widgets can't be cleared: refused" in caplog.text
    assert IndexedImage.objects.count() == 3


def test_min_matches__shows_the_fallback_or_nothing(pictures: list[Picture]) -> None:
    item = pictures[0]
    best = similar_images.similar_to(item, limit=1)[0].similarity
    template = f"{{% load similar_images %}}{{% similar_items_widget item min_similarity={best - 0.2} "

    def show(options: str) -> str:
        return Template(template + options + " %}").render(Context({"item": item})).strip()

    found = show("").count("<li>")
    assert 0 < found < 3
    assert show(f"min_matches={found}").count("<li>") == found
    assert show(f"min_matches={found + 1}") == ""
    assert show(f"min_matches={found + 1} fallback='newest'").count("<li>") == 3

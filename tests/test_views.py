"""Pages: similar items, and the search by an upload or a text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.template.backends.django import DjangoTemplates
from django.test import Client
from django.utils import translation

from similar_images.models import IndexedImage
from tests.drawing import upload
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db


def page(client: Any, item: Any, **params: Any) -> Any:
    return client.get(f"/similar-images/testapp.picture/{item.pk}/", params)


def test_similar__shows_matches_with_link_image_and_percent(client: Any, make_picture: Any, index_now: Any) -> None:
    item, copy = make_picture(1), make_picture(1, title="A <copy>")
    index_now()
    html = page(client, item).content.decode()
    assert f'href="{copy.get_absolute_url()}"' in html
    assert f'src="{copy.image.url}"' in html
    assert "A &lt;copy&gt;" in html
    assert "100% similar" in html


def test_similar__accepts_options(client: Any, make_picture: Any, index_now: Any) -> None:
    items = [make_picture(1) for _ in range(4)]
    other = make_picture(2)
    index_now()
    assert len(page(client, items[0]).context["matches"]) == 4
    assert len(page(client, items[0], limit=2).context["matches"]) == 2
    assert other not in [m.object for m in page(client, items[0], min_similarity=99).context["matches"]]
    assert set(page(client, items[0], method="color").context["matches"][0].scores) == {"color"}


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 1000},
        {"min_similarity": "x"},
        {"method": "nonsense"},
        {"method": "nonsense", "ranking": "color:x"},
    ],
)
def test_similar__shows_errors_of_options_beside_matches(
    client: Any, make_picture: Any, index_now: Any, params: Any
) -> None:
    item = make_picture(1)
    make_picture(2)
    index_now()
    answer = page(client, item, **params)
    assert answer.status_code == 400
    assert "errorlist" in answer.content.decode()
    assert len(answer.context["matches"]) == 1


def test_similar__says_why_it_is_empty(client: Any, make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    assert "still being processed" in page(client, item).content.decode()
    index_now()
    assert "No items reach this similarity" in page(client, item).content.decode()
    IndexedImage.objects.update(status="failed")
    assert "no usable image" in page(client, item).content.decode()
    assert "no usable image" in page(client, Picture.objects.create()).content.decode()


def test_similar__of_invisible_and_missing_objects_is_404(client: Any, make_picture: Any) -> None:
    hidden = make_picture(1, published=False)
    nul = "testapp.namedpicture/a%00b"
    for path in (f"testapp.picture/{hidden.pk}", "testapp.picture/0", "testapp.picture/x", nul, "auth.user/1", "x/1"):
        assert client.get(f"/similar-images/{path}/").status_code == 404
    assert client.get(f"/similar-images/testapp.picture/{hidden.pk}/?field=nonsense").status_code == 404


def test_similar__takes_as_many_queries_for_any_limit(
    client: Any, make_picture: Any, index_now: Any, django_assert_num_queries: Any
) -> None:
    item = make_picture(1)
    for _ in range(20):
        make_picture(1)
    index_now()
    counts = 6 + 1  # the shop's own header lists its categories
    for limit in (1, 20):
        with django_assert_num_queries(counts):
            page(client, item, limit=limit)


def test_search__by_an_upload_works_without_scripts(client: Any, make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    assert client.get("/similar-images/search/").status_code == 200
    answer = client.post("/similar-images/search/", {"image": upload(), "model": "testapp.picture"}, follow=True)
    (match,) = answer.context["matches"]
    assert (match.object, match.similarity) == (item, 100.0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image": b"x"}, "not an image"),
        ({"image": b""}, "empty"),
        ({"model": "auth.user"}, "valid choice"),
        ({"field": "nonsense"}, "no image field"),
    ],
)
def test_search__shows_errors_of_bad_input(client: Any, fields: Any, words: str) -> None:
    data = {"image": upload(data=fields.pop("image", None)), "model": "testapp.picture"} | fields
    answer = client.post("/similar-images/search/", data, follow=True)
    assert answer.status_code == 400
    assert words in answer.content.decode()


def test_search__refuses_too_many_pixels(client: Any, configure: Any) -> None:
    configure(SEARCH_MAX_PIXELS=100)
    answer = client.post("/similar-images/search/", {"image": upload(), "model": "testapp.picture"}, follow=True)
    assert answer.status_code == 400
    assert "more than 100 pixels" in answer.content.decode()


def test_search__needs_a_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/similar-images/search/", {"image": upload()}).status_code == 403


def test_pages__run_under_a_strict_content_security_policy(client: Any, make_picture: Any, index_now: Any) -> None:
    """No inline script, style or handler."""
    item = make_picture(1)
    make_picture(2)
    index_now()
    for path in (f"/similar-images/testapp.picture/{item.pk}/", "/similar-images/search/"):
        html = client.get(path).content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)


@pytest.mark.parametrize("name", ["base", "report"])
def test_base_templates__have_language_and_direction(name: str) -> None:
    engine = DjangoTemplates({"NAME": "own", "DIRS": [], "APP_DIRS": True, "OPTIONS": {}})  # not the demo's
    template = engine.get_template(f"similar_images/{name}.html")
    with translation.override("ar"):
        assert '<html lang="ar" dir="rtl">' in template.render({})
    with translation.override("de"):
        assert '<html lang="de">' in template.render({})


def test_pages__link_to_more_as_long_as_there_may_be(client: Any, gray_pictures: list[Picture], configure: Any) -> None:
    configure(LIMIT=4, MAX_LIMIT=7, MIN_SIMILARITY=0)
    links = []
    answer = page(client, gray_pictures[0], fold=0)
    while link := answer.context["more_url"]:
        links.append((len(answer.context["matches"]), link))
        assert f'href="{link.replace("&", "&amp;")}"' in answer.content.decode()
        answer = client.get(f"/similar-images/testapp.picture/{gray_pictures[0].pk}/{link}")
    assert links == [(4, "?fold=0&limit=7")]
    assert len(answer.context["matches"]) == 7
    assert page(client, gray_pictures[0], mode="copy", limit=4).status_code == 200


def test_search__shows_the_weights_of_its_methods(client: Any, configure: Any) -> None:
    weights = {row["name"]: row["weight"] for row in client.get("/similar-images/search/").context["methods"]}
    assert weights == {"embedding": 93, "color": 7}
    data = {"image": upload(), "model": "testapp.picture", "ranking": "embedding:1,color:1"}
    weights = client.post("/similar-images/search/", data).context["methods"]
    assert [row["weight"] for row in weights] == [50, 50]
    assert client.post("/similar-images/search/", data | {"image": upload(), "ranking": "x"}).status_code == 400
    configure(METHODS={"color": {}}, RANKING={"color": 1})
    assert client.get("/similar-images/search/").context["methods"] == []

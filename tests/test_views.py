"""Pages: similar items, and the search by an upload or a text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.template.backends.django import DjangoTemplates
from django.test import Client, override_settings
from django.utils import translation

from similar_images import registry
from similar_images.models import IndexedImage
from tests import drawing
from tests.drawing import upload
from tests.items import save_gray
from tests.testapp.models import Couple, Picture

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


@pytest.mark.parametrize("path", ["testapp.picture/{pk}/", "testapp.couple/{couple}/", "search/", "compare/"])
def test_full_pages__link_the_style_sheet_once(client: Any, make_picture: Any, settings: Any, path: str) -> None:
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]  # without a frame of the project's own
    couple = Couple.objects.create(front=drawing.file(1), back=drawing.file(2))
    html = client.get(f"/similar-images/{path.format(pk=make_picture(1).pk, couple=couple.pk)}").content.decode()
    assert html.count("similar_images.css") == 1


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


def show_more(client: Any, answer: Any) -> Any:
    link = answer.context["more_url"]
    assert f'href="{link.replace("&", "&amp;")}#similar-images-more"' in answer.content.decode()
    return client.get(answer.wsgi_request.path + link)


def shown(answer: Any) -> list[Any]:
    return [match.object for match in answer.context["matches"]]


def test_pages__grow_as_long_as_there_may_be_more(
    client: Any, gray_pictures: list[Picture], configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(LIMIT=2, MIN_SIMILARITY=0)
    monkeypatch.setattr("similar_images.forms.cursors.MAX_RANK", 5)
    answers = [page(client, gray_pictures[0], fold=0)]
    while answers[-1].context["more_url"]:
        answers.append(show_more(client, answers[-1]))
    assert [len(shown(answer)) for answer in answers] == [2, 4, 5]
    assert shown(answers[-1])[:2] == shown(answers[0])
    assert "4 items shown" in answers[1].content.decode()
    assert '"cursor"' not in answers[1].content.decode(), "the form would go on with a cursor of another search"


def test_pages__grow_by_what_was_indexed_when_the_first_page_was_shown(
    client: Any, mean_method: None, index_now: Any, configure: Any
) -> None:
    configure(MIN_SIMILARITY=0)
    items = [save_gray(level) for level in range(100, 110)]
    index_now()
    first = page(client, items[0], limit=3, method="mean")
    later = save_gray(100)
    index_now()
    items[1].delete()
    Picture.objects.filter(pk=items[5].pk).update(published=False)
    second = show_more(client, first)
    assert shown(second) == [items[index] for index in (2, 3, 4, 6, 7, 8)]
    assert shown(page(client, items[0], limit=1, method="mean")) == [later]


def test_pages__take_no_cursor_of_another_search(client: Any, gray_pictures: list[Picture], configure: Any) -> None:
    configure(LIMIT=2, MIN_SIMILARITY=0)
    link = page(client, gray_pictures[0], fold=0).context["more_url"]
    for wrong in ("?cursor=x", link + "&diversity=0.5"):
        answer = client.get(f"/similar-images/testapp.picture/{gray_pictures[0].pk}/{wrong}")
        assert answer.status_code == 400
        assert "This is not the cursor of this search" in answer.content.decode()


def test_pages__grow_to_a_lower_bound_where_images_are_compared(
    client: Any, gray_pictures: list[Picture], configure: Any
) -> None:
    configure(LIMIT=2, COSTLY_MAX_LIMIT=3)
    answer = page(client, gray_pictures[0], mode="copy", min_similarity=0)
    assert len(shown(show_more(client, answer))) == 3
    assert show_more(client, answer).context["more_url"] == ""


def test_search__grows_where_the_image_is_kept(client: Any, gray_pictures: list[Picture], configure: Any) -> None:
    configure(MIN_SIMILARITY=0)
    with override_settings(DEBUG=True):
        data = {"image": upload(), "model": "testapp.picture", "limit": 2}
        answer = client.post("/similar-images/search/", data, follow=True)
    second = show_more(client, answer)
    assert [len(shown(each)) for each in (answer, second)] == [2, 4]
    assert client.post("/similar-images/search/", data | {"image": upload()}).context["more_url"] == ""


def test_search__asks_where_only_if_there_is_a_choice(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert b'name="model"' in client.get("/similar-images/search/").content
    only = [registry.get_source(Picture)]
    monkeypatch.setattr(registry, "get_sources", lambda: only)
    answer = client.get("/similar-images/search/")
    assert answer.status_code == 200
    assert b'name="model"' not in answer.content


def test_search__shows_the_weights_of_its_methods(client: Any, configure: Any) -> None:
    weights = {row["name"]: row["weight"] for row in client.get("/similar-images/search/").context["methods"]}
    assert weights == {"embedding": 93, "color": 7}
    data = {"image": upload(), "model": "testapp.picture", "ranking": "embedding:1,color:1"}
    weights = client.post("/similar-images/search/", data).context["methods"]
    assert [row["weight"] for row in weights] == [50, 50]
    assert client.post("/similar-images/search/", data | {"image": upload(), "ranking": "x"}).status_code == 400
    configure(METHODS={"color": {}}, RANKING={"color": 1})
    assert client.get("/similar-images/search/").context["methods"] == []

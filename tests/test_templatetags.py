from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.files.base import ContentFile
from django.template import Context, Template, TemplateSyntaxError
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from similar_images.models import IndexedImage
from similar_images.registry import NotRegistered
from tests import drawing
from tests.databases import VARIANT, await_replica, connection, read_connection
from tests.testapp.models import Couple, Picture, Private, Unregistered, UuidPicture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]

ITEMS = (
    "{% similar_items item as matches %}{% for match in matches %}{{ match.title }}={{ match.similarity }};{% endfor %}"
)
WIDGET = "{% similar_items_widget item %}"


def render(source: str, **context: Any) -> str:
    return Template("{% load similar_images %}" + source).render(Context(context)).strip()


@pytest.fixture
def pictures(make_picture: Any, index_now: Any) -> list[Picture]:
    made = [make_picture(seed) for seed in range(4)]
    index_now()
    return made


# --- similar_items ---------------------------------------------------------------------------------------------


def test_items__most_similar_first(make_picture: Any, index_now: Any) -> None:
    item, other = make_picture(1), make_picture(2)
    make_picture(title="Copy", image=drawing.file(1, name="copy.png"))
    index_now()
    html = render(ITEMS, item=item)
    assert html.startswith("Copy=100.0;Scene 2=")
    assert str(item) not in html
    assert render(ITEMS, item=other).count("=") == 2


def test_items__takes_the_options_of_similar_to(pictures: list[Picture]) -> None:
    def render_with(options: str) -> str:
        return render(ITEMS.replace("item as", f"item {options} as"), item=pictures[0])

    assert render_with("").count(";") == 3
    assert render_with("limit=2").count(";") == 2
    assert render_with("min_similarity=100") == ""
    assert render_with("method='mean'").count(";") == 3
    with pytest.raises(ValueError, match="Unknown method"):
        render_with("method='nope'")
    with pytest.raises(TypeError, match="limits"):
        render_with("limits=2")


def test_items__field(index_now: Any) -> None:
    files = [{"front": drawing.file(seed), "back": drawing.file(5 - seed)} for seed in (1, 2)]
    item, _other = [Couple.objects.create(**fields) for fields in files]
    index_now()
    template = "{% similar_items item field=field as matches %}{{ matches.0.image.name }}"
    assert render(template, item=item, field="front").startswith("front/")
    assert render(template, item=item, field="back").startswith("back/")


@pytest.mark.parametrize("source", [ITEMS, WIDGET])
def test_nothing__for_unsaved_objects_and_other_values(source: str, pictures: list[Picture]) -> None:
    for item in (None, "", "text", 5, Picture(), Picture(pk=99999), Picture):
        assert render(source, item=item) == ""
    assert render(source) == ""  # no such variable


@pytest.mark.parametrize("source", [ITEMS, WIDGET])
def test_nothing__for_images_not_indexed_yet(source: str, pictures: list[Picture], make_picture: Any) -> None:
    assert render(source, item=make_picture(7)) == ""
    assert render(source, item=Picture.objects.create(title="bare")) == ""


@pytest.mark.parametrize("source", [ITEMS, WIDGET])
def test_nothing__for_failed_images(source: str, pictures: list[Picture], make_picture: Any, index_now: Any) -> None:
    broken = make_picture(title="Broken", image=ContentFile(b"no picture", name="broken.png"))
    index_now()
    assert IndexedImage.objects.get(object_id=str(broken.pk)).status == "failed"
    assert render(source, item=broken) == ""
    assert "Scene 1" in render(source, item=pictures[0])
    assert "Broken" not in render(source, item=pictures[0])


@pytest.mark.parametrize("source", [ITEMS, WIDGET])
def test_nothing__for_the_only_image(source: str, make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    assert render(source, item=item) == ""


def test_items__not_registered_is_an_error() -> None:
    with pytest.raises(NotRegistered):
        render(ITEMS, item=Unregistered.objects.create(image="a.png"))


@pytest.mark.parametrize("source", [ITEMS, WIDGET])
@pytest.mark.parametrize("with_request", [False, True])
def test_hidden__never_shown(source: str, with_request: bool, pictures: list[Picture]) -> None:
    context: dict[str, Any] = {}
    if with_request:
        context["request"] = RequestFactory().get("/")
        context["request"].user = AnonymousUser()
    Picture.objects.filter(title="Scene 2").update(published=False)
    html = render(source, item=pictures[0], **context)
    assert "Scene 1" in html
    assert "Scene 2" not in html
    assert render(source, item=Picture.objects.get(title="Scene 2"), **context) == ""


def test_items__visible_to_the_user_of_the_request(index_now: Any) -> None:
    mine, my_other, _alien = [
        Private.objects.create(owner=owner, image=drawing.file(seed))
        for seed, owner in enumerate(["me", "me", "stranger"])
    ]
    index_now()
    request = RequestFactory().get("/")
    source = "{% similar_items item as matches %}{% for match in matches %}{{ match.object.pk }};{% endfor %}"
    request.user = User(username="me")
    assert render(source, item=mine, request=request) == f"{my_other.pk};"
    request.user = User(username="stranger")
    assert render(source, item=mine, request=request) == ""
    assert render(source, item=mine) == ""


def override_templates(pages: dict[str, str]) -> list[dict[str, Any]]:
    """Return the setting TEMPLATES with these templates before those of the apps."""
    loaders = [
        ("django.template.loaders.locmem.Loader", pages),
        "django.template.loaders.app_directories.Loader",
    ]
    return [{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": loaders}}]


# --- the widget ------------------------------------------------------------------------------------------------


def test_widget__shows_titles_pictures_links_and_percent(pictures: list[Picture]) -> None:
    html = render("{% similar_items_widget item limit=2 title='You may also like' %}", item=pictures[0])
    assert html.count("<li>") == 2
    assert "<h2>You may also like</h2>" in html
    assert 'aria-label="You may also like"' in html
    assert html.count("% similar") == 2
    (match, *_) = [picture for picture in pictures[1:] if f">{picture.title}<" in html]
    assert f'href="{match.get_absolute_url()}"' in html
    assert f'src="{match.image.url}"' in html
    assert pictures[0].image.url not in html


def test_widget__images_have_the_size_that_was_indexed(pictures: list[Picture]) -> None:
    html = render(WIDGET, item=pictures[0])
    assert html.count('width="160" height="120"') == html.count("<img") == 3


@pytest.mark.parametrize("layout", ["grid", "row", "list"])
def test_widget__layouts(layout: str, pictures: list[Picture]) -> None:
    html = render("{% similar_items_widget item layout=layout %}", item=pictures[0], layout=layout)
    assert f"similar-images-{layout}" in html
    assert ("widget.js" in html) == (html.count("<button") == 2) == (layout == "row")
    with pytest.raises(ValueError, match="layout must be one of grid, row, list"):
        render("{% similar_items_widget item layout='pile' %}", item=pictures[0])


def test_widget__item_template(pictures: list[Picture], settings: Any) -> None:
    settings.TEMPLATES = override_templates({"card.html": "<b>{{ match.title }}</b>"})
    html = render("{% similar_items_widget item item_template='card.html' %}", item=pictures[0])
    assert html.count("<li><b>Scene ") == 3


def lazy_address(html: str) -> str:
    (address,) = re.findall(r'data-src="([^"]+)"', html)
    return str(address)


def test_lazy__is_a_link_and_an_address_of_the_same_widget(pictures: list[Picture], client: Client) -> None:
    options = "limit=2 title='You may also like' layout='row'"
    with CaptureQueriesContext(connection) as captured:
        html = render("{% similar_items_widget item lazy=True " + options + " %}", item=pictures[0])
    assert len(captured) == 0
    assert f'href="{pictures[0].get_absolute_url()}"' in html
    answer = client.get(lazy_address(html))
    assert answer.content.decode().strip() == render(
        "{% similar_items_widget item " + options + " %}", item=pictures[0]
    )
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_lazy__address_can_not_be_changed(pictures: list[Picture], client: Client) -> None:
    address = lazy_address(render("{% similar_items_widget item lazy=True %}", item=pictures[0]))
    assert client.get(address).status_code == 200
    assert client.get(address[:-2] + "x/").status_code == 404
    assert client.get(reverse("similar_images:widget", args=["x"])).status_code == 404


def test_lazy__hidden_is_as_missing(pictures: list[Picture], client: Client) -> None:
    address, other = (
        lazy_address(render("{% similar_items_widget item lazy=True %}", item=item)) for item in pictures[:2]
    )
    Picture.objects.filter(pk=pictures[0].pk).update(published=False)
    pictures[1].delete()
    hidden, missing = client.get(address), client.get(other)
    assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content)
    assert hidden.status_code == 404


def test_lazy__speaks_the_language_of_the_page(pictures: list[Picture], client: Client) -> None:
    with translation.override("de"):
        address = lazy_address(render("{% similar_items_widget item lazy=True %}", item=pictures[0]))
    assert "ähnlich" in client.get(address).content.decode()


def test_lazy__options_must_fit_into_an_address(pictures: list[Picture]) -> None:
    with pytest.raises(TypeError, match="lazy=True takes options that are texts or numbers alone"):
        render("{% similar_items_widget item lazy=True queryset=all %}", item=pictures[0], all=Picture.objects.all())


@pytest.mark.urls("tests.no_urls")
def test_lazy__is_shown_at_once_where_the_project_has_no_pages(index_now: Any) -> None:
    item, other = [UuidPicture.objects.create(image=drawing.file(seed)) for seed in (1, 2)]
    index_now()
    assert other.image.url in render("{% similar_items_widget item lazy=True %}", item=item)


def test_widget__without_title(pictures: list[Picture]) -> None:
    html = render(WIDGET, item=pictures[0])
    assert "<li>" in html
    assert "<h2>" not in html
    assert "aria-label" not in html


def test_widget__objects_without_a_page(index_now: Any) -> None:
    item, other = [UuidPicture.objects.create(image=drawing.file(seed)) for seed in (1, 2)]
    index_now()
    html = render(WIDGET, item=item)
    assert other.image.url in html
    assert "<a" not in html


def test_widget__escapes(make_picture: Any, index_now: Any) -> None:
    item, _ = make_picture(1), make_picture(2, title='<script>"x"</script>')
    index_now()
    html = render("{% similar_items_widget item title=title %}", item=item, title='"><b>bold</b>')
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<b>" not in html
    assert 'aria-label="&quot;&gt;&lt;b&gt;bold&lt;/b&gt;"' in html


def test_widget__swappable_template(pictures: list[Picture], settings: Any) -> None:
    template = "<p>{{ title }}: {{ object }} and {% for match in matches %}[{{ match }}]{% endfor %}</p>"
    pages = {
        "similar_images/widget.html": template.replace("{{ match }}", "{{ match.title }}"),
        "page.html": "{% load similar_images %}{% similar_items_widget item title='Alike' limit=1 min_similarity=0 %}",
    }
    settings.TEMPLATES = override_templates(pages)
    html = render_to_string("page.html", {"item": pictures[0]})
    assert html.startswith("<p>Alike: Scene 0 and [Scene ")
    assert html.count("[") == 1


@pytest.mark.parametrize("change", [{"image": ""}, {"image": "pictures/gone.png"}])
def test_widget__file_changed_without_signals(change: dict[str, str], pictures: list[Picture]) -> None:
    """Until the sweep comes by, the records are behind; the page is shown all the same."""
    Picture.objects.filter(pk=pictures[1].pk).update(**change)
    assert "Scene 2" in render(WIDGET, item=pictures[0])


def test_wrong_use() -> None:
    with pytest.raises(TemplateSyntaxError):
        render("{% similar_items as matches %}")


# --- cost ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)  # the ids of sources are remembered once committed
@pytest.mark.parametrize("source", [ITEMS, WIDGET])
def test_queries__as_many_for_many_matches(source: str, make_picture: Any, index_now: Any) -> None:
    source = source.replace(" item ", " item limit=30 ")
    item = make_picture(0)
    queries = []
    for more, matches in ((3, 3), (27, 30)):
        for seed in range(more):
            make_picture(seed)
        index_now()
        await_replica()
        with CaptureQueriesContext(read_connection) as captured:
            html = render(source, item=item)
        assert html.count("Scene") == matches
        queries.append(len(captured))
    # BEGIN and COMMIT; and what is asked to remember neighbors, which are not those of a replica. The second search
    # asks first whether what is remembered still holds, which it does not.
    remembers = VARIANT != "replica"
    assert queries == [4 + 2 + 2 * remembers, 4 + 2 + 3 * remembers]

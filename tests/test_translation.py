"""Every sentence for people goes through gettext: with all messages put in «», no word is left outside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template import Context, Template
from django.utils import translation

import similar_images
from project.catalog.models import Category, Product
from similar_images import registry
from similar_images.indexing import claims, worker
from similar_images.models import IndexedImage, Mark
from tests import drawing
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

PACKAGE = Path(similar_images.__file__).parent
VOID_ELEMENTS = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
VISIBLE_ATTRIBUTES = {"alt", "aria-label", "placeholder", "title"}
HOST_DATA = {"Scene", "embedding", "color", "mean", "phash"}
"""Words of the tests' objects and settings, which are not for this app to translate."""


@pytest.fixture(autouse=True)
def _marked_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog in which the translation of every message is the message in «»."""
    catalog = translation._trans
    monkeypatch.setattr(catalog, "gettext", lambda message: f"«{message}»")
    monkeypatch.setattr(catalog, "pgettext", lambda context, message: f"«{message}»")
    monkeypatch.setattr(
        catalog, "ngettext", lambda singular, plural, number: f"«{singular if number == 1 else plural}»"
    )
    monkeypatch.setattr(
        catalog, "npgettext", lambda context, singular, plural, number: f"«{singular if number == 1 else plural}»"
    )


class VisibleText(HTMLParser):
    """Collects what a person reads or hears of the elements of a class or id: text and some attributes."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope
        self.texts: list[str] = []
        self.scopes_found = 0
        self.open_elements: list[tuple[str, bool, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        is_scope = self.scope in (*attributes.get("class", "").split(), attributes.get("id"))
        self.scopes_found += is_scope
        _tag, in_scope, is_hidden = self.open_elements[-1] if self.open_elements else ("", False, False)
        in_scope, is_hidden = in_scope or is_scope, is_hidden or tag in ("script", "style")
        if in_scope:
            self.texts.extend(attributes[name] for name in VISIBLE_ATTRIBUTES & attributes.keys())
        if in_scope and tag == "input" and attributes.get("type") == "submit":
            self.texts.append(attributes.get("value", ""))
        if tag not in VOID_ELEMENTS:
            self.open_elements.append((tag, in_scope, is_hidden))

    def handle_endtag(self, tag: str) -> None:
        while self.open_elements and self.open_elements.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open_elements:
            _tag, in_scope, is_hidden = self.open_elements[-1]
            if in_scope and not is_hidden:
                self.texts.append(data)


def unmarked(text: str, host_data: Iterable[str] = ()) -> list[str]:
    """Return the words outside of «», without numbers and host data."""
    while (shorter := re.sub(r"«[^«»]*»", " ", text)) != text:
        text = shorter
    models = " ".join(str(source.result_model._meta.verbose_name_plural) for source in registry.get_sources())
    names = HOST_DATA.union(host_data, models.split())
    return [word for word in re.findall(r"[^\W\d_]{2,}", text) if word not in names]


def unmarked_words(html: str, scope: str = "similar-images", host_data: Iterable[str] = ()) -> list[str]:
    """Return the visible words of a page outside of «»."""
    parser = VisibleText(scope)
    parser.feed(html)
    assert parser.scopes_found, f"nothing has the class or id {scope}"
    assert any("«" in text for text in parser.texts)
    return [word for text in parser.texts for word in unmarked(text, host_data)]


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<p class='x'>«Text»</p> outside", []),
        ("<p class='x'>«Text» bare</p>", ["bare"]),
        ("<div><p class='y x'>«a»<br><b>bold</b></p></div>", ["bold"]),
        ("<p id='x'>«a»<img alt='a bare text'></p>", ["bare", "text"]),
        ("<p class='x'>«one «two» three»</p><input placeholder='outside'>", []),
        ("<p class='x'>«a»<script>let code</script></p>", []),
    ],
)
def test_unmarked_words__are_the_visible_ones_of_the_scope(html: str, words: list[str]) -> None:
    assert unmarked_words(html, "x") == words


@pytest.mark.parametrize("path", sorted((PACKAGE / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_template__has_no_word_outside_of_translate(path: Path) -> None:
    source = path.read_text()
    source = re.sub(r"{% comment .*?{% endcomment %}|<style>.*?</style>|<!--.*?-->", " ", source, flags=re.DOTALL)
    source = re.sub(r"{% blocktranslate\b.*?{% endblocktranslate %}", "«»", source, flags=re.DOTALL)
    source = re.sub(r"{% block style %}.*?{% endblock %}", " ", source, flags=re.DOTALL)
    source = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "«»", source, flags=re.DOTALL)
    names = "|".join(VISIBLE_ATTRIBUTES)
    texts = [*re.findall(rf'\b(?:{names})="([^"]*)"', source), re.sub(r"<[^>]*>|&\w+;", " ", source)]
    assert [word for text in texts for word in re.findall(r"[^\W\d_]{2,}", text)] == []


def test_script__shows_no_text_of_its_own() -> None:
    source = (PACKAGE / "static/similar_images/drop.js").read_text()
    assert re.findall(r"textContent|innerText|innerHTML|insertAdjacent|createTextNode|alert\(|confirm\(", source) == []
    assert set(re.findall(r"\.(?:alt|title|placeholder) = (.*?);", source)) <= {'""'}


@pytest.mark.parametrize("status", ["indexed", "pending", "failed", "alone"])
@pytest.mark.parametrize("query", ["", "?limit=x&method=nonsense"])
def test_similar__is_translated(client: Any, make_picture: Any, index_now: Any, status: str, query: str) -> None:
    item = make_picture(1)
    if status != "alone":
        make_picture(2)
    index_now()
    if status in ("pending", "failed"):
        IndexedImage.objects.filter(object_id=item.pk).update(status=status, file_name="other")
    html = client.get(f"/similar-images/testapp.picture/{item.pk}/{query}").content.decode()
    assert unmarked_words(html) == []


@pytest.mark.parametrize("data", [b"x", b"", drawing.encoded(drawing.scene(1))])
def test_search__is_translated(client: Any, make_picture: Any, index_now: Any, data: bytes) -> None:
    make_picture(1)
    index_now()
    fields = {"image": SimpleUploadedFile("x.png", data), "model": "testapp.picture"}
    html = client.post("/similar-images/search/", fields).content.decode()
    assert unmarked_words(html) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"image": b"x"},
        {"image": b"<svg/>"},
        {"image": drawing.encoded(drawing.scene(1), "JPEG")[:700]},
        {"method": "nonsense"},
        {"ranking": "nonsense"},
        {"ranking": "embedding:0"},
        {"ranking": "embedding:1", "method": "color"},
        {"field": "nonsense"},
        {"limit": "x"},
    ],
)
def test_rest__errors_are_translated(client: Any, fields: dict[str, Any]) -> None:
    data = {"model": "testapp.picture", **fields}
    data["image"] = SimpleUploadedFile("x.png", fields.get("image", drawing.encoded(drawing.scene(1))))
    answer = client.post("/api/similar-images/search/", data)
    assert answer.status_code == 400
    (messages,) = answer.json()["errors"].values()
    assert unmarked(" ".join(messages)) == []


@pytest.mark.parametrize("text", ["", "x" * 301, "red"])
def test_search_by_text__is_translated(client: Any, configure: Any, text: str) -> None:
    fields = {"text": text, "model": "testapp.picture"}
    url = "/api/similar-images/search/"
    without = client.get(url, fields).json()["detail"]
    configure(METHODS={"tests.methods.SlowReader": {}, "color": {}}, RANKING={"mean": 1})
    wrong = client.get(url, {**fields, "method": "color", "text": "red"}).json()["errors"]["method"]
    ranked = client.get(url, {**fields, "ranking": "mean:1", "text": "red"}).json()["errors"]["ranking"]
    assert unmarked(" ".join([without, *wrong, *ranked])) == []
    assert unmarked_words(client.get("/similar-images/search/", fields).content.decode()) == []


@pytest.mark.parametrize("content", [b"x", b"<svg/>", b"", drawing.encoded(drawing.scene(1), "JPEG")[:700], None])
def test_record__reasons_are_translated(content: bytes | None, index_now: Any) -> None:
    item = Picture.objects.create(image=drawing.ContentFile(b"x" if content is None else content, name="x.png"))
    if content is None:
        item.image.storage.delete(item.image.name)
    index_now()
    reason = IndexedImage.objects.get().error
    assert reason.startswith("«")
    assert unmarked(reason) == []


@pytest.mark.parametrize("query", ["?mode=copy", "?min_similarity=100", "?fold=0&limit=1", "?method=color"])
def test_similar__options_are_translated(client: Any, make_picture: Any, index_now: Any, query: str) -> None:
    item, _other = make_picture(1), make_picture(2)
    make_picture(title="Scene", image=drawing.file(2, name="twin.png"))
    index_now()
    html = client.get(f"/similar-images/testapp.picture/{item.pk}/{query}").content.decode()
    assert unmarked_words(html) == []


@pytest.mark.parametrize("is_indexed", [True, False])
def test_similar__fallback_is_translated(
    client: Any, make_picture: Any, index_now: Any, configure: Any, is_indexed: bool
) -> None:
    make_picture(2)
    index_now()
    item = make_picture(1)
    if is_indexed:
        index_now()
    query = "min_similarity=100&fallback=newest"
    html = client.get(f"/similar-images/testapp.picture/{item.pk}/?{query}").content.decode()
    assert "newest items instead" in html
    assert unmarked_words(html) == []


@pytest.mark.parametrize("title", [None, "You may also like"])
def test_widget__is_translated(make_picture: Any, index_now: Any, title: str | None) -> None:
    items = [make_picture(seed) for seed in (1, 2)]
    index_now()
    tag = "{% load similar_images %}{% similar_items_widget item title=title %}"
    html = Template(tag).render(Context({"item": items[0], "title": title}))
    assert unmarked_words(html, host_data=(title or "").split()) == []


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (None, None),
        (b"x", b""),
        (drawing.encoded(drawing.scene(1)), None),
        (drawing.encoded(drawing.scene(1)), drawing.encoded(drawing.scene(1))),
        (drawing.encoded(drawing.scene(1)), drawing.encoded(drawing.scene(1), "JPEG", quality=50)),
        (drawing.encoded(drawing.scene(1)), drawing.encoded(drawing.scene(2))),
    ],
    ids=["nothing", "unreadable", "one", "same file", "encoded again", "different"],
)
@pytest.mark.parametrize("measures", ["", "all", "nonsense"])
def test_compare__is_translated(client: Any, a: bytes | None, b: bytes | None, measures: str) -> None:
    files = {name: SimpleUploadedFile("x.png", data) for name, data in {"a": a, "b": b}.items() if data is not None}
    html = client.post("/similar-images/compare/", {**files, "measures": measures}).content.decode()
    assert unmarked_words(html, host_data=COMPARISON_DATA) == []


COMPARISON_DATA = {"png"}


@pytest.fixture
def products(db: None) -> list[Product]:
    """Two products with indexed images."""
    category = Category.objects.create(name="c", slug="c")
    made = [
        Product.objects.create(
            category=category, name=f"Scene {seed}", slug=f"{seed}", price=1, photo=drawing.file(seed)
        )
        for seed in (1, 2)
    ]
    while records := claims.claim_batch():
        worker.index_records(records)
    return made


@pytest.mark.parametrize("status", ["indexed", "pending", "failed", "missing", "alone"])
def test_admin__panel_is_translated(products: list[Product], admin_client: Any, status: str) -> None:
    item, other = products
    if status == "alone":
        other.delete()
    elif status == "missing":
        IndexedImage.objects.filter(object_id=item.pk).delete()
    elif status != "indexed":
        IndexedImage.objects.filter(object_id=item.pk).update(status=status, file_name="other")
    html = admin_client.get(f"/admin/catalog/product/{item.pk}/change/").content.decode()
    assert unmarked_words(html, "similar-images-admin") == []
    assert unmarked_words(html, "field-similar_images") == []


def test_admin__methods_are_shown_by_title(products: list[Product], admin_client: Any) -> None:
    html = admin_client.get(f"/admin/catalog/product/{products[0].pk}/change/").content.decode()
    assert re.findall(r"<dt>(.*?)</dt>", html) == ["«Content»", "«Color»"]


@pytest.mark.parametrize("alike", [None, True, False])
@pytest.mark.parametrize("is_by_editor", [True, False])
def test_admin__pair_page_is_translated(
    products: list[Product], admin_client: Any, admin_user: User, alike: bool | None, is_by_editor: bool
) -> None:
    if alike is not None:
        similar_images.mark(*products, alike=alike, user=admin_user if is_by_editor else None)
    html = admin_client.get(pair_url(products[0], products[1].pk)).content.decode()
    assert unmarked_words(html, "similar-images-judging", {"admin"}) == []
    assert unmarked_words(html, "breadcrumbs", {"Home", "Products"}) == []


@pytest.mark.parametrize("key", ["", "999999"])
def test_admin__pair_errors_are_translated(products: list[Product], admin_client: Any, key: str) -> None:
    html = admin_client.get(pair_url(products[0], key)).content.decode()
    assert "errorlist" in html
    assert unmarked_words(html, "similar-images-judging") == []


@pytest.mark.parametrize("alike", ["0", "1", ""])
def test_admin__answers_to_a_mark_are_translated(products: list[Product], admin_client: Any, alike: str) -> None:
    for other in products:  # the second one is marked, the first one is refused
        data = {"field": "photo", "other": other.pk, "alike": alike}
        html = admin_client.post(pair_url(products[0]), data, follow=True).content.decode()
        assert unmarked_words(html, "messagelist") == []


def test_admin__lists_of_records_and_marks_are_translated(products: list[Product], admin_client: Any) -> None:
    broken = Picture.objects.create(title="bare", image=ContentFile(b"text", name="text.png"))
    while records := claims.claim_batch():
        worker.index_records(records)
    similar_images.mark(*products, alike=False, user=User.objects.get())
    labels = " ".join(source.label for source in registry.get_sources())
    words = re.findall(r"[^\W\d_]+", labels.lower())
    data = {"admin", "text", "png", "bare", *words, *map(str.capitalize, words)}
    pages = {
        "indexedimage": IndexedImage.objects.get(object_id=str(broken.pk), source__model="picture"),
        "mark": Mark.objects.get(),
    }
    for model, record in pages.items():
        url = f"/admin/similar_images/{model}/"
        html = admin_client.get(url).content.decode()
        for part in ("result_list", "changelist-filter", "actions"):
            assert unmarked_words(html, part, data) == [], part
        html = admin_client.get(f"{url}{record.pk}/change/").content.decode()
        values = re.findall(r"[^\W\d_]+", f"{getattr(record, 'sha256', '')} {getattr(record, 'revision', '')}")
        assert unmarked_words(html, "content", {*data, *values, "ID", "SHA"}) == []
    answer = admin_client.post(
        "/admin/similar_images/indexedimage/",
        {"action": "index_again", "_selected_action": [pages["indexedimage"].pk]},
        follow=True,
    )
    assert unmarked_words(answer.content.decode(), "messagelist") == []


def pair_url(item: Product, key: Any = None) -> str:
    """Return the address of the page on a product and another one."""
    query = "" if key is None else f"&other={key}"
    return f"/admin/catalog/product/{item.pk}/similar-images/?field=photo{query}"

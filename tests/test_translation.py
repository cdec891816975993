"""Every sentence for people goes through gettext: with all messages put in «», none is left outside."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import translation

from similar_images.indexing import claims, worker
from similar_images.models import IndexedImage
from tests import drawing
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _marked(monkeypatch: pytest.MonkeyPatch) -> None:
    real = translation._trans
    monkeypatch.setattr(real, "gettext", lambda message: f"«{message}»")
    monkeypatch.setattr(real, "pgettext", lambda context, message: f"«{message}»")
    monkeypatch.setattr(real, "ngettext", lambda one, many, number: f"«{one if number == 1 else many}»")


def unmarked(text: str) -> list[str]:
    """The words outside of «», leaving out numbers and what is data."""
    while (shorter := re.sub(r"«[^«»]*»", " ", text)) != text:
        text = shorter
    return [word for word in re.findall(r"[^\W\d_]{2,}", text) if word not in DATA]


DATA = {"Scene", "embedding", "color"}


def words_of(html: str) -> list[str]:
    (section,) = re.findall(r'<section class="similar-images".*?</section>', html, re.DOTALL)
    section = re.sub(
        r"<option value=\"[^\"]+\".*?</option>", "", section, flags=re.DOTALL
    )  # names of methods and models
    return unmarked(unescape(re.sub(r"<[^>]*>", " ", section)))


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
    assert words_of(html) == []


@pytest.mark.parametrize("data", [b"x", b"", drawing.encoded(drawing.scene(1))])
def test_search__is_translated(client: Any, make_picture: Any, index_now: Any, data: bytes) -> None:
    make_picture(1)
    index_now()
    fields = {"image": SimpleUploadedFile("x.png", data), "model": "testapp.picture"}
    html = client.post("/similar-images/search/", fields).content.decode()
    assert words_of(html) == []


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
    (messages,) = answer.json().values()
    assert unmarked(" ".join(messages)) == []


@pytest.mark.parametrize("text", ["", "x" * 301, "red"])
def test_search_by_text__is_translated(client: Any, configure: Any, text: str) -> None:
    fields = {"text": text, "model": "testapp.picture"}
    url = "/api/similar-images/search/"
    (without,) = client.get(url, fields).json().values()
    configure(METHODS={"tests.methods.SlowReader": {}, "color": {}}, RANKING={"mean": 1})
    wrong = client.get(url, {**fields, "method": "color", "text": "red"}).json()["method"]
    ranked = client.get(url, {**fields, "ranking": "mean:1", "text": "red"}).json()["ranking"]
    assert unmarked(" ".join([*without, *wrong, *ranked])) == []
    assert words_of(client.get("/similar-images/search/", fields).content.decode()) == []


@pytest.mark.parametrize("content", [b"x", b"<svg/>", b"", drawing.encoded(drawing.scene(1), "JPEG")[:700], None])
def test_record__reasons_are_translated(content: bytes | None, index_now: Any) -> None:
    item = Picture.objects.create(image=drawing.ContentFile(b"x" if content is None else content, name="x.png"))
    if content is None:
        item.image.storage.delete(item.image.name)
    index_now()
    reason = IndexedImage.objects.get().error
    assert reason.startswith("«")
    assert unmarked(reason) == []


def test_admin__panel_is_translated(make_picture: Any, index_now: Any, admin_client: Any) -> None:
    from project.catalog.models import Category, Product

    category = Category.objects.create(name="c", slug="c")
    one, _two = (
        Product.objects.create(
            category=category, name=f"Scene {seed}", slug=f"{seed}", price=1, photo=drawing.file(seed)
        )
        for seed in (1, 2)
    )
    while records := claims.claim_batch():
        worker.index_records(records)
    html = admin_client.get(f"/admin/catalog/product/{one.pk}/change/").content.decode()
    (panel,) = re.findall(r'<div class="similar-images similar-images-admin">.*?</ul>', html, re.DOTALL)
    assert unmarked(unescape(re.sub(r"<[^>]*>", " ", panel))) == []

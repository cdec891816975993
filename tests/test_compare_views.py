"""The page that compares two images, and its cached images by URL."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image

import similar_images
from similar_images import visitor_files
from tests import drawing
from tests.databases import connection
from tests.drawing import upload
from tests.items import comparison_key
from tests.testapp.models import Couple, Picture, Private

pytestmark = pytest.mark.django_db

PAGE = "/similar-images/compare/"


@pytest.fixture(autouse=True)
def _measures(configure: Any) -> None:
    configure(
        MEASURES={"tests.measures.sample_measures.Brightness": {}, "tests.measures.sample_measures.Darkness": {}},
        COMPARE_MEASURES=["brightness", "darkness", "phash"],
    )


def test_compare__without_script_two_uploads(client: Any) -> None:
    form = client.get(PAGE)
    assert form.status_code == 200
    assert "result" not in form.context
    answer = client.post(PAGE, {"a": upload(), "b": upload()})
    assert answer.status_code == 200
    html = answer.content.decode()
    assert "Same file" in html
    assert "How much brighter one of the two is." in html
    assert "100.0%" in html
    assert "160 × 120 pixels" in html
    assert "The same &lt;pair&gt;" in html
    names = ["scene1.png", "scene1.png"]
    assert (
        re.findall(r'<span class="similar-images-title">([^<]*)</span>\s*<span class="similar-images-size"', html)
        == names
    )


def test_compare__shows_images_and_drawings(client: Any) -> None:
    html = client.post(PAGE, {"a": upload(1), "b": upload(2)}).content.decode()
    addresses = re.findall(r'<img src="(/similar-images/compare/[^"]+)"', html)
    drawn = ["brightness-pair.png", "brightness-light.png", "darkness-pair.png"]
    assert [address.rsplit("/", 1)[1] for address in addresses] == ["a.png", "b.png", *drawn]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer["Content-Type"] == "image/png"
        assert answer["Cache-Control"] == "private"
        assert answer["X-Content-Type-Options"] == "nosniff"
        Image.open(io.BytesIO(answer.content)).verify()
    shown = Image.open(io.BytesIO(client.get(addresses[1]).content))
    assert shown.convert("RGB").tobytes() == drawing.scene(2).tobytes()


def test_compare__by_link_of_two_objects(client: Any, make_picture: Any) -> None:
    a, b = make_picture(1, title="A <first>"), make_picture(2)
    answer = client.get(PAGE, {"a": comparison_key(a), "b": comparison_key(b)})
    assert answer.status_code == 200
    html = answer.content.decode()
    assert str(similar_images.compare(a, b).verdict.text) in html
    assert "A &lt;first&gt;" in html
    for item in (a, b):
        assert f'href="{item.get_absolute_url()}"' in html
        assert html.count(f'src="{item.image.url}"') == 2  # compared, and kept in the form for the next time
        assert f'value="testapp.picture.image:{item.pk}"' in html


def test_compare__an_upload_replaces_the_object_in_the_form(client: Any, make_picture: Any) -> None:
    a, b = make_picture(1), make_picture(2)
    kept = {"a": f"testapp.picture.image:{a.pk}", "b": f"testapp.picture.image:{b.pk}"}
    fields = [("a", kept["a"]), ("b", kept["b"])]
    answer = client.post(PAGE, dict(fields) | {"b": [kept["b"], upload(1)]})
    assert answer.status_code == 200
    result = answer.context["result"]
    assert (result.a.side.object, result.b.side.object) == (a, None)
    assert result.verdict.kind == "same-file"


def test_compare__with_the_field_in_the_key(client: Any) -> None:
    couple = Couple.objects.create(front=drawing.file(1), back=drawing.file(2))
    answer = client.get(PAGE, {"a": f"testapp.couple.front:{couple.pk}", "b": f"testapp.couple.back:{couple.pk}"})
    assert [shown.image for shown in answer.context["result"].sides] == [couple.front.url, couple.back.url]


def test_compare__by_selected_measures(client: Any) -> None:
    answer = client.post(PAGE, {"a": upload(1), "b": upload(2), "measures": ["dhash", "ahash"]})
    assert list(answer.context["result"].comparison) == ["dhash", "ahash"]
    html = answer.content.decode()
    assert re.search(r'value="dhash"[^>]*checked', html)
    assert not re.search(r'value="brightness"[^>]*checked', html)
    for answer in (client.get(PAGE), client.post(PAGE, {"a": upload(1), "b": upload(2)})):
        ticked = re.findall(r'value="(\w+)"[^>]*checked', answer.content.decode())
        assert ticked == ["brightness", "darkness", "phash"]


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"a": None}, "a", "Please choose an image"),
        ({"b": ""}, "b", "Please choose an image"),
        ({"a": [upload(), upload()]}, "a", "exactly one image"),
        ({"b": upload(data=b"x")}, "b", "not an image"),
        ({"a": upload(data=b"")}, "a", "empty"),
        ({"a": upload(data=b"x" * 60_000)}, "a", "larger than"),
        ({"b": "testapp.picture"}, "b", "app_label.model:pk"),
        ({"b": "picture:1"}, "b", "app_label.model:pk"),
        ({"b": "testapp.picture:0"}, "b", "no such object"),
        ({"b": "testapp.picture.nonsense:1"}, "b", "Name one of the image fields: image."),
        ({"b": "auth.user:1"}, "b", "no such object"),
        ({"b": "..:"}, "b", "no such object"),
        ({"measures": "nonsense"}, "measures", "no measure"),
    ],
)
def test_compare__reports_bad_input_at_its_field(
    client: Any, configure: Any, fields: Any, name: str, words: str
) -> None:
    configure(SEARCH_MAX_BYTES=50_000)
    for value in fields.values():
        for file in value if isinstance(value, list) else [value]:
            if isinstance(file, SimpleUploadedFile):
                file.seek(0)
    data = {"a": upload(), "b": upload()} | fields
    answer = client.post(PAGE, {field: value for field, value in data.items() if value is not None})
    assert answer.status_code == 400
    assert list(answer.context["form"].errors) == [name]
    assert words in answer.context["form"].errors[name][0]
    assert answer.content.decode().count("errorlist") == 1


def test_compare__a_single_object_stays_in_the_form(client: Any, make_picture: Any) -> None:
    item = make_picture(1)
    answer = client.get(PAGE, {"a": comparison_key(item)})
    assert answer.status_code == 400
    assert list(answer.context["form"].errors) == ["b"]
    assert f'value="testapp.picture.image:{item.pk}"' in answer.content.decode()


def test_compare__reports_objects_without_a_readable_image(client: Any, make_picture: Any) -> None:
    good, empty = make_picture(1), Picture.objects.create(title="Bare")
    lost = make_picture(2)
    lost.image.storage.delete(lost.image.name)
    broken = Picture.objects.create(image=drawing.ContentFile(b"x", name="x.png"))
    for bad, words in ((empty, "Bare has no image"), (lost, "missing from the storage"), (broken, "not an image")):
        answer = client.get(PAGE, {"a": comparison_key(good), "b": comparison_key(bad)})
        assert answer.status_code == 400
        assert words in answer.context["form"].errors["b"][0]


def test_compare__hidden_and_missing_objects_give_the_same_page(client: Any, make_picture: Any) -> None:
    seen = make_picture(1)
    hidden = make_picture(2, published=False)
    pages = {
        re.sub(
            rb'name="csrfmiddlewaretoken" value="\w+"',
            b"",
            client.get(PAGE, {"a": comparison_key(seen), "b": name}).content,
        )
        for name in (
            comparison_key(hidden),
            "testapp.picture:999999",
            "testapp.picture:x",
            "testapp.namedpicture:a\0b",
            "x.y:1",
        )
    }
    assert len(pages) == 1


def test_compare__needs_as_many_queries_for_all_measures_as_for_few(
    client: Any, make_picture: Any, django_assert_num_queries: Any
) -> None:
    a, b = make_picture(1), make_picture(2)
    for measures in ("ahash", "ahash,dhash,phash,blockmean,tiny,color"):
        with django_assert_num_queries(2 + 1):  # the shop's own header lists its categories
            assert (
                client.get(PAGE, {"a": comparison_key(a), "b": comparison_key(b), "measures": measures}).status_code
                == 200
            )


def test_compare__times_out(client: Any, configure: Any, tmp_path: Any) -> None:
    (tmp_path / "hold").touch()
    configure(MEASURES={"tests.measures.sample_measures.Slow": {"folder": str(tmp_path)}}, REQUEST_TIMEOUT=0.1)
    try:
        answer = client.post(PAGE, {"a": upload(1), "b": upload(2), "measures": "slow"})
    finally:
        (tmp_path / "hold").unlink()
    assert answer.status_code == 503
    assert "too long" in answer.content.decode()


def test_compare__reports_a_problem_in_its_row(client: Any, configure: Any) -> None:
    configure(MEASURES={"tests.measures.sample_measures.Failing": {}, "tests.measures.sample_measures.Clumsy": {}})
    answer = client.post(PAGE, {"a": upload(1), "b": upload(2), "measures": "failing,clumsy,ahash"})
    assert answer.status_code == 200
    failing, clumsy, ahash = answer.context["result"].rows
    assert failing.problem
    assert clumsy.value == answer.context["result"].comparison["clumsy"].value > 0
    assert ahash.similarity is not None
    assert failing.problem in answer.content.decode()
    assert [shown.name for shown in answer.context["result"].drawings] == ["clumsy-whole"]


def test_compare__says_what_to_install_to_staff_only(admin_client: Any, configure: Any) -> None:
    configure(MEASURES={"tests.measures.sample_measures.NotInstalled": {}})
    hint, plain = "pip install similar_images[compare]", "Not available on this site."
    for address in (PAGE, "/api/similar-images/compare/"):
        data = {"measures": "not-installed"}
        visitors, staff = (
            sender.post(address, {"a": upload(1), "b": upload(2), **data}).content.decode()
            for sender in (Client(), admin_client)
        )
        assert plain in visitors
        assert "pip install" not in visitors
        assert hint in staff


def test_compare__leaves_out_what_is_not_installed_and_tells_staff_once(
    client: Any, admin_client: Any, configure: Any
) -> None:
    configure(MEASURES={"tests.measures.sample_measures.NotInstalled": {}}, COMPARE_MEASURES=["phash", "not-installed"])
    uploads = lambda: {"a": upload(1), "b": upload(2)}  # noqa: E731 - files are read once
    for sender in (client, admin_client):
        for answer in (
            sender.get(PAGE),
            sender.post(PAGE, uploads()),
            sender.post(PAGE, uploads() | {"measures": "all"}),
        ):
            html = answer.content.decode()
            assert 'value="not-installed"' not in html
            assert html.count("pip install similar_images[compare]") == (sender is admin_client)
            if "result" in answer.context:
                assert "not-installed" not in [row.measure.name for row in answer.context["result"].rows]
        for measures in ({}, {"measures": "all"}):
            data = sender.post("/api/similar-images/compare/", uploads() | measures).json()
            assert "not-installed" not in [row["name"] for row in data["measures"]]
            assert data["complete"] is True


def test_compare__works_without_a_cache(client: Any, settings: Any, configure: Any) -> None:
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    absent = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {**settings.CACHES, "dummy": dummy, "absent": absent}
    for alias in ("dummy", "absent"):
        configure(COMPARE_CACHE=alias)
        answer = client.post(PAGE, {"a": upload(1), "b": upload(2)})
        assert answer.status_code == 200
        assert "How much brighter" in answer.content.decode()
        assert answer.context["result"].drawings == []
        assert "<img" not in answer.content.decode().split("similar-images-verdict")[1]


def test_compare__requires_a_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(PAGE, {"a": upload(), "b": upload()}).status_code == 403


def test_compare__works_under_a_strict_content_security_policy(client: Any) -> None:
    """No inline script, style or handler."""
    for answer in (client.get(PAGE), client.post(PAGE, {"a": upload(), "b": upload()})):
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", answer.content.decode())


def test_cached_image__expired_is_not_found(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitor_files, "LIFETIME", 0)
    html = client.post(PAGE, {"a": upload(1), "b": upload(2)}).content.decode()
    assert "pair.png" not in html
    assert client.get(reverse("similar_images:picture", args=["x" * 43, "pair"])).status_code == 404
    assert client.get(reverse("similar_images:picture", args=["x" * 400, "ä" * 400])).status_code == 404


@pytest.fixture
def drawn(client: Any, make_picture: Any) -> tuple[Picture, str, str]:
    """Compare an upload with an object; return the object, and the addresses of the upload's preview and a drawing."""
    item = make_picture(1)
    html = client.post(PAGE, {"a": upload(2), "b": comparison_key(item)}).content.decode()
    preview, panel, *_ = re.findall(r'<img src="(/similar-images/compare/[^"]+)"', html)
    assert client.get(preview).status_code == client.get(panel).status_code == 200
    return item, preview, panel


def _hide(item: Picture) -> None:
    Picture.objects.filter(pk=item.pk).update(published=False)


def _replace(item: Picture) -> None:
    item.image = drawing.file(3)
    item.save()


def _delete_by_sql(item: Picture) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM testapp_picture WHERE id = %s", [item.pk])


@pytest.mark.parametrize(
    "change",
    [Picture.delete, lambda item: Picture.objects.filter(pk=item.pk).delete(), _delete_by_sql, _hide, _replace],
    ids=["deleted", "deleted-by-queryset", "deleted-by-sql", "hidden", "replaced"],
)
def test_cached_image__of_an_object_that_is_gone_is_not_served(
    client: Any, drawn: tuple[Picture, str, str], change: Any
) -> None:
    item, preview, panel = drawn
    change(item)
    assert client.get(panel).status_code == 404
    assert client.get(preview).status_code == 200  # it shows the visitor's own upload alone


def test_cached_image__is_served_to_none_who_may_not_see_the_objects(
    client: Any, django_user_model: Any, make_picture: Any
) -> None:
    ada, bob = (django_user_model.objects.create_user(name) for name in ("ada", "bob"))
    private = Private.objects.create(owner="ada", image=drawing.file(2))
    client.force_login(ada)
    answer = client.get(PAGE, {"a": comparison_key(make_picture(1)), "b": comparison_key(private)})
    addresses = [drawing.url for drawing in answer.context["result"].drawings]
    assert addresses
    assert {client.get(address).status_code for address in addresses} == {200}
    for visitor in (bob, None):
        if visitor:
            client.force_login(visitor)
        else:
            client.logout()
        assert {client.get(address).status_code for address in addresses} == {404}


def test_similar__links_to_the_comparison_with_every_match(client: Any, make_picture: Any, index_now: Any) -> None:
    item, twin = make_picture(1), make_picture(1, title='A "twin"')
    index_now()
    html = client.get(f"/similar-images/testapp.picture/{item.pk}/").content.decode()
    (link,) = re.findall(r'<a [^>]*href="(/similar-images/compare/[^"]*)"[^>]*rel="nofollow"[^>]*>', html)
    answer = client.get(link.replace("&amp;", "&"))
    assert [shown.side.object for shown in answer.context["result"].sides] == [item, twin]

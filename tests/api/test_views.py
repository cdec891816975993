"""REST: matches, searches, marks and status, as the contract has them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

import similar_images
from similar_images import registry
from similar_images.models import IndexedImage, Mark
from tests import drawing, hostile
from tests.databases import connection
from tests.drawing import upload
from tests.testapp.models import Couple, NamedPicture, Picture, UuidPicture

pytestmark = pytest.mark.django_db

API = "/api/similar-images"


def similar(client: Any, item: Any, **params: Any) -> Any:
    return client.get(f"{API}/{item._meta.label_lower}/{item.pk}/similar/", params)


def test_similar__has_the_fields_of_the_contract(client: Any, make_picture: Any, index_now: Any) -> None:
    item, other = make_picture(1), make_picture(1)
    index_now()
    answer = similar(client, item)
    assert answer.status_code == 200
    assert answer.json() == {
        "query": {
            "model": "testapp.picture",
            "pk": str(item.pk),
            "status": "indexed",
            "indexed_at": IndexedImage.objects.get(object_id=item.pk).indexed_at.isoformat().replace("+00:00", "Z"),
        },
        "results": [
            {
                "model": "testapp.picture",
                "pk": str(other.pk),
                "title": "Scene 1",
                "url": other.get_absolute_url(),
                "image": f"http://testserver{other.image.url}",
                "thumbnail": None,
                "similarity": 100.0,
                "scores": {"embedding": 100.0, "color": 100.0},
                "folded": 0,
                "fallback": False,
            }
        ],
        "complete": True,
        "next": None,
    }


def test_similar__has_the_matches_of_python(client: Any, make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    for seed in range(2, 20):
        make_picture(seed)
    index_now()
    for options in ({}, {"limit": 5}, {"min_similarity": 20.5}, {"method": "color"}):
        expected = [
            (str(match.object.pk), match.similarity, match.scores)
            for match in similar_images.similar_to(item, **options)
        ]
        results = similar(client, item, **options).json()["results"]
        assert [(row["pk"], row["similarity"], row["scores"]) for row in results] == expected
        assert expected
    blended = similar_images.similar_to(item, ranking={"embedding": 0.5, "color": 0.5})
    results = similar(client, item, ranking="embedding:0.5,color:0.5").json()["results"]
    assert [row["similarity"] for row in results] == [match.similarity for match in blended]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"min_similarity": 101}, "min_similarity"),
        ({"min_similarity": "nan"}, "min_similarity"),
        ({"method": "nonsense"}, "method"),
        ({"ranking": "embedding"}, "ranking"),
        ({"ranking": "embedding:x"}, "ranking"),
        ({"ranking": "embedding:nan"}, "ranking"),
        ({"ranking": "nonsense:1"}, "ranking"),
    ],
)
def test_similar__names_bad_parameters(client: Any, make_picture: Any, params: Any, field: str) -> None:
    answer = similar(client, make_picture(1), **params)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert answer.json()["errors"][field][0].endswith(".")


def test_similar__of_an_image_not_indexed_is_empty_with_its_status(
    client: Any, make_picture: Any, index_now: Any
) -> None:
    make_picture(1)
    index_now()
    pending = make_picture(2)
    broken = Picture.objects.create(image=drawing.ContentFile(b"x", name="x.png"))
    empty = Picture.objects.create()
    IndexedImage.objects.filter(object_id=broken.pk).update(status="failed")
    for item, status in ((pending, "pending"), (broken, "failed"), (empty, "missing")):
        answer = similar(client, item)
        assert answer.status_code == 200
        assert answer.json()["query"]["status"] == status
        assert answer.json()["results"] == []


def test_similar__of_invisible_and_missing_objects_is_the_same_404(
    client: Any, make_picture: Any, index_now: Any
) -> None:
    hidden = make_picture(1, published=False)
    index_now()
    answers = [
        client.get(f"{API}/{path}/similar/")
        for path in (
            f"testapp.picture/{hidden.pk}",
            "testapp.picture/999999",
            "testapp.picture/abc",
            "testapp.picture/99999999999999999999999",
            "testapp.picture/%00",
            "testapp.namedpicture/a%00b",
            "testapp.uuidpicture/1",
            "testapp.unregistered/1",
            "auth.user/1",
            "nonsense/1",
            "no.such/1",
        )
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


def test_similar_and_status__leave_invisible_objects_out(client: Any, make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    for _ in range(3):
        make_picture(1, published=False)
    other = make_picture(2)
    index_now()
    assert [row["pk"] for row in similar(client, item, limit=1).json()["results"]] == [str(other.pk)]
    sources = client.get(f"{API}/status/").json()["sources"]
    (counts,) = [row["records"] for row in sources if row["source"] == "testapp.Picture.image"]
    assert counts == {"pending": 0, "indexed": 2, "failed": 0}


def test_similar__takes_uuid_and_text_keys(client: Any, index_now: Any) -> None:
    for items in (
        [UuidPicture.objects.create(image=drawing.file(seed)) for seed in (1, 2)],
        [NamedPicture.objects.create(name=name, image=drawing.file(1)) for name in ("a/b", "ä ?#")],
    ):
        index_now()
        url = reverse("similar_images_api:similar", args=[items[0]._meta.label_lower, items[0].pk])
        (row,) = client.get(url).json()["results"]
        assert row["pk"] == str(items[1].pk)


def test_similar__takes_one_of_two_fields(client: Any, index_now: Any) -> None:
    item = Couple.objects.create(front=drawing.file(1), back=drawing.file(2))
    Couple.objects.create(front=drawing.file(3), back=drawing.file(2))
    index_now()
    assert similar(client, item, field="back").json()["results"][0]["similarity"] == 100
    assert similar(client, item, field="front").json()["results"][0]["similarity"] < 100
    assert similar(client, item).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("get", "testapp.couple/{pk}/similar/", {"field": "nope"}),
        ("get", "testapp.couple/0/similar/", {"field": "nope"}),
        ("get", "testapp.couple/{pk}/explanation/", {"field": "nope", "other": "{pk}"}),
        ("delete", "testapp.couple/{pk}/mark/", {"field": "nope", "other": "{pk}"}),
        ("post", "testapp.couple/{pk}/mark/", {"field": "nope", "other": "{pk}", "alike": True}),
        ("post", "testapp.couple/similar/batch/", {"field": "nope", "ids": ["{pk}"]}),
        ("post", "search/", {"field": "nope", "model": "testapp.couple", "image": "upload"}),
        ("post", "compare/", {"a": "testapp.couple.nope:{pk}", "b": "upload"}),
    ],
)
def test_field_that_there_is_not__is_named_with_those_that_there_are(
    admin_client: Any, method: str, path: str, data: dict[str, Any]
) -> None:
    item = Couple.objects.create(front=drawing.file(1), back=drawing.file(2))
    given = json.loads(json.dumps(data).replace("{pk}", str(item.pk)))
    url = f"/api/similar-images/{path.format(pk=item.pk)}"
    if method != "post":
        answer = getattr(admin_client, method)(url, query_params=given)
    elif "upload" in given.values():
        files = {name: upload() if value == "upload" else value for name, value in given.items()}
        answer = admin_client.post(url, files)
    else:
        answer = admin_client.post(url, given, content_type="application/json")
    assert answer.status_code == 400, answer.content
    (messages,) = answer.json()["errors"].values()
    assert "front, back" in " ".join(messages)


def test_similar__takes_as_many_queries_for_any_limit(
    client: Any, make_picture: Any, index_now: Any, django_assert_num_queries: Any
) -> None:
    item = make_picture(1)
    for _ in range(25):
        make_picture(2)
    index_now()
    for limit in (1, 25):
        with django_assert_num_queries(7):
            assert len(similar(client, item, limit=limit).json()["results"]) == limit


def test_search__by_an_upload_stores_nothing(client: Any, make_picture: Any, index_now: Any, settings: Any) -> None:
    item = make_picture(1)
    make_picture(2)
    index_now()
    before = sorted(settings.MEDIA_ROOT.rglob("*"))
    answer = client.post(f"{API}/search/", {"image": upload(), "model": "testapp.picture", "limit": 1})
    assert answer.status_code == 200
    assert answer.json()["query"] == {"model": "testapp.picture", "status": "indexed", "indexed_at": None}
    (row,) = answer.json()["results"]
    assert (row["pk"], row["similarity"]) == (str(item.pk), 100.0)
    assert IndexedImage.objects.count() == 2
    assert sorted(settings.MEDIA_ROOT.rglob("*")) == before


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({}, "image", "required"),
        ({"image": b"x"}, "image", "not an image"),
        ({"image": b""}, "image", "empty"),
        ({"image": b"x" * 2000}, "image", "larger than"),
        ({"model": "testapp.unregistered"}, "model", "Select a valid choice"),
        ({"model": ""}, "model", "required"),
        ({"method": "nonsense"}, "method", "embedding"),
        ({"field": "nonsense"}, "field", "no image field"),
    ],
)
def test_search__names_bad_fields(client: Any, configure: Any, data: Any, field: str, words: str) -> None:
    configure(SEARCH_MAX_BYTES=1500)
    fields = {"image": upload(), "model": "testapp.picture"} | data
    if isinstance(fields["image"], bytes):
        fields["image"] = upload(data=fields["image"])
    if not data:
        del fields["image"]
    answer = client.post(f"{API}/search/", fields)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert words in answer.json()["errors"][field][0]


def test_search__that_takes_too_long_is_503(client: Any, configure: Any, tmp_path: Any) -> None:
    (tmp_path / "hold").touch()
    methods = {"tests.methods.Slow": {"folder": str(tmp_path)}}
    configure(METHODS=methods, RANKING={"mean": 1}, REQUEST_TIMEOUT=0.1)
    try:
        answer = client.post(f"{API}/search/", {"image": upload(), "model": "testapp.picture"})
    finally:
        (tmp_path / "hold").unlink()
    assert answer.status_code == 503
    assert "smaller image" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["method", "ranking", "field", "limit", "min_similarity"])
def test_options__with_a_nul_character_are_400(client: Any, make_picture: Any, name: str) -> None:
    item = make_picture(1)
    assert client.get(f"{API}/testapp.picture/{item.pk}/similar/?{name}=%00").status_code == 400
    assert client.get(f"/similar-images/testapp.picture/{item.pk}/?{name}=%00").status_code == 400


def test_distances__come_on_request(client: Any, make_picture: Any, index_now: Any) -> None:
    item, _other = make_picture(1), make_picture(2)
    index_now()
    assert "distances" not in similar(client, item).json()["results"][0]
    (match,) = similar_images.similar_to(item)
    (row,) = similar(client, item, distances=1).json()["results"]
    assert row["distances"] == match.distances
    assert set(row["distances"]) == {"embedding", "color"}
    (row,) = client.post(
        f"{API}/search/", {"image": upload(), "model": "testapp.picture", "distances": "1", "limit": 1}
    ).json()["results"]
    assert set(row["distances"]) == {"embedding", "color"}


@pytest.mark.parametrize("path", ["search", "compare"])
def test_uploads__built_to_take_long_are_refused_with_the_reason(client: Any, path: str) -> None:
    data = hostile.progressive_jpeg(1000)
    fields = {
        "search": {"image": upload(data=data), "model": "testapp.picture"},
        "compare": {"a": upload(data=data), "b": upload()},
    }
    answer = client.post(f"{API}/{path}/", fields[path])
    assert answer.status_code == 400
    assert "more than 100 scans. Please open it in an image editor and save it again." in answer.content.decode()


def test_search__refuses_too_many_pixels(client: Any, configure: Any) -> None:
    configure(SEARCH_MAX_PIXELS=100)
    answer = client.post(f"{API}/search/", {"image": upload(), "model": "testapp.picture"})
    assert answer.status_code == 400
    assert "more than 100 pixels" in answer.json()["errors"]["image"][0]


def test_search__leaves_invisible_objects_out(client: Any, make_picture: Any, index_now: Any) -> None:
    make_picture(1, published=False)
    index_now()
    answer = client.post(f"{API}/search/", {"image": upload(), "model": "testapp.picture"})
    assert answer.json()["results"] == []


def test_status__has_records_and_methods(admin_client: Any, make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    make_picture(2, published=False)
    index_now()
    make_picture(3)
    answer = admin_client.get(f"{API}/status/").json()
    assert {"source": "testapp.Picture.image", "records": {"pending": 1, "indexed": 2, "failed": 0}} in answer[
        "sources"
    ]
    embedding, color = answer["methods"]
    assert (embedding["name"], embedding["dimensions"], embedding["metric"]) == ("embedding", 1280, "cosine")
    assert (color["name"], color["metric"]) == ("color", "l1")


def test_status__counts_hidden_objects_for_staff_who_may_view_them(
    staff: Any, make_picture: Any, index_now: Any
) -> None:
    from django.contrib.auth.models import Permission, User

    make_picture(1)
    make_picture(2, published=False)
    index_now()

    def count() -> int:
        sources = staff.get(f"{API}/status/").json()["sources"]
        return next(row["records"]["indexed"] for row in sources if row["source"] == "testapp.Picture.image")

    assert count() == 1
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_picture"))
    assert count() == 2


def test_status__tells_what_is_no_longer_registered_to_staff_who_may_view_it(
    staff: Any, make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.auth.models import Permission, User

    make_picture(1)
    index_now()
    assert staff.get(f"{API}/status/").json()["unregistered"] == []
    sources = {key: source for key, source in registry._sources.items() if source.model is not Picture}
    monkeypatch.setattr(registry, "_sources", sources)
    assert staff.get(f"{API}/status/").json()["unregistered"] == []
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_picture"))
    data = staff.get(f"{API}/status/").json()
    assert data["unregistered"] == [
        {"source": "testapp.picture.image", "records": {"pending": 0, "indexed": 1, "failed": 0}}
    ]
    assert "testapp.Picture.image" not in [row["source"] for row in data["sources"]]


def test_schema__has_the_endpoints_of_this_app_only(client: Any) -> None:
    schema = client.get(f"{API}/schema/").json()
    assert schema["openapi"].startswith("3.")
    assert set(schema["paths"]) == {
        f"{API}/{{model}}/{{pk}}/similar/",
        f"{API}/{{model}}/{{pk}}/mark/",
        f"{API}/{{model}}/{{pk}}/explanation/",
        f"{API}/{{model}}/similar/batch/",
        f"{API}/search/",
        f"{API}/compare/",
        f"{API}/status/",
    }
    match = schema["components"]["schemas"]["Match"]["properties"]
    assert set(match) == {
        "model",
        "pk",
        "title",
        "url",
        "image",
        "thumbnail",
        "object",
        "similarity",
        "scores",
        "distances",
        "explanation",
        "verdict",
        "folded",
        "fallback",
    }


def test_errors__are_in_the_language_of_the_visitor(client: Any, make_picture: Any) -> None:
    """Django's own catalogs translate the bounds of a number."""
    item = make_picture(1)
    url = f"{API}/testapp.picture/{item.pk}/similar/?limit=0"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.LANGUAGES", [("en", "English"), ("de", "German")])
        from django.utils.translation import trans_real

        trans_real.get_languages.cache_clear()
        try:
            german = client.get(url, headers={"accept-language": "de"}).json()["errors"]["limit"][0]
        finally:
            trans_real.get_languages.cache_clear()
    assert "größer" in german


def test_explain__adds_methods_weights_and_distances(client: Any, make_picture: Any, index_now: Any) -> None:
    item, _other = make_picture(1), make_picture(2)
    index_now()
    assert "explanation" not in similar(client, item, explain=0).json()["results"][0]
    answer = similar(client, item, explain=1).json()
    (match,) = similar_images.similar_to(item, explain=True)
    (row,) = answer["results"]
    assert row["explanation"] == {
        "found_by": match.explanation.found_by,
        "weights": match.explanation.weights,
        "resemblance": match.resemblance.kind,
        "sentence": match.resemblance.sentence,
    }
    assert row["distances"] == match.distances
    assert "why_not" not in answer


def test_why_not__explains_why_an_object_is_missing(client: Any, make_picture: Any, index_now: Any) -> None:
    item, other, far = make_picture(1), make_picture(1), make_picture(2)
    index_now()
    answer = similar(client, item, limit=1, explain=1, why_not=far.pk).json()
    assert [row["pk"] for row in answer["results"]] == [str(other.pk)]
    match = similar_images.similar_to(item)[1]
    assert answer["why_not"] == {
        "code": "beyond-limit",
        "text": f"It ranks at position 2 ({match.similarity}%); only the first match is shown.",
        "similarity": match.similarity,
        "rank": 2,
        "scores": match.scores,
        "distances": match.distances,
    }
    low = similar(client, item, min_similarity=99, why_not=far.pk).json()["why_not"]
    assert (low["code"], low["rank"]) == ("below-threshold", None)


def test_why_not__of_an_invisible_object_is_that_of_a_missing_one(
    client: Any, admin_client: Any, make_picture: Any, index_now: Any
) -> None:
    from django.test import Client

    item, hidden = make_picture(1), make_picture(1, published=False)
    index_now()
    anonymous = [
        similar(Client(), item, why_not=pk).json()["why_not"] for pk in (hidden.pk, 999_999, "chair", "9" * 30, "-1")
    ]
    assert {row["code"] for row in anonymous} == {"unknown"}
    assert all(row == anonymous[0] for row in anonymous)
    assert similar(admin_client, item, why_not=hidden.pk).json()["why_not"]["code"] == "invisible"
    assert similar(admin_client, item, why_not=999_999).json()["why_not"] == anonymous[0]
    assert similar(Client(), item, why_not="\0").status_code == 400


@pytest.mark.parametrize(
    ("visitor", "call"),
    [
        ("anonymous", lambda client, item, key: similar(client, item, why_not=key)),
        ("staff", lambda client, item, key: similar(client, item, why_not=key)),
        ("anonymous", lambda client, item, key: similar(client, item, like=key)),
        ("anonymous", lambda client, item, key: similar(client, item, unlike=[key, item.pk])),
        ("anonymous", lambda client, item, key: similar(client, Picture(pk=key))),
        ("anonymous", lambda client, item, key: client.get(f"/similar-images/testapp.picture/{key}/")),
        ("anonymous", lambda client, item, key: client.get("/similar-images/compare/", pair(key, item.pk))),
        ("anonymous", lambda client, item, key: client.post(f"{API}/compare/", pair(item.pk, key))),
        ("anonymous", lambda client, item, key: client.post(f"{API}/search/", {"image": upload(), "like": key})),
        ("editor", lambda client, item, key: send_mark(client, item, {"other": key, "alike": True})),
        ("editor", lambda client, item, key: send_mark(client, item, {"other": key}, "delete")),
        ("editor", lambda client, item, key: send_mark(client, Picture(pk=key), {"other": item.pk, "alike": True})),
    ],
)
def test_hidden_objects__take_the_statements_of_missing_ones(
    visitor: str, call: Any, make_picture: Any, index_now: Any, request: Any
) -> None:
    """Neither the answer nor the work for it says whether an object exists that the visitor may not see."""
    item, hidden, deleted = make_picture(1), make_picture(1, published=False), make_picture(1)
    index_now()
    keys = {"hidden": hidden.pk, "deleted": deleted.pk, "never": 999_999}
    deleted.delete()
    client = request.getfixturevalue("client" if visitor == "anonymous" else visitor)
    answers = {}
    for name in ("hidden", *keys):  # what is read once a process is read by the first
        with CaptureQueriesContext(connection) as queries:
            answer = call(client, item, keys[name])
        texts = [answer.content.decode(), *(query["sql"] for query in queries)]
        texts = [re.sub(r'\d+|name="csrfmiddlewaretoken"[^>]*', "", text) for text in texts]
        answers[name] = answer.status_code, texts
    assert answers["hidden"] == answers["deleted"] == answers["never"]


def pair(a: Any, b: Any) -> dict[str, str]:
    """Return the data of a comparison of two pictures."""
    return {"a": f"testapp.picture:{a}", "b": f"testapp.picture:{b}"}


def send_mark(client: Any, item: Any, data: Any, method: str = "post") -> Any:
    url = f"{API}/{item._meta.label_lower}/{item.pk}/mark/"
    if method == "delete":
        return client.delete(url, query_params=data)
    return client.post(url, data, content_type="application/json")


def mark_data(other: Any, method: str) -> dict[str, Any]:
    """Return what a mark on another object, or the removal of one, takes."""
    return {"other": other, "alike": False} if method == "post" else {"other": other}


@pytest.fixture
def staff(client: Any) -> Any:
    from django.contrib.auth.models import User

    client.force_login(User.objects.create(username="staff", is_staff=True))
    return client


@pytest.fixture
def editor(client: Any) -> Any:
    from django.contrib.auth.models import Permission, User

    user = User.objects.create(username="editor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="change_picture"))
    client.force_login(user)
    return client


def test_mark__hides_a_pair_and_can_be_taken_back(editor: Any, make_picture: Any, index_now: Any) -> None:
    a, b = make_picture(1), make_picture(1)
    index_now()
    for _again in range(2):
        answer = send_mark(editor, a, {"other": b.pk, "alike": False})
        assert answer.status_code == 200
        assert answer.json() == {"model": "testapp.picture", "pk": str(a.pk), "other": str(b.pk), "alike": False}
    assert similar(editor, b).json()["results"] == []
    assert Mark.objects.get().marked_by.username == "editor"
    assert similar(editor, b, why_not=a.pk).json()["why_not"]["code"] == "marked"
    answer = editor.post(f"{API}/testapp.picture/{a.pk}/mark/", {"other": b.pk, "alike": "1"})
    assert (answer.status_code, answer.json()["alike"]) == (200, True)
    answer = send_mark(editor, b, {"other": a.pk}, "delete")
    assert (answer.status_code, answer.json()["alike"]) == (200, None)
    assert not Mark.objects.exists()
    assert len(similar(editor, b).json()["results"]) == 1


def test_mark__is_for_staff_who_may_change_objects(client: Any, make_picture: Any, index_now: Any) -> None:
    from django.contrib.auth.models import Permission, User

    a, b = make_picture(1), make_picture(1)
    index_now()
    views = User.objects.create(username="views", is_staff=True)
    views.user_permissions.set(Permission.objects.filter(codename="view_picture"))
    no_staff = User.objects.create(username="no_staff")
    no_staff.user_permissions.set(Permission.objects.filter(codename="change_picture"))
    for user in (None, views, no_staff):
        if user:
            client.force_login(user)
        for method in ("post", "delete"):
            for other in (b.pk, 999_999):
                assert send_mark(client, a, mark_data(other, method), method).status_code == 403
    assert not Mark.objects.exists()


def test_mark__of_invisible_and_missing_objects_is_404(editor: Any, make_picture: Any, index_now: Any) -> None:
    a, hidden = make_picture(1), make_picture(1, published=False)
    index_now()
    for item, other in ((a, hidden.pk), (hidden, a.pk), (a, 999_999), (a, "chair"), (Picture(pk=999_999), a.pk)):
        for method in ("post", "delete"):
            assert send_mark(editor, item, mark_data(other, method), method).status_code == 404
    assert editor.post(f"{API}/auth.user/1/mark/", {"other": 1, "alike": "0"}).status_code == 404


@pytest.mark.parametrize(
    ("data", "field"),
    [({"alike": True}, "other"), ({"other": "{b}"}, "alike"), ({"other": "{a}", "alike": True}, "other")],
)
def test_mark__names_bad_fields(editor: Any, make_picture: Any, data: dict[str, Any], field: str) -> None:
    a, b = make_picture(1), make_picture(2)
    data = {name: value.format(a=a.pk, b=b.pk) if name == "other" else value for name, value in data.items()}
    answer = send_mark(editor, a, data)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert send_mark(editor, a, {"other": Picture.objects.create().pk, "alike": True}).status_code == 400
    assert send_mark(editor, a, {"other": a.pk}, "delete").status_code == 400
    assert send_mark(editor, a, [1]).status_code == 400


def test_mark__in_a_session_needs_a_csrf_token(make_picture: Any, admin_user: Any) -> None:
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    a, b = make_picture(1), make_picture(2)
    assert send_mark(client, a, {"other": b.pk, "alike": False}).status_code == 403

"""All that is stored about one object, and nothing once it is deleted."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError
from django.utils import timezone

import similar_images
from similar_images import registry
from similar_images.merging.merge import merge_objects
from similar_images.models import (
    DuplicateGroup,
    DuplicateImage,
    IndexedImage,
    MapPoint,
    Mark,
    Merge,
    MergedRow,
    PairVerdict,
    ReindexRequest,
    Signature,
    Source,
)
from tests import commands, drawing
from tests.databases import connection
from tests.items import save_gray
from tests.testapp.models import Couple, FramedPicture, Picture, UuidPicture

pytestmark = pytest.mark.django_db

run = partial(commands.run, "export_image_data")


def export(label: str, pk: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(run(label, str(pk))[0])
    return data


@pytest.fixture
def _several_storages(configure: Any) -> None:
    configure(
        METHODS={"tests.methods.Mean": {}, "tests.methods.Bits": {}, "tests.methods.Sparse": {}}, RANKING={"mean": 1}
    )


@pytest.mark.usefixtures("_several_storages")
def test_export__tells_record_signatures_and_marks(django_user_model: Any, index_now: Any) -> None:
    item, other = save_gray(0), save_gray(255)
    index_now()
    similar_images.mark(other, item, alike=False, user=django_user_model.objects.create_user("ada"))
    data = export("testapp.Picture", item.pk)
    assert (data["object"], data["exists"]) == (f"testapp.picture:{item.pk}", True)
    (image,) = data["images"]
    assert (image["source"], image["is_registered"], image["requests"]) == ("testapp.picture.image", True, [])
    record = IndexedImage.objects.get(object_id=str(item.pk))
    assert image["record"]["sha256"] == record.sha256
    assert image["record"]["file_name"] == item.image.name
    assert (image["record"]["width"], image["record"]["status"]) == (8, "indexed")
    values = {signature["method"]: signature["value"] for signature in image["signatures"]}
    assert values["mean"] == [0.0, 0.0, 0.0]
    assert values["bits"] == "0" * 64
    assert isinstance(values["sparse"], dict)
    (mark,) = image["marks"]
    assert (mark["other_object_id"], mark["is_alike"], mark["marked_by"]) == (str(other.pk), False, "ada")


@pytest.mark.usefixtures("mean_method")
def test_export__tells_what_its_file_was_compared_with(index_now: Any) -> None:
    item, other = save_gray(0), save_gray(1)
    index_now()
    digests = [IndexedImage.objects.get(object_id=str(each.pk)).sha256 for each in (other, item)]
    source = Source.objects.get(model="picture")
    PairVerdict.objects.create(source=source, first=digests[0], second=digests[1], verdict={"kind": "alike"})
    PairVerdict.objects.create(source=source, first="x", second="y", verdict={})
    (image,) = export("testapp.Picture", item.pk)["images"]
    assert image["verdicts"] == [{"first": digests[0], "second": digests[1], "verdict": {"kind": "alike"}}]


def test_export__covers_every_table_with_data_of_single_objects() -> None:
    of_sources = {"Source", "MethodVersion", "Projection", "Map", "DuplicateScan"}
    of_sources.add("BackendChange")  # of a record, it has nothing but the id, until the backend has been told
    tables = apps.get_app_config("similar_images").get_models()
    models = {model.__name__ for model in tables if not model._meta.proxy}
    described = (
        IndexedImage,
        Signature,
        Mark,
        ReindexRequest,
        DuplicateGroup,
        DuplicateImage,
        Merge,
        MergedRow,
        MapPoint,
        PairVerdict,
    )
    assert models - of_sources == {model.__name__ for model in described}


@pytest.mark.usefixtures("mean_method")
def test_export__tells_groups_and_merges_also_of_a_removed_object(index_now: Any) -> None:
    kept, other = save_gray(0), save_gray(1)
    index_now()
    source = registry.get_source(Picture)
    row = Source.objects.get(model="picture")
    group = DuplicateGroup.objects.create(source=row, kind="copies", similarity=90, size=2, key="x")
    DuplicateImage.objects.create(
        group=group, source=row, object_id=str(other.pk), file_name=other.image.name, sha256="", width=8, height=8
    )
    merge_objects(source, kept.pk, [other.pk])
    data = export("testapp.Picture", other.pk)
    (image,) = data["images"]
    assert (data["exists"], image["record"]) == (False, None)
    assert image["groups"][0]["file_name"] == other.image.name
    rows = image["merges"][0]["rows"]
    assert other.image.name in [row["before"].get("image") for row in rows]


@pytest.mark.usefixtures("mean_method")
def test_export__tells_requests_also_where_there_is_no_record() -> None:
    item = save_gray(0)
    IndexedImage.objects.all().delete()
    source = Source.objects.get(model="picture")
    ReindexRequest.objects.create(source=source, object_id=str(item.pk), due_at=timezone.now())
    (image,) = export("testapp.Picture", item.pk)["images"]
    assert (image["record"], len(image["requests"])) == (None, 1)


@pytest.mark.usefixtures("mean_method")
def test_export__tells_requests_for_its_file() -> None:
    item, other = save_gray(0), save_gray(1)
    ReindexRequest.objects.create(file_name=item.image.name, due_at=timezone.now())
    for each, count in ((item, 1), (other, 0)):
        (image,) = export("testapp.Picture", each.pk)["images"]
        assert len(image["requests"]) == count


@pytest.mark.usefixtures("mean_method")
def test_export__tells_every_field_and_those_of_parent_models(index_now: Any) -> None:
    couple = Couple.objects.create(front=drawing.file(1), back=drawing.file(2))
    framed = FramedPicture.objects.create(image=drawing.file(3))
    sources = [image["source"] for image in export("testapp.couple", couple.pk)["images"]]
    assert sources == ["testapp.couple.front", "testapp.couple.back"]
    assert [image["source"] for image in export("testapp.FramedPicture", framed.pk)["images"]] == [
        "testapp.picture.image"
    ]


@pytest.mark.usefixtures("mean_method")
def test_export__finds_a_key_however_it_is_written() -> None:
    item = UuidPicture.objects.create(image=drawing.file(1))
    assert export("testapp.UuidPicture", item.pk.hex.upper())["object"] == f"testapp.uuidpicture:{item.pk}"
    assert len(export("testapp.UuidPicture", item.pk.hex.upper())["images"]) == 1


def _delete_by_sql(item: Picture) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM testapp_picture WHERE id = %s", [item.pk])


@pytest.mark.usefixtures("mean_method")
@pytest.mark.parametrize(
    "delete",
    [Picture.delete, lambda item: Picture.objects.filter(pk=item.pk).delete(), _delete_by_sql],
    ids=["object", "queryset", "sql"],
)
def test_export__nothing_is_left_of_a_deleted_object(index_now: Any, delete: Any) -> None:
    item, other = save_gray(0), save_gray(255)
    index_now()
    similar_images.mark(item, other, alike=True)
    pk = item.pk
    delete(item)
    out, err = run("testapp.Picture", str(pk))
    assert json.loads(out) == {"object": f"testapp.picture:{pk}", "exists": False, "images": []}
    assert "does not exist" in err
    assert export("testapp.Picture", other.pk)["images"][0]["marks"] == []


@pytest.mark.usefixtures("mean_method")
def test_export__a_deleted_user_leaves_no_name_in_marks(django_user_model: Any, index_now: Any) -> None:
    item, other = save_gray(0), save_gray(255)
    ada = django_user_model.objects.create_user("ada")
    similar_images.mark(item, other, alike=True, user=ada)
    (made,) = export("auth.User", ada.pk)["marks_made"]
    assert (made["first_object_id"], made["second_object_id"]) == tuple(sorted((str(item.pk), str(other.pk))))
    ada.delete()
    (mark,) = export("testapp.Picture", item.pk)["images"][0]["marks"]
    assert (mark["other_object_id"], mark["marked_by"]) == (str(other.pk), None)


@pytest.mark.usefixtures("mean_method")
def test_export__finds_data_of_what_is_no_longer_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    item = save_gray(0)
    monkeypatch.setattr(registry, "_sources", {})
    (image,) = export("testapp.Picture", item.pk)["images"]
    assert (image["is_registered"], image["record"]["file_name"]) == (False, item.image.name)
    Source.objects.filter(model="picture").update(model="painting")
    data = export("testapp.Painting", item.pk)
    assert (data["exists"], data["images"][0]["source"]) == (False, "testapp.painting.image")


@pytest.mark.parametrize(
    ("label", "pk", "words"),
    [
        ("testapp.Nonsense", "1", "no model 'testapp.Nonsense'"),
        ("nonsense", "1", "no model 'nonsense'"),
        ("testapp.Picture", "x", "'x' is not a primary key of testapp.Picture"),
        ("testapp.UuidPicture", "1", "not a primary key"),
    ],
)
def test_export__refuses_what_names_no_object(label: str, pk: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(label, pk)

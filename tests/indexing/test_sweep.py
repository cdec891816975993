"""The sweep: whole the first time, then a slice of every source at a time."""

from __future__ import annotations

from typing import Any

import pytest

from similar_images import registry
from similar_images.indexing import sweep
from similar_images.models import IndexedImage, Signature, Source
from tests.databases import ALIAS
from tests.indexing.faults import triggers_off
from tests.testapp.models import NamedPicture, Picture, UuidPicture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SLICE", 2)


def source_row(model: type[Any]) -> Source:
    return Source.objects.get(pk=Source.objects.get_id(registry.get_source(model)))


def add_unseen(model: type[Any], count: int) -> None:
    with triggers_off():
        model.objects.bulk_create(model(**make(model, number)) for number in range(count))


def make(model: type[Any], number: int) -> dict[str, Any]:
    return {"image": f"{number}.png"} | ({"name": f"name {number}"} if model is NamedPicture else {})


@pytest.mark.parametrize("model", [Picture, UuidPicture, NamedPicture])
def test_sweep__finds_all_the_first_time_then_by_slices(model: type[Any]) -> None:
    add_unseen(model, 7)
    assert source_row(model).swept_at is None
    assert sweep.sweep_sources() == 7
    row = source_row(model)
    assert row.swept_at is not None
    assert (row.next_object, row.next_record) == ("", 0)

    IndexedImage.objects.all().delete()
    due = [sweep.sweep_sources() for _ in range(5)]
    assert due == [2, 4, 6, 7, 7], "the fourth comes to the end, and the fifth begins anew"
    assert source_row(model).swept_at > row.swept_at


def test_sweep__checks_records_by_slices(mean_method: None, make_picture: Any, index_now: Any) -> None:
    items = [make_picture(seed) for seed in range(5)]
    index_now()
    sweep.sweep_sources()
    with triggers_off():
        Picture.objects.filter(pk=items[-1].pk)._raw_delete(ALIAS)
    Signature.objects.filter(record__object_id=items[0].pk).delete()
    assert sweep.sweep_sources() == 1, "the first slice has the record without a signature"
    assert IndexedImage.objects.count() == 5
    sweep.sweep_sources()
    sweep.sweep_sources()
    assert IndexedImage.objects.count() == 4, "the third slice has the record without an object"


def test_sweep__whose_last_object_is_gone_goes_on(make_picture: Any) -> None:
    items = [make_picture(seed) for seed in range(5)]
    for _ in range(2):
        sweep.sweep_sources()
    assert source_row(Picture).next_object == str(items[1].pk)
    items[1].delete()
    sweep.sweep_sources()
    assert source_row(Picture).next_object == str(items[3].pk)

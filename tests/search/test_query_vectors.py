"""Query vectors: stored signatures of an object, or those computed of an image, a part of it, or a text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from similar_images import plugins, registry
from similar_images.imaging.decode import UnreadableImage
from similar_images.imaging.timeouts import SearchTimeout
from similar_images.models import IndexedImage, MethodVersion, Signature, Source
from similar_images.search import query_vectors
from tests import drawing
from tests.items import save_gray
from tests.methods import PX, Mean
from tests.search.samples import METHODS
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db


def source() -> Any:
    return registry.get_source(Picture)


def stored(item: Picture, *allowed: Any, methods: tuple[str, ...] = ("mean", "bits")) -> list[tuple[str, str, int]]:
    """Return name, version and record of the stored query vectors of an object."""
    found = query_vectors.stored_queries(source(), [item], methods, *(allowed or [Picture.objects.all()]))
    vectors = next(iter(found.values()), [])
    return [(vector.spec.name, vector.spec.version, vector.record_id) for vector in vectors]


@pytest.fixture
def item(configure: Any, index_now: Any) -> Picture:
    configure(METHODS=METHODS, RANKING={"mean": 1, "bits": 1})
    item = save_gray(100)
    index_now()
    return item


def record_id(item: Picture) -> int:
    return IndexedImage.objects.get(object_id=str(item.pk)).pk


def version_row(**fields: Any) -> MethodVersion:
    return MethodVersion.objects.get(name="mean", source_id=Source.objects.get_id(source()), **fields)


# Stored


def test_stored_queries__has_the_methods_in_the_order_asked_for(item: Picture) -> None:
    record = record_id(item)
    assert stored(item) == [("mean", f"1{PX}", record), ("bits", f"1{PX}", record)]
    assert stored(item, methods=("bits", "mean")) == [("bits", f"1{PX}", record), ("mean", f"1{PX}", record)]
    assert stored(item, methods=("bits",)) == [("bits", f"1{PX}", record)]


def test_stored_queries__of_an_object_that_is_unsaved_or_not_allowed_is_empty(
    item: Picture, django_assert_num_queries: Any
) -> None:
    assert stored(item, Picture.objects.exclude(pk=item.pk)) == []
    assert stored(item, Picture.objects.all(), Picture.objects.exclude(pk=item.pk)) == []
    with django_assert_num_queries(0):
        assert stored(Picture()) == []
    assert stored(item, Picture.objects.none()) == []


def test_stored_queries__of_a_changed_file_is_empty(item: Picture) -> None:
    item.image.name = "other.png"
    assert stored(item) == []


def test_stored_queries__leaves_out_signatures_without_detail(item: Picture) -> None:
    Signature.objects.filter(method="mean").update(low_detail=True)
    assert stored(item) == [("bits", f"1{PX}", record_id(item))]


def test_stored_queries__prefers_the_active_version_to_the_configured_one(
    item: Picture, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configured one alone serves an image that is newer than the change of the setting."""
    monkeypatch.setattr(Mean, "version", "2")
    new = save_gray(50)
    index_now()
    assert version_row(is_active=True).version == f"1{PX}"
    assert stored(new, methods=("mean",)) == [("mean", f"2{PX}", record_id(new))]
    stored_both = Signature.objects.get(method="mean", record=record_id(item))
    stored_both.pk, stored_both.version = None, f"2{PX}"
    stored_both.save(force_insert=True)
    assert stored(item, methods=("mean",)) == [("mean", f"1{PX}", record_id(item))]
    for model in (MethodVersion, Signature):
        model.objects.filter(version=f"2{PX}").update(version="0")
    assert stored(new, methods=("mean",)) == [], "neither active nor configured"


def test_stored_vector__has_the_method_that_computes_such_signatures(item: Picture) -> None:
    row = version_row()
    vector = query_vectors.stored_vector(row, 5)
    assert vector.method is plugins.enabled_methods()["mean"]
    assert (vector.spec, vector.record_id, vector.literal, vector.value) == (row, 5, "", None)
    assert vector.similarities([0, 1, 3]) == [100, 50, 0]
    row.version = "0"
    assert query_vectors.stored_vector(row, 5).method is None


# Computed


@pytest.mark.usefixtures("item")
def test_describe_query__computes_what_would_be_stored() -> None:
    data = drawing.encoded(drawing.scene(1))
    mean, bits = query_vectors.describe_query(data, source(), ["mean", "bits"])
    assert (mean.spec.name, mean.method, mean.record_id) == ("mean", plugins.enabled_methods()["mean"], 0)
    assert mean.literal.startswith("[0.")
    expected = np.array(drawing.scene(1)).mean((0, 1)) / 255
    assert mean.value == pytest.approx(expected, abs=1e-3)
    assert (len(bits.literal), set(bits.literal)) == (64, {"0", "1"})
    assert bits.similarities([0, 32]) == [100, 50]


@pytest.mark.usefixtures("item")
def test_describe_query__of_a_box_describes_that_part() -> None:
    image = drawing.scene(1)
    image.paste((255, 0, 0), (0, 0, 80, 120))
    (vector,) = query_vectors.describe_query(drawing.encoded(image), source(), ["mean"], (0, 0, 0.5, 1))
    assert vector.value == pytest.approx([1, 0, 0], abs=1e-3)


def test_describe_query__leaves_out_methods_that_see_no_detail(configure: Any) -> None:
    configure(METHODS={"color": {}, "kaze": {}}, RANKING={"color": 1, "kaze": 1})
    from PIL import Image

    plain = drawing.encoded(Image.new("RGB", (64, 64), (200, 30, 30)))
    vectors = query_vectors.describe_query(plain, source(), ["color", "kaze"])
    assert [vector.spec.name for vector in vectors] == ["color"]


def test_describe_query__uses_the_configured_method_where_the_active_one_is_gone(
    item: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    MethodVersion.objects.filter(name="mean").update(version="0")
    (vector,) = query_vectors.describe_query(drawing.encoded(drawing.scene(1)), source(), ["mean"])
    assert (vector.spec.version, vector.method) == (f"1{PX}", plugins.enabled_methods()["mean"])


def test_describe_query__of_a_text_uses_the_curve_for_texts(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.methods import SlowReader

    configure(METHODS={"tests.methods.SlowReader": {}}, RANKING={"mean": 1})
    monkeypatch.setattr(SlowReader, "compute_text", lambda self, text: np.full(3, len(text), np.float32))
    monkeypatch.setattr(SlowReader, "text_similarity", lambda self, distance: 100 - distance)
    (vector,) = query_vectors.describe_query("four", source(), ["mean"])
    assert (vector.literal, list(vector.value), vector.record_id) == ("[4.0,4.0,4.0]", [4, 4, 4], 0)
    assert vector.similarities([1, 7]) == [99, 93]
    assert vector.method is plugins.enabled_methods()["mean"]


def test_describe_query__is_bounded_in_pixels_and_time(configure: Any, item: Picture) -> None:
    data = drawing.encoded(drawing.scene(1, size=(20, 10)))
    configure(SEARCH_MAX_PIXELS=200)
    assert len(query_vectors.describe_query(data, source(), ["mean"])) == 1
    configure(SEARCH_MAX_PIXELS=199)
    with pytest.raises(UnreadableImage, match="199 pixels"):
        query_vectors.describe_query(data, source(), ["mean"])
    configure(METHODS={"tests.methods.SlowReader": {}}, RANKING={"mean": 1}, REQUEST_TIMEOUT=0.01)
    with pytest.raises(SearchTimeout):
        query_vectors.describe_query("red", source(), ["mean"])


def test_literal__is_what_postgres_reads() -> None:
    from pgvector import HalfVector

    assert query_vectors.literal("0101") == "0101"
    assert query_vectors.literal(HalfVector([0.5, 2])) == "[0.5,2.0]"

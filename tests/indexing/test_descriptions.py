"""Descriptions of images: files read, decoded, and described once for equal bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.test.utils import CaptureQueriesContext
from PIL import Image

from similar_images import plugins
from similar_images.imaging import decoders
from similar_images.imaging.decoder.protocol import Limits
from similar_images.indexing import sweep
from similar_images.models import IndexedImage, Signature
from tests import drawing, hostile
from tests.databases import connection
from tests.indexing.faults import pass_time, set_storage
from tests.methods import PX, Mean
from tests.testapp.models import Picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


def test_same_bytes__are_described_once(make_picture: Any, index_now: Any) -> None:
    make_picture(1), make_picture(1)
    index_now()
    assert Mean.computed == 1
    make_picture(1)
    index_now()
    assert Mean.computed == 1
    assert Signature.objects.count() == 3
    assert IndexedImage.objects.filter(width=160, height=120).count() == 3
    make_picture(2)
    index_now()
    assert Mean.computed == 2


def test_same_bytes__are_described_again_by_a_new_version(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(1)
    index_now()
    monkeypatch.setattr(Mean, "version", "2")
    twin = make_picture(1)
    index_now()
    assert Mean.computed == 2
    assert Signature.objects.get(record__object_id=twin.pk).version == f"2{PX}"


def test_same_bytes__of_many_records_read_one_row_per_method(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"tests.methods.Mean": {}, "tests.methods.Bits": {}})
    for _ in range(10):
        make_picture(1)
    index_now()
    assert Signature.objects.count() == 20
    make_picture(1)
    with CaptureQueriesContext(connection) as queries:
        index_now()
    known = [query["sql"] for query in queries if "sha256" in query["sql"] and "SELECT DISTINCT" in query["sql"]]
    assert len(known) == 1
    with connection.cursor() as cursor:
        cursor.execute(known[0])
        assert cursor.rowcount == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (drawing.encoded(drawing.scene(1), "JPEG")[:900], "file is incomplete"),
        (drawing.encoded(Image.new("1", (600, 500))), "pixels"),
        (drawing.encoded(drawing.scene(1), "BMP") * 5, "larger than 97.7"),
        (None, "missing"),
    ],
)
def test_unreadable_image__the_record_says_why_and_others_are_indexed(
    content: bytes | None, reason: str, index_now: Any, make_picture: Any, configure: Any
) -> None:
    configure(MAX_PIXELS=200_000, MAX_BYTES=100_000)
    bad = Picture.objects.create(image=ContentFile(b"x" if content is None else content, name="bad.png"))
    if content is None:
        bad.image.storage.delete(bad.image.name)
    good = make_picture(1)
    index_now()
    record = IndexedImage.objects.get(object_id=bad.pk)
    assert record.status == "failed"
    assert reason in record.error
    assert IndexedImage.objects.get(object_id=good.pk).status == "indexed"
    pass_time(days=1)
    assert sweep.sweep_sources() == 0, "a broken picture is not tried again"


def test_missing_media_folder__the_record_says_so(make_picture: Any, index_now: Any, settings: Any) -> None:
    make_picture(1)
    shutil.rmtree(settings.MEDIA_ROOT)
    index_now()
    assert "missing" in IndexedImage.objects.get().error


def test_storage__needs_no_local_paths(make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Remote(FileSystemStorage):
        def _open(self, name: str, mode: str = "rb") -> Any:
            return ContentFile((shelf / name).read_bytes(), name=name)

        def path(self, name: str) -> str:
            raise NotImplementedError("This backend doesn't support absolute paths.")

    item = make_picture(1)
    shelf = Path(item.image.storage.location)
    set_storage(monkeypatch, Remote())
    index_now()
    assert IndexedImage.objects.get().status == "indexed"


def test_unregistered_source__the_record_says_so(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(1)
    monkeypatch.setattr("similar_images.registry._sources", {})
    index_now()
    assert "no longer registered" in IndexedImage.objects.get().error


def test_built_in_methods__compute_both_signatures(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"embedding": {}, "color": {}}, RANKING={"embedding": 1})
    make_picture(1)
    index_now()
    methods = plugins.enabled_methods()
    for signature in Signature.objects.all():
        method = methods[signature.method]
        assert signature.version == method.version
        assert len(list(signature.dense)) == method.dimensions


def test_image_that_takes_too_long_to_decode__fails_at_once_and_others_are_indexed(
    index_now: Any, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as slow, after one attempt, and is not tried again."""
    monkeypatch.setattr(decoders, "LIMITS", Limits(seconds=0.2, seconds_per_pixel=0))
    good = make_picture(1)
    slow = make_picture(image=ContentFile(hostile.progressive_jpeg(99, side=4000), name="slow.jpg"))
    built = make_picture(image=ContentFile(hostile.progressive_jpeg(1000), name="built.jpg"))
    index_now()
    states = {
        record.object_id: (record.status, record.attempts, record.error.partition(".")[0])
        for record in IndexedImage.objects.all()
    }
    unusual = "The image is built in an unusual way that takes too much time or memory to decode: it has more than "
    assert states == {
        str(good.pk): ("indexed", 1, ""),
        str(slow.pk): ("failed", 1, "The image takes too long to decode"),
        str(built.pk): ("failed", 1, f"{unusual}100 scans"),
    }
    pass_time(days=1)
    assert sweep.sweep_sources() == 0

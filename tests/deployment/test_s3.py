"""Images in S3, through django-storages, on a server that speaks its protocol."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from django.core.files.base import ContentFile
from moto.server import ThreadedMotoServer

import similar_images
from similar_images.models import IndexedImage, Signature
from tests import drawing
from tests.testapp.models import Picture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("mean_method")]

BUCKET = "pictures"
ACCESS = {"access_key": "key", "secret_key": "secret", "region_name": "us-east-1"}


@pytest.fixture(scope="module")
def s3() -> Iterator[ThreadedMotoServer]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


def endpoint(server: ThreadedMotoServer) -> str:
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


@pytest.fixture(params=[True, False], ids=["overwriting", "renaming"])
def bucket(s3: ThreadedMotoServer, settings: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Keep images in a private bucket, where a new file takes the place of one of its name, or gets another name."""
    options = {
        **ACCESS,
        "bucket_name": BUCKET,
        "endpoint_url": endpoint(s3),
        "file_overwrite": request.param,
        "default_acl": "private",
        "client_config": Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}),
    }
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options},
    }
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    bucket = boto3.resource("s3", endpoint_url=endpoint(s3), **keys).Bucket(BUCKET)
    bucket.create()
    yield bucket
    bucket.objects.delete()
    bucket.delete()


def found(seed: int) -> list[tuple[Picture, float]]:
    matches = similar_images.similar_to(drawing.file(seed), model=Picture)
    return [(match.object, match.similarity) for match in matches]


def test_save__is_indexed_from_the_bucket_and_found(bucket: Any, make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    assert [file.key for file in bucket.objects.all()] == [item.image.name]
    index_now()
    record = IndexedImage.objects.get()
    assert (record.status, record.error, record.file_name) == ("indexed", "", item.image.name)
    assert found(1) == [(item, 100)]


def test_replacing__under_the_same_name_is_indexed_again(bucket: Any, make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    first_name, is_overwritten = item.image.name, item.image.storage.file_overwrite
    index_now()
    item.image.save(first_name.rpartition("/")[2], ContentFile(drawing.file(2).read()))
    assert (item.image.name == first_name) is is_overwritten
    assert not any(similarity == 100 for _item, similarity in found(1)), "the old image is not found at once"
    index_now()
    assert found(2) == [(item, 100)]
    assert not any(similarity == 100 for _item, similarity in found(1))


def test_deletion__leaves_neither_record_nor_match(bucket: Any, make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    item.delete()
    assert found(1) == []
    assert not IndexedImage.objects.exists()
    assert not Signature.objects.exists()


def test_private_files__have_signed_addresses(bucket: Any, make_picture: Any, index_now: Any, client: Any) -> None:
    first, second = make_picture(1), make_picture(2)
    index_now()
    answer = client.get(f"/api/similar-images/testapp.picture/{first.pk}/similar/").json()
    (address,) = [row["image"] for row in answer["results"]]
    assert "X-Amz-Signature=" in address or "Signature=" in address
    with urllib.request.urlopen(address) as file, second.image.open() as stored:  # noqa: S310 - a server of this test
        assert file.read() == stored.read()


def test_outage__keeps_the_record_waiting_with_a_reason(
    bucket: Any, s3: ThreadedMotoServer, make_picture: Any, index_now: Any
) -> None:
    kept = make_picture(1)
    index_now()
    item = make_picture(2)
    _host, s3._port = s3.get_host_and_port()
    s3.stop()
    try:
        assert len(index_now()) == 1
        record = IndexedImage.objects.get(object_id=str(item.pk))
        assert (record.status, record.attempts) == ("pending", 0)
        assert record.retry_at is not None
        assert record.error.startswith("The storage gave an error:")
        assert index_now() == [], "it is not tried without end"
        assert [match.object for match in similar_images.similar_to(kept)] == []
        assert found(1) == [(kept, 100)], "what was indexed stays"
    finally:
        s3.start()
    IndexedImage.objects.update(retry_at=None)
    index_now()
    record.refresh_from_db()
    assert (record.status, record.error) == ("indexed", "")
    assert (item, 100) in found(2)
